"""What a request carries to say who asks: a token, read anew when its file changes, or from an exec plugin."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import Any

from knarr.client.kubeconfig import Access, KubeconfigError
from knarr.meta import times
from knarr.world import Clock

#: how long the content of a token file is believed
TOKEN_FILE_SECONDS = 60.0
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
#: a plugin that takes longer is taken for hanging
EXEC_SECONDS_MAX = 60.0


class Credentials:
    """Follows an Access over time."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._token = access.token
        self._valid_until = float("inf") if not (access.token_file or access.exec) else 0.0
        self._refreshing = asyncio.Lock()

    async def current(self) -> Access:
        """The access with the token, and client certificate, of now. Raises KubeconfigError."""
        if self._clock.now() >= self._valid_until:
            async with self._refreshing:  # one plugin at a time; who waited finds it done
                if self._clock.now() >= self._valid_until:
                    await self._refresh()
        return self._access

    def expire(self) -> bool:
        """The server said 401: ask for new credentials next time. False where there are none to ask for."""
        renewable = bool(self._access.token_file or self._access.exec)
        if renewable:
            self._valid_until = 0.0
        return renewable

    async def _refresh(self) -> None:
        if self._access.exec:
            await self._run_plugin(self._access.exec)
        else:
            self._access = replace(self._access, token=_read(self._access.token_file))
            self._valid_until = self._clock.now() + TOKEN_FILE_SECONDS

    async def _run_plugin(self, spec: dict[str, Any]) -> None:
        status = await run_exec_plugin(spec, self._access)
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        self._access = replace(
            self._access,
            token=status.get("token", ""),
            client_certificate=certificate.encode() if certificate else self._access.client_certificate,
            client_key=key.encode() if key else self._access.client_key,
        )
        expires = status.get("expirationTimestamp")
        self._valid_until = times.parse(expires) if expires else float("inf")


async def run_exec_plugin(spec: dict[str, Any], access: Access) -> dict[str, Any]:
    """The status of the ExecCredential that the plugin prints. Raises KubeconfigError."""
    command, version = spec.get("command", ""), spec.get("apiVersion", "")
    if version not in EXEC_VERSIONS:
        raise KubeconfigError(f"exec plugin {command}: unknown apiVersion {version!r}")
    request: dict[str, Any] = {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    if spec.get("provideClusterInfo"):
        request["spec"]["cluster"] = {"server": access.server, "insecure-skip-tls-verify": access.insecure}
    added = {item["name"]: item["value"] for item in spec.get("env") or ()}
    environment = {**os.environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *(spec.get("args") or ()),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        hint = f" {spec['installHint']}" if spec.get("installHint") else ""
        raise KubeconfigError(f"exec plugin {command}: {error.strerror}.{hint}") from error
    try:
        async with asyncio.timeout(EXEC_SECONDS_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        raise KubeconfigError(f"exec plugin {command}: no answer in {EXEC_SECONDS_MAX:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise KubeconfigError(f"exec plugin {command}: exit code {process.returncode}")
    return _status(command, version, output)


def _status(command: str, version: str, output: bytes) -> dict[str, Any]:
    try:
        credential = json.loads(output)
        status = credential["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise KubeconfigError(f"exec plugin {command}: its output is no ExecCredential") from error
    if credential.get("apiVersion") != version or not isinstance(status, dict):
        raise KubeconfigError(f"exec plugin {command}: its output is no ExecCredential of {version}")
    if not status.get("token") and not (status.get("clientCertificateData") and status.get("clientKeyData")):
        raise KubeconfigError(f"exec plugin {command}: it gave neither a token nor a client certificate")
    return status


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise KubeconfigError(f"tokenFile: {error.strerror}: {path}") from error
