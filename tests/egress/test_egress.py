"""Calls to webhooks: what is sent, whom they trust, and what failures are called."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest

from knarr.egress import ConfigError, Egress, EgressError, Route, refusal
from tests.egress.servers import DAY, Authority, WebServer, serving


async def nowhere(namespace: str, name: str, port: int):
    raise EgressError(f'service "{name}" not found')


async def hello(seen):
    return 200, {}, b'{"hello": true}'


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def call(egress: Egress, url: str, authority: Authority | None, **more):
    client = {"url": url} | ({"caBundle": authority.bundle} if authority else {})
    return egress.post(client, b"{}", timeout=more.pop("timeout", 5.0), **more)


async def failure(egress: Egress, url: str, authority: Authority | None, **more) -> str:
    with pytest.raises(EgressError) as caught:
        await call(egress, url, authority, **more)
    return str(caught.value)


def test_a_request_as_a_server_sees_it(authority):
    async def main():
        egress = Egress(nowhere)
        async with WebServer(authority.context("127.0.0.1"), hello) as server:
            url = f"https://127.0.0.1:{server.port}/hooks/"
            answer = await call(egress, url, authority, query="timeout=5s", headers={"User-Agent": "me"})
            await call(egress, url.removesuffix("/hooks/"), authority, path="a/b")
            await egress.close()
        assert (answer.code, answer.body) == (200, b'{"hello": true}')
        first, second = server.seen
        assert (first.url, second.url) == ("/hooks?timeout=5s", "/a/b")
        assert first.headers["content-type"] == "application/json"
        assert first.headers["user-agent"] == "me"
        assert first.body == b"{}"
        assert server.connections == 1  # kept for the next call

    run(main())


def test_services_are_called_by_name_at_their_endpoint(authority):
    async def main():
        asked = []

        async def resolve(namespace, name, port):
            asked.append((namespace, name, port))
            return Route((("127.0.0.1", 1), ("127.0.0.1", server.port)), "10.96.0.9:443")

        egress = Egress(resolve)
        async with WebServer(authority.context("hook.tools.svc"), hello) as server:
            client = {
                "service": {"namespace": "tools", "name": "hook", "path": "/x", "port": 8443},
                "caBundle": authority.bundle,
            }
            answer = await egress.post(client, b"{}", timeout=5)
            await egress.post(client, b"{}", timeout=5)
            await egress.close()
        assert answer.code == 200
        assert asked == [("tools", "hook", 8443)]
        assert server.seen[0].headers["host"] == "hook.tools.svc:8443"

    run(main())


def test_a_service_that_refuses_is_called_by_its_cluster_address(authority):
    async def main():
        async def resolve(namespace, name, port):
            return Route((("127.0.0.1", 1),), "10.96.0.9:443")

        egress = Egress(resolve)
        with pytest.raises(EgressError) as caught:
            await egress.post(
                {"service": {"namespace": "a", "name": "b"}}, b"", timeout=5, query="timeout=1s"
            )
        await egress.close()
        assert str(caught.value) == (
            'Post "https://b.a.svc:443/?timeout=1s": dial tcp 10.96.0.9:443: connect: connection refused'
        )

    run(main())


def test_the_port_stays_in_the_host_header_and_names_elsewhere_are_looked_up(authority):
    async def main():
        async def resolve(namespace, name, port):
            return ("127.0.0.1", server.port) if name == "b" else ("nobody.invalid", 443)

        egress = Egress(resolve)
        async with WebServer(authority.context("b.a.svc"), hello) as server:
            client = {"service": {"namespace": "a", "name": "b"}, "caBundle": authority.bundle}
            await egress.post(client, b"", timeout=5)
            assert server.seen[0].headers["host"] == "b.a.svc:443"
            with pytest.raises(EgressError) as caught:
                await egress.post({"service": {"namespace": "a", "name": "c"}}, b"", timeout=5)
        await egress.close()
        assert caught.value.cause == "dial tcp: lookup nobody.invalid: no such host"

    run(main())


def test_configurations_that_make_no_sense():
    async def main():
        egress = Egress(nowhere)
        for client, words in (
            ({}, "webhook configuration must have either service or URL"),
            (
                {"url": "https://127.0.0.1:1", "caBundle": "eA=="},
                "unable to load root certificates: unable to parse bytes as PEM block",
            ),
        ):
            with pytest.raises(ConfigError) as caught:
                await egress.post(client, b"", timeout=5)
            assert str(caught.value) == words

    run(main())


def test_an_unknown_service(authority):
    async def main():
        egress = Egress(nowhere)
        with pytest.raises(EgressError) as caught:
            await egress.post({"service": {"namespace": "a", "name": "b", "path": "/x"}}, b"", timeout=5)
        await egress.close()
        assert str(caught.value) == 'Post "https://b.a.svc:443/x": service "b" not found'

    run(main())


#: what the server shows -> what Go says of it
CERTIFICATES = {
    "other name": (("elsewhere.example", "other.example"), {}, "cannot validate certificate for 127.0.0.1"),
    "other address": (("10.0.0.1",), {}, "certificate is valid for 10.0.0.1, not 127.0.0.1"),
    "expired": (
        ("127.0.0.1",),
        {"since": -3 * DAY, "until": -DAY},
        "certificate has expired or is not yet valid",
    ),
    "not yet": (
        ("127.0.0.1",),
        {"since": DAY, "until": 2 * DAY},
        "certificate has expired or is not yet valid",
    ),
    "no names": ((), {"cn": "127.0.0.1"}, "because it doesn't contain any IP SANs"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificates_that_are_not_accepted(authority, case):
    names, options, words = CERTIFICATES[case]

    async def main():
        egress = Egress(nowhere)
        async with WebServer(authority.context(*names, **options), hello) as server:
            url = f"https://127.0.0.1:{server.port}"
            text = await failure(egress, url, authority)
            await egress.close()
        assert text.startswith(f'Post "{url}/": tls: failed to verify certificate: x509: ')
        assert words in text

    run(main())


def test_names_of_a_certificate_for_a_service(authority):
    async def main():
        async def resolve(namespace, name, port):
            return "127.0.0.1", server.port

        egress = Egress(resolve)
        client = {"service": {"namespace": "a", "name": "b"}, "caBundle": authority.bundle}
        texts = []
        for context in (authority.context("x.a.svc", "y.a.svc"), authority.context(cn="b.a.svc")):
            async with WebServer(context, hello) as server:
                with pytest.raises(EgressError) as caught:
                    await egress.post(client, b"", timeout=5)
                texts.append(caught.value.cause.partition("x509: ")[2])
        await egress.close()
        assert texts == [
            "certificate is valid for x.a.svc, y.a.svc, not b.a.svc",
            "certificate relies on legacy Common Name field, use SANs instead",
        ]

    run(main())


def test_an_authority_of_the_same_name(authority):
    async def main():
        egress = Egress(nowhere)
        async with WebServer(Authority("authority").context("127.0.0.1"), hello) as server:
            text = await failure(egress, f"https://127.0.0.1:{server.port}", authority)
        await egress.close()
        assert text.endswith(
            'x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure"'
            ' while trying to verify candidate authority certificate "authority")'
        )

    run(main())


def test_a_certificate_may_vouch_for_itself(authority):
    """Whatever stands in a bundle is a root, as in Go: also a server's own certificate."""

    async def main():
        certificate, key = authority.pair("127.0.0.1")
        egress = Egress(nowhere)
        async with WebServer(serving(certificate, key), hello) as server:
            bundle = base64.b64encode(certificate).decode()
            client = {"url": f"https://127.0.0.1:{server.port}", "caBundle": bundle}
            assert (await egress.post(client, b"", timeout=5)).code == 200
        await egress.close()

    run(main())


