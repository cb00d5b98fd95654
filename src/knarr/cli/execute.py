"""`knarr exec`: a command in a container, over WebSocket, with a terminal where one is asked for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from knarr.cli import output as outputs
from knarr.cli import pods, say
from knarr.cli.api import Server, connect
from knarr.cli.options import connection_options
from knarr.meta.errors import StatusError, failure

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
#: followed by the channel that is at its end
CLOSE = 255


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-i", "--stdin", is_flag=True, help="Pass our stdin on.")
@click.option("-t", "--tty", is_flag=True, help="With a terminal.")
@click.option("-c", "--container", default="", help="Which container.")
@click.option("-q", "--quiet", is_flag=True, help="Only what the command prints.")
@connection_options
@click.argument("pod")
@click.argument("command", nargs=-1, required=True)
def execute(
    stdin: bool,
    tty: bool,
    container: str,
    quiet: bool,
    namespace: str | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
    pod: str,
    command: tuple[str, ...],
) -> int:
    """Run a command in a container, for instance `knarr exec -it web-1 -- sh`. Its exit code is ours."""
    command = command[1:] if command[0] == "--" else command
    if not command:
        raise click.UsageError("you must specify at least one command for the container")
    server = connect(cluster, kubeconfig, context, namespace)
    found = pods.find(server, pod)
    if tty and not sys.stdin.isatty():
        if not quiet:
            say.note("Unable to use a TTY - input is not a terminal or the right kind of file")
        tty = False
    query = [("command", part) for part in command]
    query += [("container", pods.container(found, container, quiet)), ("stdout", "true")]
    query += [("stdin", "true")] if stdin else []
    query += [("tty", "true")] if tty else [("stderr", "true")]
    try:
        with _open(server, pods.path(server, found["metadata"]["name"], "exec"), query) as socket:
            status = _talk(socket, stdin, tty)
    except StatusError as error:
        return outputs.errors_of([error])
    return _exit_code(status)


@contextlib.contextmanager
def _open(server: Server, path: str, query: list[tuple[str, str]]) -> Iterator[Any]:
    """A WebSocket to the server. Raises StatusError, Failure."""
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.sync.client import connect as websocket

    address = urlsplit(server.access.server)
    scheme = "wss" if address.scheme == "https" else "ws"
    url = f"{scheme}://{address.netloc}{address.path.rstrip('/')}{path}?{urlencode(query)}"
    try:
        socket = websocket(
            url,
            ssl=server.context(),
            subprotocols=[PROTOCOL],  # type: ignore[list-item]
            additional_headers=[pair for pair in server.headers() if pair[0] != "User-Agent"],
            user_agent_header="knarr",
            compression=None,
            max_size=None,
            proxy=None,
            ping_interval=None,
        )
    except InvalidStatus as error:
        raise _refused(error.response) from None
    except (OSError, WebSocketException) as error:
        raise say.Failure(f"cannot reach the server {server.access.server}: {error}") from None
    with socket:
        yield socket


def _refused(response: Any) -> StatusError:
    with contextlib.suppress(ValueError):
        status = json.loads(response.body)
        if status.get("kind") == "Status":
            return StatusError(status)
    return StatusError(
        failure(response.status_code, "", (response.body or b"").decode("utf-8", "replace").strip())
    )


def _talk(socket: Any, stdin: bool, tty: bool) -> dict[str, Any]:
    """Carry bytes both ways until the command ends; its Status."""
    from websockets.exceptions import ConnectionClosed

    with _raw_terminal(tty), _resizing(socket, tty):
        if stdin:
            threading.Thread(target=_send_stdin, args=(socket,), daemon=True).start()
        try:
            for message in socket:
                data = message.encode() if isinstance(message, str) else message
                if not data:
                    continue
                if data[0] == ERROR:
                    return json.loads(data[1:])
                stream = sys.stderr if data[0] == STDERR else sys.stdout
                stream.buffer.write(data[1:])
                stream.buffer.flush()
        except ConnectionClosed:
            pass
    raise say.Failure("the connection ended before the command did")


def _send_stdin(socket: Any) -> None:
    with contextlib.suppress(Exception):  # the command is over; nobody wants the rest
        while data := os.read(sys.stdin.fileno(), 32768):
            socket.send(bytes((STDIN,)) + data)
        socket.send(bytes((CLOSE, STDIN)))


@contextlib.contextmanager
def _raw_terminal(tty: bool) -> Iterator[None]:
    """Every key goes to the command, Ctrl-C too."""
    if not tty:
        yield
        return
    import termios
    import tty as terminal

    before = termios.tcgetattr(sys.stdin)
    try:
        terminal.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resizing(socket: Any, tty: bool) -> Iterator[None]:
    """The command's terminal is as large as ours."""
    if not tty:
        yield
        return

    def tell(*_: Any) -> None:
        with contextlib.suppress(Exception):
            size = os.get_terminal_size(sys.stdout.fileno())
            text = json.dumps({"Width": size.columns, "Height": size.lines})
            socket.send(bytes((RESIZE,)) + text.encode())

    before = signal.signal(signal.SIGWINCH, lambda *_: threading.Thread(target=tell, daemon=True).start())
    tell()
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def _exit_code(status: dict[str, Any]) -> int:
    if status.get("status") == "Success":
        return 0
    for cause in status.get("details", {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            code = int(cause["message"])
            say.note(f"command terminated with exit code {code}")
            return code
    say.error(status.get("message", "the command failed"))
    return 1
