"""Installed copies of the product: an empty environment with an empty HOME, and a client that syncs the sample home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from tests.support.processes import REPOSITORY

__all__ = [
    "SAMPLE_ENTRIES",
    "brands_folder",
    "copy_source",
    "empty_environment",
    "python_of",
    "run_in",
    "script",
    "sync_and_list",
    "uv",
]

SAMPLE_ENTRIES = 191
"""What the sample home's first sync stores."""

_KEPT = ("UV_", "PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SYSTEMROOT", "TMP", "TEMP", "LANG")


@cache
def uv() -> str:
    """Return uv itself: a shim of a version manager would not work with an empty HOME."""
    found = os.environ.get("UV") or shutil.which("uv")
    if found is None:
        raise FileNotFoundError("uv")
    asked = subprocess.run([found, "run", "--no-project", "--quiet", "python", "-c", _NAME_OF_UV], check=True, **_TEXT)
    return asked.stdout.strip() or found


_NAME_OF_UV = "import os; print(os.environ.get('UV', ''))"
_TEXT: dict[str, Any] = {"capture_output": True, "encoding": "utf-8"}


@cache
def python_of(version: str) -> str:
    """Return the path of an interpreter that is here, "" if there is none."""
    command = [uv(), "python", "find", "--no-project", "--no-python-downloads", version]
    found = subprocess.run(command, check=False, **_TEXT).stdout.strip()
    # pyenv's that are not selected are not on the PATH.
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return found or next((str(path) for path in sorted(versions.glob(f"{version}.*/bin/python{version}"))), "")


@cache
def _caches() -> dict[str, str]:
    cache = Path(subprocess.run([uv(), "cache", "dir"], check=True, **_TEXT).stdout.strip())
    return {"UV_CACHE_DIR": str(cache), "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(cache.with_name("pip")))}


def empty_environment(folder: Path) -> dict[str, str]:
    """Return an environment with an empty HOME below a folder; caches are the caller's, to be quick."""
    home = folder / "empty home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(_KEPT)}
    for name in ("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV"):
        kept.pop(name, None)
    path = os.pathsep.join([str(Path(uv()).parent), os.environ["PATH"]])
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "PATH": path} | _caches()


def run_in(environment: Mapping[str, str], *command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must work; return what it printed."""
    done = subprocess.run([*map(str, command)], check=False, env=dict(environment), cwd=cwd, **_TEXT)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def script(folder: Path, name: str) -> Path:
    """Return where an environment keeps a command."""
    return (
        folder
        / ("Scripts" if sys.platform == "win32" else "bin")
        / (f"{name}.exe" if sys.platform == "win32" else name)
    )


def brands_folder(folder: Path) -> Path:
    """Return a fresh copy of the sample home."""
    return Path(shutil.copytree(REPOSITORY / "examples" / "home", folder / "brands"))


def copy_source(target: Path) -> None:
    """Copy what is, or would be, in git, and nothing that a developer's checkout has beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], check=True, cwd=REPOSITORY, **_TEXT
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


async def sync_and_list(command: Sequence[str | Path], environment: Mapping[str, str]) -> dict[str, Any]:
    """Start a server as a client does, list its tools, sync; return the tools' names and how many entries are new."""
    parameters = StdioServerParameters(
        command=str(command[0]), args=[*map(str, command[1:])], env=dict(environment), cwd=environment["HOME"]
    )
    async with Client(parameters) as client:
        tools = await client.list_tools()
        result = await client.call_tool("sync_memory", {})
    assert result.meta is not None
    counts = result.meta["io.dm-memory/report"]["counts"]
    return {"tools": [tool.name for tool in tools.tools], "new": counts["new"]}
