"""Writes docs/cli.md: what is said below, and the options of every command as the code declares them."""

from __future__ import annotations

from pathlib import Path

import click

from knarr.cli.main import COMMANDS, knarr

HEAD = """\
# The `knarr` command

`knarr COMMAND --help` says the same. Results go to stdout, everything else to stderr; the exit code is 0, 1 for what
went wrong, 2 for a wrong command line, and `exec`'s is that of the command it ran. An error is one sentence that says
what to do; with `KNARR_DEBUG=1` a fault of knarr itself shows its traceback.

## Where things are

Every cluster has a name (`--name`, else `$KNARR_NAME`, else `knarr`) and a directory `~/.knarr/clusters/NAME`
(`$KNARR_HOME` replaces `~/.knarr`):

| file | what |
|---|---|
| `cluster.json` | the settings; a later `knarr up` without options takes them from here |
| `kubeconfig` | of this cluster alone |
| `pid` | locked by the running process; after a crash the lock is gone with it, so nothing is ever stale |
| `log` | of a cluster started with `--detach` |
| `state.db`, `pki/` | the data, unless `--data-dir` puts it elsewhere or `--memory` nowhere |

`get`, `apply` and the other commands that talk to a server use the cluster called `knarr`, or the only one there is;
`--name` chooses another, `--kubeconfig` or `--context` any cluster at all. They never use kubectl's current context by
themselves: nobody deletes from production by leaving a word out.

## Stopping and going on

Ctrl-C and SIGTERM end the cluster cleanly (exit code 0); a second one ends it at once. `knarr up` on the same data
goes on where it was, at the same address if it is still free. What was acknowledged is on disk: `kill -9` loses
nothing. Where the disk can no longer be written the cluster says so and ends with exit code 1.
"""


def main() -> None:
    parts = [HEAD]
    context = click.Context(knarr, info_name="knarr")
    for name in COMMANDS:
        command = knarr.get_command(context, name)
        assert command is not None
        parts.append(section(name, command, context))
    Path("docs/cli.md").write_text("\n".join(parts))


def section(name: str, command: click.Command, parent: click.Context) -> str:
    """One command: usage, what it does, its options."""
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", f"`knarr {name} {usage}`", "", " ".join((command.help or "").split()), ""]
    rows = [option for option in command.params if isinstance(option, click.Option)]
    if rows:
        lines += ["| option | |", "|---|---|"]
        lines += [
            f"| {spelled(option)} | {(option.help or '').replace('|', chr(92) + '|')} |" for option in rows
        ]
        lines.append("")
    return "\n".join(lines)


def spelled(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    choices = getattr(option.type, "choices", None)
    if option.is_flag or option.count:
        return names
    shown = "\\|".join(filter(None, choices or ()))
    return f"{names} {shown}".rstrip()


if __name__ == "__main__":
    main()
