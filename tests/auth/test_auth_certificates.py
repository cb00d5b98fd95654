"""Certificates that were asked for by a CertificateSigningRequest, over real TLS."""

import base64
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from knarr.controllers.certificates.signer import status_of

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
        context = ssl.create_default_context(cadata=pki.ca_certificate)
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

    assert with_server(test) == expected
