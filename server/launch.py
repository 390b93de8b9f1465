"""Start dm-memory out of a folder with its source, as the plugin and the desktop bundle do; the standard library only.

    uv run --quiet --no-sync --frozen --python ">=3.11,<3.14" --project DIR DIR/server/launch.py serve

uv makes an empty environment if there is none, and starts this file with its Python. What is missing there is installed
once: what the package needs, and what the services need that are configured. Every later start asks neither uv's
resolver nor a network. Nothing is written to DIR.

A client waits 30 seconds for ``serve``. So that comes first, and the embedding model (44 % of all) while it serves.
``--if-installed`` in front of a command ends silently, with 0, if something has to be installed before: a hook never
waits for a download. A hook can't choose the environment either, so it may run with any Python and is handed on:

    uv run --quiet --no-project --no-python-downloads --directory DIR DIR/server/launch.py --if-installed COMMAND

``--directory``, because uv would take the Python of a ``.venv`` in the folder of the session, whoever made that.
"""

from __future__ import annotations

import contextlib
import hashlib
import locale
import os
import re
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = tuple(str(ROOT / name) for name in ("core", "tools", "server"))

EXTRAS = {
    "graphiti": ("FALKORDB_URI", "NEO4J_URI"),
    "pinecone": ("PINECONE_API_KEY",),
    "qdrant": ("QDRANT_URL",),
    "supermemory": ("SUPERMEMORY_API_KEY",),
}
"""The extras by the variables that connect what they are for."""

_RECORD = "dm-memory-launched"
"""States what was installed, in the environment's folder; by it the package knows this way of being installed."""

_THE_REST = "--install-the-rest"

_PATHS = "dm-memory-source.pth"
"""Names the source's folders for processes that the server starts."""


def wanted_extras() -> set[str]:
    """Return the extras of what is configured; empty variables and a bundle's unfilled placeholders don't count."""

    def is_set(name: str) -> bool:
        value = os.environ.get(name, "").strip()
        return bool(value) and not value.startswith("${")

    extras = {extra for extra, variables in EXTRAS.items() if any(map(is_set, variables))}
    if os.environ.get("DM_MEMORY_EMBEDDER", "").strip() == "fastembed":
        extras.add("fastembed")
    if any(os.environ.get(name, "").startswith("socks") for name in ("ALL_PROXY", "all_proxy")):
        extras.add("socks")
    return extras


def record_of(extras: set[str], model: str) -> str:
    """Return what the record says when the package of this folder is installed with these extras.

    Args:
        extras: The extras.
        model: Whether the embedding model is ``here`` as well or still ``coming``.
    """
    stated = re.sub(rb"(?m)^version = .*$", b"", (ROOT / "pyproject.toml").read_bytes(), count=1)
    needs = hashlib.sha256(stated).hexdigest()
    return f"extras: {' '.join(sorted(extras))}\nneeds: {needs}\nmodel: {model}\nsource: {ROOT}\n"


def satisfies(before: str, record: str) -> bool:
    """Return whether what was installed will do for a record; another version's source is no difference to a hook."""
    return before.partition("source:")[0] == record.partition("source:")[0]


def extras_in(record: str) -> set[str]:
    """Return the extras that a record names."""
    return set(record.partition("\n")[0].removeprefix("extras:").split())


