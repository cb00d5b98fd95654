"""kubectl with pods that are real processes: logs, exec, attach, cp, port-forward."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time

import pytest

from .conftest import OLDEST, Kubectl

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: none
    command: [sh, -c, 'echo "first $WORD"; echo "to stderr" >&2; while true; do sleep 0.2; echo tick; done']
    env: [{name: WORD, value: hello}]
"""


@pytest.fixture
def box(machines, in_namespace) -> Kubectl:
    """With a pod of one shell."""
    kubectl = in_namespace(machines)
    kubectl.apply(POD)
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=20s")
    return kubectl


def test_logs(box):
    assert "first hello" in box("logs", "box")
    assert box("logs", "box", "--tail=1") in ("tick\n", "to stderr\n", "first hello\n")
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) \S",
        box("logs", "box", "--timestamps", "--tail=1"),
    )
    assert len(box("logs", "box", "--limit-bytes=3")) == 3


def test_logs_follow(box):
    following = box.start("logs", "-f", "box", "--tail=0")
    assert following.stdout is not None
    assert following.stdout.readline() == "tick\n"
    box("delete", "pod", "box", "--wait=false")
    rest = following.stdout.read()  # ends with the container
    assert following.wait() == 0
    assert set(rest.splitlines()) <= {"tick"}


@pytest.mark.kubectl(*OLDEST)
def test_logs_of_the_previous_container(machines, in_namespace):
    kubectl = in_namespace(machines)
    kubectl.apply(POD.replace("while true", "touch /tmp/x; sleep 0.3; echo ends; exit 3; while true"))
    kubectl(
        "wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/box", "--timeout=20s"
    )
    assert "ends" in kubectl("logs", "--previous", "box")
    state = json.loads(kubectl("get", "pod", "box", "-o", "json"))["status"]["containerStatuses"][0]
    assert state["lastState"]["terminated"]["exitCode"] == 3


def test_exec(box):
    assert box("exec", "box", "--", "sh", "-c", "echo $WORD; echo two >&2") in (
        "hello\ntwo\n",
        "two\nhello\n",
    )
    assert box("exec", "-i", "box", "--", "cat", stdin="through\n") == "through\n"
    assert box("exec", "box", "--", "sh", "-c", "exit 7", code=7) == "command terminated with exit code 7\n"
    assert "not found" in box("exec", "box", "--", "no-such-program", code=1) + box(
        "exec", "box", "--", "sh", "-c", "no-such-program", code=127
    )


def test_exec_of_a_lot(box):
    """More than any buffer on the way holds."""
    text = "0123456789abcdef\n" * 60_000
    assert box("exec", "-i", "box", "--", "cat", stdin=text) == text


@pytest.mark.skipif(shutil.which("script") is None, reason="no `script` to give kubectl a terminal")
def test_exec_with_a_terminal(box):
    command = " ".join([*box.command, "exec", "-it", "box", "--", "sh", "-c", "'tty && stty size'"])
    script = ["script", "-qec", command, "/dev/null"]
    done = subprocess.run(
        script, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, env=box.environment
    )
    assert "/dev/" in done.stdout, done.stdout
    assert re.search(r"\d+ \d+", done.stdout)


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_cp(box, tmp_path):
    (tmp_path / "there").write_text("carried\n")
    box("cp", str(tmp_path / "there"), f"{box.namespace}/box:{tmp_path}/arrived")
    assert (tmp_path / "arrived").read_text() == "carried\n"
    box("cp", f"{box.namespace}/box:{tmp_path}/arrived", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "carried\n"


@pytest.mark.kubectl(*OLDEST)
def test_attach(box):
    attached = box.start("attach", "box")
    assert attached.stdout is not None
    assert "tick\n" in [attached.stdout.readline() for _ in range(3)]
    attached.kill()
    attached.communicate()


@pytest.mark.kubectl(*OLDEST)
def test_port_forward(machines, in_namespace):
    kubectl = in_namespace(machines)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = (
        "import http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'served ' * 100000)\n"
        f"h.ThreadingHTTPServer(('127.0.0.1', {port}), H).serve_forever()"
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "server",
                    "image": "none",
                    "command": ["python3", "-c", serve],
                    "ports": [{"containerPort": port}],
                    "readinessProbe": {"tcpSocket": {"port": port, "host": "127.0.0.1"}, "periodSeconds": 1},
                }
            ],
        },
    }
    kubectl.apply(json.dumps(pod))
    kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=20s")
    forwarding = kubectl.start("port-forward", "pod/server", f":{port}")
    assert forwarding.stdout is not None
    local = int(re.search(r"127\.0\.0\.1:(\d+) ->", forwarding.stdout.readline())[1])
    try:
        for _ in range(3):
            assert get(local) == b"served " * 100_000
    finally:
        forwarding.kill()
        forwarding.communicate()


def get(port: int) -> bytes:
    import urllib.request

    for _ in range(50):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return answer.read()
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("nobody listens")
