"""The first use of a connected service imports its SDK where nobody waits for it: not on the event loop's thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys, threading
from dm_memory.services.connect import configured_services
from dm_memory.embedding.models import make_embedder
from dm_memory.settings import Settings

loaded = {}

class Spy:
    def find_spec(self, name, path=None, target=None):
        if "." in name:
            on_the_loop = threading.current_thread() is threading.main_thread()
            loaded.setdefault(name.partition(".")[0], []).append(on_the_loop)

async def look(services):
    for service in services:
        assert not (await service.health()).ok

settings = Settings(layer_attempts=1)
services = configured_services(settings, "acme", make_embedder("tests.support.embedders:hashed"))
sys.meta_path.insert(0, Spy())
asyncio.run(look(services))
imported = loaded[sys.argv[1]]
print(len(imported) > 10 and sum(imported) * 10 < len(imported), len(imported), sum(imported))
"""


@pytest.mark.parametrize(
    ("sdk", "variables"),
    [
        ("qdrant_client", {"QDRANT_URL": "http://127.0.0.1:9"}),
        ("pinecone", {"PINECONE_API_KEY": "pcsk_key", "PINECONE_CONTROLLER_HOST": "http://127.0.0.1:9"}),
        pytest.param("redis", {"FALKORDB_URI": "redis://127.0.0.1:9"}, marks=pytest.mark.graphiti),
        pytest.param("neo4j", {"NEO4J_URI": "bolt://127.0.0.1:9"}, marks=pytest.mark.graphiti),
        pytest.param(
            "supermemory",
            {"SUPERMEMORY_API_KEY": "key", "SUPERMEMORY_BASE_URL": "http://127.0.0.1:9"},
            marks=pytest.mark.supermemory,
        ),
    ],
)
def test_an_sdk_is_imported_off_the_event_loops_thread(tmp_path: Path, sdk: str, variables: dict[str, str]) -> None:
    environment = {"PATH": os.environ["PATH"], "DM_MEMORY_HOME": str(tmp_path), "PYTHONPATH": "."} | variables
    command = [sys.executable, "-c", SCRIPT, sdk]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.startswith("True "), done.stdout + done.stderr
