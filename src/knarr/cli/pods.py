"""Which pod, and which container of it, a command means."""

from __future__ import annotations

from typing import Any

from knarr.cli import output as outputs
from knarr.cli import say
from knarr.cli.api import Server
from knarr.cli.resources import Types
from knarr.meta.errors import StatusError

POD = "pods"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def path(server: Server, name: str = "", subresource: str = "", namespace: str = "") -> str:
    """Of a pod of the command's namespace."""
    tail = f"/{name}" if name else ""
    tail += f"/{subresource}" if subresource else ""
    return f"/api/v1/namespaces/{namespace or server.namespace}/pods{tail}"


def find(server: Server, text: str) -> dict[str, Any]:
    """`web-1`, `pod/web-1`, or one pod of `deploy/web`. Raises Failure."""
    try:
        if "/" not in text:
            return server.get(path(server, text))
        target = Types(server).targets([text])[0]
        if target.type.plural == POD:
            return server.get(path(server, target.name))
        owner = server.get(target.type.path(server.namespace, target.name))
        found = of_selector(server, selector_of(owner))
    except StatusError as error:
        raise say.Failure(outputs.refusal(error)) from None
    if not found:
        raise say.Failure(f"{text} has no pods")
    # as kubectl: ready ones before others, of those the oldest
    return min(found, key=lambda pod: (not _ready(pod), pod["metadata"]["creationTimestamp"]))


def of_selector(server: Server, selector: str) -> list[dict[str, Any]]:
    return server.get(path(server), {"labelSelector": selector}).get("items") or []


def selector_of(owner: dict[str, Any]) -> str:
    """The label selector of a workload or service. Raises Failure."""
    selector = owner.get("spec", {}).get("selector") or {}
    labels = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    if not labels or not all(isinstance(value, str) for value in labels.values()):
        raise say.Failure(
            f"{owner.get('kind', 'it')} {owner['metadata']['name']} does not select pods by labels"
        )
    return ",".join(f"{key}={value}" for key, value in labels.items())


def container(pod: dict[str, Any], wanted: str, quiet: bool = False) -> str:
    """The container asked for, the annotated one, or the first. Raises Failure for one that is not there."""
    spec = pod["spec"]
    names = [one["name"] for one in spec.get("containers") or []]
    others = [one["name"] for key in ("initContainers", "ephemeralContainers") for one in spec.get(key) or []]
    name = pod["metadata"]["name"]
    if wanted:
        if wanted not in names + others:
            raise say.Failure(
                f"container {wanted} is not valid for pod {name}; there is {', '.join(names + others)}"
            )
        return wanted
    annotated: str = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER, "")
    if annotated in names:
        return annotated
    if len(names) > 1 and not quiet:
        say.note(f'Defaulted container "{names[0]}" out of: {", ".join(names + others)}')
    return names[0]


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
