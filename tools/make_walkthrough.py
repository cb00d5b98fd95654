"""Writes docs/walkthrough.md: the walk of a new user, every command run for real in an empty home."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# A walk

Every command below was run by `tools/make_walkthrough.py` on a fresh checkout with an empty home directory, and what
it printed stands below it (long tables are cut where it says so).
"""
#: (heading, commands); `…N` at the end shows the first N lines, `&N` stops the command after N seconds
WALK: list[tuple[str, list[str]]] = [
    (
        "Up",
        [
            "knarr up --detach --nodes 3",
            "kubectl get nodes,pods -A",
            "knarr status",
        ],
    ),
    (
        "An app",
        [
            "kubectl apply -f examples/app.yaml",
            "kubectl rollout status deployment/greeter",
            "kubectl get deployments,pods,services,endpointslices,jobs,cronjobs -o wide",
            "kubectl get pods -w &2",
            "kubectl describe deployment greeter",
            "kubectl logs deployment/greeter",
            "kubectl exec deployment/greeter -- date",
            "kubectl events --for deployment/greeter",
        ],
    ),
    (
        "Change it",
        [
            "kubectl scale deployment/greeter --replicas=5",
            "kubectl set image deployment/greeter greeter=debian:13-slim",
            "kubectl rollout status deployment/greeter",
            "kubectl rollout history deployment/greeter",
            "kubectl rollout undo deployment/greeter",
            "kubectl rollout pause deployment/greeter",
            "kubectl rollout resume deployment/greeter",
            "kubectl rollout restart deployment/greeter",
            "kubectl wait --for=condition=Available deployment/greeter --timeout=30s",
            "kubectl label deployment/greeter tier=front",
            "kubectl annotate deployment/greeter note='seen on the walk'",
            "sed 's/replicas: 3/replicas: 4/' examples/app.yaml | kubectl diff -f -",
            "KUBE_EDITOR=\"sed -i.bak 's/replicas: 5/replicas: 2/'\" kubectl edit deployment/greeter",
            "kubectl get replicasets",
        ],
    ),
    (
        "Ask the server",
        [
            "kubectl explain cronjob.spec.schedule",
            "kubectl explain --recursive pods …12",
            "kubectl api-resources …12",
            "kubectl auth can-i delete nodes",
            "kubectl auth can-i delete nodes --as=system:serviceaccount:default:default",
            "kubectl create token default | cut -c1-60",
            "kubectl get --raw '/readyz?verbose' …6",
        ],
    ),
    (
        "Without kubectl",
        [
            "knarr get deploy,pods",
            "knarr get pods -o wide --show-labels",
            "knarr get configmap greeter -o jsonpath='{.data.GREETING}{\"\\n\"}'",
            "knarr apply -f examples/app.yaml --force-conflicts",
            "knarr logs deploy/greeter --timestamps",
            "knarr wait --for=condition=Available deploy/greeter",
            "knarr events --types=Warning",
            "knarr get pods nobody",
        ],
    ),
    (
        "Take it away",
        [
            "kubectl delete deployment greeter --cascade=foreground",
            "kubectl get replicasets,pods -l app=greeter",
            "knarr delete -f examples/app.yaml --ignore-not-found",
        ],
    ),
    (
        "Real processes, and a second cluster beside the first",
        [
            "knarr up --detach --name real --runtime process --no-switch-context",
            "knarr ls",
            "knarr apply --name real -f examples/app.yaml",
            "kubectl --context real wait --for=condition=Available deployment/greeter --timeout=30s",
            "kubectl --context real get pods",
            "kubectl --context real logs deployment/greeter --tail=2",
            "kubectl --context real exec deployment/greeter -- sh -c 'echo I am $POD_NAME'",
            "knarr exec --name real deploy/greeter -- sh -c 'exit 3'",
            "knarr down --name real --delete",
        ],
    ),
    (
        "Stop, kill, and go on",
        [
            "kubectl create configmap precious --from-literal=a=1",
            "kill -9 $(knarr status -o json | grep -o '\"pid\": [0-9]*' | grep -o '[0-9]*')",
            "knarr ls",
            "knarr up --detach",
            "kubectl get configmap precious",
            "knarr up",
            "knarr down",
            "knarr get pods",
            "knarr down --delete",
        ],
    ),
]


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="knarr-walk-"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("KNARR", "KUBE"))}
    environment |= {"HOME": str(home), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}", "NO_COLOR": "1"}
    parts = [HEAD]
    for heading, commands in WALK:
        shown = [transcript(command, environment) for command in commands]
        parts.append(f"## {heading}\n\n```console\n" + "\n".join(shown).rstrip() + "\n```\n")
    text = "\n".join(parts).replace(str(home), "~").replace(str(ROOT), "~/knarr")
    (ROOT / "docs" / "walkthrough.md").write_text(text)
    shutil.rmtree(home, ignore_errors=True)


def transcript(command: str, environment: dict[str, str]) -> str:
    """`$ command`, and what it printed."""
    lines_max = seconds = 0
    if found := re.fullmatch(r"(.*) (…|&)(\d+)", command):
        command = found[1]
        lines_max, seconds = (int(found[3]), 0) if found[2] == "…" else (0, int(found[3]))
    output = run(command, environment, seconds)
    lines = [line.rstrip() for line in output.splitlines()]
    if lines_max and len(lines) > lines_max:
        lines = [*lines[:lines_max], f"… {len(lines) - lines_max} more lines"]
    if seconds:
        lines.append("^C")
    return "\n".join([f"$ {command}", *lines, ""])


def run(command: str, environment: dict[str, str], seconds: int) -> str:
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=seconds or 90)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate()[0]


if __name__ == "__main__":
    main()
