"""The entry point: which command lives where, and what an error looks like."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from knarr.cli import say

#: command -> (module, what `knarr --help` says of it); in the order of help
COMMANDS = {
    "up": ("up", "Start a cluster and write its kubeconfig."),
    "down": ("manage", "Stop a cluster; its data stays unless --delete."),
    "status": ("manage", "How a cluster is doing."),
    "ls": ("manage", "List the clusters of this machine."),
    "kubeconfig": ("manage", "Print a cluster's kubeconfig."),
    "get": ("get", "List resources as a table, YAML, JSON or names."),
    "describe": ("describe", "Show a resource with its events."),
    "apply": ("apply", "Create or change resources from files (server-side apply)."),
    "delete": ("delete", "Delete resources by file, name or label."),
    "logs": ("logs", "Print a container's log."),
    "exec": ("execute", "Run a command in a container."),
    "wait": ("wait", "Wait for a condition of resources."),
    "events": ("events", "List events, oldest first."),
    "version": ("manage", "Print versions."),
}


class Commands(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"knarr.cli.{COMMANDS[name][0]}")
        return getattr(module, name if name != "exec" else "execute")

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "--version", package_name="knarr", message="knarr %(version)s")
def knarr() -> None:
    """The whole of Kubernetes in one Python process: real API, simulated or real pods, no Docker, no root."""


def main(arguments: list[str] | None = None) -> Any:
    """Exit codes: 0, 1 for what went wrong, 2 for a wrong command line, 130 for Ctrl-C. Never a traceback."""
    try:
        code = knarr.main(arguments, prog_name="knarr", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except say.Failure as error:
        say.error(error.text)
        sys.exit(error.code)
    except BrokenPipeError:
        say.forget_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(_unexpected(error))
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    """What no command foresaw: the server's refusal, or a fault of ours."""
    from knarr.meta.errors import StatusError

    if isinstance(error, StatusError):
        from knarr.cli.output import refusal

        say.note(refusal(error))
        return 1
    if os.environ.get("KNARR_DEBUG"):
        import traceback

        traceback.print_exc()
    say.error(
        f"{type(error).__name__}: {error}; this is a fault of knarr itself: please report it with what"
        " KNARR_DEBUG=1 shows"
    )
    return 1
