"""Files of one volume that would hide each other: two at one path, or one where another needs a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from knarr.meta.gofmt import quote

Spec = dict[str, Any]
_CERTIFICATE_PATHS = (
    ("certificateChainPath", "PodCertificate chain"),
    ("keyPath", "PodCertificate key"),
    ("credentialBundlePath", "PodCertificate credential bundle"),
)


class _File(NamedTuple):
    path: str
    #: which of a projected volume's sources writes it
    source: str = ""

    def __str__(self) -> str:
        return f"{quote(self.path)} ({self.source})" if self.source else quote(self.path)

    def hides(self, other: _File) -> bool:
        """One is the other, or lies where the other would have to be a directory."""
        one, two = f"{self.path}/", f"{other.path}/"
        return one.startswith(two) or two.startswith(one)


def overlap_warnings(volumes: Iterable[Spec]) -> Iterator[str]:
    for volume in volumes:
        name = quote(volume.get("name", ""))
        for kind, shown, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            source = volume.get(kind)
            if source and source.get("items"):
                yield from _overlaps(_items(source), f"volume {name} ({shown} {quote(source.get(key, ''))})")
        if (source := volume.get("downwardAPI")) and source.get("items"):
            yield from _overlaps(_items(source), f"volume {name} (DownwardAPI)")
        if "projected" in volume:
            yield from _projected(volume["projected"], f"volume {name} (Projected)")


def _projected(projection: Spec, what: str) -> Iterator[str]:
    files: list[_File] = []
    for source in projection.get("sources") or ():
        if source:
            yield from _overlaps(_of_source(source), what, files)
        else:
            yield f"{what} has no sources provided"


def _of_source(source: Spec) -> list[_File]:
    for kind, shown in (("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")):
        part = source.get(kind)
        if part and part.get("items"):
            named = f" {quote(part.get('name', ''))}" if kind != "downwardAPI" else ""
            return _items(part, shown + named)
    if "serviceAccountToken" in source:
        return [_File(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    if (bundle := source.get("clusterTrustBundle")) is not None:
        called = bundle.get("name", bundle.get("signerName", ""))
        return [_File(bundle.get("path", ""), f"ClusterTrustBundle {quote(called)}")]
    if (certificate := source.get("podCertificate")) is not None:
        return [_File(certificate.get(field, ""), shown) for field, shown in _CERTIFICATE_PATHS]
    return []


def _items(source: Spec, shown: str = "") -> list[_File]:
    return [_File(item.get("path", ""), shown) for item in source["items"]]


def _overlaps(files: Iterable[_File], what: str, before: list[_File] | None = None) -> Iterator[str]:
    """Each file against all before it, which it joins."""
    known = [] if before is None else before
    for file in files:
        file = file._replace(path=file.path.rstrip("/"))
        if file.path:
            for other in known:
                if file.hides(other):
                    yield f"{what}: overlapping paths: {file} with {other}"
            known.append(file)
