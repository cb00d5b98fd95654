"""Requests that last: pods/log, exec, attach, port-forward, and the proxies to nodes, pods and services.

`register` gives them to the API handler; what they need of a node they ask through `api.nodeapi`.
"""

from __future__ import annotations

from knarr.api.nodeapi import NodeConnections
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.streaming.connect import proxied
from knarr.apiserver.streaming.log import Logs
from knarr.apiserver.streaming.portforward import PortForwards
from knarr.apiserver.streaming.proxy import Proxies
from knarr.apiserver.streaming.remotecommand import RemoteCommands
from knarr.registry.registry import Registry


def register(handler: APIHandler, registry: Registry, connections: NodeConnections) -> None:
    """Serve the streaming subresources; kubelets register themselves in `connections`."""
    streams = handler.streams
    streams["", "pods", "log"] = Logs(handler, registry, connections).serve
    commands = RemoteCommands(handler, registry, connections)
    streams["", "pods", "exec"] = commands.exec
    streams["", "pods", "attach"] = commands.attach
    streams["", "pods", "portforward"] = PortForwards(handler, registry, connections).serve
    proxies = Proxies(handler, registry, connections)
    streams["", "pods", "proxy"] = proxied(registry, "PodProxyOptions", proxies.pod)
    streams["", "services", "proxy"] = proxied(registry, "ServiceProxyOptions", proxies.service)
    streams["", "nodes", "proxy"] = proxied(registry, "NodeProxyOptions", proxies.node)
