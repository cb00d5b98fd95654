"""The HTTP transport against a small server on this machine: real sockets, real TLS, real time."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from knarr.client.client import Client
from knarr.client.http import HTTP, _split
from knarr.client.informer import Informer
from knarr.client.kubeconfig import Access
from knarr.meta.errors import StatusError, failure, too_many_requests

from .fakeapi import PODS


class Server:
    """Answers each request with the next of `answers`: (status, body, headers) or a coroutine function."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.peers = set()

    async def handle(self, request):
        self.requests.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        self.peers.add(request.transport.get_extra_info("peername"))
        answer = self.answers.pop(0)
        if callable(answer):
            return await answer(request)
        status, body, headers = answer
        return web.Response(status=status, body=body, headers=headers)

    @asynccontextmanager
    async def running(self, tls=None):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            await runner.cleanup()


POD = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","resourceVersion":"1"}}'
OK = (200, POD, {"Content-Type": "application/json"})


def status(error):
    return (error.code, json.dumps(error.status).encode(), error.headers)


async def asked(server, ask, **access):
    async with server.running() as url:
        transport = HTTP(Access(url, **access), "tests/1")
        try:
            return await ask(Client(transport, "me"))
        finally:
            await transport.close()


def get_pod(client):
    return client.get(PODS, "p", "n")


def test_a_request_and_its_answer():
    server = Server(OK)
    pod = asyncio.run(
        asked(server, lambda c: c.patch(PODS, "p", "n", {"spec": {}}, "strategic", "status"), token="secret")
    )
    assert pod["metadata"]["name"] == "p"
    ((method, path, headers, body),) = server.requests
    assert (method, path, body) == (
        "PATCH",
        "/api/v1/namespaces/n/pods/p/status?fieldManager=me",
        b'{"spec":{}}',
    )
    assert headers["Authorization"] == "Bearer secret"
    assert headers["User-Agent"] == "tests/1"
    assert headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert headers["Accept"] == "application/json"


def test_connections_are_reused():
    server = Server(*[OK] * 5)

    async def five(client):
        for _ in range(5):
            await get_pod(client)

    asyncio.run(asked(server, five))
    assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("answer", "code", "reason", "message"),
    [
        (status(StatusError(failure(409, "Conflict", "stale"))), 409, "Conflict", "stale"),
        ((502, b"<html>proxy</html>", {}), 502, "", "<html>proxy</html>"),
        ((404, b"", {}), 404, "NotFound", "the server answered 404"),
        ((401, b'{"kind":"Other"}', {}), 401, "Unauthorized", '{"kind":"Other"}'),
    ],
)
def test_refusals(answer, code, reason, message):
    with pytest.raises(StatusError) as raised:
        asyncio.run(asked(Server(answer), get_pod))
    assert (raised.value.code, raised.value.reason, raised.value.message) == (code, reason, message)


def test_too_many_requests_are_repeated_when_the_server_says(monkeypatch):
    delays = []

    async def no_sleep(seconds):
        if seconds:  # aiohttp yields with 0
            delays.append(seconds)

    monkeypatch.setattr("knarr.client.http.asyncio.sleep", no_sleep)
    busy = status(too_many_requests("slow down", 7))
    asyncio.run(asked(Server(busy, busy, (503, b"", {"Retry-After": "2"}), OK), get_pod))
    assert delays == [7, 7, 2]
    with pytest.raises(StatusError, match="slow down"):
        asyncio.run(asked(Server(*[busy] * 11), get_pod))


def test_a_token_that_is_refused_is_read_again(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")

    async def renew(request):
        path.write_text("new")
        return web.Response(status=401)

    server = Server(renew, OK)
    asyncio.run(asked(server, get_pod, token_file=str(path)))
    assert [headers["Authorization"] for _, _, headers, _ in server.requests] == ["Bearer old", "Bearer new"]


def test_impersonation():
    server = Server(OK)
    who = {"as": "jane", "as-groups": ["dev"], "as-user-extra": {"Scope/x": ["view"]}}
    asyncio.run(asked(server, get_pod, username="u", password="p", impersonate=who))
    headers = server.requests[0][2]
    assert headers["Authorization"] == "Basic dTpw"
    assert (headers["Impersonate-User"], headers["Impersonate-Group"]) == ("jane", "dev")
    assert headers["Impersonate-Extra-scope%2Fx"] == "view"


def test_a_server_that_is_not_there():
    async def main():
        transport = HTTP(Access("http://127.0.0.1:1"))
        try:
            await Client(transport).get(PODS, "p", "n")
        finally:
            await transport.close()

    with pytest.raises(StatusError, match=r"http://127\.0\.0\.1:1: ") as raised:
        asyncio.run(main())
    assert (raised.value.code, raised.value.reason) == (503, "ServiceUnavailable")


# -- watching -----------------------------------------------------------------------------------------------------


def line(type_, name, version):
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "n", "resourceVersion": version},
    }
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


