"""Every command's help looks the same, is reached by ``-h`` and ``--help``, and costs ``serve`` nothing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dm_memory_server.cli import app
from dm_memory_server.serve import serve_parser
from tests.server.server_homes import COMMAND

Run = Callable[..., subprocess.CompletedProcess[str]]
GROUP: Any = get_command(app)
COMMANDS = sorted(GROUP.commands)


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def start(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment | more, check=False, timeout=60, input=""
        )

    return start


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_has_the_same_look(command: str) -> None:
    short = CliRunner().invoke(app, [command, "-h"], prog_name="dm-memory")
    assert (short.exit_code, short.stderr) == (0, "")
    assert short.stdout == CliRunner().invoke(app, [command, "--help"], prog_name="dm-memory").stdout
    lines = short.stdout.splitlines()
    assert lines[0].startswith(f"Usage: dm-memory {command} [OPTIONS]")
    assert re.match(r"  [A-Z]", lines[2])
    assert "Options:" in lines
    assert re.search(r"^  -h, --help +Show this message and exit\.$", short.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_in_a_sentence(command: str) -> None:
    for parameter in GROUP.commands[command].params:
        words = (getattr(parameter, "help", "") or "").strip()
        assert words.endswith("."), f"{command}: {parameter.name}"
        assert words[0].isupper() or not words[0].isalpha() or words.startswith(("true", "false")), (
            f"{command}: {words}"
        )


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("serve", "-h"), ("hook", "-h"), ("logs", "-h")])
def test_help_is_there_where_a_command_is_started_without_typer(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: dm-memory")


def test_the_help_of_serve_names_its_parsers_options() -> None:
    own = {option for action in serve_parser()._actions for option in action.option_strings}
    shown = {option for parameter in GROUP.commands["serve"].params for option in parameter.opts}
    assert own - {"-h", "--help"} == shown - {"-h", "--help"}


@pytest.mark.parametrize("command", ["serve", "sync"])
def test_an_option_that_does_not_exist_is_reported_in_the_same_words(run: Run, command: str) -> None:
    done = run(command, "--colour", "red")
    assert (done.returncode, done.stdout) == (2, "")
    usage, hint, empty, error = done.stderr.splitlines()
    assert usage == f"Usage: dm-memory {command} [OPTIONS]"
    assert hint == f"Try 'dm-memory {command} -h' for help."
    assert (empty, error[:7], "--colour" in error) == ("", "Error: ", True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(run: Run, shell: str) -> None:
    script = run("--show-completion", shell).stdout or run("--show-completion", SHELL=f"/bin/{shell}").stdout
    asked = {
        "bash": {"COMP_WORDS": "dm-memory rec", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "dm-memory rec"},
        "fish": {"_TYPER_COMPLETE_ARGS": "dm-memory rec", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = run(**asked, _DM_MEMORY_COMPLETE=f"complete_{shell}")
    assert "recall" in done.stdout, script
    assert "sync" not in done.stdout
    assert done.stderr == ""


def test_logs_say_where_they_will_be_and_show_each_brand_its_own(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    nothing = run("logs", "--home", str(home))
    assert nothing.returncode == 0
    assert str(home / "dm-memory" / "logs" / "hooks.log") in nothing.stdout
    assert list(home.iterdir()) == []
    path = home / "dm-memory" / "logs" / "hooks.log"
    path.parent.mkdir(parents=True)
    path.write_text("2026-11-26T01:00:00Z acme session-end: started\n2026-11-26T01:00:01Z bolt session-end: started\n")
    everything = run("logs", "--home", str(home), "--json")
    assert everything.stdout.count("session-end") == 2
    mine = run("logs", "--home", str(home), DM_MEMORY_ONLY_BRAND="acme").stdout
    assert "acme" in mine
    assert "bolt" not in mine
