"""A virtual environment in .venv with knarr in it, from a bare python3: standard library only, no pip needed.

Debian's python3 comes without ensurepip, and a fresh machine without pip. So pip is taken from where it is found:
the environment, ensurepip, the system, or else its wheel from the package index (checked against the index's hash).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: what was installed, so that nothing is done twice
STAMP = VENV / "knarr-setup.json"
DOWNLOAD_SECONDS = 60
#: where a requirement's name ends
NAME_END = re.compile(r"[<>=!~;(\[]")
#: links of the index's page (PEP 503), and those among them that are releases of pip
LINK = re.compile(r'href="([^"]+)"')
WHEEL = re.compile(r"(?P<file>pip-(?P<version>[0-9.]+)-py3-none-any\.whl)#sha256=(?P<sha256>[0-9a-f]{64})$")


class SetupError(Exception):
    """One sentence that says what is missing and how to get it."""


def say(text: str) -> None:
    print(text, flush=True)


def set_up(groups: tuple[str, ...] = ()) -> None:
    """knarr, editable, and the named dependency groups of pyproject.toml. Raises SetupError."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    for group in groups:
        wanted += project["dependency-groups"][group]
    stamp = hashlib.sha256(json.dumps([sorted(wanted), sys.version, str(ROOT)]).encode()).hexdigest()
    if PYTHON.exists() and stamp in _stamps():
        return
    if not PYTHON.exists():
        say("▸ making a virtual environment in .venv")
        _make_venv()
    pip = _pip()
    say(f"▸ installing knarr and {len(wanted)} packages it needs, into .venv")
    _install(pip, ["--editable", str(ROOT), *wanted])
    STAMP.write_text(json.dumps(sorted({*_stamps(), stamp})))


def _stamps() -> list[str]:
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return []


def _make_venv() -> None:
    try:
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt", clear=False).create(VENV)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"cannot make a virtual environment in {VENV}: {error}") from None


def _pip() -> list[str]:
    """The command that installs into .venv."""
    own = [str(PYTHON), "-m", "pip"]
    if _works(own):
        return own
    if _works([str(PYTHON), "-c", "import ensurepip"]) and _works(
        [str(PYTHON), "-m", "ensurepip", "--default-pip"], seconds=120
    ):
        return own
    system = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if _works(system):
        return system
    say("▸ this Python has no pip: fetching it from the package index")
    wheel = _fetch_pip()
    # a wheel is a zip file, and Python runs those
    code = subprocess.run(
        [str(PYTHON), f"{wheel}/pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        capture_output=True,
        text=True,
    )
    if code.returncode:
        raise SetupError(
            f"pip could not be installed ({_last_line(code.stderr)}); install it yourself: apt install python3-venv"
        )
    return own


def _works(command: list[str], seconds: float = 30) -> bool:
    command = [*command, "--version"] if command[-1] == "pip" or "--python" in command else command
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _fetch_pip() -> Path:
    """The newest released wheel of pip, in a temporary directory."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    try:
        page = _get(f"{index}/pip/").decode()
        links = [link for href in LINK.findall(page) if (link := WHEEL.search(href))]
        newest = max(links, key=lambda link: [int(part) for part in link["version"].split(".")])
        address = urllib.parse.urljoin(f"{index}/pip/", newest.string)
        content = _get(address.partition("#")[0])
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SetupError(
            f"the package index {index} cannot be reached ({reason}); check the network (and that ca-certificates is"
            " installed), or install pip yourself: apt install python3-venv"
        ) from None
    if hashlib.sha256(content).hexdigest() != newest["sha256"]:
        raise SetupError(f"{address} is damaged: its hash is not the one of the index; try again")
    path = Path(tempfile.mkdtemp(prefix="knarr-pip-")) / newest["file"]
    path.write_bytes(content)
    return path


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
        return answer.read()


def _install(pip: list[str], what: list[str]) -> None:
    """Run pip and show one line for each package."""
    command = [*pip, "install", "--disable-pip-version-check", "--progress-bar", "off", *what]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    show = _Progress()
    for line in process.stdout:
        lines.append(line.rstrip())
        show.line(line)
    show.end()
    if process.wait():
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
        raise SetupError("the packages could not be installed:\n    " + "\n    ".join(errors[:6]))


class _Progress:
    """On a terminal one line that changes, elsewhere a line for each package."""

    def __init__(self) -> None:
        self._tty = sys.stdout.isatty()

    def line(self, line: str) -> None:
        words = line.split()
        if line.startswith("Collecting"):
            self._show("  " + NAME_END.split(words[1])[0])
        elif line.startswith("Installing collected"):
            self._show("  unpacking")
        elif line.startswith("Successfully installed") and not self._tty:
            self._show(f"  installed {len(words) - 2} packages")

    def _show(self, text: str) -> None:
        if self._tty:
            print(f"\r\x1b[K{text}", end="", flush=True)
        else:
            say(text)

    def end(self) -> None:
        if self._tty:
            print("\r\x1b[K", end="", flush=True)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
