"""The proxy subresources: HTTP to a pod, to a service's endpoint, to a node's kubelet or another of its ports."""

from __future__ import annotations

import asyncio
import ipaddress
import posixpath
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from knarr.api.nodeapi import NodeConnections, NodeError
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.streaming import forward, pods
from knarr.apiserver.streaming.forward import Streams, unreachable
from knarr.egress import words
from knarr.meta import errors
from knarr.registry import endpoints
from knarr.registry.registry import Registry

KUBELET_PORT = "10250"
DEFAULT_PORTS = {"": 80, "http": 80, "https": 443}
Object = dict[str, Any]


@dataclass(frozen=True)
class Name:
    """`[scheme:]name[:port]`"""

    name: str
    scheme: str = ""
    port: str = ""


def parse_name(text: str, kind: str) -> Name:
    """Raises 400."""
    parts = text.split(":")
    found = Name("")
    if len(parts) == 1:
        found = Name(parts[0])
    elif len(parts) == 2:
        found = Name(parts[0], port=parts[1])
    elif len(parts) == 3 and parts[0] in DEFAULT_PORTS:
        found = Name(parts[1], parts[0], parts[2])
    if not found.name:
        raise errors.bad_request(f'invalid {kind} request "{text}"')
    return found


class Proxies:
    """Serves pods/proxy, services/proxy and nodes/proxy, with every method."""

    def __init__(self, handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
        self._handler, self._registry, self._connections = handler, registry, connections

    # -- where to -----------------------------------------------------------------------------------------------

    async def pod(self, x: Exchange) -> None:
        name = parse_name(x.request.name, "pod")
        pod = pods.find(self._registry, "pods", x.request.namespace, name.name)
        if not pod.get("status", {}).get("podIP"):
            raise errors.bad_request("address not allowed")
        port = name.port or _first_port(pod)
        if not _completed(x):
            return
        backend = (
            f"{_bracketed(pod['status']['podIP'])}:{port}" if port else _bracketed(pod["status"]["podIP"])
        )
        await self._forward(x, await self._dial_pod(pod, _number(name, port)), name.scheme, backend)

    async def service(self, x: Exchange) -> None:
        name = parse_name(x.request.name, "service")
        endpoint, port = self._endpoint(x, name)
        if not _completed(x):
            return
        target = endpoint.get("targetRef") or {}
        if target.get("kind") == "Pod":
            pod = pods.find(self._registry, "pods", x.request.namespace, target["name"])
            streams = await self._dial_pod(pod, port)
        else:
            streams = await _connect(endpoint["addresses"][0], port)
        backend = f"{_bracketed(endpoint['addresses'][0])}:{port}"
        await self._forward(x, streams, name.scheme, backend)

    def _endpoint(self, x: Exchange, name: Name) -> tuple[Object, int]:
        """(a ready endpoint, its port number). Raises 404 and 503."""
        namespace, port_name = x.request.namespace, name.port
        if name.port.isdigit():
            service = pods.find(self._registry, "services", namespace, name.name)
            port = endpoints.port_of(service, int(name.port))
            if port is None:
                raise errors.unavailable(f'no service port {int(name.port)} found for service "{name.name}"')
            port_name = port.get("name", "")
        ready = list(endpoints.ready(self._registry, namespace, name.name, port_name))
        if ready:
            return self._handler.world.chance.choice(ready)
        if not endpoints.exist(self._registry, namespace, name.name):
            # the API server answers with the resource it was asked for, whatever was missing
            raise errors.not_found("", "services", name.name)
        raise errors.unavailable(f'no endpoints available for service "{x.request.name}"')

    async def node(self, x: Exchange) -> None:
        name = parse_name(x.request.name, "node")
        node = pods.find(self._registry, "nodes", "", name.name)
        if name.port and name.port != _kubelet_port(node):
            host = _address(node)
            if not _completed(x):
                return
            streams = await _connect(host, _number(name, name.port))
            await self._forward(x, streams, name.scheme, f"{_bracketed(host)}:{name.port}")
            return
        api = pods.connection(self._registry, self._connections, name.name)
        from knarr.apiserver.streaming import nodeproxy

        await nodeproxy.serve(self._handler, x, api, rest_of(x))

    async def _dial_pod(self, pod: Object, port: int) -> Streams:
        meta = pod["metadata"]
        api = pods.connection(self._registry, self._connections, pods.node_of(pod))
        try:
            return await api.dial(meta["namespace"], meta["name"], port)
        except NodeError as error:
            raise unreachable(error) from None
        except OSError as error:
            shown = f"{_bracketed(pod['status'].get('podIP', ''))}:{port}"
            raise unreachable(words.dialling(error, shown)) from None

    # -- how ------------------------------------------------------------------------------------------------------

    async def _forward(self, x: Exchange, streams: Streams, scheme: str, backend: str) -> None:
        """`backend` is the host that the backend's own links name."""
        if scheme == "https":
            try:
                await forward.over_tls(streams[1])
            except (OSError, ssl.SSLError) as error:
                streams[1].close()
                raise unreachable(forward.broken(error)) from None
        target = rest_of(x) + (f"?{x.http.raw_query}" if x.http.raw_query else "")
        head = forward.request_head(x, target)
        await forward.forward(x, streams, head, self._handler.stop, lambda url: _rewritten(x, url, backend))


def _completed(x: Exchange) -> bool:
    """Whether the path goes on behind `/proxy`. A browser is sent to where it does: links are relative to that."""
    if rest_of(x) or x.http.method not in ("GET", "HEAD") or forward.upgrade_of(x):
        return True
    x.code = 301
    query = f"?{x.http.raw_query}" if x.http.raw_query else ""
    x.http.respond(301, [forward.NO_CACHE, *x.headers, ("location", f"{x.http.escaped_path}/{query}")], b"")
    return False


def _number(name: Name, port: str) -> int:
    """Raises 503, as dialling does."""
    if not port:
        return DEFAULT_PORTS[name.scheme]
    if not port.isdigit():
        raise unreachable(f"dial tcp: lookup tcp/{port}: unknown port")
    if not 0 <= int(port) < 65536:
        raise unreachable(f"dial tcp: address {port}: invalid port")
    return int(port)


def _first_port(pod: Object) -> str:
    for container in pod["spec"].get("containers", ()):
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""


def _kubelet_port(node: Object) -> str:
    endpoint = ((node.get("status") or {}).get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return str(endpoint.get("Port") or KUBELET_PORT)


#: which of a node's addresses the API server prefers (--kubelet-preferred-address-types)
PREFERRED = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


def _address(node: Object) -> str:
    """Raises 500 for a node without any, 400 for one that is not to be reached."""
    found = {a["type"]: a["address"] for a in (node.get("status") or {}).get("addresses") or ()}
    for kind in PREFERRED:
        if kind in found:
            # a node of this process has its name for a host name, which nobody else knows
            host = found.get("InternalIP", found[kind]) if kind == "Hostname" else found[kind]
            return _proxyable(host)
    raise errors.internal(f"no preferred addresses found; known addresses: {list(found.values())}")


def _proxyable(host: str) -> str:
    """Raises 400 for addresses that mean another place here than for the node."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise errors.bad_request("address not allowed")
    return host


async def _connect(host: str, port: int) -> Streams:
    try:
        return await asyncio.open_connection(host, port)
    except OSError as error:
        raise unreachable(words.dialling(error, f"{_bracketed(host)}:{port}")) from None


def rest_of(x: Exchange) -> str:
    """The path behind `/proxy`, still escaped, with its leading slash; "" where there is none."""
    parts, at = x.http.escaped_path.split("/"), _proxy_at(x)
    return "/" + "/".join(parts[at + 1 :]) if len(parts) > at + 1 else ""


def _prefix(x: Exchange) -> str:
    return "/".join(x.http.escaped_path.split("/")[: _proxy_at(x) + 1])


def _proxy_at(x: Exchange) -> int:
    """Which part of the path is `proxy`: "", "api", "v1", ["namespaces", ns,] resource, name, "proxy", rest ..."""
    return 7 if x.http.path.split("/")[3:4] == ["namespaces"] else 5


def _rewritten(x: Exchange, url: str, backend: str) -> str:
    """A redirect or link within the backend stays within the proxy."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    own = x.http.headers.get("host", "")
    if (parts.netloc and parts.netloc not in (own, backend)) or not parts.path.startswith("/"):
        return url
    if parts.netloc != own or not own:
        parts = parts._replace(scheme="", netloc="")
    prefix = _prefix(x)
    if parts.path.startswith(prefix):
        return urlunsplit(parts)
    path = posixpath.normpath(f"{prefix}/{parts.path}")
    return urlunsplit(parts._replace(path=f"{path}/" if parts.path.endswith("/") else path))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
