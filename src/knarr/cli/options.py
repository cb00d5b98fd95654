"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

name_option = click.option(
    "--name",
    envvar="KNARR_NAME",
    help="Which cluster. [$KNARR_NAME, else knarr]",
)


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How to find the server: a cluster of this machine, or any by its kubeconfig."""
    for option in reversed(
        [
            click.option("-n", "--namespace", help="Which namespace. [the context's, else default]"),
            click.option(
                "--name",
                "cluster",
                envvar="KNARR_NAME",
                help="Which cluster of `knarr ls`. [$KNARR_NAME, else knarr, else the only one]",
            ),
            click.option(
                "--kubeconfig", type=click.Path(dir_okay=False), help="Reach any cluster, as kubectl does."
            ),
            click.option("--context", help="A context of the kubeconfig."),
        ]
    ):
        function = option(function)
    return function


selector_option = click.option("-l", "--selector", default="", help="Label selector, as in app=web,tier!=db.")
field_selector_option = click.option(
    "--field-selector", default="", help="Field selector, as in status.phase=Running."
)
all_namespaces_option = click.option("-A", "--all-namespaces", is_flag=True, help="In every namespace.")
files_option = click.option(
    "-f", "--filename", "files", multiple=True, help="File, directory or - for stdin; may be repeated."
)
recursive_option = click.option("-R", "--recursive", is_flag=True, help="Directories with all below them.")
