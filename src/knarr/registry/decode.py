"""From a request's body to a normalised, defaulted object, with Kubernetes' words for everything that can be wrong."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.catalog import BY_GVK
from knarr.api.decoding import DecodeError
from knarr.api.scheme import Strictness, has_duplicates, scheme
from knarr.meta import errors, gojson
from knarr.registry import unserved
from knarr.registry.context import Request
from knarr.registry.empties import empty_lists, put_empty
from knarr.registry.storage import Object, View

YAML, PROTOBUF = "application/yaml", "application/vnd.kubernetes.protobuf"
ACCEPTED = ("application/json", YAML, PROTOBUF)
#: versions no longer served as resources that requests may still be written in
STILL_READ = {"Eviction": (("policy/v1beta1", "Eviction"),)}
#: where the API server's own scheme lives, as its messages name it
SCHEME = 'scheme "pkg/api/legacyscheme/scheme.go:30"'

#: an empty list there tells the server to forget who owns what
OWNERS = ("metadata", "managedFields")


def unsupported(custom: bool = False) -> errors.StatusError:
    accepted = ", ".join(ACCEPTED[:2] if custom else ACCEPTED)
    return errors.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


class MissingKind(ValueError):
    """A custom object that does not say what it is; the words for it show the whole object."""


class Decoder:
    """Reads bodies of built-in and custom kinds. Findings go to the request as warnings, or raise under Strict."""

    def body(self, view: View, request: Request, body: bytes, content_type: str) -> Object:
        """The object of a POST or PUT, defaulted. Raises 400, 415."""
        try:
            obj = self._read(view, request, body, content_type)
        except DecodeError as error:
            kind, version = view.row.kind, view.row.version
            raise errors.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: {error}'
            ) from None
        if request.audit is not None:
            request.audit.object_sent(obj, view.row.kind, view.row.api_version)
        return obj

    def _read(self, view: View, request: Request, body: bytes, content_type: str) -> Object:
        if content_type == PROTOBUF and not view.custom:
            return self._protobuf(view, body)
        if content_type == YAML:
            text, found = from_yaml(view, body)
            try:
                return self._json(view, request, text, found)
            except Unrecognized as error:
                raise Unrecognized(view.row.kind, error.why, body) from None
        if content_type != "application/json":
            raise unsupported(view.custom)
        return self._json(view, request, body, [])

    def _json(self, view: View, request: Request, body: bytes, found: list[str]) -> Object:
        """`found`: what strict decoding already said of the YAML it was."""
        if view.normalize is not None:
            return self._custom(view, request, body, found)
        try:
            obj, findings = scheme().decode_object(
                view.definition, body, Strictness(request.field_validation)
            )
        except DecodeError as error:
            check_syntax(view, body)
            check_type(view, _type_of(view, body), body)
            kind, version = _named(view, body)
            raise errors.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {view.row.kind}: {error}'
            ) from None
        if (
            obj.get("kind", view.row.kind) != view.row.kind
            or obj.get("apiVersion", view.row.api_version) != view.row.api_version
        ):
            check_type(view, (obj.get("apiVersion", ""), obj.get("kind", "")), body)
        self._report(view, request, found + findings, obj)
        if b"[]" in body and (view.kind.told_empty or b'"managedFields"' in body):
            put_empty((*view.kind.told_empty, OWNERS), orjson.loads(body), obj)
        self._finish(view, obj)
        request.sent, request.empty = body, empty_lists(body, obj)
        return obj

    def _protobuf(self, view: View, body: bytes) -> Object:
        """What Go clients send for built-in kinds; it cannot name unknown fields."""
        from knarr.api import protobuf

        try:
            raw = protobuf.decode(body, (view.row.api_version, view.row.kind))
        except protobuf.ProtobufError as error:
            raise unrecognized(view, str(error), body) from None
        check_type(view, (raw["apiVersion"], raw["kind"]), body)
        obj, _ = scheme().normalize(view.definition, raw, Strictness.IGNORE)
        return self._finish(view, obj)

    def patched(self, view: View, request: Request, new: Any) -> tuple[Object, list[str]]:
        """(an object that a patch made, what strict decoding finds). Raises ValueError with Go's words for a wrong
        type."""
        if view.normalize is not None:
            obj, findings = view.normalize(new)
        else:
            obj, findings = scheme().normalize(view.definition, new)
            put_empty((*view.kind.told_empty, OWNERS), new, obj)
        return self._finish(view, obj), findings

    def patched_status(
        self, view: View, request: Request, new: Any, live: Object
    ) -> tuple[Object, list[str]]:
        """The same through the status endpoint: a spec that the patch left as it is in `live`, and that would be
        put back anyway, is taken over unread where it holds a pod's. It is most of the object then; elsewhere
        defaults of the status may look at it."""
        spec = live.get("spec") if view.kind.pod_spec_path else None
        if spec is None or not isinstance(new, dict) or new.get("spec") is not spec:
            return self.patched(view, request, new)
        obj, findings = self.patched(view, request, {name: new[name] for name in new if name != "spec"})
        obj["spec"] = spec
        return {name: obj[name] for name in dict.fromkeys([*new, *obj]) if name in obj}, findings

    def check_patched_type(self, view: View, new: Any) -> tuple[Any, list[str]]:
        """What the decoder goes on with after it looked at a patched object's type, and what it has not read.

        A patch may not make another kind of an object; without a version the object counts as one of the server's
        own type, whose fields have no names in JSON. Custom objects only need a kind here: what it is, is a matter of
        validation. Raises ValueError with the decoder's words.
        """
        api_version = kind = None
        if isinstance(new, dict):
            api_version, kind = new.get("apiVersion"), new.get("kind")
        if (api_version, kind) == (view.row.api_version, view.row.kind):
            return new, []
        if why := gojson.type_meta_error(orjson.dumps(new)):
            raise ValueError(f"couldn't get version/kind; json parse error: {why}")
        if api_version and api_version.count("/") > 1:
            raise ValueError(f"unexpected GroupVersion string: {api_version}")
        if view.normalize is not None:
            if not kind:
                raise MissingKind()
            return new, []
        kind = kind or view.row.kind
        if not api_version and kind == view.row.kind:
            return {}, [f'unknown field "{name}"' for name in new if name not in ("apiVersion", "kind")]
        if (api_version, kind) == (view.row.api_version, view.row.kind):
            return new, []
        group, _, version = (api_version or "").rpartition("/")
        if (group, version, kind) not in BY_GVK:
            raise ValueError(f'no kind "{kind}" is registered for version "{api_version}" in {SCHEME}')
        scheme().normalize((group, version, str(kind)), new)
        ours = f"{folder(view.row.group)}.{view.row.kind}"
        raise ValueError(f"converting ({version}.{kind}) to ({ours}): unknown conversion")

    def applied(self, request: Request, body: bytes) -> tuple[Object, str]:
        """(the configuration of a server-side apply: neither defaulted nor normalised, what strict reading says of
        repeated keys)."""
        config, repeated = self._loaded(request, body)
        if config is None:
            return {}, repeated
        if not isinstance(config, dict):
            raise errors.bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal"
                f" {gojson.GO_NAMES[type(config)]} into Go value of type map[string]interface {{}}"
            )
        return config, repeated

    def _loaded(self, request: Request, body: bytes) -> tuple[Any, str]:
        """An apply's body: YAML, of which JSON is a part."""
        try:
            config = orjson.loads(body)
            if request.field_validation == "Ignore" or not has_duplicates(body):
                return config, ""
        except orjson.JSONDecodeError:
            pass
        from knarr.meta import goyaml

        try:
            document = goyaml.read(body)
        except ValueError as error:
            raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
        return document.value, document.complaint

    def report_repeated(self, request: Request, complaint: str) -> None:
        """Keys that an apply's body repeats are warned of, or refused under Strict: once it could be applied."""
        if complaint and request.field_validation == "Strict":
            raise errors.bad_request(
                f"error strict decoding YAML: error converting YAML to JSON: {complaint}"
            )
        if complaint:
            warn_of(request, [complaint])

    def _custom(self, view: View, request: Request, body: bytes, found: list[str]) -> Object:
        assert view.normalize is not None
        check_syntax(view, body)
        obj, findings = view.normalize.read(body, request.field_validation != "Ignore")
        self._report(view, request, found + findings, obj)
        if obj.get("apiVersion") != view.row.api_version:
            check_type(view, (obj.get("apiVersion") or "", obj["kind"]), body)
        return self._finish(view, obj)

    def _finish(self, view: View, obj: Object) -> Object:
        obj.setdefault("metadata", {})
        view.kind.default(obj)
        return obj

    def _report(self, view: View, request: Request, findings: list[str], obj: Object) -> None:
        if not findings or request.field_validation == "Ignore":
            return
        if request.field_validation == "Strict":
            kind = obj.get("kind", view.row.kind)
            raise errors.bad_request(
                f'{kind} in version "{view.row.version}" cannot be handled as a {view.row.kind}:'
                f" strict decoding error: {', '.join(findings)}"
            )
        warn_of(request, findings)


