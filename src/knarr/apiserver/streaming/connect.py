"""Admission of connections: exec, attach, port-forward and proxies are CONNECT operations on their options."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import StreamHandler
from knarr.apiserver.streaming import pods
from knarr.apiserver.streaming.proxy import rest_of
from knarr.meta import errors
from knarr.meta.strconv import parse_uint
from knarr.registry.registry import Registry

Object = dict[str, Any]
STREAMS = ("stdin", "stdout", "stderr", "tty")


async def admit(registry: Registry, x: Exchange, kind: str, options: Object) -> Object:
    """The options as admission leaves them. Raises StatusError to refuse."""
    if "dryRun" in x.http.query:
        raise errors.bad_request("dryRun is not supported")
    obj = {"kind": kind, "apiVersion": "v1", **options}
    review = registry.admission.open(x.request, "CONNECT", ("", "v1", kind), obj, None, {})
    if review is not None:
        await review.admit()
        await review.validate()
    return obj


def remote_command(x: Exchange, command: bool) -> Object:
    """PodExecOptions or, without a command, PodAttachOptions; what is not set is left out, as Go leaves it out."""
    query = x.http.query
    options: Object = {name: True for name in STREAMS if pods.flag(query, name)}
    if query.get("container"):
        options["container"] = query["container"]
    if command and (words := x.http.query_all("command")):
        options["command"] = words
    return options


def port_forward(x: Exchange) -> Object:
    """PodPortForwardOptions. Raises 400."""
    texts = [text for value in x.http.query_all("ports") for text in value.split(",")]
    ports: list[int] = []
    for text in texts:
        try:
            ports.append(parse_uint(text, 16))
        except ValueError as error:
            raise errors.bad_request(f"cannot convert to []int32: {error}") from None
    return {"ports": ports} if ports else {}


def proxied(registry: Registry, kind: str, serve: StreamHandler) -> StreamHandler:
    """A proxy behind admission; all that its options hold is the path."""

    async def admitted(x: Exchange) -> None:
        path = unquote(rest_of(x))
        await admit(registry, x, kind, {"path": path} if path else {})
        await serve(x)

    return admitted
