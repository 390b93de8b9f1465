"""The plugin, started as Claude Code does it: installed once, then offline, with its own folder left untouched."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dm_memory import __version__
from dm_memory_tools.catalog import OPERATIONS
from tests.support.installing import SAMPLE_ENTRIES, brands_folder, empty_environment, run_in, script, sync_and_list, uv
from tests.support.processes import UNPRIVILEGED

pytestmark = pytest.mark.artefact

NAMES = [operation.name for operation in OPERATIONS]


def _works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run([*command, "true"], check=False).returncode == 0


WITHOUT_NETWORK = ("unshare", "--net") if _works("unshare", "--net") else ()
"""A namespace of its own where that is allowed; uv's own switch is set everywhere."""


class Plugin:
    """A plugin's folder and its data folder, and the command that Claude Code makes of plugin.json.

    Args:
        root: The folder with the source, which nothing may be written to.
        folder: Where the data folder and the empty HOME are.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        started = json.loads((root / ".claude-plugin" / "plugin.json").read_text("utf-8"))["mcpServers"]["dm-memory"]
        self.data = folder / "data"
        names = {"${CLAUDE_PLUGIN_ROOT}": str(root), "${CLAUDE_PLUGIN_DATA}": str(self.data)}

        def filled(text: str) -> str:
            for name, value in names.items():
                text = text.replace(name, value)
            return text

        self.command = [uv(), *map(filled, started["args"][:-1])]
        settings = {name: filled(value) for name, value in started["env"].items()}
        self.environment = empty_environment(folder) | settings
        self.venv = self.data / "venv"

    def wait_for_the_model(self) -> None:
        """Wait until what a first start installs in the background is there."""
        end = time.monotonic() + 600
        while "model: here" not in (self.venv / "dm-memory-launched").read_text("utf-8"):
            assert time.monotonic() < end
            time.sleep(0.2)

    def offline(self, empty: Path) -> dict[str, str]:
        """Return the environment without a network, and with nothing that uv could know from earlier."""
        return self.environment | {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(empty)}


@pytest.fixture
def plugin(source: Path, tmp_path: Path) -> Plugin:
    """Return a plugin that was never started."""
    return Plugin(source, tmp_path)


@pytest.fixture(scope="module")
def started(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    """Return a plugin that was started once."""
    plugin = Plugin(source, tmp_path_factory.mktemp("started"))
    run_in(plugin.environment, *plugin.command, "--version")
    return plugin


def test_the_second_start_needs_no_network_no_index_and_no_cache(started: Plugin, tmp_path: Path) -> None:
    home = brands_folder(tmp_path)
    environment = started.offline(tmp_path / "no cache") | {"CLAUDE_MARKETING_HOME": str(home)}
    answers = asyncio.run(sync_and_list([*WITHOUT_NETWORK, *started.command, "serve"], environment))
    assert answers == {"tools": NAMES, "new": SAMPLE_ENTRIES}


def test_the_first_start_serves_before_the_model_is_there_from_a_folder_that_can_not_be_written(
    source: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("__pycache__", "target", "dist"))
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    plugin = Plugin(root, tmp_path)
    home = brands_folder(tmp_path)
    environment = plugin.environment | {"CLAUDE_MARKETING_HOME": str(home)}
    answers = asyncio.run(sync_and_list([*UNPRIVILEGED, *plugin.command, "serve"], environment))
    assert answers == {"tools": NAMES, "new": SAMPLE_ENTRIES}
    plugin.wait_for_the_model()
    run_in(environment, *UNPRIVILEGED, *plugin.command, "sync")
    assert "every entry has them" in run_in(environment, *UNPRIVILEGED, *plugin.command, "status")
    assert not [*root.rglob("__pycache__"), *root.rglob("uv.lock"), *root.rglob(".venv")]


def test_a_connected_service_brings_its_extra_with_the_next_start(plugin: Plugin) -> None:
    run_in(plugin.environment | {"QDRANT_URL": "${user_config.qdrant_url}"}, *plugin.command, "--version")
    python = script(plugin.venv, "python")
    there = subprocess.run([str(python), "-c", "import qdrant_client"], check=False, capture_output=True)
    assert there.returncode != 0
    connected = plugin.environment | {"QDRANT_URL": "http://localhost:1", "SUPERMEMORY_API_KEY": "a key"}
    run_in(connected, *plugin.command, "--version")
    run_in(plugin.environment, python, "-c", "import qdrant_client, supermemory")
    # And it stays when the service is not configured for a while: nothing is installed a second time.
    run_in(plugin.offline(plugin.data / "none"), *WITHOUT_NETWORK, *plugin.command, "--version")


def test_an_extra_that_can_not_be_installed_keeps_nobody_from_starting(started: Plugin, tmp_path: Path) -> None:
    home = brands_folder(tmp_path)
    environment = started.offline(tmp_path / "no cache") | {"PINECONE_API_KEY": "a key"}
    done = subprocess.run(
        [*WITHOUT_NETWORK, *started.command, "doctor", "--home", str(home)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )
    assert "the next start installs the extra pinecone" in done.stdout
    assert "The next start tries again" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_first_starts_at_once_both_serve(plugin: Plugin) -> None:
    pair = [
        subprocess.Popen([*plugin.command, "--version"], env=plugin.environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for each in pair:
        out, _ = each.communicate(timeout=600)
        assert (each.returncode, out.split()[:1]) == (0, [b"dm-memory"])


def test_a_first_start_without_a_network_ends_in_a_sentence(plugin: Plugin, tmp_path: Path) -> None:
    done = subprocess.run(
        [*WITHOUT_NETWORK, *plugin.command, "serve"],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=plugin.offline(tmp_path / "no cache"),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is there a network, and space on the disk?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hook_never_waits_for_a_download(plugin: Plugin, started: Plugin) -> None:
    assert run_in(plugin.environment, *plugin.command, "--if-installed", "--version") == ""
    assert not (plugin.venv / "dm-memory-launched").exists()
    assert run_in(started.environment, *started.command, "--if-installed", "--version").startswith("dm-memory ")


def test_a_hook_finds_the_plugins_environment_from_any_folder_with_any_python(
    source: Path, plugin: Plugin, started: Plugin, tmp_path: Path
) -> None:
    for each, expected in ((started, "dm-memory "), (plugin, "")):
        found = hooked(each, source, tmp_path)
        assert found.startswith(expected)
        assert bool(found) is bool(expected)


def hooked(plugin: Plugin, source: Path, folder: Path) -> str:
    """Run --version as hooks.json runs its hooks, in a session's folder; return what it printed, with code 0."""
    group = json.loads((source / "hooks" / "hooks.json").read_text("utf-8"))["hooks"]["SessionStart"][0]
    command = group["hooks"][0]["command"].replace("hook session-start; exit 0", "--version")
    environment = plugin.offline(folder / "no cache")
    environment |= {"CLAUDE_PLUGIN_DATA": str(plugin.data), "CLAUDE_PLUGIN_ROOT": str(source)}
    del environment["UV_PROJECT_ENVIRONMENT"]
    return run_in(environment, *WITHOUT_NETWORK, "sh", "-c", command, cwd=folder)


