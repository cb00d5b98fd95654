"""Who asks and whom: the TLS context and the headers of an `Access`. Imports next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from knarr.client.kubeconfig import Access
from knarr.world.tls import load_pair

if TYPE_CHECKING:
    import ssl


def identity(access: Access) -> list[tuple[str, str]]:
    """Headers that say who asks."""
    headers = []
    if access.token:
        headers.append(("Authorization", f"Bearer {access.token}"))
    elif access.username:
        import base64

        pair = f"{access.username}:{access.password}".encode()
        headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
    return headers + _impersonation(access.impersonate)


def _impersonation(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = [
        (header, fields[key])
        for key, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid"))
        if key in fields
    ]
    headers += [("Impersonate-Group", group) for group in fields.get("as-groups", ())]
    for name, values in fields.get("as-user-extra", {}).items():
        headers += [(f"Impersonate-Extra-{quote(name.lower(), safe='')}", value) for value in values]
    return headers


def tls_context(access: Access) -> ssl.SSLContext | bool:
    """For this server and client certificate; a plain http:// server needs none."""
    if not access.server.startswith("https:"):
        return True
    import ssl

    context = ssl.create_default_context(cadata=access.ca.decode() if access.ca else None)
    # Go asks less of certificates than Python does from 3.13 on (key identifiers), and so do clusters' authorities.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.client_certificate and access.client_key:
        load_pair(context, access.client_certificate, access.client_key)
    return context
