"""Certificates that were asked for by a CertificateSigningRequest, over real TLS."""

import asyncio
import base64
import contextlib
import datetime
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from knarr.auth.certificates import SERVER_AUTH, Subject
from knarr.auth.configuration import ConfigurationError
from knarr.auth.pki import PKI
from knarr.cluster.servingtls import ServingTLS
from knarr.controllers.certificates.signer import status_of
from knarr.world.chance import chance
from knarr.world.clock import RealClock

from .servers import REVIEW, with_server


def asked(signer, usages, *subject):
    """A key, and what the signing controller sees of a request for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if signer == "kubelet-serving":
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("n1")]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = SimpleNamespace(
        signerName=f"kubernetes.io/{signer}",
        request=base64.b64encode(pem).decode(),
        usages=usages,
        expirationSeconds=3600,
    )
    return key, SimpleNamespace(
        metadata=SimpleNamespace(name="c"), spec=spec, status=SimpleNamespace(conditions=())
    )


MARY = ((NameOID.ORGANIZATION_NAME, "dev"), (NameOID.COMMON_NAME, "mary"))
NODE = ((NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:n1"))


async def who(server, path):
    context = ssl.create_default_context(cadata=server.plane.pki.ca_certificate)
    context.load_cert_chain(path)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.post(server.plane.url + REVIEW, json={}) as answer,
        ):
            user = (await answer.json())["status"]["userInfo"]
    except (OSError, aiohttp.ClientError):
        return None
    return user["username"], [g for g in user["groups"] if g != "system:authenticated"]


@pytest.mark.parametrize(
    "signer,usages,subject,expected",
    [
        ("kube-apiserver-client", ["client auth"], MARY, ("mary", ["dev"])),
        ("kube-apiserver-client", ["client auth", "digital signature"], MARY, ("mary", ["dev"])),
        (
            "kube-apiserver-client-kubelet",
            ["client auth", "digital signature", "key encipherment"],
            NODE,
            ("system:node:n1", ["system:nodes"]),
        ),
        # a server's certificate is nobody's as a client
        ("kubelet-serving", ["server auth", "digital signature"], NODE, None),
    ],
)
def test_who_comes_in_with_a_signed_certificate(tmp_path, signer, usages, subject, expected):
    key, csr = asked(signer, usages, *subject)

    async def test(server):
        pki = server.plane.pki
        status = status_of(csr, pki.ca, server.world.clock.now(), 42)
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path = tmp_path / "client.pem"
        path.write_bytes(
            base64.b64decode(status["certificate"]) + key.private_bytes(serialization.Encoding.PEM, *form)
        )
        return await who(server, path)

    assert with_server(test) == expected


def own_authority(name="corporate", serial=7):
    """An authority's certificate, and a file's content to come in as mary of dev."""
    now = datetime.datetime.now(datetime.UTC)
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def certificate(subject, key, extension):
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), serial)
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).add_extension(extension, True)
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        return builder.sign(ours, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    authority = certificate(issuer, ours, x509.BasicConstraints(ca=True, path_length=None))
    mary = x509.Name([x509.NameAttribute(oid, value) for oid, value in MARY])
    client = certificate(mary, theirs, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return authority, client + theirs.private_bytes(serialization.Encoding.PEM, *form).decode()


@pytest.mark.parametrize("added", [False, True])
def test_clients_of_further_authorities(tmp_path, added):
    authority, client = own_authority()
    other, _ = own_authority("other")
    (tmp_path / "client.pem").write_text(client)
    (tmp_path / "cas.pem").write_text(f"# ours\n{other}\n# theirs\n{authority}" if added else other)

    async def test(server):
        pair = server.plane.pki.client("joe")
        mine = tmp_path / "mine.pem"
        mine.write_text(pair.certificate + pair.key)
        assert await who(server, mine) == ("joe", [])
        assert await who(server, tmp_path / "client.pem") == (("mary", ["dev"]) if added else None)
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        for _ in range(100):
            status, trust = await server.call("GET", path, "T")
            if status == 200:
                break
            await asyncio.sleep(0.02)
        bundle = trust["data"]["client-ca-file"]
        assert bundle.count("BEGIN CERTIFICATE") == (3 if added else 2)
        assert (authority.strip() in bundle) is added

    with_server(test, {"client_ca_file": str(tmp_path / "cas.pem")})


def test_authorities_that_change(tmp_path):
    """While the server runs: in its handshakes, and in what extension servers are told."""
    authority, client = own_authority()
    other, _ = own_authority("other")
    (tmp_path / "client.pem").write_text(client)
    authorities = tmp_path / "cas.pem"
    authorities.write_text(other)

    async def change(server, text):
        authorities.write_text(text)
        for watch in server.plane.identities._watches:
            watch.look()

    async def test(server):
        assert await who(server, tmp_path / "client.pem") is None
        await change(server, authority)
        assert await who(server, tmp_path / "client.pem") == ("mary", ["dev"])
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        for _ in range(100):
            status, trust = await server.call("GET", path, "T")
            if status == 200 and authority.strip() in trust["data"]["client-ca-file"]:
                break
            await asyncio.sleep(0.02)
        assert authority.strip() in trust["data"]["client-ca-file"]
        await change(server, "nonsense")
        assert await who(server, tmp_path / "client.pem") == ("mary", ["dev"])
        await change(server, other)
        assert await who(server, tmp_path / "client.pem") is None

    with_server(test, {"client_ca_file": str(authorities)})


def test_the_server_s_own_certificate_is_followed(tmp_path):
    made = PKI(tmp_path, RealClock(), chance(1))
    identities = SimpleNamespace(client_authorities="", on_authorities=[])

    def shown(tls):
        """The certificate that a client is shown."""
        outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = made.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        server = tls.context.wrap_bio(outgoing, incoming, server_side=True)
        for step in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                step.do_handshake()
        return ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True))

    async def test():
        tls = ServingTLS(made, identities)
        tls.start()
        first = made.server.certificate
        assert shown(tls) == first
        new = made._issue(made.ca, Subject("kube-apiserver"), SERVER_AUTH, ("localhost",), 3600)
        (tmp_path / "apiserver.crt").write_text(new.certificate)
        for watch in tls._watches:
            watch.look()
        assert shown(tls) == first  # the key is still another one's
        (tmp_path / "apiserver.key").write_text(new.key)
        for watch in tls._watches:
            watch.look()
        assert shown(tls) == new.certificate
        await tls.stop()

    asyncio.run(test())


@pytest.mark.parametrize(
    "content,words",
    [
        ("", "data does not contain any valid RSA or ECDSA certificates"),
        ("-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\nMTIz\n", "no CERTIFICATE in the PEM data"),
        (own_authority("front-proxy-ca")[0], "an authority of the same name as the front proxy's"),
    ],
)
def test_authorities_that_are_none(tmp_path, content, words):
    path = tmp_path / "cas.pem"
    path.write_text(content)

    async def test(server):
        raise AssertionError("it should not have started")

    with pytest.raises(ConfigurationError, match=f"{path}.*{words}|{words}.*{path}"):
        with_server(test, {"client_ca_file": str(path)})
