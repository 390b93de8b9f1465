"""Tool names, versions and settings are one thing in the code, the README, the bundle and the plugin."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dm_memory import __version__
from dm_memory.settings import Settings
from dm_memory_server.app import build_server
from dm_memory_server.http.settings import HttpSettings
from dm_memory_server.serve import serve_parser
from dm_memory_tools.catalog import OPERATIONS
from dm_memory_tools.runtime import Runtime

ROOT = Path(__file__).parents[2]
NAMES = ["sync_memory", "get_memory_status", "prepare_store", "search_memory", "storage_sync", "forget_memory"]

SKILLS = {
    "sync-memory": "sync_memory",
    "save-knowledge": "prepare_store",
    "search-knowledge": "search_memory",
    "memory-status": "get_memory_status",
    "forget": "forget_memory",
}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: str) -> Any:
    return json.loads(read(path))


def environment_names() -> set[str]:
    """Return the variable to set for each setting: its own, or the first name of another kind it answers to."""
    names = set()
    for name, field in (Settings.model_fields | HttpSettings.model_fields).items():
        alias = field.validation_alias
        choices = getattr(alias, "choices", [])
        own = [choice for choice in choices if isinstance(choice, str) and choice.isupper()]
        names.add(own[0] if own else f"DM_MEMORY_{name.upper()}")
    return names


def test_the_tools_have_one_list_of_names() -> None:
    assert [operation.name for operation in OPERATIONS] == NAMES
    assert [tool["name"] for tool in load("manifest.json")["tools"]] == NAMES
    assert re.findall(r"^\| `(\w+)` \|", read("README.md"), re.MULTILINE)[: len(NAMES)] == NAMES
    assert "sync_memory" in read("skills/sync-memory/SKILL.md")


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert {
        project["version"],
        load("manifest.json")["version"],
        load(".claude-plugin/plugin.json")["version"],
        build_server(Runtime()).version,
    } == {__version__}
    assert read("CHANGELOG.md").splitlines().count(f"## {__version__}") == 1


def test_python_and_licence_agree_with_the_package() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    manifest = load("manifest.json")
    assert manifest["compatibility"]["runtimes"]["python"] == project["requires-python"]
    assert manifest["license"] == load(".claude-plugin/plugin.json")["license"] == project["license"]
    assert read("LICENSE").strip().startswith("Apache License")


def test_every_setting_is_in_the_readme_and_none_that_does_not_exist() -> None:
    listed = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", read("README.md"), re.MULTILINE))
    assert listed == environment_names()


def test_what_the_bundle_asks_the_user_is_an_option_of_serve() -> None:
    manifest = load("manifest.json")
    arguments = manifest["server"]["mcp_config"]["args"]
    options = {option for action in serve_parser()._actions for option in action.option_strings}
    assert set(manifest["user_config"]) == {"home", "brand"}
    for name in manifest["user_config"]:
        assert f"--{name}" in options
        assert arguments[arguments.index(f"--{name}") + 1] == f"${{user_config.{name}}}"
    assert (ROOT / manifest["server"]["entry_point"]).is_file()


def test_the_plugin_starts_the_server_and_has_the_skills() -> None:
    plugin = load(".claude-plugin/plugin.json")
    assert plugin["name"] == "dm"
    server = plugin["mcpServers"]["dm-memory"]
    assert server["args"][-2:] == ["dm-memory", "serve"]
    assert "${CLAUDE_PLUGIN_ROOT}" in server["args"]
    assert sorted(path.parent.name for path in ROOT.glob("skills/*/SKILL.md")) == sorted(SKILLS)
    for skill, tool in SKILLS.items():
        text = read(f"skills/{skill}/SKILL.md")
        assert f"\nname: {skill}\ndescription: " in text.split("---")[1]
        assert f"`{tool}`" in text
        assert f"`/dm:{skill}`" in read("README.md")
    assert load(".claude-plugin/marketplace.json")["plugins"][0]["name"] == plugin["name"]


def test_every_command_is_in_the_readme() -> None:
    from dm_memory_server.cli import app  # noqa: PLC0415  # beside its only use

    commands = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    for command in commands:
        assert f"`dm-memory {command}" in read("README.md"), command


@pytest.mark.npm
def test_the_bundles_own_validator_accepts_the_manifest(tmp_path: Path) -> None:
    environment = os.environ | {"npm_config_cache": str(tmp_path / "npm"), "npm_config_update_notifier": "false"}
    command = ["npx", "--yes", "@anthropic-ai/mcpb", "validate", str(ROOT / "manifest.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
