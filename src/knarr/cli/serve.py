"""The life of a cluster's process: start, say so, wait for the end, stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knarr.cli import home, say
from knarr.world.clock import RealClock

if TYPE_CHECKING:
    from knarr.cluster.cluster import Cluster
    from knarr.cluster.config import Config

#: kubectl users know it; taken when it is free
USUAL_PORT = 6443
#: where a detached cluster tells its parent how the start went
READY_FD = "KNARR_READY_FD"
#: as early as our own code can ask
STARTED = RealClock.monotonic()
#: how long `ready` is held back for controllers and nodes to come up
COMPLETE_SECONDS = 20.0


@dataclass(frozen=True)
class Order:
    """What `knarr up` was asked to do."""

    place: home.Place
    settings: dict[str, Any]
    kubeconfig: str | None
    switch_context: bool
    verbose: int
    port_given: bool

    def kubeconfig_path(self) -> Path | None:
        """The file asked for."""
        return Path(self.kubeconfig).expanduser().absolute() if self.kubeconfig else None

    @property
    def data_dir(self) -> Path | None:
        if self.settings["memory"]:
            return None
        return Path(self.settings["data_dir"]) if self.settings["data_dir"] else self.place.path


def serve(order: Order) -> int:
    """Run until told to stop. Raises Failure."""
    from knarr.world import loop

    _hurry()
    _log_to_stderr(order.verbose)
    with contextlib.closing(order.place.claim()), _told_to_parent() as tell:
        return loop.run(_live(order, tell))


def _hurry() -> None:
    """What is imported and made at start lives long: collecting among it is wasted (`_settle_memory` resumes). numpy's
    linear algebra would start a thread for every processor (55 ms), and the scheduler uses none of it."""
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


async def _live(order: Order, tell: Any) -> int:
    ending = _ending_signals()
    say.out(say.paint(f"knarr {_version()}", say.BOLD) + f' · cluster "{order.place.name}"')
    cluster = await _start(order)
    code = 0
    try:
        answer = await _introduce(order, cluster, ending)
        if answer is not None:
            tell(answer)
            _settle_memory()
            code = await _until_the_end(cluster, ending)
        if code == 0:
            say.out("stopping ...")
    finally:
        await cluster.stop()
        _forget_address(order.place)
    if code == 0:
        say.out(f"stopped; `{home.command('up', order.place.name)}` {_afterwards(order)}")
    return code


async def _start(order: Order) -> Cluster:
    """The API answers when this returns. Raises Failure."""
    from knarr.apiserver.server import PortInUse

    config = _config(order)
    try:
        return await _start_with(config)
    except PortInUse as error:
        if order.port_given or error.errno != errno.EADDRINUSE:
            raise _cannot_listen(error, config) from None
    # the port was free a moment ago, and nobody insisted on it
    return await _start_with(replace(config, port=0))


async def _start_with(config: Config) -> Cluster:
    from knarr.apiserver.limits import InvalidSetting
    from knarr.auth.configuration import ConfigurationError
    from knarr.auth.pki import PKIError
    from knarr.cluster.cluster import Cluster
    from knarr.store.errors import OpenError

    try:
        cluster = Cluster(config)
    except (OpenError, PKIError, ConfigurationError, InvalidSetting) as error:
        raise say.Failure(str(error)) from None
    try:
        await cluster.start()
    except BaseException as error:
        with contextlib.suppress(Exception):
            await cluster.stop()
        if isinstance(error, OpenError | PKIError):
            raise say.Failure(str(error)) from None
        raise
    return cluster


def _cannot_listen(error: OSError, config: Config) -> say.Failure:
    if error.errno == errno.EADDRINUSE:
        return say.Failure(
            f"port {config.port} of {config.host} is taken by another program; choose another one with --port, or"
            " leave the option out and a free one is taken"
        )
    if error.errno == errno.EACCES:
        return say.Failure(f"you may not listen on port {config.port}; choose one above 1023 with --port")
    return say.Failure(
        f"cannot listen on {config.host}; give --host an address of this machine, or leave it out"
    )


def _config(order: Order) -> Config:
    from knarr.cli import accessflags, loadflags
    from knarr.cli.up import compaction_of, quota_of
    from knarr.cluster.config import Config

    settings = order.settings
    mode, retention = compaction_of(settings["compaction"])
    return Config(
        name=order.place.name,
        data_dir=order.data_dir,
        host=settings["host"],
        port=_port(order),
        nodes=settings["nodes"],
        runtime=settings["runtime"],
        service_cidrs=tuple(settings["service_cidr"].split(",")),
        pod_cidr=settings["pod_cidr"],
        admin_token=settings["token"],
        controllers=settings["controllers"],
        scheduler=settings["scheduler"],
        compaction_mode=mode,
        compaction_retention=retention,
        quota_bytes=quota_of(settings["quota"]),
        seed=settings["seed"],
        root_ca=_root_ca(settings["root_ca_file"]),
        **accessflags.settings_of(settings),
        **loadflags.settings_of(settings),
    )


def _root_ca(file: str) -> str | None:
    if not file:
        return None
    try:
        return Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise say.Failure(f"cannot read --root-ca-file {file}: {getattr(error, 'strerror', error)}") from None


def _port(order: Order) -> int:
    """The one asked for, else the one of last time or the usual one where free, else 0: any."""
    from knarr.world.network import can_listen

    if order.port_given:
        return order.settings["port"]
    wanted = order.settings["port"] or order.place.read().get("port") or USUAL_PORT
    return wanted if can_listen(order.settings["host"], wanted) else 0


async def _introduce(order: Order, cluster: Cluster, ending: asyncio.Event) -> dict[str, Any] | None:
    """Write the kubeconfig, wait for the parts, print what there is; None where the end came first."""
    from knarr.client.kubeconfig import KubeconfigError, default_path, merge
    from knarr.cluster.access import entries_of

    settings = order.settings
    path = order.kubeconfig_path() or default_path()
    where = home.short(order.data_dir) if order.data_dir else "in memory: gone when the cluster stops"
    say.step("data", where)
    entries = entries_of(cluster)
    server = _reachable(cluster.url)
    entries["clusters"][0]["cluster"]["server"] = server
    say.step("API server", server)
    # JSON is YAML, and needs no YAML parser to be read again
    order.place.put("kubeconfig", json.dumps(entries, indent=2) + "\n")
    order.place.write(
        {
            "settings": settings,
            "server": server,
            "port": int(server.rpartition(":")[2]),
            "pid": os.getpid(),
            "started": RealClock.now(),
            "kubeconfig": str(path),
            "version": _version(),
        }
    )
    try:
        await merge(path, entries, make_current=order.switch_context)
        current = "the current context" if order.switch_context else "context"
        say.step("kubeconfig", f'{home.short(path)}, {current} "{order.place.name}"')
        usable, warning = True, ""
    except KubeconfigError as error:
        usable, warning = False, f"{error}; use --kubeconfig={home.short(order.place.kubeconfig)} instead"
        say.warning(warning)
    if not await _first_of(cluster.complete, ending, COMPLETE_SECONDS):
        return None
    if parts := _parts(settings):
        say.step("parts", parts)
    took = f"ready in {RealClock.monotonic() - STARTED:.2f} s"
    say.out(f"{say.paint(took, say.GREEN)}\n")
    lines = next_steps(order, path if usable else order.place.kubeconfig)
    say.out("\n".join(lines))
    return {"ready": took, "lines": lines, "warning": warning}


def _parts(settings: dict[str, Any]) -> str:
    nodes, runtime = settings["nodes"], settings["runtime"]
    kind = "simulated " if runtime == "simulated" else ""
    listed = [
        "controllers" if settings["controllers"] else "",
        "scheduler" if settings["scheduler"] else "",
        f"{nodes} {kind}node{'s' if nodes != 1 else ''}" if nodes else "",
    ]
    return ", ".join(part for part in listed if part)


def next_steps(order: Order, path: Path) -> list[str]:
    """How to go on."""
    import shutil

    from knarr.client.kubeconfig import default_path

    name = order.place.name
    lines = []
    if shutil.which("kubectl"):
        option = "" if path == default_path() else f" --kubeconfig={home.short(path)}"
        option += "" if order.switch_context else f" --context={name}"
        lines.append((f"kubectl{option} get nodes,pods -A", "what runs"))
    lines += [
        (f"{home.command('get', name)} nodes,pods -A", "the same without kubectl" if lines else "what runs"),
        (home.command("down", name), f"stop it; `{home.command('up', name)}` {_afterwards(order)}"),
    ]
    width = max(len(what) for what, _ in lines)
    return [f"  {what:<{width}}   {say.paint(why, say.DIM)}" for what, why in lines]


def _afterwards(order: Order) -> str:
    return "starts an empty one" if order.settings["memory"] else "goes on where it was"


def _reachable(url: str) -> str:
    """As a client of this machine would call it."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    host = host.strip("[]")
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


