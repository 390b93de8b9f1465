"""Handing in: one text, found at once, whoever syncs meanwhile; whatever happens, it is not lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dm_memory.errors import InputError
from dm_memory.items import ContentType, Priority
from dm_memory.report import prepare_report
from dm_memory.requests import PrepareRequest, SessionLearning, no_progress
from dm_memory.results import PrepareResult
from dm_memory.search.results import SearchRequest
from dm_memory.store.locks import brand_lock
from dm_memory.sync.handin import prepare as prepare_module
from dm_memory.text.hashing import script_hash
from tests.support.dict_service import DictService
from tests.sync.conftest import BRAND, Bench, stored_texts

pytestmark = pytest.mark.anyio


async def prepare(
    bench: Bench, text: str, content_type: ContentType = ContentType.GUIDELINE, **more: Any
) -> PrepareResult:
    memory = bench.memory
    try:
        return await memory.prepare(PrepareRequest(text, content_type, brand=BRAND, **more))
    finally:
        await memory.close()


async def test_a_payload_is_in_memory_at_once_and_in_the_services_with_the_next_sync(
    bench: Bench, service: DictService
) -> None:
    result = await prepare(bench, "Tone: warm, never loud", tags=("voice",))
    assert (result.status, result.exit_code) == ("prepared", 0)
    bench.check()
    assert bench.texts() == {result.key: "Tone: warm, never loud"}
    assert service.stored == {}
    synced = await bench.sync()
    assert synced.status == "complete"
    assert stored_texts(service) == ["Tone: warm, never loud"]
    assert "voice" in next(iter(service.stored.values())).tags


async def test_a_text_kept_before_any_sync_is_no_sync_that_was_interrupted(bench: Bench) -> None:
    """Status would send people to a sync that never began; and a sync that runs would be called interrupted."""
    await prepare(bench, "Tone: warm, never loud")
    assert bench.rows("SELECT * FROM runs") == []
    assert (await bench.memory.status(BRAND)).last_run_status == ""


async def test_a_known_text_is_a_duplicate_and_gains_tags_priority_and_expiry(
    bench: Bench, service: DictService
) -> None:
    first = await prepare(bench, "Keep this.", priority=Priority.HIGH, expires_at="2027-01-01")
    again = await prepare(bench, "Keep  this.", ContentType.BRAND_ASSET, tags=("more",), priority=Priority.LOW)
    assert (again.status, again.existing_key, again.content_type) == ("duplicate", first.key, "guideline")
    assert (again.merged_tags, again.expires_at) == (("more",), "2027-01-01")
    await bench.sync()
    (payload,) = service.stored.values()
    assert "more" in payload.tags
    assert payload.priority == again.priority
    bench.check()


async def test_what_changed_of_a_known_text_is_said_and_nothing_else(bench: Bench) -> None:
    text = "Tone: warm, never loud"
    await prepare(bench, text)
    both = prepare_report(await prepare(bench, text, tags=("voice",), expires_at="2027-01-01")).text
    assert "expires 2027-01-01 and gains the tags: `voice`; everything else about it stays" in both
    one = prepare_report(await prepare(bench, text, priority=Priority.HIGH)).text
    assert "Its entry has the priority high now; everything else" in one
    assert "Nothing changes." not in one
    assert "Nothing changes." in prepare_report(await prepare(bench, text, priority=Priority.HIGH)).text


async def test_another_process_that_syncs_keeps_nobody_waiting(bench: Bench) -> None:
    """The brand's lock is taken for as long as the test runs: whoever needed it would wait for ever."""
    bench.insights("one")
    await bench.sync()
    async with brand_lock(bench.memory_dir, 1, lambda: bench.now, no_progress):
        result = await prepare(bench, "meanwhile")
    assert result.status == "prepared"
    assert "meanwhile" in bench.texts().values()


async def test_many_at_once_with_one_text_store_it_once(bench: Bench) -> None:
    await bench.sync()
    results = await asyncio.gather(
        *(prepare(bench, f"text {number % 3}", tags=(f"t{number}",)) for number in range(12))
    )
    assert sorted(result.status for result in results) == ["duplicate"] * 9 + ["prepared"] * 3
    bench.check()
    assert sorted(bench.texts().values()) == ["text 0", "text 1", "text 2"]
    tags = {tag for (tag,) in bench.rows("SELECT tag FROM tags")}
    assert {f"t{number}" for number in range(12)} <= tags


