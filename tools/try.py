"""The README's first command: from a checkout to a running app."""

from __future__ import annotations

import os
import subprocess
import sys

from setup_venv import ROOT, VENV, SetupError, say, set_up

KNARR = str(VENV / "bin" / "knarr")
APP = "examples/app.yaml"


def main() -> int:
    os.chdir(ROOT)
    try:
        set_up()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    name = ["--name", os.environ["KNARR_NAME"]] if os.environ.get("KNARR_NAME") else []
    if subprocess.run([KNARR, "status", *name], capture_output=True).returncode:
        say("▸ starting a cluster\n")
        if code := knarr("up", "--detach", *name, *sys.argv[1:]):
            return code
    else:
        say("▸ the cluster is already running")
    say(f"\n▸ knarr apply -f {APP}\n")
    if code := knarr("apply", "-f", APP, *name):
        return code
    for resource, condition in (("deployment/greeter", "Available"), ("job/prepare", "Complete")):
        if code := knarr(
            "wait", f"--for=condition={condition}", resource, "--timeout=60s", *name, quiet=True
        ):
            return code
    say("\n▸ knarr get deployments,pods,services,jobs,cronjobs\n")
    if code := knarr("get", "deployments,pods,services,jobs,cronjobs", *name):
        return code
    say(GOING_ON)
    return 0


GOING_ON = """
Your cluster runs. How to go on:

  . .venv/bin/activate            have `knarr` on your PATH
  kubectl get pods -A             any kubectl from 1.28 on: the cluster is its current context
  knarr get pods -w               the same without kubectl
  knarr describe deploy/greeter
  knarr down                      stop it; `knarr up` goes on where it was, `knarr down --delete` forgets it
"""


def knarr(*arguments: str, quiet: bool = False) -> int:
    return subprocess.run([KNARR, *arguments], stdout=subprocess.DEVNULL if quiet else None).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