def stream(*chunks, hang=False):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)
        if hang:
            await asyncio.sleep(3600)
        return response

    return answer


def test_a_watch_whatever_the_pieces_it_comes_in():
    whole = line("ADDED", "a", "1") + line("MODIFIED", "a", "2") + line("DELETED", "a", "3")
    server = Server(stream(whole[:50], whole[50:130], whole[130:]))

    async def follow(client):
        return [(type_, obj["metadata"]["resourceVersion"]) async for type_, obj in client.watch(PODS, "n")]

    assert asyncio.run(asked(server, follow)) == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "3")]
    assert server.requests[0][1] == "/api/v1/namespaces/n/pods?watch=true"


def test_an_error_in_a_watch_is_raised_after_what_came_before_it():
    gone = json.dumps({"type": "ERROR", "object": failure(410, "Expired", "too old")}).encode() + b"\n"
    seen = []

    async def follow(client):
        async for type_, _ in client.watch(PODS, "n"):
            seen.append(type_)

    with pytest.raises(StatusError, match="too old") as raised:
        asyncio.run(asked(Server(stream(line("ADDED", "a", "1") + gone)), follow))
    assert (raised.value.code, seen) == (410, ["ADDED"])


def test_lines_are_split_whatever_the_pieces():
    whole = line("ADDED", "a", "1") + line("ADDED", "b", "2")
    for cut in range(len(whole)):
        buffer = bytearray(whole[:cut])
        events = _split(buffer)
        buffer += whole[cut:]
        events += _split(buffer)
        assert [json.loads(event.object)["metadata"]["name"] for event in events] == ["a", "b"]
        assert not buffer


def test_an_informer_over_http():
    page = {"metadata": {"resourceVersion": "5"}, "items": [json.loads(POD)]}
    listing = (200, json.dumps(page).encode(), {})
    server = Server(listing, stream(line("ADDED", "q", "6"), hang=True))

    async def follow(client):
        informer = Informer(client, PODS)
        arrived = asyncio.Event()
        informer.add_handler(added=lambda obj: arrived.set() if obj["metadata"]["name"] == "q" else None)
        informer.start()
        await informer.wait_for_sync()
        async with asyncio.timeout(10):
            await arrived.wait()
        await informer.stop()
        return sorted(key.name for key in informer.indexer.keys())  # noqa: SIM118

    assert asyncio.run(asked(server, follow)) == ["p", "q"]
    assert "resourceVersion=5" in server.requests[1][1]


# -- TLS ----------------------------------------------------------------------------------------------------------


def certificate(name, issuer=None, issuer_key=None):
    """(certificate, key) in PEM, and as objects; without an issuer a CA of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(issuer_key or key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, key_pem, built, key


def test_client_certificates_and_a_ca_of_its_own(tmp_path):
    ca_pem, _, ca, ca_key = certificate("ca")
    pem, key_pem, _, _ = certificate("server", ca, ca_key)
    client_pem, client_key, _, _ = certificate("jane", ca, ca_key)
    (tmp_path / "server.pem").write_bytes(pem + key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    tls.load_verify_locations(cadata=ca_pem.decode())
    tls.verify_mode = ssl.CERT_REQUIRED
    subjects = []

    async def who(request):
        subjects.append(request.transport.get_extra_info("peercert")["subject"])
        return web.Response(body=POD)

    async def main():
        async with Server(who, who).running(tls) as url:
            for access in (
                Access(url, ca=ca_pem, client_certificate=client_pem, client_key=client_key),
                Access(url, insecure=True, client_certificate=client_pem, client_key=client_key),
            ):
                transport = HTTP(access)
                await Client(transport).get(PODS, "p", "n")
                await transport.close()
            stranger = HTTP(Access(url, client_certificate=client_pem, client_key=client_key))
            with pytest.raises(StatusError, match="certificate verify failed"):
                await Client(stranger).get(PODS, "p", "n")
            await stranger.close()

    asyncio.run(main())
    assert subjects == [((("commonName", "jane"),),)] * 2
