"""CertificateSigningRequest of certificates.k8s.io/v1: rules, who changes what, table."""

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .kindcases import Resource

REQUESTS = Resource("certificatesigningrequests", "certificates.k8s.io")


def pem() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


SPEC = {"request": pem(), "signerName": "example.com/signer", "usages": ["client auth"]}


def wanted(**spec):
    return {"spec": {**SPEC, **spec}}


NO_PEM = "PEM block type must be CERTIFICATE REQUEST"
ERRORS = [
    pytest.param(wanted(), [], id="good"),
    pytest.param(
        {"spec": {}},
        [
            f"spec.request: Invalid value: null: {NO_PEM}",
            "spec.usages: Required value",
            "spec.signerName: Required value",
        ],
        id="nothing",
    ),
    pytest.param(wanted(request="eA=="), [f'spec.request: Invalid value: "eA==": {NO_PEM}'], id="no PEM"),
    pytest.param(
        wanted(signerName="a"),
        [
            'spec.signerName: Invalid value: "a": must be a fully qualified domain and path'
            " of the form 'example.com/signer-name'"
        ],
        id="signer",
    ),
    pytest.param(
        wanted(usages=["signing", "signing"]),
        ['spec.usages[1]: Duplicate value: "signing"'],
        id="usage twice",
    ),
    pytest.param(
        wanted(signerName="Exa.com/a.B"),
        [
            'spec.signerName: Invalid value: "Exa.com": validating label "Exa": a lowercase RFC 1123 label must consist'
            " of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
            " (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            'spec.signerName: Invalid value: "a.B": validating label "B": a lowercase RFC 1123 subdomain must consist'
            " of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
            " (e.g. 'example.com', regex used for validation is"
            " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
        id="labels of the signer",
    ),
    pytest.param(
        wanted(expirationSeconds=599),
        [
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"
        ],
        id="too short",
    ),
]


@pytest.mark.parametrize(("body", "errors"), ERRORS)
def test_errors(body, errors):
    assert REQUESTS.errors(body) == errors


APPROVED = {"type": "Approved", "status": "True", "reason": "r", "message": "", "lastUpdateTime": None}
DENIED, FAILED = {**APPROVED, "type": "Denied"}, {**APPROVED, "type": "Failed"}


def stored(*conditions, certificate=None):
    obj = REQUESTS.defaulted(wanted())
    obj["status"] = {"conditions": [dict(c) for c in conditions]} if conditions else {}
    if certificate:
        obj["status"]["certificate"] = certificate
    return obj


def types(obj):
    return [c["type"] for c in obj["status"].get("conditions", ())]


def test_each_part_has_its_writers():
    kind = REQUESTS.kind
    whole = stored(APPROVED)
    kind.prepare_for_update(whole, stored())
    assert types(whole) == []
    approval = stored(APPROVED, FAILED, certificate="YQ==")
    kind.prepare_for_approval(approval, stored())
    assert types(approval) == ["Approved", "Failed"] and "certificate" not in approval["status"]
    status = stored({**APPROVED, "reason": "mine"}, FAILED)
    kind.prepare_for_status_update(status, stored(APPROVED))
    assert status["status"]["conditions"] == [APPROVED, FAILED]
    (error,) = map(str, kind.validate_status_update(stored(APPROVED), stored()))
    assert error == 'status.conditions: Forbidden: updates may not add a condition of type "Approved"'


def issued(kind: str = "CERTIFICATE", der: bytes = b"x", head: str = "") -> str:
    body = base64.b64encode(der).decode()
    return base64.b64encode(f"-----BEGIN {kind}-----\n{head}{body}\n-----END {kind}-----\n".encode()).decode()


def certificate(common_name: str = "a") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    since = datetime.datetime(2026, 1, 1)
    made = made.serial_number(1).not_valid_before(since).not_valid_after(since + datetime.timedelta(1))
    return issued(der=made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (certificate(), ""),
        (issued("KEY"), 'only CERTIFICATE PEM blocks are allowed, found "KEY"'),
        (issued(head="a: b\n\n"), "no PEM block headers are permitted"),
        (issued(der=b""), "found CERTIFICATE PEM block containing 0 certificates"),
        (issued(der=b"nope"), "x509: malformed certificate"),
        ("bm9wZQ==", "must contain at least one CERTIFICATE PEM block"),
    ],
)
def test_certificates_are_some(content, fault):
    found = [str(e) for e in REQUESTS.kind.validate_status_update(stored(certificate=content), stored())]
    start = 'status.certificate: Invalid value: "<certificate data>": '
    assert found == ([start + fault] if fault else [])


def test_an_issued_certificate_stays():
    new, old = stored(certificate=certificate("b")), stored(certificate=certificate())
    (error,) = map(str, REQUESTS.kind.validate_status_update(new, old))
    assert error == "status.certificate: Forbidden: updates may not modify existing certificate content"


def tampered() -> str:
    """A request whose signature is another's."""
    text = base64.b64decode(base64.b64decode(pem()).decode().split("-----")[2])
    return issued("CERTIFICATE REQUEST", text[:-1] + bytes([text[-1] ^ 1]))


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (tampered(), "x509: ECDSA verification failure"),
        (issued("CERTIFICATE REQUEST", b""), "asn1: syntax error: sequence truncated"),
        (issued("CERTIFICATE REQUEST", b"\x30\x05a"), "asn1: syntax error: data truncated"),
        (issued("CERTIFICATE REQUEST", b"\x30\x00a"), "asn1: syntax error: trailing data"),
        (issued(), NO_PEM),
    ],
)
def test_requests_are_some(request_, fault):
    assert REQUESTS.errors(wanted(request=request_)) == [
        f'spec.request: Invalid value: "{request_}": {fault}'
    ]


def test_what_is_approved_is_not_denied_nor_taken_back():
    kind = REQUESTS.kind
    (error,) = [str(e) for e in kind.validate_approval(stored(APPROVED, DENIED), stored(APPROVED))]
    assert error.endswith("Approved and Denied conditions are mutually exclusive")
    (error,) = [str(e) for e in kind.validate_approval(stored(), stored(APPROVED))]
    assert error == 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'


@pytest.mark.parametrize(
    ("conditions", "certificate", "text"),
    [
        ((), None, "Pending"),
        ((APPROVED,), None, "Approved"),
        ((DENIED,), None, "Denied"),
        ((APPROVED,), "YQ==", "Approved,Issued"),
        ((APPROVED, FAILED), None, "Approved,Failed"),
    ],
)
def test_rows(conditions, certificate, text):
    obj = stored(*conditions, certificate=certificate)
    obj["spec"] |= {"username": "u", "expirationSeconds": 3600}
    assert REQUESTS.row_of(obj) == ["a", "120m", "example.com/signer", "u", "60m", text]
