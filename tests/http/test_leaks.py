"""One server, 50 brands, 20 tokens: nothing of another brand in any byte that a token gets, whatever it tries."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dm_memory.api import Memory
from dm_memory.requests import ForgetRequest, SessionLearning, SyncRequest
from dm_memory.settings import Settings
from tests.http.serving import ERAS, Served, answer, ask, call, served, token
from tests.server.server_homes import write_brand, write_json

MINE, THEIRS, ABSENT = "brand-07", "brand-31", "brand-99"
PATHS = ("", "/", f"/{MINE}", f"/{THEIRS}", f"/{ABSENT}", f"/{THEIRS}/", "/..", "/%2e%2e", f"/{MINE}%2f{THEIRS}")
WAITING = "Zephyrine waits for a brand of its own."

pytestmark = pytest.mark.slow


class Place:
    """A server over 50 brands, two of which know something, and a token of one of them."""

    def __init__(self, server: Served, home: Path, secrets: dict[str, str], preview: str, keys: list[str]) -> None:
        self.server, self.home, self.secrets, self.preview, self.keys = server, home, secrets, preview, keys


def _secret_words(number: int) -> str:
    return f"Quokka{number:02d}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("leaks") / "home"
    for number in range(50):
        word = _secret_words(number)
        # Theirs has one more, so that it has a key that mine has not.
        texts = (*(["Numbats like posters."] if number == 31 else []), f"{word} campaigns sold {number + 500} boxes.")
        write_brand(home, f"brand-{number:02d}", texts)
    write_json(home / "brands" / "_active-brand.json", {"active_slug": "", "updated_at": ""})
    preview, keys = asyncio.run(_fill(home))
    write_json(home / "brands" / "_active-brand.json", {"active_slug": THEIRS, "updated_at": ""})
    secrets = {
        f"brand-{number:02d}": token(home, f"token {number}", f"brand-{number:02d}") for number in range(0, 40, 2)
    }
    secrets[MINE] = token(home, "mine", MINE)
    secrets["reader"] = token(home, "reader", MINE, read_only=True)
    with served(home, "--require-token", DM_MEMORY_HTTP_RATE="100000") as server:
        yield Place(server, home, secrets, preview, keys)


async def _fill(home: Path) -> tuple[str, list[str]]:
    """Sync both brands, leave a learning that is nobody's; return the proof of their preview, and their keys."""
    memory = Memory(Settings(home=home))
    try:
        for brand in (MINE, THEIRS):
            await memory.sync(SyncRequest(brand=brand))
        preview = await memory.forget(ForgetRequest(brand=THEIRS, query=_secret_words(31)))
        with pytest.raises(Exception, match="No brand"):
            await memory.sync(SyncRequest(session_learnings=(SessionLearning(WAITING),)))
        return preview.token, [entry.key for entry in preview.items]
    finally:
        await memory.close()


