"""CertificateSigningRequest of certificates.k8s.io/v1: rules, who changes what, table."""

import base64

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
    assert types(approval) == ["Approved"] and "certificate" not in approval["status"]
    status = stored(APPROVED, FAILED)
    kind.prepare_for_status_update(status, stored())
    assert types(status) == ["Failed"]


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
