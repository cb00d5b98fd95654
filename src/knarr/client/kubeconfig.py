"""kubeconfig files: who is where, and how to get in.

Reading follows kubectl: the files of $KUBECONFIG are merged (the first that says something wins), else
~/.kube/config, else the service account of the pod we run in; relative paths belong to the file that holds them.
Writing changes only the lines it must: other entries, unknown fields and comments stay as they are. A write holds
kubectl's own lock (`<file>.lock`), goes to a new file of mode 0600 and is renamed into place. Proxies are ignored.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.client.yamledit import Document

LOCK_TRIES, LOCK_RETRY_SECONDS = 50, 0.1
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}

Config = dict[str, Any]


class KubeconfigError(ValueError):
    """One sentence that says which file is wrong and how."""


@dataclass(frozen=True)
class Access:
    """One context, resolved: files are read (token files excepted: they change), base64 is decoded."""

    server: str
    namespace: str = "default"
    context: str = ""
    ca: bytes | None = None
    insecure: bool = False
    tls_server_name: str = ""
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    #: the exec stanza of client.authentication.k8s.io
    exec: dict[str, Any] | None = None
    impersonate: dict[str, Any] = field(default_factory=dict)


# -- reading --------------------------------------------------------------------------------------------------


def default_paths() -> list[Path]:
    """$KUBECONFIG, or ~/.kube/config."""
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def default_path() -> Path:
    """The one file to write to: of several the first that exists, else the last."""
    paths = default_paths()
    return next((path for path in paths if path.exists()), paths[-1])


def load(path: str | os.PathLike[str] | None = None, context: str = "") -> Access:
    """How to reach the server of a context (default: the current one). Raises KubeconfigError."""
    paths = [Path(path)] if path is not None else default_paths()
    if path is not None and not paths[0].exists():
        raise KubeconfigError(f"{paths[0]}: no such kubeconfig")
    if path is None and not any(p.exists() for p in paths) and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    return resolve(read(paths), context)


def read(paths: list[Path]) -> Config:
    """The merged content of those of `paths` that exist; paths in it are absolute."""
    merged: Config = {"current-context": "", **{section: [] for section in SECTIONS}}
    for path in paths:
        if not path.exists():
            continue
        config = parse(path.read_text("utf-8"), path)
        _make_absolute(config, path.absolute().parent)
        merged["current-context"] = merged["current-context"] or config.get("current-context") or ""
        for section in SECTIONS:
            present = {item["name"] for item in merged[section]}
            merged[section] += [item for item in _items(config, section) if item["name"] not in present]
    return merged


def parse(text: str, origin: str | os.PathLike[str] = "kubeconfig") -> Config:
    """A file's content, checked for its shape. Raises KubeconfigError."""
    import yaml

    try:
        config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{origin}: not YAML: {' '.join(str(error).split())}") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise KubeconfigError(f"{origin}: not a kubeconfig: expected a mapping")
    for section, kind in SECTIONS.items():
        items = config.get(section) or []
        if not isinstance(items, list):
            raise KubeconfigError(f"{origin}: {section} must be a list")
        for number, item in enumerate(items):
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                raise KubeconfigError(f"{origin}: {section}[{number}] has no name")
            if not isinstance(item.get(kind) or {}, dict):
                raise KubeconfigError(f"{origin}: {section}[{number}].{kind} must be a mapping")
    return config


