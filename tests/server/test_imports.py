"""What is imported when: the server starts in every session, the command line in every cron job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dm_memory import on_demand

HEAVY = ("dm_memory.api", "dm_memory.report", "numpy", "orjson", "pinecone", "pydantic_settings", "qdrant_client")
HEAVY += ("dm_memory_server.http", "rich.progress", "typer", "wordllama")
SDKS = ("falkordb", "fastembed", "neo4j", "onnxruntime", "pinecone", "qdrant_client", "redis", "supermemory")
EVERYTHING = {
    "QDRANT_URL": "http://127.0.0.1:9",
    "PINECONE_API_KEY": "key",
    "SUPERMEMORY_API_KEY": "key",
    "FALKORDB_URI": "redis://127.0.0.1:9",
    "NEO4J_URI": "bolt://127.0.0.1:9",
    "DM_MEMORY_EMBEDDER": "fastembed",
}
"""A computer whose environment names every service there is."""


def loaded(code: str, environment: dict[str, str], *arguments: str) -> set[str]:
    """Run ``code`` in a fresh interpreter; return the names of the modules it has imported at the end."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_listing_the_tools_imports_no_engine_no_settings_and_no_core(environment: dict[str, str]) -> None:
    listing = """
import asyncio
from dm_memory_server.app import build_server
from dm_memory_server.serve import serve
from dm_memory_server.signals import run_until_signalled
from dm_memory_tools.runtime import Runtime
assert len(asyncio.run(build_server(Runtime()).list_tools())) == 6
"""
    assert loaded(listing, environment | EVERYTHING).isdisjoint((*HEAVY, *SDKS))


def test_a_command_imports_neither_the_protocol_nor_what_only_a_terminal_needs(
    environment: dict[str, str], home: Path
) -> None:
    command = """
import sys
from dm_memory_server.cli import run
assert run(sys.argv[1:]) == 0
"""
    modules = loaded(command, environment, "sync", "--dry-run", "--home", str(home))
    assert modules.isdisjoint({"mcp", "mcp_types", "rich.progress", "rich.markdown", "qdrant_client", "pinecone"})


def test_what_the_front_door_loads_on_demand_is_there_and_a_typo_is_not() -> None:
    for name in on_demand.__all__:
        assert getattr(on_demand, name).__name__ == name
    assert not hasattr(on_demand, "no_such_call")


def test_the_front_door_imports_what_single_calls_need_with_the_first_of_them(environment: dict[str, str]) -> None:
    modules = loaded("import dm_memory.api", environment)
    assert not {name for name in modules if name.startswith(("dm_memory.operations.", "dm_memory.search."))}
