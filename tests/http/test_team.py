"""Two people with tokens of their own on one server: each finds at once what the other stored, by the name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from dm_memory_tools.answer import REPORT_KEY
from tests.http.serving import ERAS, call, served, token

LEARNING = "Carousels with people sell twice as many gift boxes."
TEXT = "Zed cut the price of its gift box by a tenth."


def data(response: httpx.Response) -> dict[str, Any]:
    """Return a report's data; an answer is JSON, or one event with it."""
    assert response.status_code == 200, response.text
    body = next((line[5:] for line in response.text.splitlines() if line.startswith("data:{")), "")
    body = body or next((line[6:] for line in response.text.splitlines() if line.startswith("data: {")), response.text)
    report: dict[str, Any] = httpx.Response(200, text=body).json()["result"]["_meta"][REPORT_KEY]
    return report


@pytest.mark.parametrize("era", ERAS)
def test_what_one_token_s_holder_stores_the_other_one_finds_at_once_by_the_name(
    home: Path, client: httpx.Client, era: str
) -> None:
    mara, tom = token(home, "Mara", "acme"), token(home, "Tom", "acme")
    with served(home, "--require-token", DM_MEMORY_AUTHOR="The office") as running:
        url = running.url
        data(call(client, url, "sync_memory", secret=mara, era=era, session_learnings=[LEARNING]))
        found = data(call(client, url, "search_memory", secret=tom, era=era, query="gift boxes", author="mara"))
        assert [(hit["content"], hit["author"]) for hit in found["hits"]] == [(LEARNING, "Mara")]
        prepared = data(call(client, url, "prepare_store", secret=tom, era=era, content=TEXT))
        found = data(call(client, url, "search_memory", secret=mara, era=era, query="gift box", author="TOM"))
        assert [(hit["content"], hit["author"]) for hit in found["hits"]] == [(TEXT, "Tom")]
        fifth = TEXT.replace("tenth", "fifth")
        data(call(client, url, "prepare_store", secret=mara, era=era, content=fifth, replaces=prepared["key"]))
        history = data(call(client, url, "search_memory", secret=tom, era=era, history_of=prepared["key"]))["history"]
        assert [line["reason"] for line in history] == ["corrected by Mara", ""]
