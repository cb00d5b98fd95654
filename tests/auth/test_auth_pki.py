"""Certificates and keys: judged by OpenSSL and the cryptography library, not by our own reading of them."""

import asyncio
import datetime
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from knarr.auth import der, jwt
from knarr.auth.authenticate import Authenticator
from knarr.auth.keys import Key
from knarr.auth.oidc.jsonwebkeys import read_key
from knarr.auth.pki import PKI, RENEW_SECONDS, PKIError
from knarr.auth.statictokens import StaticTokens, admin
from knarr.auth.tokenkeys import TokenKeys
from knarr.auth.x509 import ClientCertificates
from knarr.registry.context import ANONYMOUS
from knarr.world.chance import chance
from knarr.world.clock import RealClock

from .memory_reader import refusal, run

CLOCK = RealClock()


def pki(directory=None, seed=1, **more):
    return PKI(directory, CLOCK, chance(seed), **more)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str):
    """Both sides in memory; returns the server's view of the client certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    done = set()
    for _ in range(10):
        for side in (theirs, ours):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert len(done) == 2
    return ours.getpeercert(True), ours.getpeercert()


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", "10.96.0.1", "my.host"]
)
def test_server_certificate_holds_for_every_name(name):
    made = pki(names=["my.host"])
    assert handshake(made.server_context(), made.client_context(), name) == (None, None)


def test_client_certificate_names_user_and_groups():
    made = pki()
    binary, parts = handshake(made.server_context(), made.client_context(made.admin), "localhost")
    users = ClientCertificates(CLOCK)
    for peer in (binary, parts):
        user = users.identify(peer)
        assert (user.name, user.groups) == ("kubernetes-admin", ("system:masters", "system:authenticated"))
    digest = x509.load_der_x509_certificate(binary).fingerprint(hashes.SHA256()).hex()
    assert users.identify(binary).extra == {
        "authentication.kubernetes.io/credential-id": (f"X509SHA256={digest}",)
    }


def test_node_certificate():
    made = pki()
    binary, _ = handshake(made.server_context(), made.client_context(made.node("n1")), "localhost")
    user = ClientCertificates(CLOCK).identify(binary)
    assert (user.name, user.groups[0]) == ("system:node:n1", "system:nodes")


def test_a_stranger_s_certificate_is_refused():
    made, other = pki(), pki(seed=2)
    client = made.client_context(other.admin)
    with pytest.raises(ssl.SSLError):
        handshake(made.server_context(), client, "localhost")


def test_the_certificates_say_what_they_are_for():
    made = pki()
    ca = x509.load_pem_x509_certificate(made.ca_certificate.encode())
    server = x509.load_pem_x509_certificate(made.server.certificate.encode())
    admin = x509.load_pem_x509_certificate(made.admin.certificate.encode())
    for leaf in (server, admin):
        leaf.verify_directly_issued_by(ca)
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert leaf.version == x509.Version.v3
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ca.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usages = [
        list(c.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) for c in (server, admin)
    ]
    assert usages == [[ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.CLIENT_AUTH]]
    proxy = x509.load_pem_x509_certificate(made.front_proxy_client.certificate.encode())
    proxy.verify_directly_issued_by(x509.load_pem_x509_certificate(made.front_proxy_ca.certificate.encode()))
    with pytest.raises(ValueError):
        proxy.verify_directly_issued_by(ca)


def test_files_are_private_and_used_again(tmp_path):
    first, second = pki(tmp_path), pki(tmp_path, seed=2)
    assert {
        "ca.crt",
        "ca.key",
        "apiserver.crt",
        "apiserver.key",
        "sa.key",
        "sa.pub",
        "front-proxy-ca.crt",
    } <= set(os.listdir(tmp_path))
    assert {oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()} == {"0o600"}
    assert (first.ca_certificate, first.server, first.admin) == (
        second.ca_certificate,
        second.server,
        second.admin,
    )
    assert first.signer.public_pem == second.signer.public_pem


def test_renewed_near_expiry_but_the_authority_stays(tmp_path):
    first = pki(tmp_path)

    class Later(RealClock):
        @staticmethod
        def now():
            return CLOCK.now() + 365 * 24 * 3600 - RENEW_SECONDS + 3600

    second = PKI(tmp_path, Later(), chance(2))
    assert first.server != second.server
    assert first.ca_certificate == second.ca_certificate


def test_a_new_name_makes_a_new_server_certificate_only(tmp_path):
    first, second = pki(tmp_path), pki(tmp_path, names=["other.host"])
    assert first.server != second.server
    assert first.admin == second.admin


def test_a_new_cluster_draws_an_rsa_key_when_it_is_needed(tmp_path):
    made = pki(tmp_path, seed=None)
    assert made.signer is None and not (tmp_path / "sa.key").exists()

    async def first_token():
        keys = TokenKeys(made.signer, draw=made.draw_signer)
        assert keys.verifiers == []
        one, other = await asyncio.gather(keys.signer(), keys.signer())
        assert one is other and keys.verifiers == [one.verifier]
        return one.sign({"a": 1})

    token = run(first_token())
    again = pki(tmp_path, seed=None).signer
    assert again.sign({"a": 1}) == token
    assert again.verifier.algorithm == "RS256"
    assert (tmp_path / "sa.pub").read_text() == again.public_pem


def test_an_older_cluster_keeps_its_key(tmp_path):
    (tmp_path / "sa.key").write_text(Key.draw(chance(3)).pem)
    assert pki(tmp_path, seed=None).signer.verifier.algorithm == "ES256"


def test_seeded_chance_draws_the_same_again():
    one, two = pki(seed=5), pki(seed=5)
    assert one.ca.key.pem == two.ca.key.pem
    assert one.signer.sign({"a": 1}) == two.signer.sign({"a": 1})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "ca.key").unlink(), "has no ca.key beside it"),
        (lambda d: (d / "ca.key").write_text("x"), "ca.key cannot be read"),
        (lambda d: (d / "ca.crt").write_text("x"), "ca.crt cannot be read"),
        (lambda d: (d / "ca.key").write_text(Key.draw(chance(9)).pem), "does not belong to"),
        (lambda d: (d / "sa.key").write_text("-----BEGIN X-----"), "sa.key cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, words):
    pki(tmp_path)
    damage(tmp_path)
    with pytest.raises(PKIError, match=words):
        pki(tmp_path)


def test_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "pki").write_text("")
    with pytest.raises(PKIError, match="cannot use"):
        pki(tmp_path / "pki")


def test_others_read_our_keys_and_we_read_theirs():
    ours = Key.draw(chance(3))
    theirs = serialization.load_pem_private_key(ours.pem.encode(), None)
    pkcs8 = theirs.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    again = Key.from_pem(pkcs8)
    assert (again.pem, again.public_pem) == (ours.pem, ours.public_pem)
    theirs.public_key().verify(ours.sign(b"x"), b"x", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(ValueError, match="P-256"):
        Key.from_pem(_pem(ec.generate_private_key(ec.SECP384R1())))


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_certificates_of_others_are_read():
    """RSA, a multi-valued name, times after 2049, no alternative names."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ü"),
            x509.NameAttribute(NameOID.COMMON_NAME, "jane"),
        ]
    )
    from datetime import UTC, datetime

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2060, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    read = der.read_certificate(made.public_bytes(serialization.Encoding.DER))
    assert read.attribute("2.5.4.10") == ["a", "ü"]
    assert read.attribute("2.5.4.3") == ["jane"]
    assert (read.not_before, read.not_after) == (
        datetime(2020, 1, 1, tzinfo=UTC).timestamp(),
        datetime(2060, 1, 1, tzinfo=UTC).timestamp(),
    )
    assert read.names == frozenset()


