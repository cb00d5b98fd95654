"""Exec and attach: a Terminal on one side, a process on the other."""

from __future__ import annotations

import asyncio
from typing import Any

from knarr.api.nodeapi import Exit, Terminal
from knarr.kubelet.process.child import DRAIN_SECONDS, READ_BYTES, STDOUT, Child
from knarr.kubelet.process.container import Container


async def run_session(child: Child, terminal: Terminal) -> Exit:
    """Until the command has ended and its output was sent. Raises ConnectionError when the client is gone."""

    async def pump(channel: int, stream: Any) -> None:
        while data := await stream.read(READ_BYTES):
            await terminal.write(channel, data)

    feeds = [asyncio.ensure_future(_feed(child, terminal)), asyncio.ensure_future(_resize(child, terminal))]
    pumps = [asyncio.ensure_future(pump(channel, stream)) for channel, stream in child.outputs() if stream]
    end = asyncio.ensure_future(child.wait())
    try:
        waiting: set[asyncio.Future[Any]] = {end, *pumps}
        while not end.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for finished in done:
                finished.result()
        # a command may leave others behind that hold its output open
        done, _ = await asyncio.wait(pumps, timeout=DRAIN_SECONDS) if pumps else ((), ())
        for finished in done:
            finished.result()
        return Exit(end.result())
    finally:
        for task in (*feeds, *pumps, end):
            task.cancel()
        await asyncio.gather(*feeds, *pumps, end, return_exceptions=True)


async def _feed(child: Child, terminal: Terminal) -> None:
    if terminal.stdin is None:
        return
    while True:
        data = await terminal.stdin.get()
        await child.write(data)
        if not data:
            return


async def _resize(child: Child, terminal: Terminal) -> None:
    while True:
        columns, rows = await terminal.resizes.get()
        if child.pty is not None:
            child.pty.resize(columns, rows)


async def show_attached(container: Container, terminal: Terminal) -> None:
    """A running container's output from now on, and input to it, until it ends or the client goes."""
    child = container.child
    assert child is not None
    queue = container.attach()
    feeds = []
    if container.spec.stdin:
        feeds.append(asyncio.ensure_future(_attached_input(container, terminal)))
    feeds.append(asyncio.ensure_future(_resize(child, terminal)))
    try:
        while (piece := await queue.get()) is not None:
            channel, data = piece
            await terminal.write(STDOUT if terminal.tty else channel, data)
    finally:
        container.detach(queue)
        for task in feeds:
            task.cancel()
        await asyncio.gather(*feeds, return_exceptions=True)
        if container.spec.stdinOnce:
            await child.write(b"")


async def _attached_input(container: Container, terminal: Terminal) -> None:
    """The end of one client's input is the end of the container's only where it takes input once."""
    child = container.child
    assert child is not None
    if terminal.stdin is None:
        return
    while data := await terminal.stdin.get():
        await child.write(data)
    if container.spec.stdinOnce:
        await child.write(b"")
