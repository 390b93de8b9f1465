"""Each artefact, installed by each installer into an empty environment with an empty HOME: it syncs, and it goes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dm_memory import __version__
from dm_memory_tools.catalog import OPERATIONS
from tests.support.installing import (
    SAMPLE_ENTRIES,
    brands_folder,
    empty_environment,
    python_of,
    run_in,
    script,
    sync_and_list,
    uv,
)

pytestmark = pytest.mark.artefact

NAMES = [operation.name for operation in OPERATIONS]
ASKED = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation.

    Attributes:
        command: What starts it.
        remove: What uninstalls it; nothing for uvx, which installs for one run.
    """

    command: list[str | Path]
    remove: list[str | Path]


def by_pip(artefact: Path, folder: Path, environment: Mapping[str, str]) -> Installed:
    run_in(environment, sys.executable, "-m", "venv", folder / "venv")
    pip: list[str | Path] = [script(folder / "venv", "python"), "-m", "pip"]
    run_in(environment, *pip, "install", "--quiet", artefact)
    return Installed([script(folder / "venv", "dm-memory")], [*pip, "uninstall", "--yes", "dm-memory"])


def by_uv_tool(artefact: Path, folder: Path, environment: Mapping[str, str]) -> Installed:
    run_in(environment, uv(), "tool", "install", "--quiet", "--python", sys.executable, artefact)
    return Installed([folder / "bin" / script(folder, "dm-memory").name], [uv(), "tool", "uninstall", "dm-memory"])


def by_pipx(artefact: Path, folder: Path, environment: Mapping[str, str]) -> Installed:
    pipx: list[str | Path] = [uv(), "tool", "run", "--python", sys.executable, "pipx"]
    run_in(environment, *pipx, "install", "--python", sys.executable, artefact)
    return Installed([folder / "bin" / script(folder, "dm-memory").name], [*pipx, "uninstall", "dm-memory"])


def by_uvx(artefact: Path, folder: Path, environment: Mapping[str, str]) -> Installed:
    del folder, environment
    command: list[str | Path] = [uv(), "tool", "run", "--python", sys.executable, "--from", artefact, "dm-memory"]
    return Installed(command, [])


INSTALLERS: dict[str, Callable[[Path, Path, Mapping[str, str]], Installed]] = {
    "pip": by_pip,
    "uv tool": by_uv_tool,
    "pipx": by_pipx,
    "uvx": by_uvx,
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an empty environment whose installers put commands below the test's folder."""
    folders = {name: str(tmp_path / "bin") for name in ("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR")}
    return empty_environment(tmp_path) | folders


@pytest.mark.parametrize(
    ("installer", "kind"),
    [("pip", "wheel"), ("uv tool", "wheel"), ("uv tool", "sdist"), ("pipx", "wheel"), ("uvx", "wheel")],
)
def test_it_syncs_over_the_command_line_and_over_mcp_and_can_be_uninstalled(
    request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str], installer: str, kind: str
) -> None:
    artefact: Path = request.getfixturevalue(kind)
    home = brands_folder(tmp_path)
    installed = INSTALLERS[installer](artefact, tmp_path, environment)
    answers = asyncio.run(
        sync_and_list([*installed.command, "serve"], environment | {"CLAUDE_MARKETING_HOME": str(home)})
    )
    assert answers == {"tools": NAMES, "new": SAMPLE_ENTRIES}
    report = json.loads(run_in(environment, *installed.command, "sync", "--home", home, "--json"))
    assert (report["counts"]["new"], report["counts"]["failed"]) == (0, 0)
    assert run_in(environment, *installed.command, "--version").split() == ["dm-memory", __version__]
    if installed.remove:
        run_in(environment, *installed.remove)
        assert not Path(installed.command[0]).exists()


@pytest.mark.parametrize("python", [version for version in ASKED if python_of(version)])
def test_it_syncs_on_every_python_there_is_here(
    wheel: Path, tmp_path: Path, environment: dict[str, str], python: str
) -> None:
    command = [uv(), "tool", "run", "--python", python_of(python), "--from", wheel, "dm-memory", "demo"]
    assert "## Synced" in run_in(environment, *command, cwd=tmp_path)


def test_the_extras_can_be_installed_from_wheels(built: Path, wheel: Path, tmp_path: Path) -> None:
    environment = empty_environment(tmp_path)
    run_in(environment, uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = script(tmp_path / "venv", "python")
    wanted = f"dm-memory[all] @ {wheel.as_uri()}"
    run_in(environment, uv(), "pip", "install", "--quiet", "--python", python, "--find-links", built, wanted)
    modules = "dm_memory_redb, fastembed, falkordb, neo4j, pinecone, qdrant_client, socksio, supermemory"
    run_in(environment, python, "-c", f"import {modules}")
    home = brands_folder(tmp_path)
    command = script(tmp_path / "venv", "dm-memory")
    run_in(environment, command, "sync", "--home", home)
    run_in(environment, command, "storage-sync", "--home", home)
    assert list(home.rglob("*.redb")), "the cache is redb's"


def test_it_syncs_with_the_oldest_versions_that_its_ranges_allow(wheel: Path, tmp_path: Path) -> None:
    """The lowest version of what is named; of what that needs, the newest."""
    environment = empty_environment(tmp_path)
    needed = tmp_path / "needed.in"
    needed.write_text("\n".join(_requirements(wheel)))
    options = ["--no-config", "--python", sys.executable]
    run_in(
        environment,
        uv(),
        "pip",
        "compile",
        *options,
        "--resolution",
        "lowest-direct",
        needed,
        "-o",
        tmp_path / "old.txt",
    )
    run_in(environment, uv(), "venv", "--quiet", *options, tmp_path / "venv")
    python = script(tmp_path / "venv", "python")
    run_in(environment, uv(), "pip", "install", "--no-config", "--python", python, "-r", tmp_path / "old.txt", wheel)
    assert "typer==0.29.0" in run_in(environment, uv(), "pip", "freeze", "--python", python)
    assert "## Synced" in run_in(environment, script(tmp_path / "venv", "dm-memory"), "demo", cwd=tmp_path)


def test_every_range_has_an_upper_bound(wheel: Path) -> None:
    for text in _requirements(wheel):
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators & {"<", "=="}, text


def _requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    texts = metadata.get_all("Requires-Dist") or []
    return [text for text in texts if "extra ==" not in text]


def test_without_the_model_status_and_doctor_name_the_reason_and_one_command(wheel: Path, tmp_path: Path) -> None:
    """As on a Python, a processor or a system that the model has no wheel for: its requirement is left out there."""
    environment = empty_environment(tmp_path)
    without = tmp_path / "without.txt"
    without.write_text("wordllama; python_version < '3'\n")
    run_in(environment, uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = script(tmp_path / "venv", "python")
    run_in(environment, uv(), "pip", "install", "--quiet", "--python", python, "--overrides", without, wheel)
    command, home = script(tmp_path / "venv", "dm-memory"), brands_folder(tmp_path)
    run_in(environment, command, "sync", "--home", home)
    status = run_in(environment, command, "status", "--home", home)
    doctor = subprocess.run(
        [str(command), "doctor", "--home", str(home)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
    ).stdout
    for text in (status, doctor):
        assert "no embedding model is installed" in text.casefold()
        assert "pip install wordllama" in text