def _attempts(place: Place, other: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every way in which a call can name another brand or what is in it."""
    key = place.keys[0]
    named = {"brand": other}
    return [
        ("search_memory", {"query": _secret_words(31)}),
        ("search_memory", {"query": "boxes", "limit": 100, "explain": True}),
        ("search_memory", {"query": "boxes", **named}),
        ("search_memory", {"history_of": key}),
        ("search_memory", {"history_of": key, **named}),
        ("search_memory", {"query": "boxes", "tags": ["source:session"], **named}),
        ("search_memory", {"query": "boxes", "response_format": "json", **named}),
        ("search_memory", {"query": "boxes", "author": other}),
        ("search_memory", {"query": "x", "brand": f"../{other}"}),
        ("search_memory", {"query": "x", other: "unknown argument"}),
        ("search_memory", {"query": "x", "mode": other}),
        ("get_memory_status", {}),
        ("get_memory_status", named),
        ("get_memory_status", {"report_items": 100, "response_format": "json", **named}),
        ("storage_sync", {}),
        ("storage_sync", named),
        ("storage_sync", {"validate_only": True, **named}),
        ("prepare_store", {"content": "Blue is calm.", **named}),
        ("prepare_store", {"content": "Blue is calm.", "replaces": key}),
        ("prepare_store", {"content": "Blue is calm.", "replaces": key, "purge": True, **named}),
        ("prepare_store", {"content": "Green is calm.", "related": [key]}),
        ("forget_memory", {"query": "boxes", **named}),
        ("forget_memory", {"keys": [key]}),
        ("forget_memory", {"keys": [key], "dry_run": False, "token": place.preview}),
        ("forget_memory", {"query": _secret_words(31), "dry_run": False, "token": place.preview, **named}),
        ("forget_memory", {"restore": [key]}),
        ("sync_memory", {"dry_run": True, "exclude": [other]}),
        ("sync_memory", {"dry_run": True, **named}),
        ("sync_memory", {"session_learnings": ["Red is loud."], **named}),
        ("sync_memory", {"session_learnings": ["Red is loud."], "exclude": [f"*{other}*"]}),
        ("no_such_tool", named),
    ]


def _requests(other: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every other request that can name one."""
    prompt = {"name": "sync-memory", "arguments": {"brand": other}}
    resource = {"type": "ref/resource", "uri": "dm-memory://{brand}/status"}
    argument = {"name": "brand", "value": other[:6]}
    return [
        ("tools/list", {}),
        ("prompts/list", {}),
        ("prompts/get", prompt),
        ("prompts/get", {"name": "recall_memory"}),
        ("prompts/get", {"name": "recall_memory", "arguments": {"brand": other}}),
        ("prompts/get", {"name": other}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "dm-memory://brands"}),
        ("resources/read", {"uri": f"dm-memory://{other}/status"}),
        ("resources/read", {"uri": f"dm-memory://{other}/%2e%2e/status"}),
        ("resources/read", {"uri": f"file:///{other}"}),
        ("completion/complete", {"ref": resource, "argument": argument}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "sync-memory"}, "argument": argument}),
        ("server/discover", {}),
        (
            "initialize",
            {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
        ),
        (other, {}),
    ]


def _bare(response: httpx.Response, *names: str) -> str:
    """Return all that a client gets, without what it named itself, moments and durations."""
    kept = {name: value for name, value in response.headers.items() if name not in {"date", "content-length"}}
    text = f"{response.status_code} {json.dumps(kept)} {response.text}"
    for name in names:
        text = text.replace(name, "NAMED")
    text = re.sub(r"\b\d+(\.\d+)? ms\b|\d{4}-\d\d-\d\d[T ][\d:.]+", "MOMENT", text)
    return re.sub(r'\\?"\w*(seconds|duration|run_id|token)\\?":[^,}]*', "", text)


def _foreign(text: str) -> list[str]:
    """Return what of other brands stands in a text."""
    words = [each for number in range(50) if number != 7 for each in (f"brand-{number:02d}", _secret_words(number))]
    words += [f"Brand-{number:02d}" for number in range(50) if number != 7] + [
        "Zephyrine",
        "Numbat",
        "token 2",
        " 50 brands",
    ]
    return [word for word in words if word in text]


@pytest.mark.parametrize("era", ERAS)
def test_no_tool_says_anything_of_another_brand(place: Place, client: httpx.Client, era: str) -> None:
    for path in ("", f"/{MINE}"):
        url = place.server.url + path
        for (tool, theirs), (_, absent) in zip(_attempts(place, THEIRS), _attempts(place, ABSENT), strict=True):
            one = call(client, url, tool, secret=place.secrets[MINE], era=era, **theirs)
            two = call(client, url, tool, secret=place.secrets[MINE], era=era, **absent)
            first, second = _bare(one, THEIRS, place.keys[0]), _bare(two, ABSENT, place.keys[0])
            # What names nobody is the same call twice; the second finds what the first has stored.
            assert first == second or theirs == absent or "session_learnings" in theirs, (tool, theirs)
            assert _foreign(first.replace(_secret_words(31), "")) == [], (tool, theirs)
            assert not [word for word in ("531 boxes", "Numbat", "Zephyrine") if word in one.text], (tool, theirs)


