"""Tool names, versions and settings are one thing in the code, the README, the bundle and the plugin."""

from __future__ import annotations

import asyncio
import json
import os
import re
import runpy
import subprocess
import tomllib
import zipfile
from functools import reduce
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr

from dm_memory import __version__
from dm_memory.services.connect import connections
from dm_memory.settings import Settings
from dm_memory_server.app import build_server
from dm_memory_server.http.settings import HttpSettings
from dm_memory_server.serve import serve_parser
from dm_memory_tools.catalog import OPERATIONS
from dm_memory_tools.runtime import Runtime
from tests.support.installing import (
    SAMPLE_ENTRIES,
    brands_folder,
    copy_source,
    empty_environment,
    sync_and_list,
    uv,
)

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


PYTHONS = ">=3.11,<3.14"
"""Those that the embedding model is built for."""


def launch(root: str) -> list[str]:
    """Return the arguments with which uv starts the launcher of a folder."""
    return [
        "run",
        "--quiet",
        "--no-sync",
        "--frozen",
        "--python",
        PYTHONS,
        "--project",
        root,
        f"{root}/server/launch.py",
    ]


def test_what_the_bundle_asks_the_user_is_an_option_of_serve_or_a_variable_of_a_service() -> None:
    manifest = load("manifest.json")
    started = manifest["server"]["mcp_config"]
    assert [started["command"], *started["args"][:9]] == ["uv", *launch("${__dirname}")]
    options = {option for action in serve_parser()._actions for option in action.option_strings}
    for name in ("home", "brand"):
        assert f"--{name}" in options
        assert started["args"][started["args"].index(f"--{name}") + 1] == f"${{user_config.{name}}}"
    services = {name: field for name, field in manifest["user_config"].items() if name not in {"home", "brand"}}
    assert started["env"] == {name.upper(): f"${{user_config.{name}}}" for name in services}
    assert set(started["env"]) <= environment_names()
    assert all(field["sensitive"] and not field["required"] for field in services.values())
    assert (ROOT / manifest["server"]["entry_point"]).is_file()


def test_the_launcher_installs_the_extra_of_every_variable_that_connects_a_service() -> None:
    launcher = runpy.run_path(str(ROOT / "server" / "launch.py"))
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    assert set(launcher["EXTRAS"]) <= set(extras)
    known = {variable for variables in launcher["EXTRAS"].values() for variable in variables}
    needs_nothing = {"TURSO_DATABASE_URL"}
    everything = Settings(
        qdrant_url="http://localhost:1",
        pinecone_api_key=SecretStr("a"),
        turso_database_url="http://localhost:2",
        falkordb_uri="redis://localhost:3",
        neo4j_uri="bolt://localhost:4",
        supermemory_api_key=SecretStr("b"),
    )
    found = set()
    for vector, graph in (("qdrant", "falkordb"), ("pinecone", "neo4j")):
        chosen = everything.model_copy(update={"vector_db": vector, "graph_db": graph})
        found |= {connection.variable for connection in connections(chosen)}
    assert known == found - needs_nothing


def test_every_address_of_the_project_is_the_one_of_pyproject() -> None:
    urls = tomllib.loads(read("pyproject.toml"))["project"]["urls"]
    home = urls["Homepage"]
    assert all(url.startswith(home) for url in urls.values())
    manifest, server = load("manifest.json"), load("server.json")
    assert manifest["author"]["url"] == manifest["repository"]["url"] == manifest["homepage"] == home
    assert (manifest["documentation"], manifest["support"]) == (urls["Documentation"], urls["Issues"])
    assert manifest["privacy_policies"][0] == urls["Privacy"]
    assert server["websiteUrl"] == server["repository"]["url"] == home
    owner, name = home.removeprefix("https://github.com/").split("/")
    assert server["name"] == f"io.github.{owner}/{name}"
    assert f"mcp-name: {server['name']}" in read("README.md")


def test_the_registrys_entry_starts_what_the_package_has() -> None:
    server = load("server.json")
    jsonschema.validate(server, _SERVER_JSON)
    [package] = server["packages"]
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert (server["version"], package["version"], package["identifier"]) == (__version__, __version__, project["name"])
    assert package["runtimeArguments"][0]["value"] == PYTHONS
    assert [argument["value"] for argument in package["packageArguments"]] == ["serve"]
    variables = {variable["name"]: variable for variable in package["environmentVariables"]}
    assert set(variables) <= environment_names()
    secret = {name for name, variable in variables.items() if variable["isSecret"]}
    assert secret == set(load("manifest.json")["server"]["mcp_config"]["env"])


_SERVER_JSON = {
    "type": "object",
    "required": ["$schema", "name", "description", "version", "packages"],
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "maxLength": 200},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "packages": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["registryType", "identifier", "version", "transport"],
                "properties": {
                    "registryType": {"const": "pypi"},
                    "identifier": {"type": "string"},
                    "version": {"type": "string"},
                    "runtimeHint": {"const": "uvx"},
                    "transport": {"type": "object", "properties": {"type": {"const": "stdio"}}, "required": ["type"]},
                    "runtimeArguments": {"type": "array", "items": {"required": ["type", "name", "value"]}},
                    "packageArguments": {"type": "array", "items": {"required": ["type", "value"]}},
                    "environmentVariables": {
                        "type": "array",
                        "items": {"type": "object", "required": ["name", "description", "isRequired", "isSecret"]},
                    },
                },
            },
        },
    },
}
"""What the registry's schema of 2025-12-11 asks of the parts that are used here."""


def test_the_plugin_starts_the_server_and_has_the_skills() -> None:
    plugin = load(".claude-plugin/plugin.json")
    assert plugin["name"] == "dm"
    server = plugin["mcpServers"]["dm-memory"]
    assert [server["command"], *server["args"]] == ["uv", *launch("${CLAUDE_PLUGIN_ROOT}"), "serve"]
    assert server["env"] == {"UV_PROJECT_ENVIRONMENT": "${CLAUDE_PLUGIN_DATA}/venv"}
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
def test_the_bundle_passes_its_own_tools_and_the_unpacked_one_syncs(tmp_path: Path) -> None:
    """As a desktop client does it: the manifest's command, with what the user left open unfilled or empty."""
    tool = ["npx", "--yes", "@anthropic-ai/mcpb"]
    environment = os.environ | {"npm_config_cache": str(tmp_path / "npm"), "npm_config_update_notifier": "false"}
    source = tmp_path / "source"
    copy_source(source)
    for arguments in (["validate", str(source / "manifest.json")], ["pack", str(source), str(tmp_path / "dm.mcpb")]):
        done = subprocess.run(
            [*tool, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout + done.stderr
    bundle = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "dm.mcpb") as archive:
        archive.extractall(bundle)
    assert (bundle / load("manifest.json")["icon"]).is_file()
    home = brands_folder(tmp_path)
    started = load("manifest.json")["server"]["mcp_config"]
    filled = {"${__dirname}": str(bundle), "${user_config.home}": str(home), "${user_config.brand}": ""}
    arguments = [reduce(lambda text, pair: text.replace(*pair), filled.items(), each) for each in started["args"]]
    answers = asyncio.run(sync_and_list([uv(), *arguments], empty_environment(tmp_path) | started["env"]))
    assert answers == {"tools": NAMES, "new": SAMPLE_ENTRIES}
