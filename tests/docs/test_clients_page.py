"""docs/clients.md shows for every client the entry that ``dm-memory connect`` writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dm_memory_server.connect.clients import CLIENTS, Client

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
_ENTRY = re.compile(r"^<!-- entry:([\w-]+) -->\n```(json|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STANDS_FOR = "/PATH/TO/dm-memory"

SHOWN = {name: (kind, text) for name, kind, text in _ENTRY.findall(PAGE)}


def parsed(kind: str, text: str) -> Any:
    return tomllib.loads(text) if kind == "toml" else json.loads(text)


def test_the_page_has_an_entry_for_every_client_and_a_section_that_names_its_command() -> None:
    assert list(SHOWN) == [client.name for client in CLIENTS]
    for client in CLIENTS:
        assert f"\n## {client.title}\n" in PAGE
        assert f"`dm-memory connect {client.name}`" in PAGE
        assert not client.project or f"`{client.project}`" in PAGE


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_an_entry_is_what_connect_would_write(client: Client, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dm_memory_server.main", "connect", client.name, "--dry-run"]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    found = re.search(r"^```(json|toml)\n(.*?)^```$", done.stdout, re.MULTILINE | re.DOTALL)
    assert found
    assert found[1] == SHOWN[client.name][0]
    written, shown = parsed(found[1], found[2]), parsed(*SHOWN[client.name])
    assert with_the_command_replaced(written) == shown
    assert str(tmp_path) in done.stdout


def with_the_command_replaced(settings: Any) -> Any:
    """Return settings with whatever stands before ``serve`` as one word, as the page writes it."""
    if isinstance(settings, dict):
        if "args" in settings:
            assert Path(settings["command"]).is_file()
            return {**settings, "command": _STANDS_FOR, "args": settings["args"][settings["args"].index("serve") :]}
        if isinstance(settings.get("command"), list):
            words = settings["command"]
            assert Path(words[0]).is_file()
            return {**settings, "command": [_STANDS_FOR, *words[words.index("serve") :]]}
        return {name: with_the_command_replaced(value) for name, value in settings.items()}
    return settings
