"""Whom a call trusts: a TLS context for each authority that is named, kept so that connections are reused."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from knarr.world.tls import load_pair

if TYPE_CHECKING:
    import ssl

#: contexts that are kept: as many clients as the API server keeps
CONTEXTS_MAX = 200


class Trust(NamedTuple):
    """What of a client configuration concerns TLS. All but `insecure` are base64 of PEM."""

    authorities: str
    insecure: bool
    certificate: str
    key: str


def trust_of(client_config: Mapping[str, Any]) -> Trust:
    return Trust(
        client_config.get("caBundle") or "",
        bool(client_config.get("insecureSkipTLSVerify")),
        client_config.get("clientCertificate") or "",
        client_config.get("clientKey") or "",
    )


class Contexts:
    """Makes contexts and keeps those used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[Trust, ssl.SSLContext] = OrderedDict()

    def of(self, trust: Trust) -> ssl.SSLContext:
        """Raises ValueError for authorities that are no certificates."""
        found = self._known.get(trust)
        if found is None:
            found = self._known[trust] = make(trust)
            if len(self._known) > CONTEXTS_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(trust)
        return found


def make(trust: Trust) -> ssl.SSLContext:
    """A context with Go's ideas: only the named authorities count, each of them is a root, names are SANs."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.authorities:
        pem = base64.b64decode(trust.authorities).decode("ascii", "replace")
        try:
            context.load_verify_locations(cadata=pem)
        except (ssl.SSLError, ValueError):
            raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from None
    else:
        context.load_default_certs()
    if trust.certificate and trust.key:
        load_pair(context, base64.b64decode(trust.certificate), base64.b64decode(trust.key))
    return context
