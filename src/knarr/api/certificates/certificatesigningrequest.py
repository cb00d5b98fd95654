"""CertificateSigningRequest: who asks for which certificate, whether that was approved, and what was issued."""

from __future__ import annotations

from typing import Any

from knarr.api import checks, printing
from knarr.api.certificates import pem, signername
from knarr.api.kind import AGE, NAME, Column, Kind, Object
from knarr.meta import names, times
from knarr.meta.fielderrors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from knarr.meta.gofmt import quote

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
        """A signer's part: conditions that approve or deny stay as they were, but may not come or go."""
        self.keep(obj, old, "spec")
        conditions = (obj.get("status") or {}).get("conditions") or []
        for kind in APPROVALS:
            mine = [i for i, c in enumerate(conditions) if c.get("type") == kind]
            theirs = _of_type(old, kind)
            if len(mine) == len(theirs):
                for i, condition in zip(mine, theirs, strict=True):
                    conditions[i] = condition

    def prepare_for_approval(self, obj: Object, old: Object) -> None:
        """Only conditions."""
        conditions = (obj.get("status") or {}).get("conditions") or []
        self.keep(obj, old, "spec")
        obj["status"] = {**(old.get("status") or {})}
        obj["status"].pop("conditions", None)
        if conditions:
            obj["status"]["conditions"] = conditions

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj["spec"]
        found = _request_errors(spec.get("request"))
        usages = spec.get("usages") or ()
        if not usages:
            found.append(required("spec.usages"))
        for i, usage in enumerate(usages):
            if usage not in USAGES:
                found.append(not_supported(f"spec.usages[{i}]", usage, USAGES))
        found += checks.duplicates("spec.usages", usages)
        signer = spec.get("signerName", "")
        if signer == LEGACY:
            detail = "the legacy signerName is not allowed via this API version"
            found.append(invalid("spec.signerName", signer, detail))
        else:
            found += signername.errors("spec.signerName", signer)
        seconds = spec.get("expirationSeconds")
        if seconds is not None and seconds < EXPIRATION_SECONDS_MIN:
            detail = f"may not specify a duration less than {EXPIRATION_SECONDS_MIN} seconds (10 minutes)"
            found.append(invalid("spec.expirationSeconds", seconds, detail))
        return found + _condition_errors(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return []

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        before = (old.get("status") or {}).get("certificate")
        now = (obj.get("status") or {}).get("certificate")
        found = _condition_errors(obj)
        if now != before and not _certificate_errors(before):
            found += _certificate_errors(now)
        found += _removed_errors(obj, old)
        found += [
            forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
            for kind in APPROVALS
            if len(_of_type(obj, kind)) > len(_of_type(old, kind))
        ]
        if before and now != before:
            found.append(
                forbidden("status.certificate", "updates may not modify existing certificate content")
            )
        return found

    def validate_approval(self, obj: Object, old: Object) -> list[FieldError]:
        return _condition_errors(obj) + _removed_errors(obj, old)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"spec.signerName": obj.get("spec", {}).get("signerName", "")}

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        if subresource == "":
            return (("spec",), ("status",))
        if subresource == "status":
            return (("spec",), ("status", "conditions"))
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


def _of_type(obj: Object, kind: str) -> list[Object]:
    return [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == kind]


def _request_errors(request: str | None) -> list[FieldError]:
    """The request has to be one, and signed with the key it is for."""
    blocks = pem.blocks(request)
    if not blocks or blocks[0].kind != "CERTIFICATE REQUEST":
        fault = "PEM block type must be CERTIFICATE REQUEST"
    else:
        fault = pem.request_fault(blocks[0].content)
    return [invalid("spec.request", request or None, fault)] if fault else []


def _certificate_errors(certificate: str | None) -> list[FieldError]:
    fault = _certificate_fault(certificate) if certificate else ""
    return [invalid("status.certificate", "<certificate data>", fault)] if fault else []


def _certificate_fault(certificate: str) -> str:
    blocks = pem.blocks(certificate)
    for block in blocks:
        if block.kind != "CERTIFICATE":
            return f"only CERTIFICATE PEM blocks are allowed, found {quote(block.kind)}"
        if block.has_headers:
            return "no PEM block headers are permitted"
        if fault := pem.certificates_fault(block.content):
            return fault
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"


def _condition_errors(obj: Object) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    path = "status.conditions"
    for i, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        where, kind, status = f"{path}[{i}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            found.append(required(f"{where}.type"))
        allowed = ("True",) if kind in FINAL else ("False", "True", "Unknown")
        if not status:
            found.append(required(f"{where}.status"))
        elif status not in allowed:
            found.append(not_supported(f"{where}.status", status, allowed))
        if kind in APPROVALS and seen & {*APPROVALS} - {kind}:
            found.append(invalid(path, kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in seen:
            found.append(duplicate(f"{where}.type", kind))
        seen.add(kind)
    return found


def _removed_errors(obj: Object, old: Object) -> list[FieldError]:
    return [
        forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
        for kind in FINAL
        if len(_of_type(obj, kind)) < len(_of_type(old, kind))
    ]