def warn_of(request: Request, findings: list[str]) -> None:
    """What the strict decoder found as warnings; the YAML reader's lines one by one."""
    if request.field_validation != "Warn":
        return
    for text in findings:
        if text.startswith("yaml: unmarshal errors:"):
            for line in text.splitlines()[1:]:
                request.warn(line.strip())
        else:
            request.warn(text)


def from_yaml(view: View, body: bytes) -> tuple[bytes, list[str]]:
    """The first document as JSON, and what the strict decoder finds. Raises 400."""
    from knarr.meta import goyaml

    try:
        document = goyaml.read(body)
        return document.json(), [document.complaint] if document.duplicates else []
    except ValueError as error:
        raise unrecognized(view, str(error), body) from None


def check_syntax(view: View, body: bytes) -> None:
    """Raises 400 where the body is no JSON at all."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        why = f"couldn't get version/kind; json parse error: {gojson.syntax_error(body)}"
        raise unrecognized(view, why, body) from None


class Unrecognized(errors.StatusError):
    """400 for a body whose kind cannot even be read; its message shows the beginning of what was sent."""

    def __init__(self, kind: str, why: str, body: bytes) -> None:
        shown = gojson.excerpt(body)
        message = f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
        super().__init__(errors.bad_request(message).status)
        self.why = why


def unrecognized(view: View, why: str, body: bytes) -> Unrecognized:
    return Unrecognized(view.row.kind, why, body)


def _type_of(view: View, body: bytes) -> tuple[str, str]:
    """(apiVersion, kind) of a body that is JSON. Raises 400 when they are no strings."""
    why = gojson.type_meta_error(body)
    if why:
        raise unrecognized(view, f"couldn't get version/kind; json parse error: {why}", body)
    obj = orjson.loads(body) or {}
    return obj.get("apiVersion") or "", obj.get("kind") or ""


def _named(view: View, body: bytes) -> tuple[str, str]:
    api_version, kind = _type_of(view, body)
    return kind or view.row.kind, (api_version or view.row.api_version).rpartition("/")[2]


def check_type(view: View, type_: tuple[str, str], body: bytes) -> None:
    """The body's kind must be the resource's; an absent one is taken to be, but for versions of custom resources."""
    api_version, kind = type_[0], type_[1] or view.row.kind
    if not view.custom:
        api_version = api_version or view.row.api_version
    if (api_version, kind) == (view.row.api_version, view.row.kind):
        return
    if api_version.count("/") > 1:
        raise unrecognized(view, f"unexpected GroupVersion string: {api_version}", body)
    group, _, version = api_version.rpartition("/")
    if (api_version, kind) in STILL_READ.get(view.row.kind, ()):
        return
    if view.custom:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({view.row.api_version})"
            if api_version != view.row.api_version
            else f"the kind in the data ({kind}) does not match the expected kind ({view.row.kind})"
        )
    known = (group, version, kind) in BY_GVK or (
        kind.endswith("List") and (group, version, kind.removesuffix("List")) in BY_GVK
    )
    known = known or unserved.is_known(api_version, kind)
    if known and unserved.is_same_type(group, kind, (view.row.group, view.row.kind)):
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version"
            f" ({view.row.api_version})"
        )
    if known:
        ours = f"{folder(view.row.group)}.{view.row.kind}"
        why = f"converting ({version}.{kind}) to ({ours}): unknown conversion"
    else:
        why = f'no kind "{kind}" is registered for version "{api_version}" in {SCHEME}'
    raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {view.row.kind}: {why}')


def folder(group: str) -> str:
    """The Go package of a group's internal types."""
    return group.partition(".")[0] or "core"
