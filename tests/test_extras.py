"""A missing extra is installed in the way in which dm-memory itself was: nobody has to know which ways there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dm_memory.errors import ConfigurationError
from dm_memory.extras import how_to_install, words_for
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
