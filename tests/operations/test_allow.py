"""Letting something stand that the guard would change."""

from __future__ import annotations

import pytest

from dm_memory.errors import InputError
from dm_memory.report import sync_report
from dm_memory.requests import PrepareRequest, SessionLearning
from dm_memory.results import AllowResult
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio

PUBLIC = "hello@ember.example"
TEXT = f"Guests write to {PUBLIC} first"
OTHER = "Ask jane.roe@ember.example before noon"
SLOGAN = "Summer-2026-Launch!"  # what a campaign could be called
CREDENTIAL = f"The slogan is fine.\npassword: {SLOGAN}"


async def allow(bench: Bench, value: str, *, undo: bool = False) -> AllowResult:
    memory = bench.memory
    try:
        return await memory.allow(value, BRAND, undo=undo)
    finally:
        await memory.close()


async def test_what_is_allowed_stands_from_the_next_sync_on_and_nothing_else_does(bench: Bench) -> None:
    bench.insights(TEXT, OTHER)
    first = await bench.sync()
    assert sorted(bench.texts().values()) == ["Ask [e-mail] before noon", "Guests write to [e-mail] first"]
    assert f"`dm-memory allow TEXT --brand {BRAND}`" in sync_report(first).text
    result = await allow(bench, f"Our address is {PUBLIC.upper()}.")
    assert (result.found, result.status, result.total) == (("e-mail address",), "allowed", 1)
    changed = await bench.sync()
    assert sorted(bench.texts().values()) == ["Ask [e-mail] before noon", TEXT]
    assert (changed.counts.modified, changed.counts.new) == (1, 0)
    assert (await bench.sync()).counts.stored == 0
    bench.check()


async def test_what_is_handed_in_afterwards_stands_as_well(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    await allow(bench, PUBLIC)
    await bench.sync(session_learnings=(SessionLearning(TEXT),))
    memory = bench.memory
    await memory.prepare(PrepareRequest(f"{PUBLIC} is answered within a day", brand=BRAND))
    await memory.close()
    assert {TEXT, f"{PUBLIC} is answered within a day"} <= set(bench.texts().values())


async def test_a_line_that_only_looks_like_a_credential_can_be_allowed(bench: Bench) -> None:
    bench.insights(CREDENTIAL)
    await bench.sync()
    assert list(bench.texts().values()) == ["The slogan is fine."]
    assert (await allow(bench, f"password: {SLOGAN}")).status == "allowed"
    await bench.sync()
    assert list(bench.texts().values()) == [CREDENTIAL]


async def test_it_is_taken_back(bench: Bench) -> None:
    bench.insights(TEXT)
    await allow(bench, PUBLIC)
    await bench.sync()
    assert list(bench.texts().values()) == [TEXT]
    assert (await allow(bench, PUBLIC, undo=True)).status == "undone"
    assert (await allow(bench, PUBLIC, undo=True)).status == "nothing"
    await bench.sync()
    assert list(bench.texts().values()) == ["Guests write to [e-mail] first"]


@pytest.mark.parametrize("lost", ["memory.db", "journal.jsonl"])
async def test_it_survives_the_loss_of_either_file_and_neither_has_the_address(bench: Bench, lost: str) -> None:
    bench.insights("one", session := "two")
    await bench.sync(session_learnings=(SessionLearning(session),))
    await allow(bench, PUBLIC)
    assert not [path for path in bench.memory_dir.rglob("*") if path.is_file() and PUBLIC.encode() in path.read_bytes()]
    for path in bench.memory_dir.glob(f"{lost}*"):
        path.unlink()
    await bench.sync()
    (bench.memory_dir / "memory.db").unlink()  # what came back from one is in the other again
    bench.insights(TEXT)
    await bench.sync()
    assert TEXT in bench.texts().values()


async def test_what_the_guard_does_not_change_can_not_be_allowed(bench: Bench) -> None:
    bench.insights("one")
    with pytest.raises(InputError, match="finds nothing"):
        await allow(bench, "nothing to see")
