"""/statusz and /flagz: pages about the server itself, as text for people or (config.k8s.io) as objects for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from knarr.apiserver import negotiate
from knarr.apiserver.exchange import Exchange
from knarr.apiserver.handler import APIHandler
from knarr.apiserver.health import VERSION
from knarr.apiserver.respond import warning_headers
from knarr.meta import errors, times

COMPONENT = "kube-apiserver"
GROUP, PRESENT, DEPRECATED = "config.k8s.io", "v1beta1", "v1alpha1"
TEXT = ("text/plain", "text/*", "*/*")
NOT_PARSED = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only."
#: folders of paths that say nothing about the server
OBJECTS = frozenset({"/api", "/apis", "/openid", "/openapi", "/.well-known", "/"})


class ZPages:
    """`flags` are the settings that /flagz shows, `paths` what `/` lists."""

    def __init__(
        self, handler: APIHandler, flags: Callable[[], dict[str, str]], paths: Callable[[], Iterable[str]]
    ) -> None:
        self._handler, self._flags, self._paths = handler, flags, paths
        self._started = handler.world.clock.now()
        handler.paths["/statusz"] = self.status
        handler.paths["/flagz"] = self.flags

    async def status(self, x: Exchange) -> None:
        seconds = int(self._handler.world.clock.now() - self._started)
        folders = sorted({"/" + path.split("/")[1] for path in self._paths()} - OBJECTS)
        go, binary = VERSION["goVersion"], VERSION["gitVersion"].lstrip("v").partition("+")[0]
        emulated = f"{VERSION['emulationMajor']}.{VERSION['emulationMinor']}"
        text = {
            "Started": unix_date(self._started),
            "Up": f"{seconds // 3600} hr {seconds // 60 % 60:02} min {seconds % 60:02} sec",
            "Go version": go,
            "Binary version": binary,
            "Emulation version": emulated,
            "Paths": " ".join(folders),
        }
        facts = {
            "startTime": times.format(self._started),
            "uptimeSeconds": seconds,
            "goVersion": go,
            "binaryVersion": binary,
            "emulationVersion": emulated,
            "paths": folders,
        }
        self._show(x, "Statusz", ": ", text, facts)

    async def flags(self, x: Exchange) -> None:
        flags = dict(sorted(self._flags().items()))
        self._show(x, "Flagz", "=", flags, {"flags": flags})

    def _show(self, x: Exchange, kind: str, mark: str, text: dict[str, str], facts: dict[str, Any]) -> None:
        version = _wanted(x.http.headers.get("accept", "*/*"), kind)
        if not version:
            rows = "".join(f"{name}{mark}{value}\n" for name, value in text.items())
            self._handler.responder.text(x, 200, f"\n{COMPONENT} {kind.lower()}\n{NOT_PARSED}\n\n{rows}")
            return
        if version == DEPRECATED:
            words = f"{GROUP}/{DEPRECATED} {kind} is deprecated in v1.36+; use {GROUP}/{PRESENT} {kind}"
            x.headers += warning_headers([words])
        head = {"kind": kind, "apiVersion": f"{GROUP}/{version}", "metadata": {"name": COMPONENT}}
        self._handler.responder.send(x, 200, negotiate.JSON, orjson.dumps(head | facts))


def unix_date(epoch: float) -> str:
    """As Go's time.UnixDate."""
    moment = datetime.fromtimestamp(epoch, UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} UTC {moment.year}"


def _wanted(header: str, kind: str) -> str:
    """The version of the object that an Accept header asks for, "" for the text; StatusError 406 for anything else."""
    for clause in negotiate.clauses(header):
        if clause.media_type in TEXT:
            return ""
        asked = clause.parameters
        if clause.media_type == negotiate.JSON and (asked.get("g"), asked.get("as")) == (GROUP, kind):
            if asked.get("v") in (PRESENT, DEPRECATED):
                return asked["v"]
    raise errors.not_acceptable("only the following media types are accepted: text/plain")