def resolve(config: Config, context: str = "") -> Access:
    """From names to an Access. Raises KubeconfigError."""
    name = context or config.get("current-context") or ""
    if not name:
        raise KubeconfigError("no context is chosen: the kubeconfig has no current-context")
    entry = _find(config, "contexts", name)
    if entry is None:
        raise KubeconfigError(f'context "{name}" does not exist')
    cluster_name, user_name = entry.get("cluster", ""), entry.get("user", "")
    cluster = _find(config, "clusters", cluster_name)
    if cluster is None:
        raise KubeconfigError(f'context "{name}" names the cluster "{cluster_name}", which does not exist')
    user = _find(config, "users", user_name) if user_name else {}
    if user is None:
        raise KubeconfigError(f'context "{name}" names the user "{user_name}", which does not exist')
    if not cluster.get("server"):
        raise KubeconfigError(f'cluster "{cluster_name}" has no server')
    return Access(
        server=cluster["server"].rstrip("/"),
        namespace=entry.get("namespace") or "default",
        context=name,
        ca=_data(cluster, "certificate-authority"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name", ""),
        client_certificate=_data(user, "client-certificate"),
        client_key=_data(user, "client-key"),
        token=user.get("token", ""),
        token_file=user.get("tokenFile", ""),
        username=user.get("username", ""),
        password=user.get("password", ""),
        exec=user.get("exec"),
        impersonate={
            key: user[key] for key in ("as", "as-uid", "as-groups", "as-user-extra") if user.get(key)
        },
    )


def in_cluster(directory: Path = SERVICE_ACCOUNT) -> Access:
    """The service account of the pod we run in. Raises KubeconfigError."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token, ca, namespace = directory / "token", directory / "ca.crt", directory / "namespace"
    if not host or not port or not token.exists():
        raise KubeconfigError(
            "not in a cluster: KUBERNETES_SERVICE_HOST or the service account's token is missing"
        )
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca=ca.read_bytes() if ca.exists() else None,
        token_file=str(token),
    )


def _items(config: Config, section: str) -> list[Any]:
    return config.get(section) or []


def _find(config: Config, section: str, name: str) -> dict[str, Any] | None:
    for item in _items(config, section):
        if item["name"] == name:
            return item.get(SECTIONS[section]) or {}
    return None


def _data(stanza: dict[str, Any], key: str) -> bytes | None:
    """`<key>-data` in base64, which wins, or the content of the file `<key>`."""
    if text := stanza.get(f"{key}-data"):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError) as error:
            raise KubeconfigError(f"{key}-data is not base64: {error}") from error
    if path := stanza.get(key):
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise KubeconfigError(f"{key}: {error.strerror}: {path}") from error
    return None


def _make_absolute(config: Config, directory: Path) -> None:
    for section, keys in (
        ("clusters", ("certificate-authority",)),
        ("users", ("client-certificate", "client-key", "tokenFile")),
    ):
        for item in _items(config, section):
            stanza = item.get(SECTIONS[section]) or {}
            for key in keys:
                if stanza.get(key):
                    stanza[key] = str(directory / stanza[key])
    for item in _items(config, "users"):
        plugin = (item.get("user") or {}).get("exec")
        command = plugin.get("command", "") if isinstance(plugin, dict) else ""
        if os.sep in command:
            plugin["command"] = str(directory / command)


# -- writing --------------------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], config: Config) -> None:
    """A file of exactly this content, mode 0600, put into place at once."""
    _put_in_place(
        Path(path), Document("").dumped({"apiVersion": "v1", "kind": "Config", **config}), keep_mode=False
    )


def entries(
    name: str,
    server: str,
    ca: bytes | None = None,
    client_certificate: bytes | None = None,
    client_key: bytes | None = None,
    token: str = "",
    namespace: str = "",
) -> Config:
    """The cluster, user and context of one cluster, all called `name`, and that context as the current one."""
    cluster: dict[str, Any] = {}
    if ca is not None:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    cluster["server"] = server
    user: dict[str, Any] = {}
    if client_certificate is not None and client_key is not None:
        user["client-certificate-data"] = base64.b64encode(client_certificate).decode()
        user["client-key-data"] = base64.b64encode(client_key).decode()
    if token:
        user["token"] = token
    context = {"cluster": name, "user": name}
    if namespace:
        context["namespace"] = namespace
    return {
        "clusters": [{"cluster": cluster, "name": name}],
        "contexts": [{"context": context, "name": name}],
        "current-context": name,
        "users": [{"name": name, "user": user}],
    }


async def merge(path: str | os.PathLike[str], config: Config, make_current: bool = True) -> None:
    """Put the entries of `config` (see `entries`) into a file, which is made where there is none.

    An entry of the same name is replaced; a context keeps fields that the new one does not have (its namespace).
    """
    async with _editing(Path(path)) as document:
        if not document.data:
            document.set("apiVersion", "v1")
            document.set("kind", "Config")
        for section, kind in SECTIONS.items():
            for item in _items(config, section):
                if section == "contexts":
                    old = _find(document.data, section, item["name"]) or {}
                    item = {**item, kind: {**old, **item[kind]}}
                document.put_item(section, item)
        if make_current and config.get("current-context"):
            document.set("current-context", config["current-context"])


async def set_current_context(path: str | os.PathLike[str], name: str) -> None:
    """Raises KubeconfigError where the file has no such context."""
    async with _editing(Path(path)) as document:
        if _find(document.data, "contexts", name) is None:
            raise KubeconfigError(f'{path}: context "{name}" does not exist')
        document.set("current-context", name)


async def remove(path: str | os.PathLike[str], name: str) -> None:
    """Take out the context, cluster and user called `name`; what is not there is fine."""
    if not _exists(path):
        return
    async with _editing(Path(path)) as document:
        for section in SECTIONS:
            document.remove_item(section, name)
        if document.data.get("current-context") == name:
            document.set("current-context", "")


@contextlib.asynccontextmanager
async def _editing(path: Path) -> AsyncIterator[Document]:
    """The file's text, changed by the body, under lock; untouched where the body raises."""
    path = _target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        async with _lock(path):
            text = path.read_text("utf-8") if path.is_file() else ""
            parse(text, path)
            document = Document(text)
            yield document
            if path.exists() and not path.is_file():
                # KUBECONFIG=/dev/null: a device is written to, as kubectl does, never replaced by a file.
                path.write_text(document.text, "utf-8")
            elif document.text != text:
                _put_in_place(path, document.text, keep_mode=True)
    except OSError as error:
        raise KubeconfigError(f"{path}: {error.strerror}") from error


def _exists(path: str | os.PathLike[str]) -> bool:
    return os.path.exists(path)


def _target(path: Path) -> Path:
    """What a link leads to: the link itself stays a link."""
    return Path(os.path.realpath(path))


@contextlib.asynccontextmanager
async def _lock(path: Path) -> AsyncIterator[None]:
    """kubectl's lock: a file that must not exist yet."""
    lock = path.with_name(path.name + ".lock")
    for attempt in range(LOCK_TRIES):
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            if attempt + 1 < LOCK_TRIES:
                await asyncio.sleep(LOCK_RETRY_SECONDS)
    else:
        raise KubeconfigError(
            f"{lock} exists: another program is writing {path}; if none is, remove that file"
        )
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _put_in_place(path: Path, text: str, keep_mode: bool) -> None:
    mode = path.stat().st_mode & 0o777 if keep_mode and path.exists() else 0o600
    with _new_file_beside(path, mode) as (descriptor, temporary):
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def _new_file_beside(path: Path, mode: int) -> Iterator[tuple[int, Path]]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
    try:
        os.chmod(temporary, mode)
        yield descriptor, temporary
    finally:
        temporary.unlink(missing_ok=True)
