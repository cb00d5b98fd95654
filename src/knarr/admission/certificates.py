"""Certificate signing requests: who may approve and sign for which signer, and what may not be asked for."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol

from knarr.admission.attributes import CREATE, UPDATE, Attributes, Target
from knarr.admission.chain import Plugin
from knarr.registry.context import Request

GROUP, REQUESTS = "certificates.k8s.io", "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


class Authorizer(Protocol):
    """What is needed of an authorizer: its decisions have `.allowed`."""

    async def authorize(self, request: Request) -> Any: ...


class _SignerPermission(Plugin):
    """Asks whether the user has a verb on the signer: by its name, or on all signers of its domain."""

    verb = ""
    subresource = ""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, target: Target) -> bool:
        return target == Target(GROUP, REQUESTS, self.subresource, UPDATE)

    async def _require(self, a: Attributes) -> None:
        # the signer cannot change: the stored object says which it is
        signer = a.old["spec"].get("signerName", "")
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            question = Request(
                self.verb, group=GROUP, version="*", resource="signers", name=name, user=a.user
            )
            if (await self._authorizer.authorize(question)).allowed:
                return
        raise a.forbidden(f'user not permitted to {self.verb} requests with signerName "{signer}"')


class CertificateApproval(_SignerPermission):
    name = "CertificateApproval"
    verb = "approve"
    subresource = "approval"

    async def validate(self, a: Attributes) -> None:
        await self._require(a)


class CertificateSigning(_SignerPermission):
    name = "CertificateSigning"
    verb = "sign"
    subresource = "status"

    async def validate(self, a: Attributes) -> None:
        new, old = a.obj.get("status") or {}, a.old.get("status") or {}
        if any((new.get(k) or None) != (old.get(k) or None) for k in ("certificate", "conditions")):
            await self._require(a)


class CertificateSubjectRestriction(Plugin):
    name = "CertificateSubjectRestriction"

    def handles(self, target: Target) -> bool:
        return target == Target(GROUP, REQUESTS, "", CREATE)

    def validate(self, a: Attributes) -> None:
        spec = a.obj["spec"]
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        if MASTERS in _organizations(a, spec.get("request", "")):
            raise a.forbidden(f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


def _organizations(a: Attributes, request: str) -> list[str]:
    from cryptography.x509.oid import NameOID

    return _subject(a, request, NameOID.ORGANIZATION_NAME, "failed to parse CSR")


def common_names(a: Attributes, request: str) -> list[str]:
    """Those that a request (base64 of PEM) asks for; Go's library takes the last for the name."""
    from cryptography.x509.oid import NameOID

    return _subject(a, request, NameOID.COMMON_NAME, "unable to parse csr")


def _subject(a: Attributes, request: str, part: Any, words: str) -> list[str]:
    from cryptography import x509

    try:
        data = base64.b64decode(request)
        if b"-----BEGIN CERTIFICATE REQUEST-----" not in data:
            raise ValueError("PEM block type must be CERTIFICATE REQUEST")
        parsed = x509.load_pem_x509_csr(data)
    except (ValueError, binascii.Error) as error:
        raise a.forbidden(f"{words}: {error}") from None
    return [str(found.value) for found in parsed.subject.get_attributes_for_oid(part)]
