"""The plugin, started as Claude Code does it: installed once, then offline, with its own folder left untouched."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

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
    assert "is there a network?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hook_never_waits_for_a_download(plugin: Plugin, started: Plugin) -> None:
    assert run_in(plugin.environment, *plugin.command, "--if-installed", "--version") == ""
    assert not (plugin.venv / "dm-memory-launched").exists()
    assert run_in(started.environment, *started.command, "--if-installed", "--version").startswith("dm-memory ")


def test_a_hook_finds_the_plugins_environment_from_any_folder_with_any_python(
    source: Path, plugin: Plugin, started: Plugin, tmp_path: Path
) -> None:
    hook = [uv(), "run", "--quiet", "--no-project", source / "server" / "launch.py", "--if-installed", "--version"]
    for each, expected in ((started, "dm-memory "), (plugin, "")):
        environment = each.offline(tmp_path / "no cache") | {"CLAUDE_PLUGIN_DATA": str(each.data)}
        del environment["UV_PROJECT_ENVIRONMENT"]
        found = run_in(environment, *WITHOUT_NETWORK, *hook, cwd=tmp_path)
        assert found.startswith(expected)
        assert bool(found) is bool(expected)


def test_what_the_server_starts_finds_the_source_too(started: Plugin) -> None:
    bare = {"PATH": os.environ["PATH"]}
    assert run_in(bare, script(started.venv, "python"), "-m", "dm_memory_server.main", "--version").startswith("dm-mem")
