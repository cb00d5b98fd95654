"""`knarr up --detach`: the same command in a session of its own, until it says that it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from knarr.cli import accessflags, home, loadflags, say
from knarr.cli.serve import READY_FD, STARTED, Order
from knarr.cli.up import KEPT
from knarr.world.clock import RealClock

#: options that take a value, be it true or false
VALUED = frozenset((*accessflags.NAMES, *loadflags.NAMES))
#: lines of the log shown where the process ended without a word
LOG_LINES = 20


def start_detached(order: Order) -> int:
    """Returns when the cluster is ready. Raises Failure with what the process said."""
    order.place.claim().close()  # a cluster that runs already is said before anything is started
    log = _open_log(order.place)
    reader, writer = os.pipe()
    with os.fdopen(reader) as pipe, log:
        # the child's first job is the same as ours, so it may wait for the lock we just let go
        process = subprocess.Popen(
            [sys.executable, "-m", "knarr.cli", "up", *_arguments(order)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, READY_FD: str(writer)},
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        try:
            answer = json.loads(pipe.readline() or "{}")
        except KeyboardInterrupt:
            process.terminate()
            raise
    if "ready" in answer:
        return _introduce(order, answer)
    if "error" in answer:
        raise say.Failure(answer["error"], answer["code"])
    code = process.wait()
    text = order.place.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    say.note("\n".join(text))
    raise say.Failure(
        f"the cluster ended with exit code {code} before it was ready; its log is {order.place.log}"
    )


def _introduce(order: Order, answer: dict[str, Any]) -> int:
    if answer["warning"]:
        say.warning(answer["warning"])
    took = f"ready in {RealClock.monotonic() - STARTED:.2f} s"
    kept = order.place.read()
    say.step("API server", kept.get("server", ""))
    say.step("log", home.short(order.place.log))
    say.out(f"{say.paint(took, say.GREEN)}\n")
    say.out("\n".join(answer["lines"]))
    return 0


def _open_log(place: home.Place) -> Any:
    try:
        return open(os.open(place.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise home.unwritable(place.path, error) from None


def _arguments(order: Order) -> list[str]:
    """The order as a command line of its own."""
    arguments = ["--name", order.place.name]
    for key in KEPT:
        value = order.settings[key]
        option = f"--{key.replace('_', '-')}"
        if key == "port" and not order.port_given:
            continue
        if key == "data_dir" and not value:
            continue
        if key in VALUED:
            values = value if isinstance(value, list | tuple) else () if value is None else (value,)
            for one in values:
                arguments += [option, str(one).lower() if isinstance(one, bool) else str(one)]
        elif isinstance(value, bool):
            arguments.append(option if value else f"--no-{option[2:]}")
        elif value is not None and value != "":
            arguments += [option, str(value)]
    if order.kubeconfig:
        arguments += ["--kubeconfig", order.kubeconfig]
    if not order.switch_context:
        arguments.append("--no-switch-context")
    return arguments + ["-v"] * order.verbose
