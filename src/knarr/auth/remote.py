"""Calls to servers outside: the webhooks of a kubeconfig file, issuers of OpenID tokens.

aiohttp is imported with the first call. Errors are worded as Go's net/http and client-go word them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from knarr.client.kubeconfig import Access
from knarr.meta.durations import format_go_duration
from knarr.meta.gofmt import quote
from knarr.world.chance import Chance

if TYPE_CHECKING:
    import aiohttp

#: what client-go's webhooks try again after: 0.5 s, then half as long again each time, up to five tries in all
RETRY_SECONDS, RETRY_FACTOR, RETRY_JITTER, TRIES_MAX = 0.5, 1.5, 0.2, 5
TIMEOUT_SECONDS = 30.0
#: an answer that says more than this is none
ANSWER_BYTES_MAX = 3 << 20


class CallError(Exception):
    """No good answer; `code` is that of the answer, 0 where there was none. `again`: another try may help."""

    def __init__(self, text: str, code: int = 0, again: bool = False) -> None:
        super().__init__(text)
        self.code, self.again = code, again


class Answer(NamedTuple):
    code: int
    reason: str
    body: bytes


class Remote:
    """A server with the credentials for it; its connections are kept."""

    def __init__(self, access: Access, timeout: float = TIMEOUT_SECONDS) -> None:
        self.access = access
        self.timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
        """The answer, whatever its code; raises CallError where there is none."""
        return await self._send("GET", url, None, headers)

    async def post(self, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> Answer:
        """To the server's own address; as `get`."""
        url = f"{self.access.server}?timeout={format_go_duration(self.timeout)}"
        kind = [("Content-Type", "application/json"), ("Accept", "application/json, */*")]
        return await self._send("POST", url, body, [*kind, *headers])

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: Iterable[tuple[str, str]]
    ) -> Answer:
        import aiohttp

        from knarr.client.tls import identity

        session = self._open()
        try:
            async with session.request(
                method,
                url,
                data=body,
                headers=[*identity(self.access), *_file_token(self.access), *headers],
                timeout=aiohttp.ClientTimeout(total=self.timeout),
                server_hostname=self.access.tls_server_name or None,
            ) as response:
                content = await response.content.read(ANSWER_BYTES_MAX + 1)
                while len(content) <= ANSWER_BYTES_MAX and not response.content.at_eof():
                    content += await response.content.read(ANSWER_BYTES_MAX + 1)
        except TimeoutError:
            why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            raise CallError(f"{method.title()} {quote(url)}: {why}", again=True) from None
        except (OSError, aiohttp.ClientError, ValueError) as error:
            reset = isinstance(error, ConnectionResetError | aiohttp.ServerDisconnectedError)
            raise CallError(f"{method.title()} {quote(url)}: {_words(error)}", again=reset) from None
        if len(content) > ANSWER_BYTES_MAX:
            raise CallError(
                f"{method.title()} {quote(url)}: the answer is larger than {ANSWER_BYTES_MAX} bytes"
            )
        return Answer(response.status, response.reason or "", content)

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        from knarr.client.tls import tls_context

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=tls_context(self.access))
            agent = {"User-Agent": "kube-apiserver"}
            self._session = aiohttp.ClientSession(connector=connector, headers=agent)
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _file_token(access: Access) -> list[tuple[str, str]]:
    """The token of a file, which may have changed since the last call."""
    if access.token or not access.token_file:
        return []
    with open(access.token_file, encoding="utf-8") as file:
        return [("Authorization", f"Bearer {file.read().strip()}")]


async def review(remote: Remote, question: dict[str, Any], chance: Chance) -> dict[str, Any]:
    """POST an object of a review API until there is an answer or no hope of one; raises CallError."""
    body = orjson.dumps(question)
    pause = RETRY_SECONDS
    for attempt in range(1, TRIES_MAX + 1):
        try:
            return _object(await remote.post(body), question)
        except CallError as error:
            if not error.again or attempt == TRIES_MAX:
                raise
        await asyncio.sleep(chance.jitter(pause, RETRY_JITTER))
        pause *= RETRY_FACTOR
    raise AssertionError("unreachable")


def _object(answer: Answer, question: dict[str, Any]) -> dict[str, Any]:
    if not 200 <= answer.code < 300:
        raise CallError(_refusal(answer), answer.code, again=answer.code in (429, 500, 503, 504))
    try:
        found = orjson.loads(answer.body)
    except ValueError as error:
        raise CallError(f"couldn't get version/kind; json parse error: {error}") from None
    for key in ("apiVersion", "kind"):
        if not isinstance(found, dict) or found.get(key) != question[key]:
            got = found.get(key, "") if isinstance(found, dict) else ""
            raise CallError(
                f"the server answered with {key} {quote(str(got))}, expected {quote(question[key])}"
            )
    return found


def _refusal(answer: Answer) -> str:
    """As client-go words an answer that is no success."""
    try:
        status = orjson.loads(answer.body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    known = {
        401: "Unauthorized",
        403: "forbidden: unknown",
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        429: "the server has received too many requests and has asked us to try again later",
        503: "the server is currently unable to handle the request",
        504: "the server was unable to return a response in the time allotted, but may still be processing the request",
    }
    if answer.code in known:
        return known[answer.code]
    text = answer.body.decode("utf-8", "replace").strip()[:2048] or "unknown"
    if answer.code >= 500:
        return f"an error on the server ({quote(text)}) has prevented the request from succeeding"
    return f"the server responded with the status code {answer.code} but did not return more information"


def _words(error: Exception) -> str:
    """What Go's net package would have said."""
    import ssl

    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause: BaseException = error.certificate_error
        return f"tls: failed to verify certificate: x509: {getattr(cause, 'verify_message', '') or cause}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = (error.os_error.strerror or str(error.os_error)).lower()
        if isinstance(error.os_error, ConnectionRefusedError):
            reason = "connect: connection refused"
        return f"dial tcp {error.host}:{error.port}: {reason}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    if isinstance(error, ssl.SSLError):
        return f"remote error: tls: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return str(error) or type(error).__name__