# -- the end ------------------------------------------------------------------------------------------------


def _ending_signals() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process on the spot."""
    ending = asyncio.Event()
    running = asyncio.get_running_loop()

    def end(number: int) -> None:
        if ending.is_set():
            os._exit(128 + number)
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, end, number)
    return ending


async def _first_of(wanted: asyncio.Event, other: asyncio.Event, seconds: float | None = None) -> bool:
    """True where `wanted` was set, or `seconds` passed, before `other`."""
    waits = [asyncio.ensure_future(event.wait()) for event in (wanted, other)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return not other.is_set()


async def _until_the_end(cluster: Cluster, ending: asyncio.Event) -> int:
    if not await _first_of(cluster.failed, ending):
        return 0
    say.error(
        "the data can no longer be written (the log above says why), so the cluster stops;"
        " what was acknowledged is safe: make room or repair the disk, and start it again"
    )
    return 1


def _forget_address(place: home.Place) -> None:
    kept = place.read()
    for key in ("pid", "started"):
        kept.pop(key, None)
    if kept:
        with contextlib.suppress(say.Failure):
            place.write(kept)


def _settle_memory() -> None:
    """What was made at start lives as long as the process: the collector need not look at it again.

    The thresholds suit a server with many long-lived objects (measured: 60 % more creates per second).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1000)
    gc.enable()


# -- the parent of a detached cluster -----------------------------------------------------------------------


@contextlib.contextmanager
def _told_to_parent() -> Iterator[Any]:
    """`tell(answer)` writes one line to the process that started us, if there is one; a Failure is told too."""
    number = os.environ.pop(READY_FD, "")

    def tell(answer: dict[str, Any]) -> None:
        nonlocal number
        if number:
            os.write(int(number), json.dumps(answer).encode() + b"\n")
            os.close(int(number))
            number = ""

    try:
        yield tell
    except say.Failure as error:
        tell({"error": error.text, "code": error.code})
        raise


def _log_to_stderr(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _version() -> str:
    from knarr.cli.versions import knarr_version

    return knarr_version()
