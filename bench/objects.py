"""The objects of the bench: a 2 KB ConfigMap, a Pod as a Deployment's, a Deployment."""

from __future__ import annotations

import json

CONFIGMAP_DATA = {"config.yaml": "x" * 1800}
POD_SPEC = {
    "containers": [
        {
            "name": "web",
            "image": "registry.example.com/shop/web:1.27.3",
            "args": ["--port=8080", "--log-level=info"],
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "MODE", "value": "production"},
            ],
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
            "volumeMounts": [{"name": "data", "mountPath": "/var/lib/web"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        }
    ],
    "volumes": [{"name": "data", "emptyDir": {}}],
    "terminationGracePeriodSeconds": 30,
}


def configmap(name: str) -> bytes:
    return _dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": CONFIGMAP_DATA}
    )


def pod(name: str, number: int = 0) -> bytes:
    """Not for the default scheduler: it stays Pending and nobody else touches it."""
    labels = {"app": "web", "tier": "frontend", "tenth": str(number % 10)}
    metadata = {"name": name, "labels": labels}
    spec = {**POD_SPEC, "schedulerName": "nobody"}
    return _dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def deployment(name: str, replicas: int) -> bytes:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": POD_SPEC}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return _dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def _dump(obj: object) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()