async def test_many_at_once_into_a_memory_that_is_not_there_yet(bench: Bench) -> None:
    results = await asyncio.gather(*(prepare(bench, f"text {number % 4}") for number in range(8)))
    assert {result.exit_code for result in results} == {0}
    assert sorted(bench.texts().values()) == [f"text {number}" for number in range(4)]
    bench.check()


async def test_what_is_handed_in_while_a_sync_runs_is_whole_and_stored_once(bench: Bench, service: DictService) -> None:
    bench.insights(*(f"insight {number}" for number in range(30)), "the same words")

    async def hand_in(number: int) -> None:
        await prepare(bench, "the same words" if number % 2 else f"payload {number}")

    await asyncio.gather(bench.sync(), *(hand_in(number) for number in range(6)))
    assert (await bench.sync()).status == "complete"
    bench.check()
    assert sorted(bench.texts().values()).count("the same words") == 1
    assert stored_texts(service) == sorted(bench.texts().values())


async def test_a_credential_is_refused_and_only_its_hash_is_kept(bench: Bench) -> None:
    result = await prepare(bench, "password: Summer2024!")
    assert (result.status, result.exit_code, result.key) == ("refused", 2, "")
    assert b"Summer" not in (bench.memory_dir / "journal.jsonl").read_bytes()
    await bench.sync()
    assert bench.texts() == {}


