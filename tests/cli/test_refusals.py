"""What `knarr up` cannot do: one sentence that says why and what to do, an exit code, never a traceback."""

from __future__ import annotations

import signal
import socket
import sqlite3
from contextlib import closing

import pytest

from .conftest import ALONE, SECONDS_MAX, Machine


def refused(machine: Machine, *arguments: str, code: int = 1) -> str:
    """The one sentence."""
    done = machine.knarr("up", *ALONE, *arguments)
    assert done.code == code, done
    assert "Traceback" not in done.err + done.out
    lines = done.err.strip().splitlines()
    assert code == 2 or len(lines) == 1, done.err
    return lines[-1]


def test_busy_port(machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused(machine, "--port", str(port)) == (
            f"error: port {port} of 127.0.0.1 is taken by another program; choose another one with --port, or leave"
            " the option out and a free one is taken"
        )


def test_an_address_of_nobody(machine):
    assert refused(machine, "--host", "192.0.2.77") == (
        "error: cannot listen on 192.0.2.77; give --host an address of this machine, or leave it out"
    )


def test_running_already(machine):
    machine.up()
    facts = machine.facts()
    assert refused(machine) == (
        f'error: cluster "knarr" is already running at {facts["server"]} (pid {facts["pid"]}); stop it with'
        " `knarr down`, or start another one with `knarr up --name OTHER`"
    )
    assert machine.knarr("up", "--detach").err.startswith('error: cluster "knarr" is already running at')


def test_corrupt_data(machine, tmp_path):
    (tmp_path / "state.db").write_bytes(b"this is no database " * 1000)
    said = refused(machine, "--data-dir", str(tmp_path))
    assert said.startswith(f"error: The data in {tmp_path}/state.db cannot be read (")
    assert said.endswith("move it away to start with an empty cluster.")


def test_data_of_a_newer_version(machine):
    machine.up()
    machine.knarr("down")
    with closing(sqlite3.connect(machine.path() / "state.db", isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    assert refused(machine).endswith("upgrade knarr or choose another data directory.")


def test_data_in_use(machine):
    machine.up()
    said = refused(machine, "--name", "other", "--data-dir", str(machine.path()))
    assert "is in use by another process; stop that cluster first or choose another data directory" in said


def test_unwritable_data(machine, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    said = refused(machine, "--data-dir", str(tmp_path / "file" / "below"))
    assert "Not a directory" in said or "File exists" in said
    assert "choose another" in said


def test_unwritable_home(machine, tmp_path):
    (tmp_path / "knarr").write_text("not a directory")
    assert refused(machine).endswith("choose another place with KNARR_HOME")


def test_damaged_certificates(machine):
    machine.up()
    machine.knarr("down")
    (machine.path() / "pki" / "ca.key").unlink()
    assert refused(machine).endswith("/ca.crt has no ca.key beside it: restore it, or remove both")
    assert machine.knarr("up", "--detach").err.endswith("ca.key beside it: restore it, or remove both\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--nodes", "-1"), "-1 is not in the range"),
        (("--port", "70000"), "70000 is not in the range"),
        (("--service-cidr", "10.96.0.0/99"), "does not appear to be an IPv4 or IPv6 network"),
        (("--compaction", "sometimes"), "neither a duration like 5m, nor a number of revisions, nor off"),
        (("--quota", "much"), '"much" is not a size like 512Mi or 8Gi'),
        (("--runtime", "docker"), "'docker' is not one of 'simulated', 'process'"),
        (("--memory", "--data-dir", "x"), "--memory keeps nothing on disk, so it cannot go with --data-dir"),
        (("--name", "No Name"), "cannot be a cluster's name"),
        (("--root-ca-file", "nowhere.pem"), "File 'nowhere.pem' does not exist"),
        (("--fast",), "No such option"),
    ],
)
def test_wrong_options(machine, arguments, said):
    assert said in refused(machine, *arguments, code=2)


def test_addresses_belong_to_the_data(machine):
    machine.up()
    machine.knarr("down")
    assert refused(machine, "--service-cidr", "10.1.0.0/16") == (
        'error: the data of cluster "knarr" was made with --service-cidr 10.96.0.0/16, which cannot be changed;'
        " leave the option out, or start afresh after `knarr down --delete`"
    )


def test_commands_without_a_cluster(machine):
    assert machine.knarr("get", "pods").err == (
        "error: there is no cluster yet; start one with `knarr up`, or name any other with --kubeconfig\n"
    )
    for command in ("down", "status", "kubeconfig"):
        done = machine.knarr(command)
        assert (done.code, done.err) == (1, 'error: there is no cluster "knarr"; start it with `knarr up`\n')
    assert machine.knarr("ls").err == "no clusters; start one with `knarr up`\n"


def test_commands_on_a_stopped_cluster(machine):
    machine.up()
    machine.knarr("down")
    done = machine.knarr("get", "pods")
    assert (done.code, done.err) == (1, 'error: cluster "knarr" is not running; start it with `knarr up`\n')


def test_a_second_interrupt_ends_it_at_once(machine):
    process = machine.start()
    process.send_signal(signal.SIGSTOP)  # both are delivered together when it goes on
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode in (130, 143)
    machine.up()  # and nothing stands in the way of the next
