"""The clients there are: where each keeps its servers, what an entry looks like there, and what it passes on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dm_memory_server.connect.launch import Launch

__all__ = ["CLIENTS", "Client", "Computer", "client_named"]

_MOST_SECONDS = 300
"""What a client that sets a limit to a call is asked to allow: a first sync of a large brand over slow services."""


@dataclass(frozen=True, slots=True)
class Computer:
    """Where things are on a computer: a person's folder, ``sys.platform``, the environment and the current folder."""

    home: Path
    system: str
    environment: Mapping[str, str]
    project: Path

    @classmethod
    def here(cls) -> Computer:
        """Return this one."""
        return cls(Path.home(), sys.platform, os.environ, Path.cwd())

    def named(self, variable: str, otherwise: Path) -> Path:
        """Return the path that a variable names, else another one."""
        value = self.environment.get(variable, "").strip()
        return Path(value).expanduser() if value else otherwise

    @property
    def config(self) -> Path:
        """The folder of settings that command line programs use on every system."""
        return self.named("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def applications(self) -> Path:
        """The folder in which programs with a window keep their data."""
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        if self.system == "win32":
            return self.named("APPDATA", self.home / "AppData" / "Roaming")
        return self.config


@dataclass(frozen=True, slots=True)
class Client:
    """A client.

    Attributes:
        name: Its name on the command line.
        title: Its name in sentences.
        path: Returns the file of the user's own settings.
        table: Where the servers stand in that file.
        entry: Returns a new entry.
        programs: Names of its program on the ``PATH``.
        project: Its file in a project's folder, or "".
        dialect: How the file is written.
        variables: How it passes environment variables to a server, in a sentence.
        after: What has to be done so that it reads the file.
    """

    name: str
    title: str
    path: Callable[[Computer], Path]
    table: tuple[str, ...]
    entry: Callable[[Launch], dict[str, Any]]
    variables: str
    after: str
    programs: tuple[str, ...] = ()
    project: str = ""
    dialect: Literal["json", "jsonc", "toml"] = "jsonc"
    more_traces: Callable[[Computer], Path] | None = field(default=None)

    def is_found(self, computer: Computer) -> bool:
        """Return whether the client seems to be installed: its program or its folder is there."""
        folder = (self.more_traces or (lambda each: self.path(each).parent))(computer)
        own = folder not in {computer.home, computer.config} and folder.is_dir()
        path = computer.environment.get("PATH", "")
        return own or any(shutil.which(program, path=path) for program in self.programs)


def client_named(name: str) -> Client | None:
    """Return a client by its name on the command line."""
    return next((client for client in CLIENTS if client.name == name.casefold()), None)


# Files ---------------------------------------------------------------------------------------------------------------


def _first(*paths: Path) -> Path:
    """Return the first one that is there, else the first one."""
    return next((path for path in paths if path.exists()), paths[0])


def _claude_desktop(computer: Computer) -> Path:
    name = "claude_desktop_config.json"
    if computer.system == "win32":  # as a packaged program it reads a copy of its own, never the documented file
        packages = computer.named("LOCALAPPDATA", computer.home / "AppData" / "Local") / "Packages"
        for folder in sorted(packages.glob("Claude_*/LocalCache/Roaming")):
            return folder / "Claude" / name
    return computer.applications / "Claude" / name


def _vscode_user(computer: Computer) -> Path:
    if portable := computer.environment.get("VSCODE_PORTABLE"):
        return Path(portable) / "user-data" / "User"
    folder = computer.named("VSCODE_APPDATA", computer.applications)
    return _first(*(folder / name / "User" for name in ("Code", "Code - Insiders", "VSCodium")))


def _opencode(computer: Computer) -> Path:
    folder = computer.named("OPENCODE_CONFIG_DIR", computer.config / "opencode")
    files = _first(folder / "opencode.json", folder / "opencode.jsonc", folder / "config.json")
    return computer.named("OPENCODE_CONFIG", files)


def _cline(computer: Computer) -> Path:
    name = "cline_mcp_settings.json"
    data = computer.named("CLINE_DATA_DIR", computer.named("CLINE_DIR", computer.home / ".cline") / "data")
    in_vscode = _vscode_user(computer) / "globalStorage" / "saoudrizwan.claude-dev" / "settings"
    file = in_vscode / name if in_vscode.is_dir() and not data.is_dir() else data / "settings" / name
    return computer.named("CLINE_MCP_SETTINGS_PATH", file)


# Entries -------------------------------------------------------------------------------------------------------------


def _plain(launch: Launch) -> dict[str, Any]:
    return {"command": launch.command, "args": list(launch.arguments)}


def _typed(launch: Launch) -> dict[str, Any]:
    return {"type": "stdio", **_plain(launch)}


def _codex(launch: Launch) -> dict[str, Any]:
    # required: a turn waits for the server. Codex gives up a start after 10 s and a call after 60 s by itself.
    return {**_plain(launch), "required": True, "startup_timeout_sec": 60, "tool_timeout_sec": _MOST_SECONDS}


def _opencode_entry(launch: Launch) -> dict[str, Any]:
    command = [launch.command, *launch.arguments]
    return {"type": "local", "command": command, "enabled": True, "timeout": _MOST_SECONDS * 1000}


def _copilot(launch: Launch) -> dict[str, Any]:
    return {"type": "local", **_plain(launch), "tools": ["*"]}


_WINDOW = "Started from a dock or a menu it has none of your shell's variables, PATH and proxies included"

CLIENTS = (
    Client(
        name="claude-code",
        title="Claude Code",
        path=lambda computer: computer.named("CLAUDE_CONFIG_DIR", computer.home) / ".claude.json",
        table=("mcpServers",),
        entry=_typed,
        programs=("claude",),
        project=".mcp.json",
        dialect="json",
        more_traces=lambda computer: computer.named("CLAUDE_CONFIG_DIR", computer.home / ".claude"),
        variables="It passes all of its own on; `env` of the entry adds to them, where `${NAME}` is replaced.",
        after="Start a new session; `/mcp` shows the server. A project's entry has to be approved first.",
    ),
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        path=_claude_desktop,
        table=("mcpServers",),
        entry=_plain,
        dialect="json",
        variables=f"{_WINDOW}: write them into `env` of the entry. The bundle keeps keys in the system's keychain.",
        after="Quit Claude Desktop completely and start it again.",
    ),
    Client(
        name="codex",
        title="Codex",
        path=lambda computer: computer.named("CODEX_HOME", computer.home / ".codex") / "config.toml",
        table=("mcp_servers",),
        entry=_codex,
        programs=("codex",),
        project=".codex/config.toml",
        dialect="toml",
        variables='It passes few on (HOME, PATH, language): name others in the entry, `env_vars = ["QDRANT_API_KEY"]`.',
        after="Start a new session; `codex mcp list` shows the server. A project's entry counts once it is trusted.",
    ),
    Client(
        name="gemini",
        title="Gemini CLI",
        path=lambda computer: computer.named("GEMINI_CLI_HOME", computer.home) / ".gemini" / "settings.json",
        table=("mcpServers",),
        entry=_plain,
        programs=("gemini",),
        project=".gemini/settings.json",
        variables=(
            "It holds back what looks like a key or a token: name it in `env` of the entry, "
            '`"QDRANT_API_KEY": "$QDRANT_API_KEY"`.'
        ),
        after="Start a new session; `/mcp` shows the server. A project's entry counts once its folder is trusted.",
    ),
    Client(
        name="opencode",
        title="opencode",
        path=_opencode,
        table=("mcp",),
        entry=_opencode_entry,
        programs=("opencode",),
        project="opencode.json",
        variables="It passes all of its own on; `environment` of the entry adds to them.",
        after="Start a new session; `opencode mcp list` shows the server.",
    ),
    Client(
        name="copilot",
        title="Copilot CLI",
        path=lambda computer: computer.named("COPILOT_HOME", computer.home / ".copilot") / "mcp-config.json",
        table=("mcpServers",),
        entry=_copilot,
        programs=("copilot",),
        project=".github/mcp.json",
        variables="It passes all of its own on; `env` of the entry adds to them.",
        after="Start a new session; `/mcp show` shows the server. A project's entry counts once its folder is trusted.",
    ),
    Client(
        name="vscode",
        title="VS Code",
        path=lambda computer: _vscode_user(computer) / "mcp.json",
        table=("servers",),
        entry=_typed,
        programs=("code", "code-insiders", "codium"),
        project=".vscode/mcp.json",
        variables=f"{_WINDOW}: use `env`, `envFile` or an `${{input:...}}` that VS Code asks for and keeps.",
        after="Start the server in the list that `MCP: List Servers` opens.",
    ),
    Client(
        name="cursor",
        title="Cursor",
        path=lambda computer: computer.home / ".cursor" / "mcp.json",
        table=("mcpServers",),
        entry=_typed,
        programs=("cursor",),
        project=".cursor/mcp.json",
        variables=f"{_WINDOW}: use `env`, where `${{env:NAME}}` is replaced, or `envFile`.",
        after="Turn the server on in Cursor's settings under MCP.",
    ),
    Client(
        name="windsurf",
        title="Windsurf",
        path=lambda computer: computer.home / ".codeium" / "windsurf" / "mcp_config.json",
        table=("mcpServers",),
        entry=_plain,
        programs=("windsurf",),
        dialect="json",
        variables=f"{_WINDOW}: use `env` of the entry, where `${{env:NAME}}` is replaced.",
        after="Press refresh in the list of MCP servers.",
    ),
    Client(
        name="cline",
        title="Cline",
        path=_cline,
        table=("mcpServers",),
        entry=lambda launch: {**_plain(launch), "timeout": _MOST_SECONDS},
        programs=("cline",),
        variables="The command line passes its own on, VS Code those that it has; `env` of the entry adds to them.",
        after="It reads the file by itself; the MCP servers' list shows the server.",
    ),
    Client(
        name="amp",
        title="Amp",
        path=lambda computer: computer.named("AMP_SETTINGS_FILE", computer.home / ".config" / "amp" / "settings.json"),
        table=("amp.mcpServers",),
        entry=_plain,
        programs=("amp",),
        project=".amp/settings.json",
        variables="`env` of the entry adds variables, where `${NAME}` is replaced.",
        after="Start a new session; `amp mcp doctor` shows the server. One in a project has to be approved first.",
    ),
)
