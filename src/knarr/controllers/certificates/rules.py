"""What each of Kubernetes' signers accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from knarr.controllers.certificates.request import Asked

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
NODES, NODE_PREFIX = "system:nodes", "system:node:"
#: usages that a request may leave out
OPTIONAL = {"key encipherment"}


def client(asked: Asked, usages: Sequence[str]) -> str:
    for usage in usages:
        if usage not in ("digital signature", "key encipherment", "client auth"):
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def kubelet_client(asked: Asked, usages: Sequence[str]) -> str:
    for names, word in (
        (asked.dns_names, "DNS"),
        (asked.emails, "Email"),
        (asked.ip_addresses, "IP"),
        (asked.uris, "URI"),
    ):
        if not (why := _node(asked)) and names:
            why = f"{word} subjectAltNames are not allowed"
        if why:
            return why
    return _exactly(usages, "client auth", "digital signature", "key encipherment")


def kubelet_serving(asked: Asked, usages: Sequence[str]) -> str:
    if why := _node(asked):
        return why
    if not asked.dns_names and not asked.ip_addresses:
        return "DNS or IP subjectAltName is required"
    for names, word in ((asked.emails, "Email"), (asked.uris, "URI")):
        if names:
            return f"{word} subjectAltNames are not allowed"
    return _exactly(usages, "digital signature", "key encipherment", "server auth")


def _node(asked: Asked) -> str:
    if asked.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    if not asked.common_name.startswith(NODE_PREFIX):
        return f"subject common name does not begin with {NODE_PREFIX}"
    return ""


def _exactly(usages: Sequence[str], *wanted: str) -> str:
    given = set(usages)
    if given - set(wanted) or set(wanted) - given - OPTIONAL:
        return f"usages did not match [{' '.join(wanted)}]"
    return ""


#: signer -> why it refuses a request ("" where it does not)
SIGNERS: dict[str, Callable[[Asked, Sequence[str]], str]] = {
    CLIENT: client,
    KUBELET_CLIENT: kubelet_client,
    KUBELET_SERVING: kubelet_serving,
}