def test_a_hook_runs_no_program_out_of_the_folder_of_the_session(source: Path, started: Plugin, tmp_path: Path) -> None:
    """By itself uv takes the Python of a .venv there: in a cloned repository, anybody's program."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (programs / "python").write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    assert hooked(started, source, tmp_path).startswith("dm-memory ")
    assert not (tmp_path / "ran").exists()


def test_a_hook_says_nothing_when_the_python_of_the_environment_is_gone(
    source: Path, plugin: Plugin, tmp_path: Path
) -> None:
    python = script(plugin.venv, "python")
    python.parent.mkdir(parents=True)
    (plugin.venv / "dm-memory-launched").touch()
    python.symlink_to(tmp_path / "nothing")
    assert hooked(plugin, source, tmp_path) == ""


def test_a_package_that_a_killed_install_left_incomplete_is_installed_again(plugin: Plugin) -> None:
    """Kills leave both forms: uv fails over the one for ever, and takes the other for installed."""
    run_in(plugin.environment, *plugin.command, "--version")
    packages = next(plugin.venv.glob("lib/python*/site-packages"))
    (numpy,) = packages.glob("numpy-*.dist-info")
    (numpy / "METADATA").unlink()
    shutil.rmtree(packages / "orjson")
    (plugin.venv / "dm-memory-launched").unlink()
    assert run_in(plugin.environment, *plugin.command, "--version").startswith("dm-memory ")
    run_in(plugin.environment, script(plugin.venv, "python"), "-c", "import numpy, orjson")


def test_another_version_of_the_plugin_has_its_hooks_at_once_and_its_server_needs_no_network(
    source: Path, plugin: Plugin, tmp_path: Path
) -> None:
    run_in(plugin.environment, *plugin.command, "--version")
    newer = tmp_path / "newer"
    shutil.copytree(source, newer, ignore=shutil.ignore_patterns("__pycache__", "target", "dist"))
    for path in (newer / "pyproject.toml", newer / "core" / "dm_memory" / "__init__.py"):
        text = path.read_text("utf-8")
        path.write_text(text.replace(f'= "{__version__}"', '= "99.0"', 1), "utf-8")
    assert hooked(plugin, newer, tmp_path) == "dm-memory 99.0\n"
    command = [each.replace(str(source), str(newer)) for each in plugin.command]
    environment = plugin.offline(tmp_path / "no cache")
    assert run_in(environment, *WITHOUT_NETWORK, *command, "--version") == "dm-memory 99.0\n"
    bare = {"PATH": os.environ["PATH"]}
    python = script(plugin.venv, "python")
    assert run_in(bare, python, "-m", "dm_memory_server.main", "--version") == "dm-memory 99.0\n"
    # Needs that differ are the server's to install, and no hook runs before.
    with (newer / "pyproject.toml").open("a") as file:
        file.write("# other needs\n")
    assert hooked(plugin, newer, tmp_path) == ""
    assert hooked(plugin, source, tmp_path) == f"dm-memory {__version__}\n"


def test_what_the_server_starts_finds_the_source_too(started: Plugin) -> None:
    bare = {"PATH": os.environ["PATH"]}
    assert run_in(bare, script(started.venv, "python"), "-m", "dm_memory_server.main", "--version").startswith("dm-mem")
