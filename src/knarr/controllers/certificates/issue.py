"""The certificate that a request asks for, signed by the cluster's authority."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from knarr.controllers.certificates.request import Asked

#: how long a certificate lasts where the request says nothing
DURATION_SECONDS = 365 * 24 * 3600.0
#: clocks of other machines may be behind
BACKDATE_SECONDS = 300.0
#: lives below this are short: backdating would take too much of them
SHORT_SECONDS = 8 * 3600.0
DURATION_SECONDS_MIN = 600.0

#: bits of the certificate's key usage
KEY_USAGES = {
    "digital signature": "digital_signature",
    "signing": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
}
EXTENDED_USAGES = {"client auth": "CLIENT_AUTH", "server auth": "SERVER_AUTH"}


class Authority(Protocol):
    """`auth.certificates.Authority`: `certificate` and `key.pem` in PEM."""

    certificate: str
    key: Any


def lifetime(asked_seconds: int | None, now: float, authority_ends: float) -> tuple[float, float]:
    """(begin, end) in epoch seconds; nothing outlives its authority."""
    seconds = DURATION_SECONDS
    if asked_seconds is not None:
        seconds = min(max(float(asked_seconds), DURATION_SECONDS_MIN), DURATION_SECONDS)
    # a short life does not end earlier because it seems to begin earlier
    end = now + seconds - (BACKDATE_SECONDS if seconds >= SHORT_SECONDS else 0.0)
    return now - BACKDATE_SECONDS, min(end, authority_ends)


def issue(
    asked: Asked, usages: Sequence[str], seconds: int | None, authority: Authority, now: float, serial: int
) -> str:
    """The certificate in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca = x509.load_pem_x509_certificate(authority.certificate.encode())
    key: Any = serialization.load_pem_private_key(authority.key.pem.encode(), None)
    begin, end = lifetime(seconds, now, ca.not_valid_after_utc.timestamp())
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.parsed.subject)
        .issuer_name(ca.subject)
        .public_key(asked.parsed.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(int(begin), UTC))
        .not_valid_after(datetime.fromtimestamp(int(end), UTC))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_authority_identifier(ca), critical=False)
    )
    # a key usage without a bit is no certificate's (RFC 5280, section 4.2.1.3)
    if any(usage in KEY_USAGES for usage in usages):
        builder = builder.add_extension(_key_usage(usages), critical=True)
    extended = [getattr(ExtendedKeyUsageOID, EXTENDED_USAGES[u]) for u in usages if u in EXTENDED_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in asked.dns_names]
    names += [x509.RFC822Name(name) for name in asked.emails]
    names += [x509.IPAddress(address) for address in asked.ip_addresses]
    names += [x509.UniformResourceIdentifier(uri) for uri in asked.uris]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _key_usage(usages: Sequence[str]) -> Any:
    from cryptography import x509

    bits = dict.fromkeys([*KEY_USAGES.values(), "encipher_only", "decipher_only"], False)
    bits |= {KEY_USAGES[usage]: True for usage in usages if usage in KEY_USAGES}
    return x509.KeyUsage(**bits)


def _authority_identifier(ca: Any) -> Any:
    from cryptography import x509

    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
