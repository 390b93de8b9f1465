"""Correcting an entry, what it said when, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from dm_memory.errors import InputError
from dm_memory.items import ContentType
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning
from dm_memory.results import PrepareResult
from dm_memory.search.results import SearchRequest
from tests.support.dict_service import DictService
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio

FIRST = "insight/2026-11-02T10:00:00.000001"
WRONG = "The spring mailing was opened by 61 of a hundred readers"
RIGHT = "The spring mailing was opened by 16 of a hundred readers"


async def correct(bench: Bench, key: str, text: str = RIGHT, **more: Any) -> PrepareResult:
    return await bench.memory.prepare(PrepareRequest(text, brand=BRAND, replaces=key, **more))


async def test_the_entry_says_the_new_text_and_the_old_one_is_a_revision(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    bench.insights(WRONG, "another")
    await bench.sync()
    result = await correct(bench, FIRST, tags=("checked",))
    assert (result.status, result.key, result.existing_key, result.replaced_title) == ("corrected", FIRST, FIRST, WRONG)
    assert result.content_type == "performance-insight", "it keeps its type"
    assert "checked" in result.tags
    assert bench.texts()[FIRST] == RIGHT
    assert bench.rows("SELECT content, reason FROM revisions") == [(WRONG, "corrected")]
    bench.check()
    await bench.sync()
    assert {payload.content for payload in service.stored.values()} == {RIGHT, "another"}


@pytest.mark.parametrize("force", [False, True])
async def test_a_file_that_goes_on_stating_the_old_text_changes_nothing(bench: Bench, force: bool) -> None:
    bench.insights(WRONG, "another")
    await bench.sync()
    await correct(bench, FIRST)
    bench.insights(WRONG, "another", "a third")
    assert (await bench.sync(force=force)).counts.modified == 0
    assert bench.texts()[FIRST] == RIGHT
    assert (await bench.sync(tags=("all",), retag=True)).counts.metadata == 3
    assert bench.texts()[FIRST] == RIGHT
    bench.insights("It was 17 of a hundred", "another", "a third")
    assert (await bench.sync()).counts.modified == 1, "a text that changed in the file is news"
    assert bench.texts()[FIRST] == "It was 17 of a hundred"
    bench.check()


@pytest.mark.parametrize("purge", [False, True])
async def test_an_entry_of_a_list_keeps_its_key_and_is_not_there_twice(bench: Bench, purge: bool) -> None:
    bench.campaign([WRONG, "posters are cheap"])
    await bench.sync()
    (key,) = [key for key, text in bench.texts().items() if WRONG in text]
    await correct(bench, key, "Entirely other words about envelopes", purge=purge)
    bench.campaign([WRONG, "posters are cheap", "one more"])
    result = await bench.sync()
    assert (result.counts.new, result.counts.retired) == (1, 0)
    assert bench.texts()[key] == "Entirely other words about envelopes"
    assert len(bench.texts()) == 3
    bench.check()


async def test_duplicates_are_corrected_with_it(bench: Bench) -> None:
    bench.insights(WRONG, "another", WRONG)
    await bench.sync()
    await correct(bench, FIRST)
    assert sorted(bench.texts().values()) == [RIGHT, "another"]
    bench.check()
    await bench.sync(force=True)
    assert sorted(bench.texts().values()) == [RIGHT, "another"]
    bench.check()


async def test_a_text_that_another_entry_says_already_makes_the_corrected_one_its_duplicate(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    bench.insights(WRONG, RIGHT)
    await bench.sync()
    result = await correct(bench, FIRST)
    assert (result.status, result.existing_key) == ("corrected", "insight/2026-11-02T10:00:01.000001")
    assert list(bench.texts().values()) == [RIGHT]
    bench.check()
    await bench.sync(force=True)
    assert [payload.content for payload in service.stored.values()] == [RIGHT]
    assert list(bench.texts().values()) == [RIGHT]


async def test_a_purged_text_is_forgotten_everywhere(bench: Bench) -> None:
    graph = DictService("graph@dictionary", keeps_retired=True)
    bench.services = [graph]
    bench.insights(f"{WRONG}, says Zeppelinska", "another")
    await bench.sync()
    result = await correct(bench, FIRST, purge=True)
    assert result.purged is not None
    assert (result.status, result.purged.status) == ("corrected", "forgotten")
    left = [path.name for path in bench.memory_dir.rglob("*") if path.is_file() and b"eppelinska" in path.read_bytes()]
    assert left == []
    await bench.sync(force=True)
    assert bench.texts()[FIRST] == RIGHT
    assert {payload.content for payload in graph.stored.values()} == {RIGHT, "another"}
    bench.check()


async def test_what_was_handed_in_is_corrected_too_and_its_old_export_goes(bench: Bench) -> None:
    first = await bench.memory.prepare(PrepareRequest(WRONG, ContentType.GUIDELINE, brand=BRAND))
    await bench.sync(session_learnings=(SessionLearning("learned wrongly"),))
    await correct(bench, first.key)
    await correct(bench, next(key for key in bench.texts() if key.startswith("session/")), "learned rightly")
    await bench.sync(session_learnings=(SessionLearning("learned wrongly"),))
    assert sorted(bench.texts().values()) == [RIGHT, "learned rightly"]
    assert not any(WRONG in path.read_text() for path in (bench.memory_dir / "stored").glob("*"))


async def test_a_memory_that_is_built_again_keeps_the_correction(bench: Bench) -> None:
    bench.insights(WRONG, "another")
    await bench.sync()
    await correct(bench, FIRST)
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    await bench.sync(force=True)
    assert sorted(bench.texts().values()) == [RIGHT, "another"]
    bench.check()


async def test_a_correction_that_was_journaled_and_not_stored_is_stored_by_the_next_sync(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights(WRONG, "another")
    await bench.sync()

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("dm_memory.sync.handin.prepare.correct", killed)
        with pytest.raises(Killed):
            await correct(bench, FIRST)
    assert bench.texts()[FIRST] == WRONG
    await bench.sync(force=True)
    assert bench.texts()[FIRST] == RIGHT
    assert bench.rows("SELECT reason FROM revisions") == [("corrected",)]


async def test_a_key_that_is_not_there_is_an_error_and_the_same_text_is_no_change(bench: Bench) -> None:
    bench.insights(WRONG)
    await bench.sync()
    with pytest.raises(InputError, match="no entry with the key"):
        await correct(bench, "insight/none")
    assert (await correct(bench, FIRST, WRONG)).status == "duplicate"
    assert bench.rows("SELECT count(*) FROM revisions") == [(0,)]


async def test_history_says_what_it_said_when_and_why_that_changed(bench: Bench) -> None:
    bench.insights("as first written", "another")
    await bench.sync()
    bench.insights("as edited in the file", "another")
    await bench.sync()
    await correct(bench, FIRST)
    result = await bench.memory.history(FIRST, BRAND)
    assert [(each.content, each.reason) for each in result.versions] == [
        ("as first written", "changed"),
        ("as edited in the file", "corrected"),
        (RIGHT, ""),
    ]
    assert (result.origin, result.state) == ("insights.json", "current")
    assert [bool(each.until) for each in result.versions] == [True, True, False]
    with pytest.raises(InputError):
        await bench.memory.history("insight/none", BRAND)


async def test_patterns_are_read_with_where_and_how_often(bench: Bench) -> None:
    for name in ("spring", "summer"):
        bench.campaign([], name=name, channels=["email"], retrospective={"what_worked": ["Short subject lines"]})
    await bench.sync()
    result = await bench.memory.patterns(BRAND)
    ((line,),) = (result.patterns,)
    assert (line.text, line.worked, line.failed, line.campaigns) == ("Short subject lines", 2, 0, ("spring", "summer"))
    assert (result.total, result.contradictions) == (1, ())


async def test_one_point_under_worked_and_failed_is_pointed_out_with_both_sources(bench: Bench) -> None:
    bench.campaign([], name="spring", retrospective={"what_worked": ["Short subject lines"]})
    await bench.sync()
    bench.campaign([], name="summer", retrospective={"what_failed": ["short  subject lines."]})
    (finding,) = [finding for finding in (await bench.sync()).findings if finding.code == "contradiction"]
    assert "campaign/spring#" in finding.message
    assert "campaign/summer#" in finding.message
    (contradiction,) = (await bench.memory.patterns(BRAND)).contradictions
    assert contradiction.first_key.startswith("campaign/spring#")
    assert "contradiction" not in {finding.code for finding in (await bench.sync()).findings}


async def test_another_figure_for_one_metric_channel_and_period_is_pointed_out(bench: Bench) -> None:
    def snapshot(rate: float, period: str, at: str) -> dict[str, Any]:
        by_channel = {"email": {"open_rate": rate}, "podcast": {"signups": 40}}
        return {"campaign_id": "spring", "period": period, "recorded_at": at, "channel_breakdown": by_channel}

    bench.campaign([], name="spring")
    bench.write("performance/a.json", snapshot(0.41, "2026-10", "2026-11-01T10:00:00"))
    bench.write("performance/b.json", snapshot(0.47, "2026-11", "2026-12-01T10:00:00"))
    await bench.sync()
    assert (await bench.memory.patterns(BRAND)).contradictions == ()
    bench.write("performance/c.json", snapshot(0.52, "2026-10", "2026-11-05T10:00:00"))
    findings = [finding.message for finding in (await bench.sync()).findings if finding.code == "contradiction"]
    contradictions = (await bench.memory.patterns(BRAND)).contradictions
    assert len(findings) == len(contradictions) == 1
    assert contradictions[0].first_key != contradictions[0].second_key
    assert "open" in contradictions[0].what


async def test_a_forgotten_text_is_not_taken_as_a_correction(bench: Bench) -> None:
    bench.insights(WRONG, RIGHT)
    await bench.sync()
    shown = await bench.memory.forget(ForgetRequest(brand=BRAND, query='"by 16"'))
    await bench.memory.forget(ForgetRequest(brand=BRAND, query='"by 16"', dry_run=False, token=shown.token))
    assert (await correct(bench, FIRST)).status == "refused"
    assert list(bench.texts().values()) == [WRONG]


async def test_a_short_key_or_id_from_a_report_is_enough_everywhere(bench: Bench) -> None:
    bench.insights("another")
    await bench.sync()
    memory = bench.memory
    handed_in = await memory.prepare(PrepareRequest(WRONG, brand=BRAND))
    key = handed_in.key
    short = key.partition("/")[0] + f"/{key.partition('/')[2][:8]}…"
    ((whole_id,),) = bench.rows("SELECT id FROM entries WHERE key = ?", key)
    assert (await correct(bench, short)).key == key
    history = await memory.history(whole_id[:8], BRAND)
    assert (history.key, history.asked, len(history.versions)) == (key, key, 2)
    found = await memory.search(SearchRequest("", brand=BRAND, history_of=short))
    assert [line.content for line in found.history] == [WRONG, RIGHT]
    shown = await memory.forget(ForgetRequest(keys=(whole_id[:6], short), brand=BRAND))
    assert {item.key for item in shown.items} == {key}
    assert shown.unknown == ()
    done = await memory.forget(ForgetRequest(keys=(short,), brand=BRAND, dry_run=False, token=shown.token))
    assert done.status == "forgotten"
    restored = await memory.forget(ForgetRequest(restore=(whole_id[:8],), brand=BRAND))
    assert (restored.status, restored.unknown) == ("restored", ())
    with pytest.raises(InputError):
        await memory.history(short, BRAND)
    await memory.close()
