"""CertificateSigningRequest: who asks for which certificate, whether that was approved, and what was issued."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from knarr.api import checks, printing
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names, times
from knarr.meta.fielderrors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)

LEGACY = "kubernetes.io/legacy-unknown"
EXPIRATION_SECONDS_MIN = 600
USAGES = (
    *(
        "any",
        "cert sign",
        "client auth",
        "code signing",
        "content commitment",
        "crl sign",
        "data encipherment",
    ),
    *("decipher only", "digital signature", "email protection", "encipher only", "ipsec end system"),
    *("ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc"),
    *("ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
)
SIGNER_FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
SIGNER_BYTES_MAX = 571
#: conditions that are true or not there, and that stay
FINAL = ("Approved", "Denied", "Failed")
APPROVALS = ("Approved", "Denied")
#: the table shows the words of an older version of the API
SIGNER_WORDS = (
    "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will"
    " be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n"
    '    "kubernetes.io/kube-apiserver-client-kubelet".\n'
    " 2. If it's a kubelet serving certificate, it is assigned\n"
    '    "kubernetes.io/kubelet-serving".\n'
    ' 3. Otherwise, it is assigned "kubernetes.io/legacy-unknown".\n'
    "Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."
)


class CertificateSigningRequest(Kind):
    """Whose request it is, and when its conditions changed, the registry fills in (registry/certificates.py)."""

    validate_name = staticmethod(names.path_segment_name)
    allow_create_on_update = False
    #: (prepare, validate) of the approval subresource
    subresource_rules = {"approval": ("prepare_for_approval", "validate_approval")}
    columns = (
        NAME,
        AGE,
        Column("SignerName", "string", "", SIGNER_WORDS),
        Column("Requestor", "string", "", "Base64-encoded PKCS#10 CSR data"),
        Column("RequestedDuration", doc="certificates.v1.CertificateSigningRequestSpec.expirationSeconds"),
        Column("Condition", "string", "", "Conditions applied to the request, such as approval or denial."),
    )

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Nothing but metadata."""
        self.keep(obj, old, "spec")
        self.keep(obj, old, "status")

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        self.keep(obj, old, "spec")
        _keep_conditions(obj, old, kept=lambda kind: kind in APPROVALS)

    def prepare_for_approval(self, obj: Object, old: Object) -> None:
        """Only the conditions Approved and Denied."""
        conditions = obj.get("status", {}).get("conditions") or []
        self.keep(obj, old, "spec")
        obj["status"] = {**(old.get("status") or {})}
        _set_conditions(obj, conditions)
        _keep_conditions(obj, old, kept=lambda kind: kind not in APPROVALS)

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        found = _request_errors(spec.get("request"))
        usages = spec.get("usages") or ()
        if not usages:
            found.append(required("spec.usages"))
        seen: set[str] = set()
        for i, usage in enumerate(usages):
            if usage not in USAGES:
                found.append(not_supported(f"spec.usages[{i}]", usage, USAGES))
            elif usage in seen:
                found.append(duplicate(f"spec.usages[{i}]", usage))
            seen.add(usage)
        found += _signer_errors(spec.get("signerName", ""))
        seconds = spec.get("expirationSeconds")
        if seconds is not None and seconds < EXPIRATION_SECONDS_MIN:
            detail = f"may not specify a duration less than {EXPIRATION_SECONDS_MIN} seconds (10 minutes)"
            found.append(invalid("spec.expirationSeconds", seconds, detail))
        return found + _condition_errors(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return []

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        found = _condition_errors(obj) + _certificate_errors(obj["status"].get("certificate"))
        found += _removed_errors(obj, old)
        before, now = old.get("status", {}).get("certificate"), obj["status"].get("certificate")
        if before and now != before:
            found.append(forbidden("status.certificate", "updates may not change certificate"))
        return found

    def validate_approval(self, obj: Object, old: Object) -> list[FieldError]:
        return _condition_errors(obj) + _removed_errors(obj, old)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"spec.signerName": obj.get("spec", {}).get("signerName", "")}

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        if subresource == "":
            return (("spec",), ("status",))
        if subresource == "status":
            return (("spec",),)
        return (("spec",), ("status", "certificate"))

    def cells(self, obj: Object, now: float) -> list[Any]:
        spec = obj["spec"]
        seconds = spec.get("expirationSeconds")
        return [
            obj["metadata"]["name"],
            printing.age(obj, now),
            spec.get("signerName") or printing.NONE,
            spec.get("username", ""),
            printing.NONE if seconds is None else times.human_duration(seconds),
            condition_text(obj),
        ]


