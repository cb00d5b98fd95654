"""Who may come in and what they may do: authentication and authorization put together from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knarr.auth import der
from knarr.auth.authenticate import Authenticator
from knarr.auth.authorize import Authorizers
from knarr.auth.bootstrap import cluster_role_rules
from knarr.auth.bootstraptokens import BootstrapTokens
from knarr.auth.configuration import ConfigurationError, settings
from knarr.auth.configuration.chain import Mode, Webhook
from knarr.auth.identity import TokenMethod
from knarr.auth.impersonation import Impersonation
from knarr.auth.jwt import Signer, Verifier
from knarr.auth.node import NodeAuthorizer
from knarr.auth.pki import PKI
from knarr.auth.rbac import RBAC
from knarr.auth.requestheader import RequestHeaders
from knarr.auth.satokens import ServiceAccountTokens
from knarr.auth.statictokens import StaticTokens, admin, parse_token_file
from knarr.auth.tokenkeys import TokenKeys
from knarr.auth.tokens import TokenIssuer
from knarr.cluster.config import Config
from knarr.meta.metrics import Family
from knarr.registry.registry import Registry
from knarr.world import World

if TYPE_CHECKING:
    from knarr.auth.configuration.authentication import Authentication
    from knarr.auth.configuration.watch import FileWatch
    from knarr.auth.oidc.issuers import Issuers
    from knarr.auth.webhooktokens import WebhookTokens


class Identities:
    """Raises ConfigurationError for settings that are wrong. `start` follows files that may change."""

    def __init__(self, config: Config, registry: Registry, world: World, pki: PKI, admin_token: str) -> None:
        settings.check(config.authentication, config.authorization)
        self._authentication, self._authorization = config.authentication, config.authorization
        self._world, self._registry = world, registry
        self._watches: list[FileWatch] = []
        self._webhooks: dict[int, Any] = {}
        self._issuers: Issuers | None = None
        self._webhook_tokens: WebhookTokens | None = None
        self._closing: set[asyncio.Task[None]] = set()

        self.rbac = RBAC(registry)
        self._node = NodeAuthorizer(registry, cluster_role_rules("system:node"))
        self._modes = self._read_modes()
        self.authorizers = Authorizers(*self._open_modes(self._modes), names=_names(self._modes))
        self.token_keys = TokenKeys(self._signer(pki), self._further_keys(), pki.draw_signer)
        own = self._authentication
        self.issuer = TokenIssuer(
            self.token_keys,
            registry,
            world.clock,
            world.chance,
            own.service_account_issuer[0],
            own.audiences,
            int(own.service_account_max_token_expiration),
            own.service_account_extend_token_expiration,
        )
        self.authenticator = self._authenticator(admin_token)
        if pki.has_front_proxy:
            proxy = pki.front_proxy_ca.read.subject
            self.authenticator.front_proxy = RequestHeaders(proxy, world.clock)
        self.impersonation = Impersonation(self.authorizers, world.clock)
        #: called when `client_authorities` has changed
        self.on_authorities: list[Callable[[], None]] = []
        #: of client certificates, besides the cluster's own; PEM
        self.client_authorities = self._client_authorities(pki)

    # -- authentication ------------------------------------------------------------------------------------

    def _authenticator(self, admin_token: str) -> Authenticator:
        """The methods in Kubernetes' order."""
        own, world = self._authentication, self._world
        methods: list[TokenMethod] = [StaticTokens(self._static(admin_token))]
        self._account_tokens = ServiceAccountTokens(
            self.token_keys, self._registry, world.clock, own.service_account_issuer, own.audiences
        )
        methods.append(self._account_tokens)
        if own.enable_bootstrap_token_auth:
            methods.append(BootstrapTokens(self._registry, world.clock))
        configured = self._configured()
        if configured is not None:
            methods.append(self._open_issuers(configured))
        if own.authentication_token_webhook_config_file:
            methods.append(self._open_webhook())
        anonymous, paths = self._anonymous(configured)
        return Authenticator(methods, world.clock, own.audiences, anonymous, paths)

    def _static(self, admin_token: str) -> dict[str, Any]:
        path = self._authentication.token_auth_file
        if not path:
            return admin(admin_token)
        text = _read(path).decode("utf-8", "replace")
        try:
            return parse_token_file(text.splitlines()) | admin(admin_token)
        except ValueError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    def _configured(self) -> Authentication | None:
        """What a configuration file or the --oidc flags say; None where there are neither."""
        own = self._authentication
        if own.authentication_config:
            from knarr.auth.configuration import authentication

            content = _read(own.authentication_config)
            self._watch(own.authentication_config, content, self._change_issuers)
            return authentication.parse(content, own.authentication_config, own.service_account_issuer)
        if own.oidc_issuer_url:
            from knarr.auth.configuration.oidcflags import from_flags

            return from_flags(own)
        return None

    def _open_issuers(self, configured: Authentication) -> TokenMethod:
        from knarr.auth.oidc.issuers import Issuers

        self._issuers = Issuers(self._members(configured))
        return self._issuers

    def _members(self, configured: Authentication) -> list[Any]:
        from knarr.auth.oidc.authenticator import OIDCTokens
        from knarr.auth.signatures import ALGORITHMS

        own = self._authentication
        algorithms = ALGORITHMS if own.authentication_config else own.oidc_signing_algs
        return [OIDCTokens(issuer, self._world.clock, algorithms) for issuer in configured.issuers]

    def _change_issuers(self, content: bytes) -> None:
        """Issuers may change at any time; whether requests may be anonymous is settled at the start, as upstream."""
        from knarr.auth.configuration import authentication

        own = self._authentication
        found = authentication.parse(content, own.authentication_config, own.service_account_issuer)
        assert self._issuers is not None
        self._issuers.replace(self._members(found))
        self.authenticator.forget()

    def _open_webhook(self) -> TokenMethod:
        from knarr.auth.remote import Remote
        from knarr.auth.webhooktokens import WebhookTokens

        own = self._authentication
        self._webhook_tokens = WebhookTokens(
            Remote(_access(own.authentication_token_webhook_config_file)),
            self._world,
            own.authentication_token_webhook_version,
            own.authentication_token_webhook_cache_ttl,
            own.audiences,
        )
        return self._webhook_tokens

    def _anonymous(self, configured: Authentication | None) -> tuple[bool, frozenset[str]]:
        """(whether, on which paths alone)."""
        flag = self._authentication.anonymous_auth
        told = None if configured is None else configured.anonymous
        if told is not None and flag is not None:
            raise ConfigurationError(
                "--anonymous-auth flag cannot be set when anonymous field is configured in authentication "
                "configuration file"
            )
        if any(mode.type == "AlwaysAllow" for mode in self._modes):
            return False, frozenset()  # or nobody at all could do everything
        if told is None:
            return flag is not False, frozenset()
        return bool(told.get("enabled")), frozenset(c.get("path", "") for c in told.get("conditions") or ())

    def _signer(self, pki: PKI) -> Signer | None:
        path = self._authentication.service_account_signing_key_file
        if not path:
            return pki.signer
        try:
            return Signer.from_pem(_read(path).decode())
        except ValueError as error:
            raise ConfigurationError(
                f"failed to parse service-account-issuer-key-file: {path}: {error}"
            ) from None

    def _further_keys(self) -> list[Verifier]:
        found = []
        for path in self._authentication.service_account_key_file:
            try:
                found += _verifiers(_read(path).decode())
            except ValueError as error:
                raise ConfigurationError(f"{path}: {error}") from None
        return found

    def _client_authorities(self, pki: PKI) -> str:
        path = self._authentication.client_ca_file
        if not path:
            return ""
        content = _read(path)
        self._watch(path, content, lambda content: self._change_authorities(content, path, pki))
        return self._parse_authorities(content, path, pki)

    def _change_authorities(self, content: bytes, path: str, pki: PKI) -> None:
        self.client_authorities = self._parse_authorities(content, path, pki)
        for listener in self.on_authorities:
            listener()

    @staticmethod
    def _parse_authorities(content: bytes, path: str, pki: PKI) -> str:
        text = content.decode("utf-8", "replace")
        try:
            pieces = der.all_pem(text, "CERTIFICATE")
            subjects = [der.read_certificate(piece).subject for piece in pieces]
        except ValueError as error:
            raise ConfigurationError(f"unable to load client CA provider: {path}: {error}") from None
        if not subjects:
            raise ConfigurationError(
                f"unable to load client CA provider: data does not contain any valid RSA or ECDSA certificates "
                f'for "client-ca-bundle::{path}"'
            )
        if pki.has_front_proxy and pki.front_proxy_ca.read.subject in subjects:
            raise ConfigurationError(f"{path}: has an authority of the same name as the front proxy's")
        return "".join(der.to_pem("CERTIFICATE", piece) for piece in pieces)

    # -- authorization -------------------------------------------------------------------------------------

    def _read_modes(self) -> Sequence[Mode]:
        own = self._authorization
        if own.authorization_config:
            from knarr.auth.configuration.authorization import parse

            content = _read(own.authorization_config)
            self._watch(own.authorization_config, content, self._change_modes)
            return parse(content, own.authorization_config)
        webhook = Webhook(
            own.authorization_webhook_config_file,
            own.authorization_webhook_version,
            own.authorization_webhook_cache_authorized_ttl,
            own.authorization_webhook_cache_unauthorized_ttl,
        )
        return [Mode(mode, mode.lower(), webhook if mode == "Webhook" else None) for mode in own.modes]

    def _open_modes(self, modes: Sequence[Mode]) -> list[Any]:
        return [self._open_mode(mode) for mode in modes]

    def _open_mode(self, mode: Mode) -> Any:
        if mode.type == "RBAC":
            return self.rbac
        if mode.type == "Node":
            return self._node
        if mode.type == "ABAC":
            from knarr.auth import abac

            path = self._authorization.authorization_policy_file
            if not path:
                raise ConfigurationError("authorization-mode ABAC's authorization policy file not passed")
            return abac.ABAC(abac.parse(_read(path).decode("utf-8", "replace"), path))
        if mode.webhook is not None:
            from knarr.auth.remote import Remote
            from knarr.auth.webhookauthorizer import WebhookAuthorizer

            remote = Remote(_access(mode.webhook.kubeconfig), mode.webhook.timeout)
            return WebhookAuthorizer(remote, self._world, mode.webhook)
        from knarr.auth.modes import AlwaysAllow, AlwaysDeny

        return AlwaysAllow() if mode.type == "AlwaysAllow" else AlwaysDeny()

    def _change_modes(self, content: bytes) -> None:
        """Webhooks may come, go and move; the others stay those of the start, in whatever order."""
        from knarr.auth.configuration.authorization import parse

        required = [mode.type for mode in self._modes if mode.type != "Webhook"]
        modes = parse(content, self._authorization.authorization_config, required)
        before = self.authorizers.members
        self.authorizers.replace(*self._open_modes(modes), names=_names(modes))
        for member in before:
            if hasattr(member, "close"):
                task = asyncio.ensure_future(member.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    # -- life ----------------------------------------------------------------------------------------------

    def _watch(self, path: str, content: bytes, apply: Any) -> None:
        from knarr.auth.configuration.watch import FileWatch

        self._watches.append(FileWatch(path, content, apply))

    def start(self) -> None:
        for watch in self._watches:
            watch.start()

    async def stop(self) -> None:
        for watch in self._watches:
            await watch.stop()
        for part in (self._issuers, self._webhook_tokens, *self.authorizers.members):
            if (close := getattr(part, "close", None)) is not None:
                await close()
        await asyncio.gather(*self._closing)

    def metrics(self) -> Iterator[Family]:
        for part in (self.authenticator, self._account_tokens, self.authorizers, self.impersonation):
            yield from part.metrics()


def _names(modes: Sequence[Mode]) -> list[tuple[str, str]]:
    return [(mode.type, mode.name) for mode in modes]


def _read(path: str) -> bytes:
    from knarr.auth.configuration.load import read_file

    return read_file(path)


def _access(path: str) -> Any:
    """Where a webhook is, from its kubeconfig file."""
    from knarr.client.kubeconfig import KubeconfigError, load

    try:
        return load(str(Path(path)))
    except (KubeconfigError, OSError) as error:
        raise ConfigurationError(f"{path}: {error}" if path not in str(error) else str(error)) from None


def _verifiers(text: str) -> list[Verifier]:
    """Every key of a PEM file: public, private, or of a certificate."""
    import re

    kinds = r"(?:[A-Z ]*KEY|CERTIFICATE)-----"
    blocks = re.findall(rf"-----BEGIN {kinds}.*?-----END {kinds}", text, re.DOTALL)
    if not blocks:
        raise ValueError("data does not contain any valid RSA or ECDSA public keys")
    return [Verifier.from_pem(f"{block}\n") for block in blocks]
