"""What was written is what Graphiti's own classes read and its search finds: nodes, facts with their dates, episodes.

Graphiti's MCP server is not on PyPI; its ``search_memory_facts`` and ``search_nodes`` call the searches used here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dm_memory.facts.model import EntityType, entity_id
from dm_memory.services.graphiti.service import GraphitiService
from tests.services.graphiti.conftest import Graphs
from tests.services.payloads import payload

READER = Path(__file__).with_name("graphiti_reader.py")
GRAPHITI = "graphiti-core[falkordb]==0.31.1"
UNDECLARED = "httpx"

pytestmark = [pytest.mark.interop, pytest.mark.slow]

OLD = payload(1, tags=("channel:email", "market:france"))
NEW = replace(payload(1, "Podcast sponsorships brought the cheapest leads."), tags=("channel:podcast",))


def read(graphs: Graphs, group: str, question: str) -> dict[str, list[dict[str, Any]]]:
    """Return what Graphiti reads; the package comes into an environment of its own, as people install it."""
    address = urlsplit(graphs.uri)
    kind = "falkordb" if address.scheme == "redis" else "neo4j"
    command = ["uv", "run", "--no-project", "--isolated", "--quiet", "--python", sys.executable, "--with", GRAPHITI]
    arguments = ["--with", UNDECLARED, str(READER), kind, str(address.hostname), str(address.port), group, question]
    environment = {**os.environ, "GRAPHITI_TELEMETRY_ENABLED": "false", "PYTHONPATH": ""}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_graphiti_reads_nodes_facts_and_episodes_and_finds_them(graphs: Graphs) -> None:
    async def store(service: GraphitiService) -> None:
        await service.upsert([OLD, *(payload(number) for number in range(2, 6))])
        await service.upsert([NEW])

    graphs.play(graphs.service(), store)
    read_back = read(graphs, "acme", "Which podcast sponsorships brought leads?")

    nodes = {node["uuid"]: node for node in read_back["nodes"]}
    podcast = entity_id("acme", EntityType.CHANNEL, "podcast")
    assert (nodes[podcast]["name"], sorted(nodes[podcast]["labels"])) == ("podcast", ["Channel", "Entity"])
    assert {node["group_id"] for node in nodes.values()} == {"acme"}

    facts = {fact["fact"]: fact for fact in read_back["facts"]}
    assert len(facts) == 6
    assert facts[NEW.content]["target_node_uuid"] == podcast
    assert facts[NEW.content]["valid_at"].startswith("2026-03-05T10:00:00")
    assert facts[NEW.content]["invalid_at"] is None
    # A corrected insight: the old words never held.
    assert facts[OLD.content]["invalid_at"] == facts[OLD.content]["valid_at"]
    assert facts[OLD.content]["expired_at"] is not None
    assert {tuple(fact["episodes"]) for fact in facts.values()} == {
        (episode["uuid"],) for episode in read_back["episodes"]
    }

    episodes = {episode["uuid"]: episode for episode in read_back["episodes"]}
    assert episodes[NEW.id]["content"] == NEW.content
    assert episodes[NEW.id]["source_description"] == "dm-memory performance-insight (channel:podcast)"

    assert read_back["found"][0]["fact"] == NEW.content
    assert read_back["found_nodes"][0]["uuid"] == podcast


def test_a_group_of_another_name_than_the_brand_is_found_there(graphs: Graphs) -> None:
    service = graphs.service(group_id="marketing")
    graphs.play(service, lambda service: service.upsert([NEW]))
    read_back = read(graphs, "marketing", "podcast sponsorships")
    assert [fact["fact"] for fact in read_back["found"]] == [NEW.content]
