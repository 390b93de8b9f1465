"""Reads a group with Graphiti's own classes and prints what they return. Run by Graphiti's Python, not by the tests'.

Arguments: falkordb or neo4j, host, port, group, a question. ``Graphiti.search`` is what Graphiti's MCP server calls for
``search_memory_facts``. It needs an embedder: this one's vectors mean nothing, so what it finds it finds by words.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from typing import Any
from unittest.mock import Mock

from graphiti_core import Graphiti
from graphiti_core.cross_encoder.client import CrossEncoderClient
from graphiti_core.edges import EntityEdge
from graphiti_core.embedder.client import EmbedderClient
from graphiti_core.llm_client.client import LLMClient
from graphiti_core.nodes import EntityNode, EpisodicNode
from graphiti_core.search.search_config_recipes import NODE_HYBRID_SEARCH_RRF


class Embedder(EmbedderClient):
    """Embeds everything alike."""

    async def create(self, input_data: Any) -> list[float]:  # noqa: ARG002  # Graphiti's signature
        return [1.0] * 8

    async def create_batch(self, input_data_list: list[str]) -> list[list[float]]:
        return [[1.0] * 8 for _ in input_data_list]


def driver_of(kind: str, host: str, port: str, group: str) -> Any:
    if kind == "falkordb":
        from graphiti_core.driver.falkordb_driver import FalkorDriver  # noqa: PLC0415  # one of the two

        return FalkorDriver(host=host, port=int(port), database=group)
    from graphiti_core.driver.neo4j_driver import Neo4jDriver  # noqa: PLC0415  # one of the two

    return Neo4jDriver(f"bolt://{host}:{port}", None, None)


def dumped(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in found]


async def read(kind: str, host: str, port: str, group: str, question: str) -> dict[str, list[dict[str, Any]]]:
    driver = driver_of(kind, host, port, group)
    models = {"llm_client": Mock(LLMClient), "embedder": Embedder(), "cross_encoder": Mock(CrossEncoderClient)}
    graphiti = Graphiti(graph_driver=driver, **models)
    await graphiti.build_indices_and_constraints()
    if kind == "neo4j":
        await driver.execute_query("CALL db.awaitIndexes(60)")
    nodes = await EntityNode.get_by_group_ids(driver, [group])
    try:
        return {
            "nodes": dumped(nodes),
            "facts": dumped(await EntityEdge.get_by_group_ids(driver, [group])),
            "episodes": dumped(await EpisodicNode.get_by_group_ids(driver, [group])),
            "one": dumped([await EntityNode.get_by_uuid(driver, nodes[0].uuid)]),
            "found": dumped(await graphiti.search(question, group_ids=[group])),
            "found_nodes": dumped((await graphiti.search_(question, NODE_HYBRID_SEARCH_RRF, group_ids=[group])).nodes),
        }
    finally:
        await driver.close()


if __name__ == "__main__":
    json.dump(asyncio.run(read(*sys.argv[1:])), sys.stdout)
