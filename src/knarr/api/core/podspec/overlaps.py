"""Files of one volume that would hide each other: two at one path, or one where another needs a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from knarr.meta.gofmt import quote

Spec = dict[str, Any]


def overlap_warnings(volumes: Iterable[Spec]) -> Iterator[str]:
    for volume in volumes:
        name = quote(volume.get("name", ""))
        for kind, shown, key in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
            source = volume.get(kind)
            if source and source.get("items"):
                what = f"volume {name} ({shown} {quote(source.get(key, ''))}): overlapping paths"
                yield from _overlaps(_paths(source), what)
        if (source := volume.get("downwardAPI")) and source.get("items"):
            yield from _overlaps(_paths(source), f"volume {name} (DownwardAPI): overlapping paths")
        if "projected" in volume:
            yield from _projected(volume["projected"], name)


def _projected(projection: Spec, name: str) -> Iterator[str]:
    known: set[str] = set()
    for source in projection.get("sources") or ():
        if not source:
            yield f"volume {name} (Projected) has no sources provided"
            continue
        shown, paths = _of_source(source)
        if not paths:
            continue
        what = f"volume {name} (Projected {shown}): overlapping paths"
        yield from _overlaps(paths, what)
        yield from _overlaps(sorted([*set(paths), *known]), what)
        known.update(paths)


def _of_source(source: Spec) -> tuple[str, list[str]]:
    """(how messages call it, the paths it writes)."""
    for kind, shown in (("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")):
        part = source.get(kind)
        if part and part.get("items"):
            named = f" {quote(part.get('name', ''))}" if kind != "downwardAPI" else ""
            return shown + named, _paths(part)
    if "serviceAccountToken" in source:
        return "ServiceAccountToken", [source["serviceAccountToken"].get("path", "")]
    if (bundle := source.get("clusterTrustBundle")) is not None:
        called = bundle.get("name", bundle.get("signerName", ""))
        return f"ClusterTrustBundle {quote(called)}", [bundle.get("path", "")]
    return "", []


def _paths(source: Spec) -> list[str]:
    return [item.get("path", "") for item in source["items"]]


def _overlaps(paths: Iterable[str], what: str) -> Iterator[str]:
    seen: list[str] = []
    for path in (path.rstrip("/") for path in paths):
        other = next((other for other in seen if _hide(path, other)), None) if path else None
        if other is not None:
            yield f"{what}: {quote(path)} with {quote(other)}"
        if path not in seen:
            seen.append(path)


def _hide(one: str, other: str) -> bool:
    return bool(other) and (one == other or one.startswith(other + "/") or other.startswith(one + "/"))
