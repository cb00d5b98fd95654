"""A certificate and its key into a TLS context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Both in PEM. ssl reads from files only: one that nobody else can read, gone at once. Raises ssl.SSLError."""
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="knarr-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