@given(st.binary(max_size=200))
def test_garbage_is_no_certificate(data):
    with pytest.raises(ValueError):
        der.read_certificate(data)


def test_out_of_date_certificates_name_nobody(clock):
    made = PKI(None, clock, chance(1))
    peer = der.from_pem(made.admin.certificate, "CERTIFICATE")
    users = ClientCertificates(clock)
    assert users.identify(peer).name == "kubernetes-admin"
    clock.time += 366 * 24 * 3600
    assert users.identify(peer) is None
    assert not users.names_nobody(peer)


def test_a_certificate_without_a_name_is_nobody_s(clock):
    """Its holder may be known by a token, or stay anonymous; one that is out of date is refused."""
    made = PKI(None, clock, chance(1))
    users = Authenticator([StaticTokens(admin("secret"))], clock)
    nameless = der.from_pem(made.client("").certificate, "CERTIFICATE")
    assert run(users.authenticate(None, nameless)) is ANONYMOUS
    assert run(users.authenticate("secret", nameless)).name == "admin"
    assert refusal(users.authenticate, "wrong", nameless) == (401, "Unauthorized")
    clock.time += 366 * 24 * 3600
    assert refusal(users.authenticate, None, nameless) == (401, "Unauthorized")
    assert run(users.authenticate("secret", nameless)).name == "admin"


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [
        ("RS256", lambda: _pem(rsa.generate_private_key(65537, 2048))),
        ("RS256", jwt.draw_rsa),
        ("ES256", lambda: Key.draw(chance(4)).pem),
        ("ES384", lambda: _pem(ec.generate_private_key(ec.SECP384R1()))),
        ("ES512", lambda: _pem(ec.generate_private_key(ec.SECP521R1()))),
    ],
)
def test_tokens_are_verified_by_their_key_alone(algorithm, make):
    signer = jwt.Signer.from_pem(make())
    assert signer.verifier.algorithm == algorithm
    other = jwt.Signer.from_pem(Key.draw(chance(8)).pem)
    token = jwt.parse(signer.sign({"sub": "x"}))
    assert token.claims == {"sub": "x"}
    assert token.header["kid"] == signer.verifier.key_id
    assert signer.verifier.verify(token)
    assert not other.verifier.verify(token)
    assert jwt.Verifier.from_pem(signer.public_pem).verify(token)
    assert not signer.verifier.verify(token._replace(signed=token.signed + b"x"))
    assert not signer.verifier.verify(token._replace(header={"alg": "none"}))
    assert not signer.verifier.verify(token._replace(signature=b""))
    assert signer.verifier.jwk()["kid"] == signer.verifier.key_id
    assert read_key(signer.verifier.jwk()).key.public_numbers() == signer.verifier._key.key.public_numbers()


def _self_signed(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sa")])
    start = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2036))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _public(key, form):
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())]
)
def test_forms_of_keys_that_may_have_signed(key):
    signer = jwt.Signer.from_pem(_pem(key))
    token = jwt.parse(signer.sign({"sub": "x"}))
    forms = [_pem(key), _public(key, serialization.PublicFormat.SubjectPublicKeyInfo), _self_signed(key)]
    if isinstance(key, rsa.RSAPrivateKey):
        forms.append(_public(key, serialization.PublicFormat.PKCS1))
    for form in forms:
        found = jwt.Verifier.from_pem(form)
        assert found.key_id == signer.verifier.key_id and found.verify(token)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP224R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_keys_that_sign_no_tokens(key):
    with pytest.raises(ValueError, match="only RSA and EC keys of 256, 384 and 521 bits sign tokens"):
        jwt.Signer.from_pem(_pem(key))


@given(st.text(max_size=50))
def test_what_is_no_token_is_none(text):
    assert jwt.parse(text) is None
    assert jwt.parse(f"{text}.{text}.{text}") is None