@pytest.mark.parametrize(
    "wrong", [{"text": "  "}, {"expires_at": "soon"}, {"expires_at": "2020-01-01"}, {"text": "x" * 2_000_001}]
)
async def test_a_payload_that_can_not_be_kept_is_refused_with_a_way_out(bench: Bench, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        await prepare(bench, **({"text": "text"} | wrong))
    assert caught.value.remedy
    assert not bench.memory_dir.exists()


async def test_a_hand_in_that_is_killed_before_it_is_stored_is_in_the_next_sync(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kill(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "_store", kill)
        with pytest.raises(Kill):
            await prepare(bench, "worth keeping")
    assert "worth keeping" not in (bench.texts() if (bench.memory_dir / "memory.db").exists() else {}).values()
    assert (await bench.memory.status(BRAND)).prepared == 1
    result = await bench.sync()
    assert (result.counts.new, result.status) == (1, "complete")
    assert "worth keeping" in bench.texts().values()


async def test_a_session_s_learning_survives_a_call_that_waits_in_vain(bench: Bench) -> None:
    bench.settings["lock_timeout"] = 0.05
    bench.insights("one")
    async with brand_lock(bench.memory_dir, 1, lambda: bench.now, no_progress):
        with pytest.raises(Exception, match="has been syncing"):
            await bench.sync(session_learnings=(SessionLearning("worth keeping"),))
    await bench.sync()
    assert "worth keeping" in bench.texts().values()
    assert (await bench.sync()).counts.stored == 0


async def test_a_dry_run_hands_nothing_in(bench: Bench) -> None:
    await bench.sync(dry_run=True, session_learnings=(SessionLearning("only planned"),))
    await bench.sync()
    assert bench.texts() == {}


# The plugin's own files ----------------------------------------------------------------------------------------------


async def test_a_payload_prepared_by_the_plugin_s_script_is_stored_and_moved(bench: Bench) -> None:
    content = "Competitor X cut prices by 20 %"
    name = script_hash(content)
    document = {
        "content_hash": name,
        "brand": BRAND,
        "content": content,
        "content_type": "competitive-intel",
        "tags": ["x"],
        "source": "session",
        "created_at": "2026-11-20T10:00:00",
        "metadata": {"char_count": 31, "word_count": 7},
    }
    bench.write(f"memory/pending/{name}.json", document)
    await bench.sync()
    assert list(bench.texts().values()) == [content]
    assert bench.read(f"stored/{name}.json")["stored_at"]
    assert not (bench.memory_dir / "pending" / f"{name}.json").exists()
    assert (await bench.sync()).counts.stored == 0


async def test_a_waiting_file_with_a_known_text_is_settled_by_the_entry_that_has_it(bench: Bench) -> None:
    bench.insights("one")
    name = script_hash("one")
    bench.write(f"memory/pending/{name}.json", {"content_hash": name, "content": "one", "content_type": "guideline"})
    await bench.sync()
    assert list(bench.texts().values()) == ["one"]
    assert (bench.memory_dir / "stored" / f"{name}.json").exists()


async def test_a_waiting_file_that_only_python_reads_is_moved(bench: Bench) -> None:
    bench.write("memory/pending/0123456789abcdef.json", '{"content": "kept", "metadata": {"score": NaN}}')
    await bench.sync()
    assert (bench.memory_dir / "stored" / "0123456789abcdef.json").exists()


async def test_a_waiting_file_that_can_not_be_read_holds_the_checkpoint_and_nothing_else(bench: Bench) -> None:
    bench.insights("one")
    bench.write("memory/pending/0123456789abcdef.json", '{"content": ')
    result = await bench.sync()
    assert (result.status, result.checkpoint.moved) == ("partial", False)
    assert list(bench.texts().values()) == ["one"]


async def test_exclude_holds_for_waiting_payloads_too(bench: Bench) -> None:
    bench.write("memory/pending/0123456789abcdef.json", {"content": "Draft: not yet", "content_type": "guideline"})
    result = await bench.sync(exclude=("*draft*",))
    assert (result.counts.new, result.counts.excluded, result.counts.stored) == (0, 1, 0)
    assert bench.texts() == {}
    assert (await bench.sync()).counts.stored == 1


async def suggest(bench: Bench, text: str, **more: Any) -> PrepareResult:
    return await bench.memory.prepare(PrepareRequest(text, brand=BRAND, **more))


async def test_a_type_and_tags_that_nobody_gave_are_explained_by_what_the_text_says(bench: Bench) -> None:
    bench.write("competitors.json", [{"name": "Rival Roasters"}])
    metric = await suggest(bench, "The newsletter of May had an open rate of 41 percent")
    by_value = {each.value: each for each in metric.suggested}
    assert (metric.content_type, by_value["performance-insight"].words) == ("performance-insight", ("open rate",))
    assert by_value["performance-insight"].reason == "the text names a metric"
    assert by_value["channel:email"].words == ("newsletter",)
    assert by_value["quarter:2026-q4"].reason == "its date"
    assert {each.value for each in metric.suggested if each.what == "tag"} == set(metric.tags)
    rival = await suggest(bench, "Rival Roasters doubled the open rate of its mailings")
    assert rival.content_type == "competitive-intel"
    assert rival.suggested[0].words == ("Rival Roasters",)
    plain = await suggest(bench, "Customers ask for smaller bags")
    assert plain.content_type == "campaign-learning"
    bench.check()
    stored = dict(bench.rows("SELECT key, content_type FROM entries"))
    assert stored == {each.key: each.content_type for each in (metric, rival, plain)}
    await bench.sync(force=True)
    assert dict(bench.rows("SELECT key, content_type FROM entries")) == stored


async def test_what_was_given_is_not_suggested(bench: Bench) -> None:
    typed = await suggest(bench, "An open rate of 41 percent", content_type=ContentType.GUIDELINE)
    assert (typed.content_type, {each.what for each in typed.suggested}) == ("guideline", {"tag"})
    tagged = await suggest(bench, "An open rate of 42 percent", tags=("may",))
    assert [each.what for each in tagged.suggested] == ["content type"]
    assert (await suggest(bench, "An open rate of 42 percent")).suggested == (), "a duplicate keeps what it has"


async def test_questions_are_those_that_find_the_text_without_what_was_masked(bench: Bench) -> None:
    bench.insights(*(f"Posters near station {number} were cheap" for number in range(30)))
    await bench.sync()
    result = await suggest(bench, "Webinar leads of mona@example.org convert slower than leads from fairs")
    assert 2 <= len(result.questions) <= 3
    assert not any("mona" in question for question in result.questions)
    for question in result.questions:
        found = await bench.memory.search(SearchRequest(question, brand=BRAND, limit=5))
        assert result.key in {hit.key for hit in found.hits}
    again = await suggest(bench, "Webinar leads of mona@example.org convert slower than leads from fairs")
    assert (again.status, again.key) == ("duplicate", result.key)
    assert again.questions


async def test_a_text_that_no_question_finds_among_many_alike_has_none(bench: Bench) -> None:
    bench.insights(*("Posters were cheap" + "!" * number for number in range(1, 30)))
    await bench.sync()
    result = await suggest(bench, "Posters were cheap. " * 40)
    assert (result.status, result.questions) == ("prepared", ())
    assert (await suggest(bench, "?!")).questions == ()
