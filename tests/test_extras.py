"""A missing extra is installed in the way in which dm-memory itself was: nobody has to know which ways there are."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from dm_memory.errors import ConfigurationError
from dm_memory.extras import (
    LAUNCHED,
    Machine,
    _record,
    how_to_get_the_model,
    how_to_install,
    how_to_install_vector,
    model_words_for,
    words_for,
)
from dm_memory.services.graphiti.database import require_driver


def record(folder: Path, *, editable: bool) -> str:
    return json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}})


def environment(folder: Path, made_by: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\n{made_by}version_info = 3.12.1\n")
    return folder


def test_a_bundle_or_a_checkout_is_synced_where_it_lies(tmp_path: Path) -> None:
    bundle = tmp_path / "a bundle"
    prefix = environment(bundle / ".venv", "uv = 0.9.1\n")
    words = words_for("graphiti", prefix, record(bundle, editable=True))
    assert words == f"Install the extra graphiti in the folder {bundle}: uv sync --inexact --extra graphiti."


@pytest.mark.parametrize("folder", ["archive-v0/Ab3", "environments-v2/dm-memory-8f3"])
def test_uvx_is_started_with_the_extra(tmp_path: Path, folder: str) -> None:
    prefix = environment(tmp_path / "uv" / folder, "uv = 0.9.1\n")
    assert words_for("graphiti", prefix, "").endswith("uvx --from 'dm-memory[graphiti]' dm-memory.")
    source = tmp_path / "checkout"
    assert f"uvx --from '{source}[graphiti]' dm-memory" in words_for("graphiti", prefix, record(source, editable=False))


def test_a_tool_of_uv_is_installed_as_one_again(tmp_path: Path) -> None:
    prefix = environment(tmp_path / "tools" / "dm-memory", "uv = 0.9.1\n")
    (prefix / "uv-receipt.toml").write_text("[tool]\n")
    assert words_for("supermemory", prefix, "").endswith("uv tool install 'dm-memory[supermemory]'.")


def test_a_plugin_or_a_bundle_installs_by_itself_at_its_next_start(tmp_path: Path) -> None:
    prefix = environment(tmp_path / "data" / "venv", "uv = 0.9.1\n")
    (prefix / LAUNCHED).write_text("extras: \n")
    assert words_for("qdrant", prefix, "") == (
        "Restart the client while there is a network: the next start installs the extra qdrant."
    )
    assert model_words_for(LINUX, prefix, "").startswith("The model comes by itself while there is a network")
    words = model_words_for(ARM, prefix, "")
    assert "Set DM_MEMORY_EMBEDDER=fastembed" in words
    assert "pip" not in words


def test_a_missing_vector_database_package_names_its_extra_or_the_way_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_to_install_vector("qdrant") == f"{how_to_install('qdrant')} Or set DM_MEMORY_VECTOR_DB to embedded."
    windows = Machine((3, 13), "win32", "11", "ARM64")
    monkeypatch.setattr(Machine, "here", lambda: windows)
    assert "not built for Windows on ARM" in how_to_install_vector("pinecone")


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"url": 7}', '{"url": "https://example.org/x.whl"}'])
def test_everything_else_is_pips(tmp_path: Path, damaged: str) -> None:
    prefix = environment(tmp_path / "venv")
    assert words_for("fastembed", prefix, damaged).endswith("pip install 'dm-memory[fastembed]'.")
    assert f"pip install '{tmp_path}[fastembed]'" in words_for("fastembed", prefix, record(tmp_path, editable=True))


def test_a_missing_driver_names_its_extra_in_these_words() -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_driver("no_such_driver", "FalkorDB")
    assert caught.value.remedy == how_to_install("graphiti")
    assert "graphiti" in caught.value.remedy


LINUX = Machine((3, 13), "linux", "6.8.0", "x86_64", "glibc")
NEWER = Machine((3, 14), "linux", "6.8.0", "x86_64", "glibc")
ARM = Machine((3, 12), "linux", "6.8.0", "aarch64", "glibc")


@pytest.mark.parametrize(
    "machine",
    [LINUX, Machine((3, 11), "darwin", "23.1.0", "arm64"), Machine((3, 12), "win32", "11", "AMD64")],
)
def test_pip_installs_the_model_only_where_it_is_built_for_this_python(tmp_path: Path, machine: Machine) -> None:
    assert model_words_for(machine, environment(tmp_path / "venv"), "") == "Install the model: pip install wordllama."


def test_a_newer_python_is_answered_with_the_one_that_has_the_model(tmp_path: Path) -> None:
    tool = environment(tmp_path / "tools" / "dm-memory")
    (tool / "uv-receipt.toml").write_text("[tool]\n")
    checkout = tmp_path / "checkout"
    for prefix, source, command in (
        (environment(tmp_path / "uv" / "archive-v0" / "a"), "", "uvx --python 3.13 dm-memory."),
        (tool, "", "uv tool install --python 3.13 dm-memory."),
        (environment(tmp_path / "venv"), "", "uv tool install --python 3.13 dm-memory."),
        (
            environment(checkout / ".venv", "uv = 0.9.1\n"),
            record(checkout, editable=True),
            f"uv sync --inexact --python 3.13 --directory '{checkout}'.",
        ),
    ):
        words = model_words_for(NEWER, prefix, source)
        assert words == f"No embedding model is built for Python 3.14. Use Python 3.13: {command}"


def test_a_computer_without_the_bundled_model_is_answered_with_the_one_it_can_have(tmp_path: Path) -> None:
    prefix = environment(tmp_path / "venv")
    words = model_words_for(ARM, prefix, "")
    assert "pip install 'dm-memory[fastembed]'; then set DM_MEMORY_EMBEDDER=fastembed." in words
    newer = Machine((3, 14), "linux", "6.8.0", "aarch64", "glibc")
    assert "uv tool install --python 3.13 'dm-memory[fastembed]'; then set" in model_words_for(newer, prefix, "")
    for machine in (Machine((3, 13), "linux", "6.8.0", "x86_64", "musl"), Machine((3, 13), "freebsd14", "14", "amd64")):
        assert "one of your own" in model_words_for(machine, prefix, "")
        assert "pip" not in model_words_for(machine, prefix, "")


def test_the_machines_with_the_model_are_those_that_the_package_installs_it_on() -> None:
    here = Machine.here()
    assert (here.can_have("wordllama") and here.python <= (3, 13)) is (find_spec("wordllama") is not None)
    assert how_to_get_the_model() == model_words_for(here, Path(sys.prefix), _record())
