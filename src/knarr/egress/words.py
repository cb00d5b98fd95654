"""Failures in the words of Go: those of dialling, TLS and HTTP, and client-go's for an answer that is no success."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from knarr.meta import errors, gofmt

if TYPE_CHECKING:
    from knarr.egress.egress import Answer

DEADLINE = "context deadline exceeded"
#: a trusted certificate as ssl shows it, and its DER
Authority = tuple[dict[str, Any], bytes]
UNKNOWN_AUTHORITY = "x509: certificate signed by unknown authority"
#: Go's words for the commonest errno values; of the others it has strerror's, in small letters
REFUSED = "connect: connection refused"
#: how host:port begins where the host is an address
_ADDRESS = re.compile(r"\[|[0-9.]+:")
#: an address in asyncio's words; of several Go tells of the first
_TRIED = re.compile(r"Connect call failed \('([^']+)', (\d+)")
#: text of a refusal that is looked at
TEXT_BYTES_MAX = 2048
#: what a status code says by itself: (reason, message)
BY_CODE = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("AlreadyExists", "the server reported a conflict"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}


def dialling(error: OSError, shown: str) -> str:
    """Why no connection came about; `shown` is host:port. For a name, the address it led to is told instead."""
    code = error.errno
    if not _ADDRESS.match(shown) and (tried := _TRIED.search(str(error))):
        address = f"[{tried[1]}]" if ":" in tried[1] else tried[1]
        shown = f"{address}:{tried[2]}"
    if code is None and "refused" in str(error).lower():
        code = errno.ECONNREFUSED  # several addresses were tried: asyncio joins their texts
    if code is None and isinstance(error, ConnectionError):
        return "EOF"  # it was connected, and hung up on during the handshake
    if code is None:
        return f"dial tcp {shown}: connect: {error}"
    return f"dial tcp {shown}: connect: {_strerror(code)}"


def lookup(host: str) -> str:
    return f"dial tcp: lookup {host}: no such host"


def _strerror(code: int) -> str:
    text = os.strerror(code)
    return text[:1].lower() + text[1:]


def breaking(error: BaseException) -> str:
    """A connection that ended before its answer did."""
    if isinstance(error, ConnectionResetError) or getattr(error, "errno", None) == errno.ECONNRESET:
        return "read: connection reset by peer"
    if getattr(error, "errno", None) == errno.EPIPE:
        return "write: broken pipe"
    return "EOF"


def handshake(error: Any) -> str:
    """A TLS handshake that failed for another reason than the server's certificate."""
    reason = (getattr(error, "reason", "") or "").upper()
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if "ALERT" in reason:
        alert = reason.partition("ALERT_")[2].lower().replace("_", " ")
        return f"remote error: tls: {ALERTS.get(alert, alert)}"
    if "EOF" in reason:
        return "EOF"
    return f"tls: {reason.lower().replace('_', ' ') or error}"


#: OpenSSL's names of alerts that Go calls otherwise
ALERTS = {
    "handshake failure": "handshake failure",
    "bad certificate": "bad certificate",
    "certificate required": "certificate required",
    "unknown ca": "unknown certificate authority",
    "internal error": "internal error",
    "protocol version": "protocol version not supported",
}


def certificate(der: bytes | None, host: str, now: float, authorities: Sequence[Authority] = ()) -> str:
    """What Go finds first at a certificate that was not accepted: its time, its names, then who signed it."""
    return "tls: failed to verify certificate: " + (
        UNKNOWN_AUTHORITY if der is None else _fault(der, host, now, authorities)
    )


def _fault(der: bytes, host: str, now: float, authorities: Sequence[Authority]) -> str:
    from cryptography import x509

    leaf = x509.load_der_x509_certificate(der)
    instant = datetime.fromtimestamp(int(now), UTC)
    for wrong, word, bound in (
        (instant < leaf.not_valid_before_utc, "before", leaf.not_valid_before_utc),
        (instant > leaf.not_valid_after_utc, "after", leaf.not_valid_after_utc),
    ):
        if wrong:
            return (
                "x509: certificate has expired or is not yet valid: current time "
                f"{instant:%Y-%m-%dT%H:%M:%SZ} is {word} {bound:%Y-%m-%dT%H:%M:%SZ}"
            )
    return _name_fault(leaf, host) or UNKNOWN_AUTHORITY + _hint(leaf, authorities)


def _hint(leaf: Any, authorities: Sequence[Authority]) -> str:
    """An authority of the right name has another key: a bundle that is older, or newer, than the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    name = next((a.value for a in leaf.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)), "")
    for shown, der in authorities:
        if name not in [value for ((key, value), *_) in shown["subject"] if key == "commonName"]:
            continue
        authority = x509.load_der_x509_certificate(der)
        if authority.subject != leaf.issuer:
            continue
        key = authority.public_key()
        why = "x509: ECDSA verification failure" if isinstance(key, ec.EllipticCurvePublicKey) else ""
        why = "crypto/rsa: verification error" if isinstance(key, rsa.RSAPublicKey) else why
        if why and name:
            return (
                f" (possibly because of {gofmt.quote(why)} while trying to verify candidate authority"
                f" certificate {gofmt.quote(str(name))})"
            )
    return ""


def _name_fault(leaf: Any, host: str) -> str:
    import ipaddress

    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    dns = names.get_values_for_type(x509.DNSName)
    addresses = [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    try:
        address = str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        if any(_matches(pattern, host) for pattern in dns):
            return ""
        if not dns and not addresses and leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
            return "x509: certificate relies on legacy Common Name field, use SANs instead"
        if not dns:
            return f"x509: certificate is not valid for any names, but wanted to match {host}"
        return f"x509: certificate is valid for {', '.join(dns)}, not {host}"
    if address in addresses:
        return ""
    if not addresses:
        return f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
    return f"x509: certificate is valid for {', '.join(addresses)}, not {host}"


def _matches(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:] and not host.startswith(".")
    return pattern == host


def refusal(answer: Answer) -> errors.StatusError | None:
    """What client-go's REST client makes of an answer to a POST; None for a success.

    A Status in the body counts more than the code.
    """
    code = answer.code
    if 200 <= code <= 206:
        return None
    status = _status_in(answer.body)
    if status is not None:
        return errors.StatusError({"kind": "Status", "apiVersion": "v1", "metadata": {}, **status})
    kind = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
    said = "unknown"
    if not kind or kind.startswith("text/"):
        said = answer.body[:TEXT_BYTES_MAX].decode("utf-8", "replace").strip()
    reason, message = BY_CODE.get(code, ("", ""))
    if code == 403:
        reason, message = "Forbidden", said
    elif code == 415:
        reason, message = "UnsupportedMediaType", said
    elif code == 406:
        unable = "the server was unable to respond with a content type that the client supports"
        reason, message = "NotAcceptable", unable if said in ("", "unknown") else said
    elif code >= 500 and not reason:
        reason = "InternalError"
        message = f"an error on the server ({gofmt.quote(said)}) has prevented the request from succeeding"
    elif not reason:
        message = f"the server responded with the status code {code} but did not return more information"
    causes = [{"reason": "UnexpectedServerResponse", "message": said}]
    return errors.StatusError(errors.failure(code, reason, message, {"causes": causes}))


def _status_in(body: bytes) -> dict[str, Any] | None:
    """A Status of failure in the body."""
    import orjson

    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(found, dict) and found.get("kind") == "Status" and found.get("status") != "Success":
        return found
    return None
