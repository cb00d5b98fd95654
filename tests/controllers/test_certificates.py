"""Certificate signing requests and bootstrap tokens."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from knarr.api.catalog import kind_of
from knarr.api.kind import Kind
from knarr.api.scheme import scheme
from knarr.api.types import certificates_v1, core_v1
from knarr.auth.certificates import Authority
from knarr.auth.keys import Key
from knarr.client.client import is_not_found
from knarr.client.codec import built_in
from knarr.controllers.certificates import rules
from knarr.controllers.certificates.approver import recognized
from knarr.controllers.certificates.cleaner import seconds_left
from knarr.controllers.certificates.issue import lifetime
from knarr.controllers.certificates.request import Asked, read
from knarr.controllers.certificates.signer import status_of, waits_for_signature
from knarr.controllers.tokencleaner import expiry_of
from knarr.meta import times
from knarr.meta.errors import StatusError
from knarr.world import chance

from .conftest import EPOCH, Cluster

APPROVER = "certificatesigningrequest-approving-controller"
SIGNER = "certificatesigningrequest-signing-controller"
CLEANER = "certificatesigningrequest-cleaner-controller"
CLIENT_USAGES = ["client auth", "digital signature", "key encipherment"]
SERVING_USAGES = ["digital signature", "key encipherment", "server auth"]
ROW = built_in("certificates.k8s.io/v1", "CertificateSigningRequest")


def asked(name: str = "system:node:n", orgs: tuple[str, ...] = ("system:nodes",), **names: Any) -> Asked:
    lists = {"dns_names": (), "ip_addresses": (), "emails": (), "uris": (), **names}
    return Asked(name, orgs, parsed=None, **lists)


NODES, PREFIX = (
    "subject organization is not system:nodes",
    "subject common name does not begin with system:node:",
)
USAGES = "usages did not match [client auth digital signature key encipherment]"
#: (signer, request, usages, why not)
RULES: list[tuple[Any, Asked, list[str], str]] = [
    (rules.client, asked("jane", ("dev",)), ["client auth"], ""),
    (rules.client, asked("jane"), [], "missing required usage for client certificate: client auth"),
    (
        rules.client,
        asked(),
        ["client auth", "server auth"],
        "invalid usage for client certificate: server auth",
    ),
    (rules.kubelet_client, asked(), CLIENT_USAGES, ""),
    (rules.kubelet_client, asked(), ["client auth", "digital signature"], ""),
    (rules.kubelet_client, asked(), ["client auth"], USAGES),
    (rules.kubelet_client, asked(), [*CLIENT_USAGES, "server auth"], USAGES),
    (rules.kubelet_client, asked(orgs=()), CLIENT_USAGES, NODES),
    (rules.kubelet_client, asked(orgs=("system:nodes", "x")), CLIENT_USAGES, NODES),
    (rules.kubelet_client, asked("n"), CLIENT_USAGES, PREFIX),
    (rules.kubelet_client, asked(dns_names=("n",)), CLIENT_USAGES, "DNS subjectAltNames are not allowed"),
    (rules.kubelet_client, asked(uris=("x:y",)), CLIENT_USAGES, "URI subjectAltNames are not allowed"),
    (rules.kubelet_serving, asked(dns_names=("n",)), SERVING_USAGES, ""),
    (rules.kubelet_serving, asked(), SERVING_USAGES, "DNS or IP subjectAltName is required"),
    (
        rules.kubelet_serving,
        asked(dns_names=("n",), emails=("a@b",)),
        SERVING_USAGES,
        "Email subjectAltNames are not allowed",
    ),
    (rules.kubelet_serving, asked("n", dns_names=("n",)), SERVING_USAGES, PREFIX),
]


@pytest.mark.parametrize(("rule", "request_", "usages", "why"), RULES)
def test_what_signers_accept(rule: Any, request_: Asked, usages: list[str], why: str) -> None:
    assert rule(request_, usages) == why


@pytest.mark.parametrize(
    ("signer", "user", "permissions"),
    [
        (rules.KUBELET_CLIENT, "system:node:n", ["selfnodeclient", "nodeclient"]),
        (rules.KUBELET_CLIENT, "system:bootstrap:x", ["nodeclient"]),
        (rules.KUBELET_SERVING, "system:node:n", []),
        (rules.CLIENT, "system:node:n", []),
    ],
)
def test_what_is_recognised(signer: str, user: str, permissions: list[str]) -> None:
    csr = SimpleNamespace(spec=SimpleNamespace(signerName=signer, usages=CLIENT_USAGES, username=user))
    assert [name for name, _ in recognized(csr, asked())] == permissions


YEAR = 365 * 86_400


@pytest.mark.parametrize(
    ("wanted", "ends", "begin", "end"),
    [
        (None, 1e12, -300, YEAR - 300),
        (3600, 1e12, -300, 3600),
        (600, 1e12, -300, 600),
        (8 * 3600 - 1, 1e12, -300, 8 * 3600 - 1),
        (8 * 3600, 1e12, -300, 8 * 3600 - 300),
        (10 * YEAR, 1e12, -300, YEAR - 300),
        (3600, 1800, -300, 1800),
    ],
)
def test_how_long_a_certificate_lasts(wanted: int | None, ends: float, begin: float, end: float) -> None:
    assert lifetime(wanted, 0.0, ends) == (begin, end)


def made_csr(age: float = 0, certificate: str = "", **conditions: float) -> Any:
    listed = [
        {"type": type_, "status": "True", "lastUpdateTime": times.format(EPOCH - since)}
        for type_, since in conditions.items()
    ]
    body = {
        "metadata": {"name": "x", "creationTimestamp": times.format(EPOCH - age)},
        "spec": {"request": "", "signerName": "a/b"},
        "status": {"conditions": listed, "certificate": base64.b64encode(certificate.encode()).decode()},
    }
    return scheme().from_dict(certificates_v1.CertificateSigningRequest, body)


@pytest.mark.parametrize(
    ("csr", "left"),
    [
        (made_csr(), 86_400),
        (made_csr(90_000), 0),
        (made_csr(90_000, Denied=600), 3000),
        (made_csr(90_000, Denied=3600), 0),
        (made_csr(90_000, Approved=7200), 86_400),
        (made_csr(90_000, "x", Approved=7200), 0),
        (made_csr(90_000, Approved=7200, Failed=3000), 600),
    ],
)
def test_how_long_a_request_is_kept(csr: Any, left: float) -> None:
    assert seconds_left(csr, EPOCH) == left


# -- on a cluster ----------------------------------------------------------------------------------------------


def wire_csr(
    name: str,
    signer: str,
    usages: list[str],
    common_name: str = "system:node:n",
    org: str = "system:nodes",
    san: bool = False,
) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, org),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if san:
        names = [x509.DNSName("n.example.com"), x509.IPAddress(ip_address("10.0.0.7"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": usages}
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": spec,
    }


def authority() -> Authority:
    lots = chance(3)
    return Authority.create("kubernetes", Key.draw(lots), EPOCH - 10, 10 * YEAR, lots)


def decided(body: dict[str, Any], *conditions: str) -> Any:
    listed = [{"type": type_, "status": "True"} for type_ in conditions]
    whole = {**body, "status": {"conditions": listed}}
    return scheme().from_dict(certificates_v1.CertificateSigningRequest, whole)


def test_an_approved_request_is_signed() -> None:
    ca = authority()
    csr = decided(wire_csr("s", rules.KUBELET_SERVING, SERVING_USAGES, san=True), "Approved")
    found = base64.b64decode(status_of(csr, ca, EPOCH, 42)["certificate"])
    certificate = x509.load_pem_x509_certificate(found)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate.encode()))
    assert certificate.subject.rfc4514_string() == "CN=system:node:n,O=system:nodes"
    assert certificate.serial_number == 42
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.0.0.7")]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and usage.key_encipherment and not usage.key_cert_sign
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.not_valid_after_utc.timestamp() == EPOCH + YEAR - 300


@pytest.mark.parametrize(
    ("usages", "bits"),
    [(["client auth"], False), (["client auth", "digital signature"], True), (CLIENT_USAGES, True)],
)
def test_a_key_usage_is_said_only_where_there_is_one(usages: list[str], bits: bool) -> None:
    csr = decided(wire_csr("s", rules.CLIENT, usages), "Approved")
    pem = base64.b64decode(status_of(csr, authority(), EPOCH, 42)["certificate"])
    extensions = [type(e.value) for e in x509.load_pem_x509_certificate(pem).extensions]
    assert (x509.KeyUsage in extensions) is bits


def test_what_a_signer_does_not_accept_fails() -> None:
    csr = decided(wire_csr("s", rules.KUBELET_SERVING, SERVING_USAGES), "Approved")
    status = status_of(csr, authority(), EPOCH, 42)
    assert [(x.type, x.reason, x.message) for x in status["conditions"][1:]] == [
        ("Failed", "SignerValidationFailure", "DNS or IP subjectAltName is required")
    ]
    nonsense = wire_csr("s", rules.CLIENT, ["client auth"])
    nonsense["spec"]["request"] = base64.b64encode(b"nope").decode()
    (failed,) = status_of(decided(nonsense), authority(), EPOCH, 42)["conditions"]
    assert failed.message.startswith('unable to parse csr "s": ')


@pytest.mark.parametrize(
    ("signer", "conditions", "waits"),
    [
        (rules.CLIENT, ["Approved"], True),
        (rules.CLIENT, [], False),
        (rules.CLIENT, ["Denied"], False),
        (rules.CLIENT, ["Approved", "Failed"], False),
        ("example.com/other", ["Approved"], False),
    ],
)
def test_what_is_signed(signer: str, conditions: list[str], waits: bool) -> None:
    assert waits_for_signature(decided(wire_csr("s", signer, []), *conditions)) is waits


@pytest.mark.skipif(
    type(kind_of(ROW.group, ROW.version, ROW.name)) is Kind, reason="the kind has no rules yet"
)
def test_a_kubelet_that_may_ask_is_approved_and_signed(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.client.create(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "b"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
                },
                "subjects": [
                    {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}
                    for name in ("system:nodes", "nodes-to-be")
                ],
            }
        )
        node = c.plane.client("system:node:n", ("system:nodes", "system:authenticated"))
        await node.create(wire_csr("mine", rules.KUBELET_CLIENT, CLIENT_USAGES))
        # may ask as a node may, yet for itself only
        other = c.plane.client("system:node:m", ("nodes-to-be", "system:authenticated"))
        await other.create(wire_csr("not-mine", rules.KUBELET_CLIENT, CLIENT_USAGES))
        await c.settle()
        status = (await c.client.get(ROW, "mine"))["status"]
        assert [(x["type"], x["reason"], x["message"]) for x in status["conditions"]] == [
            (
                "Approved",
                "AutoApproved",
                "Auto approving self kubelet client certificate after SubjectAccessReview.",
            )
        ]
        assert status["certificate"]
        assert not (await c.client.get(ROW, "not-mine")).get("status", {}).get("conditions")

    play(story, APPROVER, SIGNER, cluster_ca=authority())


def test_old_requests_go(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(wire_csr("s", "example.com/x", SERVING_USAGES))
        await c.later(86_000)
        await c.client.get(ROW, "s")
        await c.later(500)
        with pytest.raises(StatusError) as caught:
            await c.client.get(ROW, "s")
        assert is_not_found(caught.value)

    play(story, CLEANER)


def test_a_request_is_read() -> None:
    body = wire_csr("s", "a/b", [], san=True)
    found = read(scheme().from_dict(certificates_v1.CertificateSigningRequest, body))
    assert found[:4] == ("system:node:n", ("system:nodes",), ("n.example.com",), (ip_address("10.0.0.7"),))
    with pytest.raises(ValueError):
        read(SimpleNamespace(spec=SimpleNamespace(request=base64.b64encode(b"nope").decode())))


# -- bootstrap tokens ------------------------------------------------------------------------------------------


def token(expiration: str) -> dict[str, Any]:
    data = {"expiration": base64.b64encode(expiration.encode()).decode()} if expiration else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    }


@pytest.mark.parametrize(
    ("text", "expiry"),
    [("", None), ("soon", None), ("2026-01-01T00:00:00Z", times.parse("2026-01-01T00:00:00Z"))],
)
def test_when_a_token_expires(text: str, expiry: float | None) -> None:
    assert expiry_of(scheme().from_dict(core_v1.Secret, token(text))) == expiry


def test_an_expired_token_is_deleted(play: Any) -> None:
    async def story(c: Cluster) -> None:
        await c.create(token(times.format(c.world.clock.now() + 100)))
        await c.later(90)
        await c.client.get(core_v1.Secret, "bootstrap-token-abcdef", "kube-system")
        await c.later(20)
        with pytest.raises(StatusError) as caught:
            await c.client.get(core_v1.Secret, "bootstrap-token-abcdef", "kube-system")
        assert is_not_found(caught.value)

    play(story, "token-cleaner-controller")
