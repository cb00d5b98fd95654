"""How to reach a cluster: its kubeconfig."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.cluster.cluster import Cluster


def entries_of(cluster: Cluster) -> dict[str, Any]:
    """A kubeconfig with one cluster, user and context, all named after the cluster."""
    name = cluster.config.name
    pki = cluster.plane.pki
    admin = pki.admin
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": cluster.url, "certificate-authority-data": _base64(pki.ca_certificate)},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _base64(admin.certificate),
                    "client-key-data": _base64(admin.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def kubeconfig_of(cluster: Cluster) -> str:
    """As a file's text; JSON is YAML."""
    import orjson

    return orjson.dumps(entries_of(cluster), option=orjson.OPT_INDENT_2).decode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
