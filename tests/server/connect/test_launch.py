"""The command in an entry: absolute, right for how dm-memory was installed, and tried before it is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dm_memory import __version__
from dm_memory.errors import ConfigurationError
from dm_memory.extras import Machine, installed_as
from dm_memory_server.connect import launch
from dm_memory_server.connect.launch import Launch, launch_of_this_installation, make_sure_it_starts


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "uv"
    path.write_bytes(b"\x7fELF")
    monkeypatch.setenv("UV", str(path))
    return str(path)


def made_as(monkeypatch: pytest.MonkeyPatch, kind: str, folder: str) -> None:
    monkeypatch.setattr(launch, "installed_as", lambda: (kind, folder))


def test_this_checkout_is_recognised() -> None:
    kind, folder = installed_as()
    assert kind == "checkout"
    assert Path(folder) == Path(__file__).parents[3]


def test_an_installed_command_is_started_where_the_installer_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made_as(monkeypatch, "installed", "")
    found = launch_of_this_installation(["--brand", "acme"])
    assert found == Launch(str(Path(sys.executable).with_name("dm-memory")), ("serve", "--brand", "acme"))
    make_sure_it_starts(found)


def test_without_a_script_python_runs_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    made_as(monkeypatch, "installed", "")
    monkeypatch.setattr(launch, "distribution", no_distribution)
    found = launch_of_this_installation([])
    assert found == Launch(sys.executable, ("-m", "dm_memory_server"))
    make_sure_it_starts(found)


def no_distribution(name: str) -> None:
    raise launch.PackageNotFoundError(name)


@pytest.mark.parametrize("kind", ["checkout", "uvx"])
def test_a_folder_is_run_by_uv_where_it_lies(monkeypatch: pytest.MonkeyPatch, uv: str, kind: str) -> None:
    made_as(monkeypatch, kind, "/DIR")
    found = launch_of_this_installation(["--home", "/H"])
    assert found == Launch(uv, ("run", "--directory", "/DIR", "--no-dev", "dm-memory", "serve", "--home", "/H"))


def test_what_uvx_took_from_an_index_is_started_by_version_and_a_lasting_way_is_named(
    monkeypatch: pytest.MonkeyPatch, uv: str
) -> None:
    made_as(monkeypatch, "uvx", "")
    found = launch_of_this_installation([])
    assert (found.command, found.arguments[:4]) == (uv, ("tool", "run", "--from", f"dm-memory=={__version__}"))
    assert "uv tool install dm-memory" in found.notes[0]


def test_a_python_without_the_model_is_said_and_another_one_chosen(monkeypatch: pytest.MonkeyPatch, uv: str) -> None:
    made_as(monkeypatch, "checkout", "/DIR")
    newer = Machine((3, 14), "linux", "6", "x86_64", "glibc")
    monkeypatch.setattr(Machine, "here", lambda: newer)
    monkeypatch.setattr(launch, "find_spec", lambda _: None)
    found = launch_of_this_installation([])
    assert found.command == uv
    assert found.arguments[4:6] == ("--python", ">=3.11,<3.14")
    assert found.notes[0].startswith("Search runs on words alone: No embedding model is built for Python 3.14.")


def test_a_version_managers_shim_is_not_written_into_an_entry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uv: str
) -> None:
    made_as(monkeypatch, "checkout", "/DIR")
    shim = tmp_path / "shims" / "uv"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho {uv}\n")
    shim.chmod(0o755)
    monkeypatch.delenv("UV")
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    assert launch_of_this_installation([]).command == uv


def test_without_uv_two_sentences_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made_as(monkeypatch, "checkout", "/DIR")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="uv can't be found"):
        launch_of_this_installation([])


@pytest.mark.parametrize("command", [Launch("/nowhere/dm-memory", ("serve",)), Launch("/bin/sh", ("-c", "exit 3"))])
def test_a_command_that_does_not_start_is_refused_before_anything_is_written(command: Launch) -> None:
    with pytest.raises(ConfigurationError, match="nothing was written"):
        make_sure_it_starts(command)
