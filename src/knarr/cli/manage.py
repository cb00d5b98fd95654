"""Commands about clusters as a whole: down, status, ls, kubeconfig, version."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import click

from knarr.cli import home, say
from knarr.cli.options import name_option
from knarr.cli.versions import knarr_version
from knarr.world.clock import RealClock

#: how long a cluster may take to stop before it is killed (pods of the process runtime get their grace)
STOP_SECONDS = 60.0


@click.command()
@name_option
@click.option("--delete", is_flag=True, help="Remove the data and the kubeconfig's entries too.")
def down(name: str | None, delete: bool) -> None:
    """Stop a cluster. Its data stays, unless --delete."""
    place = home.place(name or home.DEFAULT_NAME)
    running = place.pid() > 0
    seconds = STOP_SECONDS + _lingering(place)
    if running and not place.end(seconds):
        say.warning(f"the cluster did not stop within {seconds:.0f} s and was killed; nothing is lost")
    if delete:
        _delete(place)
        say.out(f'cluster "{place.name}" is {"stopped and " if running else ""}deleted')
    elif running:
        say.out(f'cluster "{place.name}" is stopped; `{home.command("up", place.name)}` starts it again')
    else:
        say.out(f'cluster "{place.name}" is not running')


def _lingering(place: home.Place) -> float:
    """How long it was told to go on after the signal."""
    from knarr.cli import loadflags

    limits: Any = loadflags.settings_of(place.read().get("settings") or {})["limits"]
    return limits.shutdown_delay_duration + limits.shutdown_watch_termination_grace_period


def _delete(place: home.Place) -> None:
    """All that `up` made. Of a --data-dir only our own files go."""
    from knarr.client.kubeconfig import KubeconfigError, default_path, remove

    kept = place.read()
    data_dir = kept.get("settings", {}).get("data_dir")
    if data_dir:
        for path in Path(data_dir).glob("state.db*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(Path(data_dir) / "pki", ignore_errors=True)
    for path in dict.fromkeys([Path(kept["kubeconfig"]) if kept.get("kubeconfig") else default_path()]):
        with contextlib.suppress(KubeconfigError):
            asyncio.run(remove(path, place.name))
    place.remove()


@click.command()
@name_option
@click.option("-o", "--output", type=click.Choice(["json"]), help="As JSON.")
def status(name: str | None, output: str | None) -> int:
    """How a cluster is doing. Exit code 1 where it does not run."""
    place = home.place(name or home.DEFAULT_NAME)
    facts = _facts(place)
    if output == "json":
        say.out(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        for key, value in facts.items():
            say.out(f"{key + ':':<{width + 2}}{value}")
    return 0 if facts["status"] == "running" else 1


def _facts(place: home.Place) -> dict[str, Any]:
    from knarr.world.machine import resident_bytes

    kept, pid = place.read(), place.pid()
    settings = kept.get("settings", {})
    facts: dict[str, Any] = {"cluster": place.name, "status": "running" if pid else "stopped"}
    if pid:
        facts["url"] = kept.get("server", "")
        facts |= _asked(place)
        facts["pid"] = pid
        facts["uptime"] = _duration(RealClock.now() - kept.get("started", RealClock.now()))
        if size := resident_bytes(pid):
            facts["memory"] = f"{size / (1 << 20):.0f} MiB"
    facts["runtime"] = settings.get("runtime", "simulated")
    if settings.get("memory"):
        facts["data"] = "in memory"
    else:
        directory = Path(settings.get("data_dir") or place.path)
        size = sum(file.stat().st_size for file in directory.glob("state.db*"))
        facts["data"] = f"{home.short(directory)} ({size / (1 << 20):.1f} MiB)"
    facts["kubeconfig"] = home.short(place.kubeconfig)
    return facts


def _asked(place: home.Place) -> dict[str, Any]:
    """What only the server knows."""
    from knarr.cli.api import connect
    from knarr.meta.errors import StatusError

    try:
        server = connect(place.name, None, None, None)
        version = server.get("/version")["gitVersion"]
        nodes = server.get("/api/v1/nodes", {"resourceVersion": "0"})["items"]
        pods = server.get("/api/v1/pods", {"resourceVersion": "0"})["items"]
    except (say.Failure, StatusError) as error:
        return {"answer": str(error)}
    ready = sum(_is_ready(node) for node in nodes)
    phases: dict[str, int] = {}
    for pod in pods:
        phase = pod.get("status", {}).get("phase", "Unknown")
        phases[phase] = phases.get(phase, 0) + 1
    listed = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
    return {
        "version": f"{version} (knarr {knarr_version()})",
        "nodes": f"{len(nodes)}, {ready} ready",
        "pods": f"{len(pods)}{f' ({listed})' if listed else ''}",
    }


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


@click.command()
@click.option("-o", "--output", type=click.Choice(["name", "json"]), help="Only names, or JSON.")
def ls(output: str | None) -> None:
    """List the clusters of this machine."""
    from knarr.cli.table import show

    rows = []
    for place in home.places():
        kept, pid = place.read(), place.pid()
        settings = kept.get("settings", {})
        rows.append(
            {
                "name": place.name,
                "status": "running" if pid else "stopped",
                "pid": pid or None,
                "url": kept.get("server", "") if pid else "",
                "nodes": settings.get("nodes", 0),
                "runtime": settings.get("runtime", ""),
                "uptime": _duration(RealClock.now() - kept["started"]) if pid and "started" in kept else "",
                "data": "memory" if settings.get("memory") else settings.get("data_dir") or str(place.path),
            }
        )
    if output == "json":
        say.out(json.dumps(rows, indent=2))
    elif output == "name":
        for row in rows:
            say.out(row["name"])
    elif not rows:
        say.note("no clusters; start one with `knarr up`")
    else:
        for row in rows:
            row["data"] = home.short(Path(row["data"]))
        columns = ["name", "status", "url", "nodes", "runtime", "uptime", "data"]
        show([column.upper() for column in columns], [[str(row[c]) for c in columns] for row in rows])


@click.command()
@name_option
@click.option("--path", is_flag=True, help="Where it is, not what it says.")
def kubeconfig(name: str | None, path: bool) -> None:
    """Print the kubeconfig of a cluster, of that cluster alone."""
    place = home.place(name or home.DEFAULT_NAME)
    if not place.kubeconfig.exists():
        raise say.Failure(
            f'cluster "{place.name}" has no kubeconfig yet; `{home.command("up", place.name)}` writes it'
        )
    if path:
        say.out(str(place.kubeconfig))
        return
    import yaml

    say.out(yaml.safe_dump(json.loads(place.kubeconfig.read_text()), sort_keys=False).rstrip())


@click.command()
@name_option
def version(name: str | None) -> None:
    """Print the versions of knarr, of Kubernetes' API, and of the running cluster."""
    import platform

    from knarr.cli.api import connect
    from knarr.meta.errors import StatusError

    say.out(f"knarr:   {knarr_version()} (Python {platform.python_version()}, {platform.system()})")
    place = home.Place(name or home.DEFAULT_NAME)
    if place.pid():
        with contextlib.suppress(say.Failure, StatusError):
            say.out(f"server:  {connect(place.name, None, None, None).get('/version')['gitVersion']}")


def _duration(seconds: float) -> str:
    from knarr.meta.times import human_duration

    return human_duration(seconds)
