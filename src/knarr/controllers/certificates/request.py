"""What a certificate signing request asks for."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """The PKCS #10 request inside a CertificateSigningRequest, read by `cryptography`; `parsed` is its object."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[Any, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    parsed: Any


def read(csr: Any) -> Asked:
    """Raises ValueError where it is no request in PEM."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parsed = x509.load_pem_x509_csr(base64.b64decode(csr.spec.request))
    if not parsed.is_signature_valid:
        raise ValueError("the request's signature does not fit its key")

    def attributes(oid: Any) -> tuple[str, ...]:
        return tuple(str(a.value) for a in parsed.subject.get_attributes_for_oid(oid))

    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return Asked(
        (attributes(NameOID.COMMON_NAME) or ("",))[-1],
        attributes(NameOID.ORGANIZATION_NAME),
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(names.get_values_for_type(x509.IPAddress)),
        tuple(names.get_values_for_type(x509.RFC822Name)),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        parsed,
    )


def condition(csr: Any, type_: str) -> Any | None:
    return next((c for c in csr.status.conditions if c.type == type_), None)