def condition_text(csr: Object) -> str:
    """`Pending`, or what became of the request."""
    status = csr.get("status") or {}
    kinds = {c.get("type") for c in status.get("conditions") or ()}
    text = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    if "Failed" in kinds:
        text += ",Failed"
    return f"{text},Issued" if status.get("certificate") else text


def _set_conditions(obj: Object, conditions: list[Object]) -> None:
    if conditions:
        obj["status"]["conditions"] = conditions
    else:
        obj["status"].pop("conditions", None)


def _keep_conditions(obj: Object, old: Object, kept: Any) -> None:
    """Conditions that this writer may not touch are as they were."""
    status = obj.setdefault("status", {})
    mine = [c for c in status.get("conditions") or () if not kept(c.get("type"))]
    theirs = [c for c in old.get("status", {}).get("conditions") or () if kept(c.get("type"))]
    if theirs or len(mine) != len(status.get("conditions") or ()):
        _set_conditions(obj, [*theirs, *mine])


def _pem_blocks(data: str | None) -> list[str]:
    """The types of the PEM blocks in base64 data."""
    try:
        text = base64.b64decode(data or "").decode("ascii", "replace")
    except (binascii.Error, ValueError):
        return []
    blocks = []
    for line in text.splitlines():
        if line.startswith("-----BEGIN ") and line.endswith("-----"):
            kind = line.removeprefix("-----BEGIN ").removesuffix("-----")
            if f"-----END {kind}-----" in text:
                blocks.append(kind)
    return blocks


def _request_errors(request: str | None) -> list[FieldError]:
    value = request or None
    blocks = _pem_blocks(request)
    if not blocks or blocks[0] != "CERTIFICATE REQUEST":
        return [invalid("spec.request", value, "PEM block type must be CERTIFICATE REQUEST")]
    return []


def _certificate_errors(certificate: str | None) -> list[FieldError]:
    if not certificate:
        return []
    path, shown = "status.certificate", "<certificate data>"
    blocks = _pem_blocks(certificate)
    found: list[FieldError] = []
    for block in blocks:
        if block != "CERTIFICATE":
            detail = f'only CERTIFICATE PEM blocks are allowed, found "{block}"'
            return [invalid(path, shown, detail)]
    if not blocks:
        found.append(invalid(path, shown, "must contain at least one CERTIFICATE PEM block"))
    return found


def _signer_errors(name: str) -> list[FieldError]:
    path = "spec.signerName"
    if not name:
        return [required(path)]
    if name == LEGACY:
        return [invalid(path, name, "the legacy signerName is not allowed via this API version")]
    if names.byte_length(name) > SIGNER_BYTES_MAX:
        return [too_long(path, SIGNER_BYTES_MAX)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        return [invalid(path, name, SIGNER_FORM)]
    found = checks.invalids(path, name, _domain_messages(domain))
    return found + checks.invalids(path, name, names.is_dns1123_subdomain(rest))


def _domain_messages(domain: str) -> list[str]:
    messages = names.is_dns1123_subdomain(domain)
    if not messages and "." not in domain:
        messages.append("should be a domain with at least two segments separated by dots")
    return messages


def _condition_errors(obj: Object) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    path = "status.conditions"
    kinds = {c.get("type") for c in obj.get("status", {}).get("conditions") or ()}
    for i, condition in enumerate(obj.get("status", {}).get("conditions") or ()):
        where, kind, status = f"{path}[{i}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            found.append(required(f"{where}.type"))
        allowed = ("True",) if kind in FINAL else ("True", "False", "Unknown")
        if not status:
            found.append(required(f"{where}.status"))
        elif status not in allowed:
            found.append(not_supported(f"{where}.status", status, allowed))
        if kind in seen:
            found.append(duplicate(f"{where}.type", kind))
        seen.add(kind)
    if set(APPROVALS) <= kinds:
        detail = "Approved and Denied conditions are mutually exclusive"
        found.append(invalid(path, "Denied", detail))
    return found


def _removed_errors(obj: Object, old: Object) -> list[FieldError]:
    now = {c.get("type") for c in obj.get("status", {}).get("conditions") or ()}
    before = [c.get("type") for c in old.get("status", {}).get("conditions") or ()]
    return [
        forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
        for kind in before
        if kind in FINAL and kind not in now
    ]
