"""Write src/knarr/api/resources.py from recorded discovery documents: python tools/make_resources.py DISCOVERY_FOLDER"""

import json
import sys
from pathlib import Path

HEAD = '''"""Every resource a v1.36 API server serves by default: the facts of discovery, one row each.

Written by tools/make_resources.py from recorded discovery documents. Behaviour stands with the kinds.
"""

from __future__ import annotations

from typing import NamedTuple


class Resource(NamedTuple):
    """One row of discovery; `subresources` maps a name to (kind, group/version of that kind or "", verbs)."""

    group: str
    version: str
    name: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, tuple[str, str, tuple[str, ...]]] = {}

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> bool:
        """False for requests that only look like objects (reviews, bindings)."""
        return "list" in self.verbs


'''
NAMED = {
    "ALL": ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    "STATUS": ("get", "patch", "update"),
    "CREATE": ("create",),
}


def verbs_name(verbs):
    verbs = tuple(sorted(verbs))
    return next((name for name, known in NAMED.items() if known == verbs), repr(verbs))


def main(folder):
    rows = []
    for path in sorted(Path(folder).glob("*.json")):
        doc = json.loads(path.read_text())
        if doc.get("kind") != "APIResourceList":
            continue
        group, _, version = doc["groupVersion"].rpartition("/")
        tops = {}
        for item in doc["resources"]:
            name, _, sub = item["name"].partition("/")
            if not sub:
                tops[name] = (item, {})
        for item in doc["resources"]:
            name, _, sub = item["name"].partition("/")
            if sub:
                of = "/".join(filter(None, (item.get("group", ""), item.get("version", ""))))
                tops.setdefault(
                    name,
                    (
                        {
                            "name": name,
                            "kind": item["kind"],
                            "singularName": "",
                            "namespaced": item["namespaced"],
                            "verbs": [],
                        },
                        {},
                    ),
                )
                tops[name][1][sub] = (item["kind"], of, item["verbs"])
        for name in sorted(tops):
            item, subs = tops[name]
            rows.append((group, version, item, subs))
    rows.sort(key=lambda r: (r[0], r[1], r[2]["name"]))
    out = [HEAD]
    for name, verbs in NAMED.items():
        out.append(f"{name} = {verbs!r}\n")
    out.append("\nRESOURCES: tuple[Resource, ...] = (\n")
    for group, version, item, subs in rows:
        parts = [
            repr(group),
            repr(version),
            repr(item["name"]),
            repr(item["kind"]),
            repr(item.get("singularName", "")),
            repr(item["namespaced"]),
            verbs_name(item["verbs"]),
        ]
        if item.get("shortNames"):
            parts.append(f"short_names={tuple(item['shortNames'])!r}")
        if item.get("categories"):
            parts.append(f"categories={tuple(item['categories'])!r}")
        if subs:
            inner = ", ".join(
                f"{s!r}: ({k!r}, {of!r}, {verbs_name(v)})" for s, (k, of, v) in sorted(subs.items())
            )
            parts.append(f"subresources={{{inner}}}")
        out.append(f"    Resource({', '.join(parts)}),\n")
    out.append(")\n")
    Path("src/knarr/api/resources.py").write_text("".join(out))


main(sys.argv[1])
