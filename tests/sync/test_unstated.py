"""What no file states, handed in or rolled out, gets the type and the tags that are asked for everything in scope."""

from __future__ import annotations

import pytest

from dm_memory.report import sync_report
from dm_memory.requests import PrepareRequest, Scope, SessionLearning
from tests.sync.conftest import BRAND, Bench, insight

pytestmark = pytest.mark.anyio


async def filled(bench: Bench) -> None:
    """Make a memory with an entry of a campaign, a learning, a prepared text and an insight that rolled out."""
    bench.insights("rolled out", "one")
    bench.campaign(["two"])
    await bench.sync(session_learnings=(SessionLearning("learned"),), tags=("draft",))
    await bench.memory.prepare(PrepareRequest("prepared", brand=BRAND, tags=("draft",)))
    bench.write("insights.json", [insight("one", 1)])
    await bench.sync()


def types(bench: Bench) -> set[str]:
    return {content_type for (content_type,) in bench.rows("SELECT DISTINCT content_type FROM entries")}


def with_tag(bench: Bench, tag: str) -> int:
    return int(bench.rows("SELECT count(*) FROM tags WHERE tag = ? AND NOT removed", tag)[0][0])


async def test_a_type_reaches_every_entry_and_stays_until_auto(bench: Bench) -> None:
    await filled(bench)
    before = bench.rows("SELECT key, content_type FROM entries ORDER BY key")
    await bench.sync(content_type="guideline")
    assert types(bench) == {"guideline"}
    assert (await bench.sync()).counts.metadata == 0
    assert types(bench) == {"guideline"}
    planned = await bench.sync(content_type="auto", dry_run=True)
    assert planned.counts.metadata == len(before)
    await bench.sync(content_type="auto")
    assert bench.rows("SELECT key, content_type FROM entries ORDER BY key") == before
    bench.check()


async def test_tags_are_put_on_and_taken_off_every_entry(bench: Bench) -> None:
    await filled(bench)
    total = len(bench.texts())
    assert with_tag(bench, "draft") == total
    await bench.sync(untag=("draft",))
    assert with_tag(bench, "draft") == 0
    await bench.sync(tags=("spring",), retag=True)
    assert with_tag(bench, "spring") == total
    bench.check()


async def test_a_scope_and_an_exclude_hold_for_them_too(bench: Bench) -> None:
    await filled(bench)
    await bench.sync(scope=Scope.INSIGHTS_ONLY, content_type="guideline", exclude=("one",))
    kept = dict(bench.rows("SELECT content, content_type FROM entries"))
    assert (kept["rolled out"], kept["one"], kept["learned"]) == ("guideline", "performance-insight", kept["prepared"])


async def test_what_is_stored_again_adds_up(bench: Bench) -> None:
    await filled(bench)
    result = await bench.sync(force=True)
    assert result.counts.stored == result.counts.forced == len(bench.texts())
    assert f"{len(bench.texts())} entries stored" in sync_report(result).text


async def test_a_refused_learning_is_not_said_to_be_hidden(bench: Bench) -> None:
    result = await bench.sync(session_learnings=(SessionLearning("ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"),))
    text = sync_report(result).text
    assert ("refused because of credentials" in text, "more. To see them" in text) == (True, False)


async def test_what_a_user_decided_survives_the_loss_of_the_database(bench: Bench) -> None:
    await filled(bench)
    await bench.sync(content_type="guideline")
    await bench.sync(untag=("draft",))
    await bench.sync(tags=("spring",), retag=True)
    described = "SELECT e.key, content_type, tag, removed FROM entries e JOIN tags t ON t.seq = e.seq ORDER BY 1, 3"
    before = bench.rows(described)
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    await bench.sync()
    assert bench.rows(described) == before
    await bench.sync(content_type="auto")
    assert len(types(bench)) > 1
    bench.check()