def install(extras: set[str], *, model: bool) -> bool:
    """Install what the package and the extras need, in the versions that were tested; return whether it worked."""
    sys.stderr.write("dm-memory: installing what is missing, once.\n")
    command = [os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--python", sys.executable]
    command += ["--requirements", "pyproject.toml", *(part for each in sorted(extras) for part in ("--extra", each))]
    packages = Path(sysconfig.get_path("purelib"))
    try:
        if not model:
            without = Path(sys.prefix) / "without-model.txt"
            without.write_text("wordllama; python_version < '3'\n", "utf-8")
            command += ["--overrides", str(without)]
        # Standard input and output belong to the client; pyproject.toml has the pins, which uv reads in its folder.
        done = _run(command)
        if damaged := half_installed(packages):
            import shutil  # noqa: PLC0415  # as above

            for each in damaged:
                shutil.rmtree(each)
            done = _run(command)
        if done != 0:
            return False
        (packages / _PATHS).write_text("\n".join([*SOURCES, ""]), locale.getencoding())
        (Path(sys.prefix) / _RECORD).write_text(record_of(extras, "here" if model else "coming"), "utf-8")
    except OSError:
        return False
    site.addsitedir(str(packages))  # what was just installed can have such files as well
    return True


def _run(command: list[str]) -> int:
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode  # noqa: S603  # our own command


def half_installed(packages: Path) -> list[Path]:
    """Return the descriptions of packages that an install left incomplete when it was killed.

    uv takes such a package for installed, or fails over it, at every start; without its description it installs it.
    """
    import csv  # noqa: PLC0415  # only who installs needs it

    def is_whole(described: Path) -> bool:
        try:
            rows = csv.reader((described / "RECORD").read_text("utf-8").splitlines())
            return (described / "METADATA").is_file() and all((packages / row[0]).exists() for row in rows if row)
        except (OSError, ValueError):
            return False

    return [each for each in packages.glob("*.dist-info") if not is_whole(each)]


def ready(*, may_install: bool, at_once: bool) -> bool:
    """Return whether the package can run, after installing what is missing.

    Args:
        may_install: Else nothing is installed.
        at_once: A client waits: the model comes while the package runs.
    """
    try:
        before = (Path(sys.prefix) / _RECORD).read_text("utf-8")
    except (OSError, ValueError):
        before = ""
    extras = wanted_extras() | extras_in(before)
    if not may_install:
        return any(satisfies(before, record_of(extras, model)) for model in ("here", "coming"))
    if before == record_of(extras, "here"):
        return True
    if not (at_once and before == record_of(extras, "coming")) and not install(extras, model=not at_once):
        sys.stderr.write(
            "dm-memory: that failed; is there a network, and space on the disk? The next start tries again.\n"
        )
        return bool(before)  # what an earlier start installed may do; whatever needs a missing extra names it
    if at_once:
        with contextlib.suppress(OSError):
            subprocess.Popen(  # noqa: S603  # this file
                [sys.executable, __file__, _THE_REST],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a client ends the server's whole group
            )
    return True


def hand_on() -> int:
    """Run this again with the Python of the plugin's environment, if there is one; return the exit code."""
    venv = Path(os.environ["CLAUDE_PLUGIN_DATA"]) / "venv"
    python = venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (venv / _RECORD).is_file():
        return 0
    command = [str(python), __file__, *sys.argv[1:]]
    with contextlib.suppress(OSError):  # the Python it was made with is gone: the server's next start makes another one
        if sys.platform != "win32":
            os.execv(python, command)  # noqa: S606  # no shell
        return subprocess.run(command, check=False).returncode  # noqa: S603  # this file
    return 0


def main() -> int:
    """Run the command; return the exit code if it could not be started."""
    arguments = sys.argv[1:]
    if arguments == [_THE_REST]:
        return 0 if ready(may_install=True, at_once=False) else 1
    only_if_installed = arguments[:1] == ["--if-installed"]
    if only_if_installed and os.environ.get("CLAUDE_PLUGIN_DATA") and not (Path(sys.prefix) / _RECORD).is_file():
        return hand_on()
    arguments = arguments[only_if_installed:]
    if not ready(may_install=not only_if_installed, at_once=arguments[:1] == ["serve"]):
        return 0 if only_if_installed else 1
    sys.path[:0] = SOURCES
    if not os.access(ROOT, os.W_OK):  # else every start would compile everything
        sys.pycache_prefix = str(Path(sys.prefix) / "pycache")
    sys.argv = ["dm-memory", *arguments]
    from dm_memory_server.main import main as run  # noqa: PLC0415  # importable from here on

    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
