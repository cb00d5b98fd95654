"""A cluster's life as a process: up, down, again, side by side, killed."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from knarr.cli.api import Server
from knarr.cli.say import Failure
from knarr.client import kubeconfig
from knarr.meta.errors import StatusError

from .conftest import SECONDS_MAX, Machine

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def server(machine: Machine, name: str = "knarr") -> Server:
    return Server(kubeconfig.load(machine.path(name) / "kubeconfig"))


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def names(machine: Machine) -> set[str]:
    return {item["metadata"]["name"] for item in server(machine).get(CONFIG_MAPS)["items"]}


def test_a_detached_cluster_is_ready_and_says_how_to_go_on(machine):
    done = machine.up()
    assert re.search(r"^ready in \d\.\d\d s$", done.out, re.M), done.out
    assert "knarr get nodes,pods -A" in done.out
    assert done.err == ""
    assert server(machine).text("/readyz") == b"ok"


def test_status_and_ls_tell_what_runs(machine):
    machine.up()
    shown = json.loads(machine.knarr("status", "-o", "json").out)
    assert shown["status"] == "running"
    assert shown["pid"] == machine.facts()["pid"]
    assert shown["nodes"] == "0, 0 ready"
    assert machine.knarr("status").code == 0
    (row,) = json.loads(machine.knarr("ls", "-o", "json").out)
    assert (row["name"], row["status"], row["url"]) == ("knarr", "running", shown["url"])
    assert machine.knarr("down").out == 'cluster "knarr" is stopped; `knarr up` starts it again\n'
    stopped = machine.knarr("status")
    assert stopped.code == 1
    assert "stopped" in stopped.out


def test_a_second_start_goes_on_where_it_was(machine):
    machine.up("--token", "sesame")
    url = machine.facts()["server"]
    server(machine).call("POST", CONFIG_MAPS, (), config_map("kept"))
    machine.knarr("down")
    done = machine.knarr("up", "--detach")  # no options: those of last time
    assert done.code == 0
    assert machine.facts()["server"] == url
    assert machine.facts()["settings"]["nodes"] == 0
    assert machine.facts()["settings"]["token"] == "sesame"
    assert "kept" in names(machine)


def test_memory_keeps_nothing(machine):
    machine.up("--memory")
    server(machine).call("POST", CONFIG_MAPS, (), config_map("gone"))
    assert not (machine.path() / "state.db").exists()
    machine.knarr("down")
    machine.up()
    assert "gone" not in names(machine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(machine, number):
    process = machine.start()
    process.send_signal(number)
    out, _ = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0
    assert out.endswith("stopping ...\nstopped; `knarr up` goes on where it was\n")


def test_a_data_directory_elsewhere(machine, tmp_path):
    machine.up("--data-dir", str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "state.db").exists()
    assert not (machine.path() / "state.db").exists()
    machine.knarr("down", "--delete")
    assert not (tmp_path / "elsewhere" / "state.db").exists()
    assert not machine.path().exists()


def test_two_clusters_side_by_side(machine):
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: machine.up("--name", name), ["one", "two"]))
    assert machine.facts("one")["server"] != machine.facts("two")["server"]
    server(machine, "one").call("POST", CONFIG_MAPS, (), config_map("only-in-one"))
    shown = [machine.knarr("get", "cm", "-o", "name", "--name", name).out for name in ("one", "two")]
    assert ["only-in-one" in text for text in shown] == [True, False]
    assert machine.knarr("get", "cm").err == "error: which cluster? Choose with --name: one, two\n"
    machine.knarr("down", "--name", "one")
    assert server(machine, "two").text("/readyz") == b"ok"


def test_kill_loses_nothing_that_was_acknowledged(machine):
    """Killed in the middle of a stream of writes, three times over."""
    acknowledged: set[str] = set()
    machine.up()
    for round in range(3):
        enough = threading.Event()

        def write(round: int = round, enough: threading.Event = enough) -> None:
            client = server(machine)
            for number in range(100_000):
                name = f"w-{round}-{number}"
                try:
                    client.call("POST", CONFIG_MAPS, (), config_map(name))
                except (Failure, StatusError):
                    return
                acknowledged.add(name)
                if number == 50:
                    enough.set()

        writers = [threading.Thread(target=write)]
        for writer in writers:
            writer.start()
        assert enough.wait(SECONDS_MAX)
        machine.kill()
        for writer in writers:
            writer.join(SECONDS_MAX)
        assert "stopped" in machine.knarr("status").out  # the lock of a dead process counts for nothing
        machine.up()
        assert acknowledged <= names(machine)
    assert len(acknowledged) > 150


# -- kubeconfig -----------------------------------------------------------------------------------------------

OTHERS = """\
# mine, keep it
apiVersion: v1
kind: Config
clusters:
- name: production
  cluster: {server: "https://production.example"}  # careful
users:
- name: me
  user: {token: secret}
contexts:
- name: production
  context: {cluster: production, user: me, namespace: shop}
current-context: production
"""


def test_kubeconfig_is_merged_and_taken_out_again(machine):
    machine.kubeconfig.parent.mkdir()
    machine.kubeconfig.write_text(OTHERS)
    machine.up("--no-switch-context")
    merged = yaml.safe_load(machine.kubeconfig.read_text())
    assert merged["current-context"] == "production"
    assert [one["name"] for one in merged["contexts"]] == ["production", "knarr"]
    assert "# mine, keep it" in machine.kubeconfig.read_text()
    assert "# careful" in machine.kubeconfig.read_text()
    machine.knarr("down")
    machine.up()
    assert yaml.safe_load(machine.kubeconfig.read_text())["current-context"] == "knarr"
    machine.knarr("down", "--delete")
    left = yaml.safe_load(machine.kubeconfig.read_text())
    assert [one["name"] for section in ("clusters", "users", "contexts") for one in left[section]] == [
        "production",
        "me",
        "production",
    ]


def test_a_kubeconfig_that_cannot_be_merged_is_no_obstacle(machine):
    machine.kubeconfig.parent.mkdir()
    machine.kubeconfig.write_text("clusters: {")
    done = machine.up()
    assert machine.kubeconfig.read_text() == "clusters: {"
    assert done.err.startswith(f"Warning: {machine.kubeconfig}: not YAML")
    assert done.err.endswith("instead\n")


def test_kubeconfig_command(machine):
    machine.up()
    printed = yaml.safe_load(machine.knarr("kubeconfig").out)
    assert printed["clusters"][0]["cluster"]["server"] == machine.facts()["server"]
    assert machine.knarr("kubeconfig", "--path").out.strip() == str(machine.path() / "kubeconfig")


def speaks_six() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not speaks_six(), reason="this machine has no ::1")
@pytest.mark.parametrize(
    ("host", "url"), [("::1", r"https://\[::1\]:\d+"), ("::", r"https://127\.0\.0\.1:\d+")]
)
def test_addresses_of_six(machine, host, url):
    machine.up("--host", host)
    shown = json.loads(machine.knarr("status", "-o", "json").out)["url"]
    assert re.fullmatch(url, shown)
    assert server(machine).text("/readyz") == b"ok"
    assert "kube-system" in machine.knarr("get", "namespaces", "-o", "name").out
