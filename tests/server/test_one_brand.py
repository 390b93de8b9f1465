"""``serve --only-brand``: nothing that a client can ask for names another brand, and every answer names its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from dm_memory_server.prompts import RECALL, SKILLS
from tests.server.raw_client import RawClient, started
from tests.server.server_homes import write_brand, write_json

OTHER = "bolt"

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("sync_memory", {"session_learnings": ["Refills sell in spring."]}),
    ("sync_memory", {"dry_run": True}),
    ("get_memory_status", {}),
    ("prepare_store", {"content": "Zed cut its prices.", "content_type": "competitive-intel"}),
    ("search_memory", {"query": "what sells on rainy Mondays?"}),
    ("storage_sync", {}),
    ("forget_memory", {"query": "refills"}),
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """A client of a server that answers for one brand, while another one is active and has a memory."""
    folder = tmp_path_factory.mktemp("one-brand")
    write_brand(folder / "home", "acme")
    write_brand(folder / "home", OTHER, ("Bolt sells best on rainy Mondays.",))
    write_json(folder / "home" / "brands" / "_active-brand.json", {"active_slug": OTHER})
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with started(folder / "home", environment) as everything:
        everything.shake_hands()
        everything.ask(2, "tools/call", {"name": "sync_memory", "arguments": {"brand": OTHER}})
    with started(folder / "home", environment, "--only-brand", "acme") as one:
        one.shake_hands()
        yield one


@pytest.fixture
def client(locked: RawClient) -> RawClient:
    """The same client, before it has heard anything."""
    locked.heard.clear()
    return locked


def call(client: RawClient, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = client.ask(10, "tools/call", {"name": tool, "arguments": arguments})
    result: dict[str, Any] = answer["result"]
    return result


def everything_said(client: RawClient) -> str:
    return json.dumps(client.heard, ensure_ascii=False).casefold()


@pytest.mark.parametrize(("tool", "arguments"), CALLS)
def test_every_result_names_its_brand(client: RawClient, tool: str, arguments: dict[str, Any]) -> None:
    result = call(client, tool, arguments)
    assert result["_meta"]["io.dm-memory/report"]["brand"] == "acme"
    assert "acme" in result["content"][0]["text"].casefold()
    assert OTHER not in everything_said(client)


def test_a_result_that_is_a_history_names_its_brand(client: RawClient) -> None:
    call(client, "sync_memory", {})
    found = call(client, "search_memory", {"query": "carousel"})["_meta"]["io.dm-memory/report"]["hits"][0]
    assert "acme" in call(client, "search_memory", {"history_of": found["key"]})["content"][0]["text"].casefold()


def test_an_error_names_the_brand_it_is_about(client: RawClient) -> None:
    failed = call(client, "prepare_store", {"content": "x", "replaces": "nothing"})
    assert failed["isError"]
    assert "Brand `acme`" in failed["content"][0]["text"]


def test_another_brand_is_as_if_it_were_not_there_for_every_tool(client: RawClient) -> None:
    for tool, arguments in CALLS:
        failed = call(client, tool, arguments | {"brand": OTHER})
        nobody = call(client, tool, arguments | {"brand": "nobody"})
        assert failed["isError"], tool
        assert failed["content"][0]["text"].replace(OTHER, "nobody") == nobody["content"][0]["text"], tool


def test_no_prompt_resource_completion_or_error_names_another_brand(client: RawClient) -> None:
    call(client, "sync_memory", {})
    asked: list[tuple[str, dict[str, Any]]] = [
        ("tools/list", {}),
        ("prompts/list", {}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        *(("prompts/get", {"name": name}) for name in (RECALL, *(skill.name for skill in SKILLS))),
        ("prompts/get", {"name": RECALL, "arguments": {"brand": "nobody"}}),
        ("resources/read", {"uri": "dm-memory://brands"}),
        *(
            ("resources/read", {"uri": f"dm-memory://{brand}/{path}"})
            for brand in ("acme", "nobody")
            for path in ("status", "last-report", "patterns", "entry/nothing", "nothing")
        ),
        *(
            (
                "completion/complete",
                {"ref": {"type": "ref/prompt", "name": skill.name}, "argument": {"name": name, "value": value}},
            )
            for skill in SKILLS
            for name, _ in skill.arguments
            for value in ("", "b")
        ),
    ]
    answers = [client.ask(number, method, params) for number, (method, params) in enumerate(asked, 20)]
    assert OTHER not in everything_said(client)
    brands = next(
        each for each, (_, params) in zip(answers, asked, strict=True) if params.get("uri") == "dm-memory://brands"
    )
    assert json.loads(brands["result"]["contents"][0]["text"]) == ["acme"]
    missing = [answer["error"]["message"] for answer in answers if "error" in answer]
    assert len(missing) == 1 + 5 + 2
    assert all("acme" in message for message in missing)


def test_what_another_brand_knows_is_not_found_through_a_resource_or_a_completion(client: RawClient) -> None:
    for path in ("status", "last-report", "patterns", "entry/x"):
        error = client.ask(10, "resources/read", {"uri": f"dm-memory://{OTHER}/{path}"})["error"]["message"]
        assert error == f"There is no brand named '{OTHER}'. Brands there are: acme."
    reference = {"type": "ref/prompt", "name": "search-knowledge"}
    for name in ("tags", "campaign"):
        params = {
            "ref": reference,
            "argument": {"name": name, "value": ""},
            "context": {"arguments": {"brand": OTHER}},
        }
        assert client.ask(11, "completion/complete", params)["result"]["completion"]["values"] == []
