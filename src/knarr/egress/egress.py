"""The one pool of outgoing connections, by aiohttp, which is imported when the first call is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from knarr.egress import words
from knarr.egress.address import Target, target_of
from knarr.egress.errors import ConfigError, EgressError
from knarr.egress.routes import Address, Resolve, route_of
from knarr.egress.trust import Contexts, Trust, trust_of
from knarr.world import Clock, RealClock
from knarr.world.loop import real_io

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from knarr.egress.services import Services

#: a longer answer is refused
ANSWER_BYTES_MAX = 32 << 20
#: how often an answer with Retry-After is tried again, as client-go does
RETRIES_MAX = 10
#: how long an idle connection is kept, as Go keeps it
IDLE_SECONDS = 90.0
HEADERS = {
    "Accept": "application/json, */*",
    "Content-Type": "application/json",
    "User-Agent": "kube-apiserver/v1.36.0",
}


class Answer(NamedTuple):
    """Whatever the other side said."""

    code: int
    headers: list[tuple[str, str]]
    body: bytes


class Egress:
    """Calls webhooks. One for a whole API server: connections are kept per target and authority."""

    def __init__(self, resolve: Resolve, clock: Clock | None = None) -> None:
        self._resolve, self._clock = resolve, clock or RealClock()
        self._contexts = Contexts()
        self._session: aiohttp.ClientSession | None = None
        self._services: Services | None = None

    async def post(
        self,
        client_config: Mapping[str, Any],
        body: bytes,
        *,
        timeout: float,
        query: str = "",
        path: str = "",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """POST `body` to what a WebhookClientConfig names; `timeout` in seconds, for all of it.

        Besides `url` or `service` and `caBundle` the configuration may hold `insecureSkipTLSVerify`, and
        `clientCertificate` with `clientKey` (base64 of PEM). Raises EgressError when nobody answers; any answer,
        whatever its code, is returned (`refusal` says what client-go makes of it).
        """
        try:
            target = target_of(client_config, path, query)
            context = self._contexts.of(trust_of(client_config))
        except ValueError as error:
            raise ConfigError(str(error)) from None
        try:
            with real_io():
                async with asyncio.timeout(timeout):
                    return await self._patiently(target, body, {**HEADERS, **headers}, context)
        except TimeoutError:
            raise _failed(target, words.DEADLINE) from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # -- one call --------------------------------------------------------------------------------------------

    async def _patiently(
        self, target: Target, body: bytes, headers: Mapping[str, str], context: Any
    ) -> Answer:
        """As often as the other side asks for with Retry-After."""
        for attempt in range(RETRIES_MAX + 1):
            answer = await self._once(target, body, headers, context)
            seconds = _retry_after(answer)
            if seconds is None or attempt == RETRIES_MAX:
                break
            await asyncio.sleep(seconds)
        return answer

    async def _once(
        self, target: Target, body: bytes, headers: Mapping[str, str], context: Any, again: bool = True
    ) -> Answer:
        import aiohttp

        session = self._open()
        # aiohttp would leave out a port that is https' own; Go sends what it was given.
        headers = {"Host": urlsplit(target.url).netloc, **headers}
        trace: dict[str, bool] = {}
        try:
            async with session.post(
                target.url, data=body, headers=headers, ssl=context, trace_request_ctx=trace
            ) as response:
                content = await response.content.read(ANSWER_BYTES_MAX + 1)
                while not response.content.at_eof() and len(content) <= ANSWER_BYTES_MAX:
                    content += await response.content.read(ANSWER_BYTES_MAX + 1)
                if len(content) > ANSWER_BYTES_MAX:
                    raise _failed(target, "http: response body too large")
                return Answer(response.status, list(response.headers.items()), content)
        except EgressError as error:  # the resolver's
            raise _failed(target, error.cause) from None
        except aiohttp.ClientConnectorCertificateError:
            raise _failed(target, await self._unverified(target, context)) from None
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error.__cause__, EgressError):
                raise _failed(target, error.os_error.__cause__.cause) from None
            raise _failed(target, words.lookup(error.host)) from None
        except aiohttp.ClientConnectorSSLError as error:
            raise _failed(target, words.handshake(error.os_error)) from None
        except aiohttp.ClientConnectorError as error:
            raise _failed(target, self._undialled(target, error.os_error)) from None
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
            # The other side closes idle connections when it likes to: that is no answer to this call.
            if trace.get("reused") and again:
                return await self._once(target, body, headers, context, again=False)
            raise _failed(target, words.breaking(error)) from None
        except (aiohttp.ClientPayloadError, asyncio.IncompleteReadError):
            raise _failed(target, "unexpected EOF") from None
        except aiohttp.ClientError as error:
            raise _failed(target, f"net/http: {error}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            from knarr.egress.services import Services

            self._services = Services(self._resolve)
            connector = aiohttp.TCPConnector(
                limit=0, resolver=self._services, use_dns_cache=False, keepalive_timeout=IDLE_SECONDS
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                trace_configs=[_noting_reuse()],
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _undialled(self, target: Target, error: OSError) -> str:
        parts = urlsplit(target.url)
        host = parts.hostname or ""
        shown = f"{f'[{host}]' if ':' in host else host}:{parts.port or 443}"
        if target.service is not None and self._services is not None:
            shown = self._services.shown.get(target.service, shown)
        return words.dialling(error, shown)

    async def _unverified(self, target: Target, context: ssl.SSLContext) -> str:
        """What is wrong with the certificate that a server showed: it is asked for once more, and only looked at."""
        host = urlsplit(target.url).hostname or ""
        der = None
        try:
            der = await self._shown_certificate(target, host)
        except (OSError, EgressError):
            pass
        authorities = list(zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True))
        return words.certificate(der, host, self._clock.now(), authorities)

    async def _shown_certificate(self, target: Target, host: str) -> bytes | None:
        addresses: tuple[Address, ...] = ((host, urlsplit(target.url).port or 443),)
        if target.service is not None:
            addresses = route_of(await self._resolve(*target.service)).addresses
        context = self._contexts.of(Trust("", True, "", ""))
        for address in addresses:
            try:
                _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=host)
            except ConnectionError:
                continue
            try:
                return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
        return None


def _failed(target: Target, cause: str) -> EgressError:
    return EgressError(f'Post "{target.url}": {cause}', cause)


def _retry_after(answer: Answer) -> int | None:
    if answer.code != 429 and answer.code < 500:
        return None
    value = next((value for name, value in answer.headers if name.lower() == "retry-after"), "")
    return int(value) if value.isascii() and value.isdigit() else None


def _noting_reuse() -> aiohttp.TraceConfig:
    import aiohttp

    config = aiohttp.TraceConfig()

    async def reused(session: Any, context: Any, params: Any) -> None:
        context.trace_request_ctx["reused"] = True

    config.on_connection_reuseconn.append(reused)
    return config
