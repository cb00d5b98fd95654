"""The server, as the commands see it: blocking HTTP over one kept connection, from the standard library.

Leaner than `knarr.client.http`, which a command that lives for 200 ms would spend most of its life importing.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from knarr.cli import home
from knarr.cli.say import Failure, warning
from knarr.client import kubeconfig as kubeconfigs
from knarr.client.kubeconfig import Access, KubeconfigError
from knarr.client.tls import identity, tls_context
from knarr.meta.errors import StatusError, failure

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
REQUEST_SECONDS = 75.0
#: 429 and 503 with Retry-After are asked again this often
RETRIES_MAX = 10
RETRY_SECONDS_MAX = 10.0

Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Server:
    """One API server. Raises StatusError for every answer that is not a success, Failure where there is none."""

    def __init__(self, access: Access, name: str = "") -> None:
        self.access = access
        #: of a cluster of this machine
        self.name = name
        self.namespace = access.namespace
        address = urlsplit(access.server)
        self._tls = address.scheme == "https"
        self._host = address.hostname or ""
        self._port = address.port or (443 if self._tls else 80)
        self._base = address.path.rstrip("/")
        self._context: Any = None
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, query: Query = (), accept: str = JSON) -> Any:
        return self.call("GET", path, query, accept=accept)

    def call(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Any:
        """The answer's JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        response = self._ask(method, path, query, data, content_type, accept)
        return json.loads(self._read(response))

    def text(self, path: str, query: Query = ()) -> bytes:
        return self._read(self._ask("GET", path, query, None, JSON, "*/*"))

    def stream(self, path: str, query: Query = (), accept: str = JSON) -> Iterator[bytes]:
        """The answer in pieces, as they come, for as long as it takes; on a connection of its own."""
        connection = self._connect(None)
        try:
            response = self._once(connection, "GET", path, query, None, JSON, accept)
            self._check(response)
            # read1 hands out what is there; read would wait for more
            while piece := response.read1(65536):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def lines(self, path: str, query: Query = (), accept: str = JSON) -> Iterator[bytes]:
        """The lines of a stream."""
        rest = b""
        for piece in self.stream(path, query, accept):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def watch(self, path: str, query: Mapping[str, str], accept: str = JSON) -> Iterator[dict[str, Any]]:
        """Events until the server ends the stream. Raises the StatusError of an ERROR event."""
        for line in self.lines(path, {**query, "watch": "true"}, accept):
            if line:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise StatusError(event["object"])
                yield event

    def context(self) -> Any:
        """The TLS context, or None for plain HTTP."""
        if self._tls and self._context is None:
            self._context = tls_context(self.access)
        return self._context

    def headers(self) -> list[tuple[str, str]]:
        return [("User-Agent", "knarr"), *identity(self.access)]

    # -- one request -----------------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, query: Query, body: bytes | None, content_type: str, accept: str
    ) -> http.client.HTTPResponse:
        for attempt in range(RETRIES_MAX + 1):
            response = self._send(method, path, query, body, content_type, accept)
            after = response.getheader("Retry-After", "")
            if response.status not in (429, 503) or not after.isdigit() or attempt == RETRIES_MAX:
                break
            response.read()
            home.pause(min(float(after), RETRY_SECONDS_MAX))
        self._check(response)
        return response

    def _send(
        self, method: str, path: str, query: Query, body: bytes | None, content_type: str, accept: str
    ) -> http.client.HTTPResponse:
        kept = self._connection is not None
        connection = self._connection = self._connection or self._connect(REQUEST_SECONDS)
        try:
            return self._once(connection, method, path, query, body, content_type, accept)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connection = None
            # a kept connection may have been closed by the server in the meantime; a write is not sent twice
            if kept and method == "GET":
                return self._send(method, path, query, body, content_type, accept)
            raise self._unreachable(error) from None

    def _once(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        content_type: str,
        accept: str,
    ) -> http.client.HTTPResponse:
        encoded = urlencode(query)
        connection.putrequest(method, self._base + path + (f"?{encoded}" if encoded else ""))
        connection.putheader("Accept", accept)
        for name, value in self.headers():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        for line in response.headers.get_all("Warning", ()):
            warning(_warning_text(line))
        return response

    def _connect(self, seconds: float | None) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self.context())

    def _check(self, response: http.client.HTTPResponse) -> None:
        if response.status < 400:
            return
        body = response.read()
        try:
            status = json.loads(body)
        except ValueError:
            status = None
        if not isinstance(status, dict) or status.get("kind") != "Status":
            text = body.decode("utf-8", "replace").strip() or f"the server answered {response.status}"
            status = failure(response.status, "", text)
        raise StatusError(status)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> Failure:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        text = f"cannot reach the server {self.access.server}: {why}"
        if self.name and not home.Place(self.name).pid():
            text = f'cluster "{self.name}" is not running; start it with `{home.command("up", self.name)}`'
        return Failure(text)


def connect(
    cluster: str | None, kubeconfig: str | None, context: str | None, namespace: str | None
) -> Server:
    """The server that the options name. Raises Failure."""
    try:
        if kubeconfig or context:
            path = Path(kubeconfig).expanduser() if kubeconfig else None
            server = Server(_fresh(kubeconfigs.load(path, context or "")))
        else:
            place = _chosen(cluster)
            server = Server(_of_place(place), place.name)
    except KubeconfigError as error:
        raise Failure(str(error)) from None
    if namespace:
        server.namespace = namespace
    return server


def _chosen(name: str | None) -> home.Place:
    if name:
        return home.place(name)
    if home.Place(home.DEFAULT_NAME).exists:
        return home.Place(home.DEFAULT_NAME)
    known = home.places()
    if len(known) == 1:
        return known[0]
    if known:
        raise Failure(f"which cluster? Choose with --name: {', '.join(place.name for place in known)}")
    raise Failure("there is no cluster yet; start one with `knarr up`, or name any other with --kubeconfig")


def _of_place(place: home.Place) -> Access:
    """Its kubeconfig, which knarr wrote in JSON, so that no YAML has to be parsed."""
    try:
        config = json.loads(place.kubeconfig.read_text())
    except (OSError, ValueError):
        raise Failure(
            f'cluster "{place.name}" was never ready; start it with `{home.command("up", place.name)}`'
        ) from None
    return kubeconfigs.resolve(config)


def _fresh(access: Access) -> Access:
    """With the token of a file or of an exec plugin."""
    if not (access.exec or access.token_file):
        return access
    import asyncio

    from knarr.client.credentials import Credentials
    from knarr.world import RealClock

    return asyncio.run(Credentials(access, RealClock()).current())


def _warning_text(header: str) -> str:
    """Of a Warning header: 299 - "text"."""
    text = header.partition(" ")[2].partition(" ")[2]
    return text[1:-1].replace('\\"', '"').replace("\\\\", "\\") if text[:1] == '"' else header
