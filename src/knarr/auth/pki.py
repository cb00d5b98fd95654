"""The cluster's certificates and keys: made at first start, reused afterwards, renewed before they expire.

Files have kubeadm's names (ca.crt, ca.key, apiserver.crt, sa.key, ...) and mode 0600; without a directory all stays
in memory.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from knarr.auth import der
from knarr.auth.certificates import CLIENT_AUTH, SERVER_AUTH, YEAR, Authority, Pair, Subject
from knarr.auth.jwt import Signer, draw_rsa
from knarr.auth.keys import Key
from knarr.world.chance import Chance, SecureChance
from knarr.world.clock import Clock
from knarr.world.tls import load_pair

AUTHORITY_SECONDS = 10 * YEAR
CERTIFICATE_SECONDS = YEAR
#: renewed at start when less than this is left
RENEW_SECONDS = 90 * 24 * 3600.0
#: clocks of other machines may be behind
BACKDATE_SECONDS = 300.0

SERVICE_IP = "10.96.0.1"
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "::1",
    SERVICE_IP,
)
#: who gets a certificate of the cluster's authority, besides the server
CLIENTS = {
    "admin": Subject("kubernetes-admin", ("system:masters",)),
    "apiserver-kubelet-client": Subject("kube-apiserver-kubelet-client", ("kubeadm:cluster-admins",)),
}


class PKIError(Exception):
    """The certificate directory cannot be used; the text says why and what to do."""


class PKI:
    """All key material of one cluster.

    `names` are further DNS names or addresses the server answers under. `clock` must be the machine's where TLS is
    spoken: OpenSSL judges validity by that one.
    """

    def __init__(
        self, directory: Path | None, clock: Clock, chance: Chance, names: Iterable[str] = ()
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.chance = chance
        self._memory: dict[str, str] = {}
        if directory is not None:
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise PKIError(f"cannot use {directory} for certificates: {error.strerror}") from error
        self.ca = self._authority("ca", "kubernetes")
        self.front_proxy_ca = self._authority("front-proxy-ca", "front-proxy-ca")
        wanted = tuple(dict.fromkeys([*SERVER_NAMES, *names]))
        self.server = self._leaf("apiserver", self.ca, Subject("kube-apiserver"), SERVER_AUTH, wanted)
        self.clients = {
            name: self._leaf(name, self.ca, subject, CLIENT_AUTH) for name, subject in CLIENTS.items()
        }
        proxy = Subject("front-proxy-client")
        self.front_proxy_client = self._leaf("front-proxy-client", self.front_proxy_ca, proxy, CLIENT_AUTH)
        #: signs service account tokens; None until `draw_signer`, in a cluster that has just been made
        self.signer = self._kept_signer()

    @property
    def admin(self) -> Pair:
        """kubernetes-admin, a member of system:masters."""
        return self.clients["admin"]

    @property
    def has_front_proxy(self) -> bool:
        """Whether certificates of the front proxy's authority can be told from clients'."""
        return self.front_proxy_ca.read.subject != self.ca.read.subject

    @property
    def ca_certificate(self) -> str:
        """What clients trust, PEM; also the content of kube-root-ca.crt."""
        return self.ca.certificate

    def client(self, name: str, groups: Iterable[str] = (), seconds: float = CERTIFICATE_SECONDS) -> Pair:
        """A new client certificate: user `name`, member of `groups`."""
        return self._issue(self.ca, Subject(name, tuple(groups)), CLIENT_AUTH, (), seconds)

    def node(self, name: str) -> Pair:
        """A kubelet's client certificate."""
        return self.client(f"system:node:{name}", ["system:nodes"])

    def server_context(self, further: str = "") -> ssl.SSLContext:
        """For the API server: TLS 1.2 or newer, client certificates of the cluster's and the front proxy's authority
        optional, and of `further` ones (PEM). Whether it was the front proxy's is told by the issuer's name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(cadata=self.ca.certificate)
        if self.has_front_proxy:
            context.load_verify_locations(cadata=self.front_proxy_ca.certificate)
        if further:
            context.load_verify_locations(cadata=further)
        context.verify_mode = ssl.CERT_OPTIONAL
        load_pair(context, self.server.certificate.encode(), self.server.key.encode())
        return context

    def read_server(self) -> None:
        """Take the server's certificate and key from their files, where somebody has replaced them."""
        pair = Pair(self._read("apiserver.crt"), self._read("apiserver.key"))
        load_pair(
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.certificate.encode(), pair.key.encode()
        )  # raises
        self.server = pair

    def client_context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """For a client that trusts this cluster only, with `pair` as its certificate if given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ca.certificate)
        if pair is not None:
            load_pair(context, pair.certificate.encode(), pair.key.encode())
        return context

    # -- making and keeping ------------------------------------------------------------------------------

    def _authority(self, name: str, common_name: str) -> Authority:
        now = self.clock.now()
        certificate, key_text = self._read(f"{name}.crt"), self._read(f"{name}.key")
        if certificate and not key_text:
            raise PKIError(
                f"{self.directory}/{name}.crt has no {name}.key beside it: restore it, or remove both"
            )
        key = self._parse_key(f"{name}.key", key_text) if key_text else self._draw(f"{name}.key")
        if certificate:
            try:
                authority = Authority(certificate, key, self.chance)
            except ValueError as error:
                raise PKIError(
                    f"{self.directory}/{name}.crt cannot be read ({error}): restore or remove it"
                ) from error
            if authority.read.public_key != key.public_der:
                raise PKIError(
                    f"{self.directory}/{name}.crt does not belong to {name}.key: restore it, or remove both"
                )
            if authority.read.not_after - now > RENEW_SECONDS:
                return authority
        # the same key under the same name: what the old certificate signed stays trusted
        start = now - BACKDATE_SECONDS
        authority = Authority.create(common_name, key, start, AUTHORITY_SECONDS, self.chance)
        self._write(f"{name}.crt", authority.certificate)
        return authority

    def _leaf(
        self, name: str, authority: Authority, subject: Subject, usage: str, names: tuple[str, ...] = ()
    ) -> Pair:
        certificate, key = self._read(f"{name}.crt"), self._read(f"{name}.key")
        if certificate and key and self._usable(certificate, authority, names):
            return Pair(certificate, key)
        pair = self._issue(authority, subject, usage, names, CERTIFICATE_SECONDS)
        self._write(f"{name}.key", pair.key)
        self._write(f"{name}.crt", pair.certificate)
        return pair

    def _usable(self, certificate: str, authority: Authority, names: tuple[str, ...]) -> bool:
        try:
            read = der.read_certificate(der.from_pem(certificate, "CERTIFICATE"))
        except ValueError:
            return False
        lasting = read.not_after - self.clock.now() > RENEW_SECONDS
        return lasting and read.issuer == authority.read.subject and read.names >= set(names)

    def _issue(
        self, authority: Authority, subject: Subject, usage: str, names: tuple[str, ...], seconds: float
    ) -> Pair:
        key = Key.draw(self.chance)
        start = self.clock.now() - BACKDATE_SECONDS
        certificate = authority.issue(
            subject, key.public_der, start, seconds + BACKDATE_SECONDS, [usage], names
        )
        return Pair(certificate, key.pem)

    def _kept_signer(self) -> Signer | None:
        """The key of service account tokens, where it can be had in no time.

        Clusters of kubeadm have an RSA key, which takes as long as a quarter of a start: `draw_signer` makes it when
        it is needed. A simulation draws a P-256 key instead: an RSA key from its own chance would take half a second.
        """
        text = self._read("sa.key")
        if text:
            return self._keep(self._parse_signer(text), text)
        if isinstance(self.chance, SecureChance):
            return None
        key = Key.draw(self.chance)
        return self._keep(Signer.of(key), key.pem)

    def draw_signer(self) -> Signer:
        """A new RSA key of service account tokens, which this and later runs use. For any thread; up to 0.1 s."""
        text = draw_rsa()
        self.signer = self._keep(Signer.from_pem(text), text)
        return self.signer

    def _parse_signer(self, text: str) -> Signer:
        try:
            return Signer.from_pem(text)
        except ValueError as error:
            raise PKIError(
                f"{self.directory}/sa.key cannot be read ({error}): restore or remove it"
            ) from error

    def _keep(self, signer: Signer, text: str) -> Signer:
        self._write("sa.key", text)
        self._write("sa.pub", signer.public_pem)
        return signer

    def _draw(self, file: str) -> Key:
        key = Key.draw(self.chance)
        self._write(file, key.pem)
        return key

    def _parse_key(self, file: str, text: str) -> Key:
        try:
            return Key.from_pem(text)
        except ValueError as error:
            raise PKIError(
                f"{self.directory}/{file} cannot be read ({error}): restore or remove it"
            ) from error

    def _read(self, file: str) -> str:
        if self.directory is None:
            return self._memory.get(file, "")
        try:
            return (self.directory / file).read_text()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise PKIError(f"cannot read {self.directory / file}: {error}") from error

    def _write(self, file: str, text: str) -> None:
        """Whole or not at all: a crash in the middle leaves no half key behind."""
        if self.directory is None:
            self._memory[file] = text
            return
        if self._read(file) == text:
            return
        path = self.directory / file
        beside = path.with_name(f".{file}.new")
        try:
            with suppress(FileNotFoundError):
                beside.unlink()
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
            beside.replace(path)
        except OSError as error:
            raise PKIError(f"cannot write {path}: {error.strerror}") from error
