"""Which representation a client wants: media type, and Table or PartialObjectMetadata instead of the object."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from knarr.meta import errors

if TYPE_CHECKING:
    from knarr.apiserver.http import HTTPRequest

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
#: what objects are served as, in the order errors name them
SERVED = (JSON, YAML, PROTOBUF)
STREAMED = (JSON + ";stream=watch", PROTOBUF + ";stream=watch")
TRANSFORMS = {
    ("Table", "meta.k8s.io", "v1"): "Table",
    ("Table", "meta.k8s.io", "v1beta1"): "Table",
    ("PartialObjectMetadata", "meta.k8s.io", "v1"): "PartialObjectMetadata",
    ("PartialObjectMetadataList", "meta.k8s.io", "v1"): "PartialObjectMetadataList",
    ("PartialObjectMetadata", "meta.k8s.io", "v1beta1"): "PartialObjectMetadata",
    ("PartialObjectMetadataList", "meta.k8s.io", "v1beta1"): "PartialObjectMetadataList",
}
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
#: what Go's mime.ParseMediaType takes
_MEDIA_TYPE = re.compile(rf"\s*{_TOKEN}(?:/{_TOKEN})?\s*(?:;\s*{_TOKEN}\s*=\s*{_VALUE}\s*)*(?:;\s*)?")


class Representation(NamedTuple):
    """`as_kind` is "" for the object itself; `version` is the meta.k8s.io version of a Table."""

    media_type: str = JSON
    as_kind: str = ""
    version: str = "v1"
    pretty: bool = False


PLAIN = Representation()


class Clause(NamedTuple):
    media_type: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=128)
def content_type(header: str) -> str:
    """The media type of a body, without parameters: JSON where the header is empty, "" for what is no media type."""
    if not header:
        return JSON
    return header.partition(";")[0].strip().lower() if _MEDIA_TYPE.fullmatch(header) else ""


@lru_cache(maxsize=512)
def accept(header: str, transformable: bool = True, protobuf: bool = True) -> Representation | None:
    """The first clause of an Accept header that can be served, by quality; None when none can.

    Without `protobuf` (custom resources) only their metadata has that form.
    """
    if not header or header == "*/*" or header == JSON:
        return PLAIN
    for clause in clauses(header):
        found = _representation(clause, transformable, protobuf)
        if found is not None:
            return found
    return None


def _representation(clause: Clause, transformable: bool, protobuf: bool) -> Representation | None:
    media_type = clause.media_type
    if media_type == "*/*" or (media_type == "application/*" and not protobuf):
        # routes of built-in resources want an exact name, or anything
        media_type = JSON
    parameters = clause.parameters
    if media_type not in SERVED or (media_type == PROTOBUF and not protobuf and not parameters.get("as")):
        return None
    wanted = parameters.get("as", "")
    pretty = parameters.get("pretty", "") not in ("", "0", "false")
    if not wanted:
        return Representation(media_type, pretty=pretty)
    if not transformable:
        return None
    known = TRANSFORMS.get((wanted, parameters.get("g", ""), parameters.get("v", "")))
    if known is None or (known == "Table" and media_type == PROTOBUF):
        return None
    return Representation(media_type, known, parameters.get("v", "v1"), pretty)


#: whose users look at the answers themselves
HUMAN_AGENTS = ("curl", "Wget", "Mozilla/5.0")
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})


def for_people(found: Representation, http: HTTPRequest) -> Representation:
    """With lines and indents where `?pretty=true` asks for them, or where a person is the client."""
    if found.pretty:
        return found
    asked = http.query.get("pretty", "") if "pretty" in http.raw_query else ""
    pretty = asked in TRUE if asked else http.headers.get("user-agent", "").startswith(HUMAN_AGENTS)
    return found._replace(pretty=True) if pretty else found


def clauses(header: str) -> list[Clause]:
    """Of an Accept header, the most wanted first."""
    found = []
    for part in header.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        parameters = dict(piece.partition("=")[::2] for piece in rest)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        found.append(Clause(media_type.lower(), parameters, quality))
    return sorted(found, key=_rank)


def _rank(clause: Clause) -> tuple[float, bool, bool]:
    """Better quality first; of equals, what is named before what is a wildcard."""
    type_, _, subtype = clause.media_type.partition("/")
    return -clause.quality, type_ == "*", subtype == "*"


def not_acceptable(available: tuple[str, ...] = SERVED) -> errors.StatusError:
    """406 of a request that no route could serve."""
    message = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(available)
    error = errors.not_acceptable(message)
    status = error.status
    status["details"] = {}
    status["code"] = status.pop("code")
    return error


def only_these(served: tuple[str, ...] = SERVED) -> errors.StatusError:
    return errors.not_acceptable("only the following media types are accepted: " + ", ".join(served))
