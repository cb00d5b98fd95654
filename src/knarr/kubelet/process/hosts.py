"""A pod's /etc/hosts, as the kubelet writes it."""

from __future__ import annotations

from typing import Any

HEAD = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def hostname_of(pod: Any) -> str:
    """spec.hostname or the pod's name, at most 63 characters."""
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def hosts_file(pod: Any, address: str) -> str:
    name = hostname_of(pod)
    domain = ""
    if pod.spec.subdomain:
        domain = f"{name}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.cluster.local\t"
    lines = [f"{HEAD}{address}\t{domain}{name}\n"]
    if pod.spec.hostAliases:
        lines.append("\n# Entries added by HostAliases.\n")
        lines += [f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in pod.spec.hostAliases]
    return "".join(lines)