@pytest.mark.parametrize("era", ERAS)
def test_no_other_request_says_anything_of_another_brand(place: Place, client: httpx.Client, era: str) -> None:
    for (method, theirs), (absent_method, absent) in zip(_requests(THEIRS), _requests(ABSENT), strict=True):
        one = ask(client, place.server.url, method, theirs, secret=place.secrets[MINE], era=era)
        two = ask(client, place.server.url, absent_method, absent, secret=place.secrets[MINE], era=era)
        first, second = _bare(one, THEIRS), _bare(two, ABSENT)
        assert first == second, (method, theirs)
        assert _foreign(first) == [], (method, theirs)


def test_no_resource_template_says_anything_of_another_brand(place: Place, client: httpx.Client) -> None:
    secret = place.secrets[MINE]
    listed = answer(ask(client, place.server.url, "resources/templates/list", secret=secret))["result"]
    templates = [each["uriTemplate"] for each in listed["resourceTemplates"]]
    assert "dm-memory://{brand}/status" in templates
    for template in templates:
        texts = []
        for brand in (THEIRS, ABSENT):
            uri = re.sub(r"\{[^}]*\}", "x", template.replace("{brand}", brand))
            texts.append(_bare(ask(client, place.server.url, "resources/read", {"uri": uri}, secret=secret), brand))
            assert _foreign(texts[-1]) == [], template
        assert texts[0] == texts[1], template


def test_the_address_of_another_brand_is_as_that_of_none(place: Place, client: httpx.Client) -> None:
    seen: dict[str, set[str]] = {}
    for path in PATHS:
        response = call(client, place.server.url + path, "search_memory", secret=place.secrets[MINE], query="boxes")
        headers = [(name, value) for name, value in response.headers.items() if name != "date"]
        seen[path] = {f"{response.status_code} {headers} {response.text}"}
        assert _foreign(response.text) == [], path
        assert (response.status_code == 200) == (path in {"", "/", f"/{MINE}"}), path
    assert seen[f"/{THEIRS}"] == seen[f"/{ABSENT}"]


def test_a_bad_token_learns_nothing_from_an_address(place: Place, client: httpx.Client) -> None:
    for secret in ("", "dmm_wrong"):
        answers = [
            call(client, place.server.url + path, "search_memory", secret=secret, query="x") for path in PATHS[:5]
        ]
        assert {(each.status_code, each.text) for each in answers} == {(answers[0].status_code, answers[0].text)}
        assert answers[0].status_code == 401


def test_who_may_read_can_not_write_by_any_tool(place: Place, client: httpx.Client) -> None:
    secret = place.secrets["reader"]
    for era in ERAS:
        listed = answer(ask(client, place.server.url, "tools/list", secret=secret, era=era))["result"]["tools"]
        assert {tool["name"] for tool in listed} == {"search_memory", "get_memory_status"}
        for tool, arguments in _attempts(place, MINE):
            result = answer(call(client, place.server.url, tool, secret=secret, era=era, **arguments)).get("result", {})
            if tool in {"sync_memory", "prepare_store", "forget_memory", "storage_sync"}:
                assert result["isError"], tool
                assert "may only read" in result["content"][0]["text"], tool


def test_what_waits_for_a_brand_is_still_there_and_theirs_is_unchanged(place: Place, client: httpx.Client) -> None:
    assert "Zephyrine" in (place.home / "dm-memory" / "unassigned.jsonl").read_text()
    found = call(client, place.server.url, "search_memory", secret=token(place.home, "theirs", THEIRS), query="boxes")
    assert f"{_secret_words(31)} campaigns sold 531 boxes." in found.text


def test_every_token_sees_its_own_brand(place: Place, client: httpx.Client) -> None:
    for brand, secret in place.secrets.items():
        if brand != "reader":
            listed = ask(client, place.server.url, "resources/read", {"uri": "dm-memory://brands"}, secret=secret)
            assert json.loads(answer(listed)["result"]["contents"][0]["text"]) == [brand]


def test_the_log_has_names_and_no_secrets(place: Place, client: httpx.Client) -> None:
    call(client, place.server.url, "search_memory", secret=place.secrets[MINE], query="Capybara question")
    log = place.server.logged('token="mine" method=tools/call tool=search_memory status=200')
    assert not [secret for secret in place.secrets.values() if secret in log]
    assert not [line for line in log.splitlines() for word in ("Capybara", "Blue is calm", THEIRS) if word in line]
