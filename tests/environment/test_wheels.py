"""A package that has no wheel somewhere is left out there by a marker, and what needs it says so."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support.processes import REPOSITORY, command_environment

_SCRIPT = runpy.run_path(str(REPOSITORY / ".ci" / "wheels.py"))
_NEEDED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]


@pytest.mark.parametrize(
    ("platform", "python", "has_model"),
    [
        ("Linux x86-64", "3.13", True),
        ("Linux x86-64", "3.14", False),
        ("Linux ARM", "3.13", False),
        ("Alpine ARM", "3.11", False),
        ("macOS 13 ARM", "3.12", False),
        ("macOS 14 ARM", "3.12", True),
        ("macOS 13 x86-64", "3.12", True),
        ("Windows x86-64", "3.11", True),
        ("Windows ARM", "3.11", False),
    ],
)
def test_the_embedding_model_is_needed_exactly_where_it_has_a_wheel(
    platform: str, python: str, *, has_model: bool
) -> None:
    there: Any = next(each for each in _SCRIPT["PLATFORMS"] if each.name == platform)
    names = [Requirement(text).name for text in _SCRIPT["requirements"](_NEEDED, there, python)]
    assert ("wordllama" in names) == has_model
    assert {"mcp", "numpy", "pydantic"} <= set(names)


def test_every_platform_and_python_that_is_promised_is_checked() -> None:
    assert _SCRIPT["PYTHONS"] == ("3.11", "3.12", "3.13", "3.14")
    assert {platform.system for platform in _SCRIPT["PLATFORMS"]} == {"linux", "darwin", "win32"}


_WITHOUT = """
import asyncio, sys
sys.modules["pinecone"] = sys.modules["qdrant_client"] = None
from dm_memory.errors import DmMemoryError
from dm_memory.services.connect import vector_service
from dm_memory.settings import Settings
settings = Settings(pinecone_api_key="a key", qdrant_url="http://localhost:1")
for choice in ("pinecone", "qdrant"):
    try:
        asyncio.run(vector_service(settings, choice, "acme", object()).prepare())
    except DmMemoryError as error:
        print(getattr(error, "error_class", "no class"), error)
"""


def test_without_a_vendors_package_its_service_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], check=True, capture_output=True, encoding="utf-8", env=command_environment()
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("configuration ")
        assert "not installed" in line
        assert "DM_MEMORY_VECTOR_DB" in line
    assert "--extra pinecone" in lines[0]
    assert "--extra qdrant" in lines[1]
