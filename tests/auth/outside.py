"""Servers outside of the cluster: an OpenID issuer and webhooks, over real TLS on loopback, in the test's own loop."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import orjson
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from knarr.auth.certificates import CLIENT_AUTH, SERVER_AUTH, Authority, Subject
from knarr.auth.keys import Key
from knarr.world.chance import chance
from knarr.world.clock import RealClock

DIGESTS = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {
    "ES256": ("P-256", ec.SECP256R1, 32),
    "ES384": ("P-384", ec.SECP384R1, 48),
    "ES512": ("P-521", ec.SECP521R1, 66),
}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class JoseKey:
    """A private key with the algorithm it signs by."""

    def __init__(self, algorithm: str = "RS256", key_id: str = "k1") -> None:
        self.algorithm, self.key_id = algorithm, key_id
        self.key = ec.generate_private_key(CURVES[algorithm][1]()) if algorithm in CURVES else _rsa()

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        shown = {"kid": self.key_id, "use": "sig", "alg": self.algorithm}
        if self.algorithm in CURVES:
            curve, _, size = CURVES[self.algorithm]
            x, y = (base64url(n.to_bytes(size, "big")) for n in (numbers.x, numbers.y))
            return {"kty": "EC", "crv": curve, "x": x, "y": y, **shown}
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e), **shown}

    def sign(self, claims: dict, **header) -> str:
        head = {"alg": self.algorithm, "kid": self.key_id, **header}
        data = f"{base64url(orjson.dumps(head))}.{base64url(orjson.dumps(claims))}"
        return f"{data}.{base64url(self._signature(data.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        digest = DIGESTS[self.algorithm[2:]]()
        if self.algorithm in CURVES:
            size = CURVES[self.algorithm][2]
            pair = decode_dss_signature(self.key.sign(data, ec.ECDSA(digest)))
            return b"".join(n.to_bytes(size, "big") for n in pair)
        if self.algorithm.startswith("PS"):
            return self.key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return self.key.sign(data, padding.PKCS1v15(), digest)


_RSA: list[rsa.RSAPrivateKey] = []


def _rsa() -> rsa.RSAPrivateKey:
    """Drawing one is slow: the first is kept, for keys that need not differ."""
    if not _RSA:
        _RSA.append(rsa.generate_private_key(65537, 2048))
    return _RSA[0]


class Outside:
    """An authority of its own, and the servers that it vouches for."""

    def __init__(self, directory: Path, seed: int = 9) -> None:
        self.directory = directory
        self._chance = chance(seed)
        self.authority = Authority.create(
            "outside", Key.draw(self._chance), RealClock.now() - 60, 3600, self._chance
        )
        self._runners: list[web.AppRunner] = []

    @property
    def ca(self) -> str:
        return self.authority.certificate

    def pair(self, name: str, *groups: str, usage: str = CLIENT_AUTH, names: tuple[str, ...] = ()) -> Path:
        """A file with a certificate and its key."""
        key = Key.draw(self._chance)
        issued = self.authority.issue(
            Subject(name, groups), key.public_der, RealClock.now() - 60, 3600, [usage], names
        )
        path = self.directory / f"{name}.pem"
        path.write_text(issued + key.pem)
        return path

    async def serve(self, handler, clients: bool = False) -> str:
        """The URL of a server whose every request goes to `handler`; `clients` must show a certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.pair("server", usage=SERVER_AUTH, names=("127.0.0.1",)))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.ca)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    def kubeconfig(self, url: str, name: str = "webhook", **user: str) -> str:
        path = self.directory / f"{name}.kubeconfig"
        path.write_bytes(
            orjson.dumps(
                {
                    "kind": "Config",
                    "apiVersion": "v1",
                    "clusters": [
                        {
                            "name": "there",
                            "cluster": {
                                "server": url,
                                "certificate-authority-data": base64.b64encode(self.ca.encode()).decode(),
                            },
                        }
                    ],
                    "users": [{"name": "us", "user": user}],
                    "contexts": [{"name": "it", "context": {"cluster": "there", "user": "us"}}],
                    "current-context": "it",
                }
            )
        )
        return str(path)

    def file(self, name: str, content: str | dict) -> str:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else orjson.dumps(content).decode())
        return str(path)

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


class Issuer:
    """An OpenID issuer with keys that may change; `asked` counts requests by path."""

    def __init__(self, outside: Outside, *keys: JoseKey) -> None:
        self.outside = outside
        self.keys = list(keys) or [JoseKey()]
        self.url = ""
        #: what the discovery document says instead
        self.document: dict = {}
        #: path -> (code, text)
        self.pages: dict[str, tuple[int, str]] = {}
        self.asked: dict[str, int] = {}
        self.authorizations: list[str] = []

    async def start(self) -> Issuer:
        self.url = await self.outside.serve(self._answer)
        return self

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        self.authorizations.append(request.headers.get("Authorization", ""))
        if request.path in self.pages:
            code, text = self.pages[request.path]
            return web.Response(status=code, text=text)
        if request.path.endswith("/.well-known/openid-configuration"):
            document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.document}
            return web.json_response(document)
        if request.path == "/keys":
            return web.json_response({"keys": [key.jwk for key in self.keys]})
        return web.Response(status=404, text="nothing here")

    def token(self, key: JoseKey | None = None, *, header: dict | None = None, **claims) -> str:
        now = RealClock.now()
        found = {"iss": self.url, "aud": "me", "sub": "jane", "exp": int(now) + 600, **claims}
        found = {name: value for name, value in found.items() if value is not ...}
        return (key or self.keys[0]).sign(found, **(header or {}))


class Hook:
    """A webhook: keeps what it was asked, answers what `answer` says (an object's status, or (code, text))."""

    def __init__(self, outside: Outside, answer) -> None:
        self.outside, self.answer = outside, answer
        self.url = ""
        self.asked: list[dict] = []
        self.requests: list[web.Request] = []

    async def start(self, clients: bool = False) -> Hook:
        self.url = await self.outside.serve(self._answer, clients) + "/review"
        return self

    async def _answer(self, request: web.Request) -> web.Response:
        question = await request.json()
        self.asked.append(question)
        self.requests.append(request)
        answer = self.answer(question) if callable(self.answer) else self.answer
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        head = {key: question[key] for key in ("kind", "apiVersion")}
        return web.json_response({**head, "status": answer} if "status" not in answer else {**head, **answer})