def test_an_authority_that_nobody_named(authority, stranger):
    async def main():
        egress = Egress(nowhere)
        async with WebServer(stranger.context("127.0.0.1"), hello) as server:
            url = f"https://127.0.0.1:{server.port}"
            for trusted in (authority, None):
                assert (await failure(egress, url, trusted)).endswith(
                    "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                )
            client = {"url": url, "insecureSkipTLSVerify": True}
            assert (await egress.post(client, b"", timeout=5)).code == 200
        await egress.close()

    run(main())


def test_a_server_that_does_not_answer(authority):
    async def main():
        egress = Egress(nowhere)
        text = await failure(egress, "https://127.0.0.1:1/x", authority)
        assert text == 'Post "https://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'
        text = await failure(egress, "https://localhost:1/x", authority)
        told = r'Post "https://localhost:1/x": dial tcp (127\.0\.0\.1|\[::1\]):1: connect: connection refused'
        assert re.fullmatch(told, text)
        text = await failure(egress, "https://nobody.invalid/x", authority)
        assert text == 'Post "https://nobody.invalid/x": dial tcp: lookup nobody.invalid: no such host'

        async def never(seen):
            await asyncio.sleep(2)

        async def hang_up(seen):
            return None

        async def half(seen):
            return 200, {"content-length": "100"}, b"x"

        async with WebServer(authority.context("127.0.0.1"), never) as server:
            url = f"https://127.0.0.1:{server.port}"
            text = await failure(egress, url, authority, timeout=0.3)
            assert text == f'Post "{url}/": context deadline exceeded'
        async with WebServer(authority.context("127.0.0.1"), hang_up) as server:
            assert (await failure(egress, f"https://127.0.0.1:{server.port}", authority)).endswith(": EOF")
        async with WebServer(None, hello) as server:
            text = await failure(egress, f"https://127.0.0.1:{server.port}", authority)
            assert text.endswith(": http: server gave HTTP response to HTTPS client")
            assert (await call(egress, f"http://127.0.0.1:{server.port}", None)).code == 200
        await egress.close()

    run(main())


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(authority):
    async def main():
        answers = iter([hello, None, hello])

        async def answer(seen):
            how = next(answers)
            return None if how is None else await how(seen)

        egress = Egress(nowhere)
        async with WebServer(authority.context("127.0.0.1"), answer) as server:
            url = f"https://127.0.0.1:{server.port}"
            assert (await call(egress, url, authority)).code == 200
            assert (await call(egress, url, authority)).code == 200
        await egress.close()
        assert server.connections == 2

    run(main())


def test_retry_after_is_obeyed(authority):
    async def main():
        answers = iter([(503, {"retry-after": "0"}, b""), (429, {"retry-after": "0"}, b""), (200, {}, b"{}")])

        async def answer(seen):
            return next(answers)

        egress = Egress(nowhere)
        async with WebServer(authority.context("127.0.0.1"), answer) as server:
            assert (await call(egress, f"https://127.0.0.1:{server.port}", authority)).code == 200
        await egress.close()

    run(main())


REFUSALS = {
    404: "the server could not find the requested resource",
    500: 'an error on the server ("boom") has prevented the request from succeeding',
    503: "the server is currently unable to handle the request",
    400: "the server rejected our request for an unknown reason",
    403: "boom",
    418: "the server responded with the status code 418 but did not return more information",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusals_are_worded_as_client_go_does(code):
    from knarr.egress import Answer

    error = refusal(Answer(code, [("Content-Type", "text/plain")], b"boom\n"))
    assert error is not None and (error.code, error.message) == (code, REFUSALS[code])


def test_a_status_in_the_body_speaks_for_itself():
    from knarr.egress import Answer

    body = b'{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "X", "code": 418}'
    error = refusal(Answer(500, [], body))
    assert error is not None and (error.code, error.reason, error.message) == (418, "X", "no")
    assert refusal(Answer(200, [], b"")) is None
