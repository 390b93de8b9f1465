"""The check that holds the fake against the vendor's description sees what is not as described."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.services.supermemory.conftest import DESCRIPTION, SHARED
from tests.services.supermemory.fake_supermemory import Check, Exchange

pytestmark = [pytest.mark.shared, pytest.mark.supermemory]

SOUND = Exchange(
    "POST",
    "/ns/acme/document/batch",
    {},
    {"documents": [{"content": "A text.", "id": "a", "metadata": {"tags": ["b"]}, "date": "2026-01-01"}]},
    200,
    {"results": [{"id": "a", "status": "queued"}], "count": 1, "failed": 0},
)


@pytest.fixture(scope="module")
def check() -> Check:
    from tests.services.supermemory.described import checker  # noqa: PLC0415  # needs the file

    return checker(Path(os.environ[SHARED]) / DESCRIPTION)


def test_what_is_as_described_passes(check: Check) -> None:
    assert check(SOUND) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/ns/acme/documents/batch"},
        {"path": "/ns/no spaces/document/batch"},
        {"query": {"page": "1"}},
        {"body": {"documents": []}},
        {"body": {"documents": [{"content": "A text.", "container": "b"}]}},
        {"body": {"documents": [{"content": "A text.", "metadata": {"a": None}}]}},
        {"status": 418},
        {"reply": {"results": [{"id": "a", "status": "banana"}], "count": 1, "failed": 0}},
        {"reply": {"foo": 1}},
        {"status": 402, "reply": {"message": "no money"}},
    ],
)
def test_what_is_not_as_described_is_seen(check: Check, changes: dict[str, Any]) -> None:
    assert check(replace(SOUND, **changes)) != []
