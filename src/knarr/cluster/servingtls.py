"""The TLS of the secure port, which follows its files: new connections get what they say now."""

from __future__ import annotations

import ssl
from typing import Any

from knarr.auth.configuration import ConfigurationError
from knarr.auth.configuration.watch import FileWatch
from knarr.auth.pki import PKI, PKIError
from knarr.cluster.identities import Identities

#: as kubeadm names them
FILES = ("apiserver.crt", "apiserver.key")


class ServingTLS:
    """`context` is what the port is opened with."""

    def __init__(self, pki: PKI, identities: Identities) -> None:
        self._pki, self._identities = pki, identities
        self.context = self._present = self._make()
        self._watches: list[FileWatch] = []
        identities.on_authorities.append(self.renew)

    def start(self) -> None:
        """Follow the certificate and its key, where they are files."""
        directory = self._pki.directory
        if directory is None:
            return
        for name in FILES:
            path = directory / name
            watch = FileWatch(str(path), path.read_bytes(), self._reload)
            watch.start()
            self._watches.append(watch)

    async def stop(self) -> None:
        for watch in self._watches:
            await watch.stop()

    def _make(self) -> ssl.SSLContext:
        return self._pki.server_context(self._identities.client_authorities)

    def _reload(self, _: bytes) -> None:
        try:
            self._pki.read_server()
            self.renew()
        except (PKIError, ssl.SSLError, ValueError) as error:
            # While they are replaced one after the other, they do not belong together.
            raise ConfigurationError(f"{self._pki.directory}/{FILES[0]}: {error}") from None

    def renew(self) -> None:
        """New connections get another certificate, and other authorities. Raises ssl.SSLError."""
        self._present = self._make()

        def switch(connection: Any, name: str | None, before: ssl.SSLContext) -> None:
            connection.context = self._present

        # asked in every handshake, before the certificate is shown
        self.context.sni_callback = switch
