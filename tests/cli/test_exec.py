"""`knarr exec` and `knarr logs -f` with pods that are real processes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator

import pytest

from knarr.testing import TestCluster

from .conftest import KNARR, SECONDS_MAX

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: none, command: [sh, -c, 'echo started; while sleep 0.1; do echo tick; done']}
"""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Of a cluster with a running pod."""
    cluster = TestCluster(tmp_path_factory.mktemp("exec"), runtime="process")
    cluster.start()
    chosen = ["--kubeconfig", str(cluster.kubeconfig)]
    assert knarr("apply", *chosen, "-f", "-", stdin=POD).returncode == 0
    assert knarr("wait", *chosen, "--for=condition=Ready", "pod/box").returncode == 0
    yield chosen
    cluster.stop()


def knarr(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KNARR, *arguments], input=stdin, capture_output=True, text=True, timeout=SECONDS_MAX
    )


def test_streams_and_the_exit_code(options):
    done = knarr("exec", *options, "-i", "box", "--", "sh", "-c", "cat; echo two >&2; exit 7", stdin="one\n")
    assert (done.returncode, done.stdout) == (7, "one\n")
    assert done.stderr == "two\ncommand terminated with exit code 7\n"


def test_a_lot_goes_through(options):
    text = "0123456789abcdef\n" * 60_000
    assert knarr("exec", *options, "-i", "box", "--", "cat", stdin=text).stdout == text


def test_a_terminal(options):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(
            KNARR[0],
            [*KNARR, "exec", *options, "-it", "box", "--", "sh", "-c", "tty; read line; echo got $line"],
        )
    shown, said = b"", False
    while select.select([terminal], [], [], SECONDS_MAX)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # as Linux says that the other side has closed
            break
        if (
            b"/dev/" in shown and not said
        ):  # what is typed before the terminal is raw is lost, as with kubectl
            os.write(terminal, b"hello\r")
            said = True
    else:
        os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"/dev/" in shown
    assert b"got hello" in shown


def test_logs_follow(options):
    following = subprocess.Popen([*KNARR, "logs", *options, "-f", "box"], stdout=subprocess.PIPE, text=True)
    assert following.stdout is not None
    assert [following.stdout.readline() for _ in range(3)] == ["started\n", "tick\n", "tick\n"]
    assert knarr("delete", *options, "pod", "box").returncode == 0
    assert set(following.stdout.read().split()) <= {"tick"}  # ends with the container
    assert following.wait(SECONDS_MAX) == 0
    following.stdout.close()
