"""Start dm-memory out of a folder with its source, as the plugin and the desktop bundle do; the standard library only.

    uv run --quiet --no-sync --frozen --python ">=3.11,<3.14" --project DIR DIR/server/launch.py serve

uv makes an empty environment if there is none, and starts this file with its Python. What is missing there is installed
once: what the package needs, and what the services need that are configured. Every later start asks neither uv's
resolver nor a network. Nothing is written to DIR. ``--if-installed`` in front of the command ends silently, with 0,
if something would have to be installed: a hook never waits for a download.
"""

from __future__ import annotations

import contextlib
import hashlib
import locale
import os
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


def record_of(extras: set[str]) -> str:
    """Return what the record says when the package of this folder is installed with these extras."""
    needs = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"extras: {' '.join(sorted(extras))}\nneeds: {needs}\nsource: {ROOT}\n"


def extras_in(record: str) -> set[str]:
    """Return the extras that a record names."""
    return set(record.partition("\n")[0].removeprefix("extras:").split())


def install(extras: set[str]) -> bool:
    """Install what the package and the extras need, in the versions that were tested; return whether it worked."""
    sys.stderr.write("dm-memory: installing what is missing, once.\n")
    command = [os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--python", sys.executable]
    command += ["--requirements", "pyproject.toml", *(part for each in sorted(extras) for part in ("--extra", each))]
    try:
        # Standard input and output belong to the client; pyproject.toml has the pins, which uv reads in its folder.
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)  # noqa: S603  # our own command
    except OSError:
        return False
    return done.returncode == 0


def ready(*, may_install: bool) -> bool:
    """Return whether the package can run, after installing what is missing if that is allowed."""
    record = Path(sys.prefix) / _RECORD
    try:
        before = record.read_text("utf-8")
    except (OSError, ValueError):
        before = ""
    extras = wanted_extras() | extras_in(before)
    if before == record_of(extras):
        return True
    if not may_install:
        return False
    if not install(extras):
        sys.stderr.write("dm-memory: that failed; is there a network? The next start tries again.\n")
        return bool(before)  # what an earlier start installed may do; whatever needs a missing extra names it
    packages = Path(sysconfig.get_path("purelib"))
    with contextlib.suppress(OSError):
        (packages / _PATHS).write_text("\n".join([*SOURCES, ""]), locale.getencoding())
        record.write_text(record_of(extras), "utf-8")
    site.addsitedir(str(packages))  # what was just installed can have such files as well
    return True


def main() -> int:
    """Run the command; return the exit code if it could not be started."""
    arguments = sys.argv[1:]
    only_if_installed = arguments[:1] == ["--if-installed"]
    if not ready(may_install=not only_if_installed):
        return 0 if only_if_installed else 1
    sys.path[:0] = SOURCES
    if not os.access(ROOT, os.W_OK):  # else every start would compile everything
        sys.pycache_prefix = str(Path(sys.prefix) / "pycache")
    sys.argv = ["dm-memory", *arguments[only_if_installed:]]
    from dm_memory_server.main import main as run  # noqa: PLC0415  # importable from here on

    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
