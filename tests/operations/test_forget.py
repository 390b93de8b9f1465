"""Forgetting: what goes, from where, what proves it, and what keeps it out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.results import StorageSyncRequest
from dm_memory.errors import DamagedStoreError, InputError
from dm_memory.report import Reader, prepare_report, sync_report
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning
from dm_memory.results import ForgetResult
from dm_memory.search.results import SearchRequest
from dm_memory.text.hashing import content_hash
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, check_memory, insight

pytestmark = pytest.mark.anyio

JANE = "Jane Zeppelinska from Bydgoszcz asked twice why the crimson newsletter arrives at night"
OTHER = "The morning newsletter is opened by four of ten readers"
FIRST = "insight/2026-11-02T10:00:00.000001"


class Killed(BaseException):
    """What ends a process at once."""


async def preview(bench: Bench, **criteria: Any) -> ForgetResult:
    return await bench.memory.forget(ForgetRequest(brand=BRAND, **criteria))


async def forget(bench: Bench, **criteria: Any) -> ForgetResult:
    shown = await preview(bench, **criteria)
    return await bench.memory.forget(ForgetRequest(brand=BRAND, **criteria, dry_run=False, token=shown.token))


def files_with(bench: Bench, *words: str) -> list[str]:
    """Return the files below ``memory/`` whose bytes contain one of the words, in any case."""
    wanted = [word.casefold().encode() for word in words]
    return [
        path.relative_to(bench.memory_dir).as_posix()
        for path in bench.memory_dir.rglob("*")
        if path.is_file() and any(word in path.read_bytes().lower() for word in wanted)
    ]


# What goes -----------------------------------------------------------------------------------------------------------


async def test_the_first_call_shows_what_would_go_and_from_where_and_writes_nothing(bench: Bench) -> None:
    bench.services = [DictService()]
    bench.insights(JANE, OTHER)
    await bench.sync()
    before = bench.tree()
    shown = await preview(bench, query="zeppelinska")
    assert (shown.status, [item.key for item in shown.items]) == ("preview", [FIRST])
    places = shown.places
    assert (places.entries, places.vectors, places.journal) == (1, 1, 1)
    assert places.services == {"Dictionary (vector)": 1}
    assert shown.returning == {"insights.json": (FIRST,)}
    assert "other computers keep" in shown.reach
    assert bench.tree() == before


async def test_every_trace_of_a_text_goes_and_the_bytes_prove_it(bench: Bench) -> None:
    bench.services = [DictService(), DictService("graph@dictionary", keeps_retired=True)]
    bench.insights(JANE, OTHER)
    bench.campaign([JANE], name="spring")
    await bench.sync(session_learnings=(SessionLearning(f"Learned in the session: {JANE}."),))
    await bench.memory.prepare(PrepareRequest(f"Prepared: {JANE}!", brand=BRAND))
    await bench.sync()
    assert files_with(bench, "zeppelinska", "bydgoszcz")
    result = await forget(bench, query="Zeppelinska")
    assert result.proof is not None
    assert (result.status, result.exit_code, len(result.items)) == ("forgotten", 0, 4)
    assert files_with(bench, "zeppelinska", "bydgoszcz", "zeppelinsk", "crimson") == []
    assert (result.proof.left, result.proof.short) == ((), 0)
    assert result.proof.files > 3
    assert [(each.looked, each.left, each.due) for each in result.proof.services] == [(4, 0, 0)] * 2
    assert [payload.content for service in bench.services for payload in service.stored.values()] == [OTHER] * 2
    bench.check()


async def test_the_room_that_texts_took_on_the_disk_is_given_back(bench: Bench) -> None:
    filler = "The crimson newsletter arrives at night and is opened in the morning by some of its readers. " * 40
    bench.insights(OTHER, *(f"{JANE} {number}: {filler}" for number in range(40)))
    await bench.sync()
    before = (bench.memory_dir / "memory.db").stat().st_size
    assert (await forget(bench, query="zeppelinska")).status == "forgotten"
    ((free,),) = bench.rows("PRAGMA freelist_count")
    assert free < 5, "what was written since may have left a page"
    assert (bench.memory_dir / "memory.db").stat().st_size < before / 2
    bench.check()


async def test_no_word_of_it_is_left_in_the_full_text_index(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    await forget(bench, keys=(FIRST,))
    with closing(sqlite3.connect(bench.memory_dir / "memory.db")) as connection:
        connection.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, words, row)")
        terms = {term for (term,) in connection.execute("SELECT term FROM terms")}
        blocks = b"".join(block for (block,) in connection.execute("SELECT block FROM words_data"))
    assert not any(term.startswith(("zeppelin", "bydgo", "crimson")) for term in terms)
    assert b"eppelin" not in blocks


async def test_the_same_text_under_other_keys_goes_with_it(bench: Bench) -> None:
    bench.insights(JANE, OTHER, JANE)
    await bench.sync()
    shown = await preview(bench, keys=(FIRST,))
    assert [item.what for item in shown.items] == ["entry", "duplicate"]
    await forget(bench, keys=("insight/2026-11-02T10:00:02.000001",))
    assert list(bench.texts().values()) == [OTHER]
    bench.check()


async def test_words_are_matched_exactly_all_of_them_and_a_phrase_as_written(bench: Bench) -> None:
    bench.insights("Ana Roe likes maps", "Roe and Ana like maps", "Anabel Roeder likes maps", "Ana likes maps")
    await bench.sync()

    async def found(query: str) -> int:
        return len((await preview(bench, query=query)).items)

    assert [await found(query) for query in ("ana roe", '"Ana Roe"', "ana", "map", "likes maps ana")] == [2, 1, 3, 0, 2]


async def test_scripts_without_spaces_are_matched_as_well(bench: Bench) -> None:
    bench.insights("東京の田中太郎さんが解約した", OTHER)
    await bench.sync()
    assert [len((await preview(bench, query=query)).items) for query in ("田中太郎", "田中次郎")] == [1, 0]


async def test_a_campaign_goes_with_its_snapshots_and_a_tag_with_its_entries(bench: Bench) -> None:
    bench.campaign(["spring sold well"], name="spring")
    bench.campaign(["summer sold badly"], name="summer")
    bench.insights({**insight("tagged one", 1), "tags": ["secret"]}, "plain")
    await bench.sync(tags=())
    assert {item.key.partition("#")[0] for item in (await preview(bench, campaign="spring")).items} == {
        "campaign/spring"
    }
    await forget(bench, campaign="spring")
    assert not any("spring" in text for text in bench.texts().values())
    await bench.memory.prepare(PrepareRequest("handed in with a tag", brand=BRAND, tags=("secret",)))
    shown = await preview(bench, tag="Secret")
    assert "handed in with a tag" in {item.title for item in shown.items}


async def test_before_and_retired_narrow_and_do_not_stand_alone(bench: Bench) -> None:
    bench.insights({**insight("old word", 1), "recorded_at": "2025-01-02T10:00:00"}, "new word")
    bench.campaign(["word one", "word two"])
    await bench.sync()
    bench.campaign(["word one"])
    await bench.sync()
    assert [item.title for item in (await preview(bench, query="word", before="2026-01-01")).items] == ["old word"]
    assert [item.state for item in (await preview(bench, query="word", retired=True)).items] == ["retired"]
    for criteria in ({"before": "2026-01-01"}, {"retired": True}, {}):
        with pytest.raises(InputError):
            await preview(bench, **criteria)
    with pytest.raises(InputError, match="no date"):
        await preview(bench, query="word", before="yesterday")


async def test_keys_that_are_not_there_are_named_and_nothing_is_an_answer(bench: Bench) -> None:
    assert (await preview(bench, query="anything")).status == "nothing"
    bench.insights(OTHER)
    await bench.sync()
    result = await preview(bench, keys=("insight/none",))
    assert (result.status, result.unknown, result.exit_code) == ("nothing", ("insight/none",), 2)


async def test_a_text_that_an_entry_had_before_goes_alone(bench: Bench) -> None:
    graph = DictService("graph@dictionary", keeps_retired=True)
    bench.services = [graph]
    bench.insights(JANE, OTHER)
    await bench.sync()
    bench.insights("A reader asked why it arrives at night", OTHER)
    await bench.sync()
    result = await forget(bench, query="Zeppelinska")
    assert [(item.key, item.what) for item in result.items] == [(FIRST, "revision")]
    assert result.status == "forgotten"
    assert files_with(bench, "zeppelinska") == []
    assert bench.texts()[FIRST] == "A reader asked why it arrives at night"
    assert len(graph.stored) == 2, "what the service kept of it was made anew"
    bench.check()
    assert (await bench.sync()).counts.stored == 0


async def test_a_past_text_that_another_entry_says_now_stays_there(bench: Bench) -> None:
    bench.insights("shared words here", OTHER)
    await bench.sync()
    bench.insights("changed words here", OTHER, "shared words here")
    await bench.sync()
    await forget(bench, keys=(FIRST,))
    assert sorted(bench.texts().values()) == [OTHER, "shared words here"]
    assert (await bench.sync(force=True)).counts.forgotten == 1
    assert sorted(bench.texts().values()) == [OTHER, "shared words here"]


async def test_patterns_are_counted_again_without_it(bench: Bench) -> None:
    for name in ("spring", "summer"):
        retrospective = {"what_worked": ["Zeppelinska's discount codes"], "what_failed": []}
        bench.campaign([], name=name, retrospective=retrospective)
    await bench.sync()
    assert bench.rows("SELECT occurrence_count FROM patterns") == [(2,)]
    await forget(bench, campaign="spring")
    assert bench.rows("SELECT occurrence_count FROM patterns") in ([(1,)], [])


# The token -----------------------------------------------------------------------------------------------------------


async def test_a_changed_set_needs_a_new_preview(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    shown = await preview(bench, query="newsletter")
    bench.insights(JANE, OTHER, "One more newsletter")
    await bench.sync()
    request = ForgetRequest(brand=BRAND, query="newsletter", dry_run=False, token=shown.token)
    result = await bench.memory.forget(request)
    assert (result.status, result.exit_code, len(result.items)) == ("changed", 2, 3)
    assert len(bench.texts()) == 3
    again = ForgetRequest(brand=BRAND, query="newsletter", dry_run=False, token=result.token)
    assert (await bench.memory.forget(again)).status == "forgotten"
    with pytest.raises(InputError, match="token"):
        await bench.memory.forget(ForgetRequest(brand=BRAND, query="newsletter", dry_run=False))


# What keeps it out ---------------------------------------------------------------------------------------------------


async def test_neither_a_file_nor_a_session_nor_a_payload_nor_a_service_brings_it_back(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    bench.insights(JANE, OTHER)
    await bench.sync()
    ((id_, payload),) = [(id_, own) for id_, own in service.stored.items() if own.content == JANE]
    await forget(bench, query="Zeppelinska")
    learned = await bench.sync(force=True, session_learnings=(SessionLearning(JANE),))
    assert learned.counts.forgotten == 2
    prepared = await bench.memory.prepare(PrepareRequest(JANE, brand=BRAND))
    assert (prepared.status, [finding.code for finding in prepared.findings]) == ("refused", ["forgotten"])
    bench.write("memory/pending/0123456789abcdef.json", {"content": JANE, "content_type": "guideline"})
    await bench.sync()
    (bench.memory_dir / "pending" / "0123456789abcdef.json").unlink()
    service.stored[id_] = payload
    found = await bench.memory.verify(BRAND, repair=True)
    assert [(part.unknown, part.repaired) for part in found.parts if part.name == service.name] == [(1, 1)]
    assert [own.content for own in service.stored.values()] == [OTHER]
    await bench.sync(force=True)
    assert list(bench.texts().values()) == [OTHER]
    assert files_with(bench, "zeppelinska") == []


async def test_a_memory_that_is_built_again_from_the_journal_has_not_got_it_either(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync(session_learnings=(SessionLearning(f"{JANE}, in a session"), SessionLearning("kept")))
    await forget(bench, query="Zeppelinska")
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    result = await bench.sync()
    assert result.counts.forgotten == 1
    assert sorted(bench.texts().values()) == [OTHER, "kept"]
    (bench.memory_dir / "journal.jsonl").unlink()
    await bench.sync()
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    await bench.sync()
    assert sorted(bench.texts().values()) == [OTHER, "kept"], "the journal that was written anew knows it as well"


async def test_an_edited_text_is_new(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    bench.campaign(["Zeppelinska liked the poster", "posters are cheap"])
    await bench.sync()
    await forget(bench, query="Zeppelinska")
    bench.insights("A reader asked twice why it arrives at night", OTHER)
    bench.campaign(["A reader liked the poster", "posters are cheap"])
    await bench.sync()
    assert len(bench.texts()) == 4
    bench.check()


async def test_a_list_entry_that_was_edited_before_stays_out_although_its_key_would_be_another(bench: Bench) -> None:
    bench.campaign(["Zeppelinska liked the first poster we hung", "posters are cheap"])
    await bench.sync()
    bench.campaign(["Zeppelinska liked the first poster that we hung", "posters are cheap"])
    assert (await bench.sync()).counts.modified == 1
    await forget(bench, query="Zeppelinska")
    bench.campaign(["Zeppelinska liked the first poster that we hung", "posters are cheap", "one more"])
    result = await bench.sync()
    assert (result.counts.forgotten, len(bench.texts())) == (1, 2)
    bench.campaign(["Zeppelinska liked the first poster we hung", "posters are cheap", "one more"])
    assert (await bench.sync()).counts.forgotten == 1


async def test_restore_lets_a_text_in_again_by_key_or_by_the_text(bench: Bench) -> None:
    bench.insights(JANE, "Zeppelinska wrote again", OTHER)
    await bench.sync()
    await forget(bench, query="Zeppelinska")
    result = await preview(bench, restore=(FIRST, "Zeppelinska wrote again", "nobody knows this"))
    assert (result.status, result.restored, result.unknown) == ("restored", 2, ("nobody knows this",))
    await bench.sync()
    assert len(bench.texts()) == 3
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    await bench.sync()
    assert len(bench.texts()) == 3, "the journal has the restoring too"


@pytest.mark.parametrize("written", ["session/{:.8}\u2026", "`session/{:.8}...`", "session/{:.8}", "session/{:.20}..."])
async def test_restore_takes_a_key_as_the_report_printed_it(bench: Bench, written: str) -> None:
    learnings = ("Zeppelinska wrote to us.", "Zeppelinska wrote again.")
    await bench.sync(session_learnings=tuple(map(SessionLearning, learnings)))
    digest = content_hash(learnings[0])
    await forget(bench, query="Zeppelinska")
    assert digest[:8].encode() not in (bench.memory_dir / "memory.db").read_bytes()
    assert (await preview(bench, restore=("session/00000000\u2026",))).restored == 0
    result = await preview(bench, restore=(written.format(digest),))
    assert (result.status, result.restored, result.unknown) == ("restored", 1, ())
    counts = (await bench.sync(session_learnings=tuple(map(SessionLearning, learnings)))).counts
    assert (counts.new, counts.forgotten) == (1, 1)
    assert list(bench.texts().values()) == [learnings[0]]


async def test_a_process_that_goes_on_finds_it_no_more(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    memory = bench.memory

    async def found() -> set[str]:
        return {hit.content for hit in (await memory.search(SearchRequest(query="newsletter", brand=BRAND))).hits}

    assert await found() == {JANE, OTHER}
    shown = await memory.forget(ForgetRequest(brand=BRAND, query="Zeppelinska"))
    await memory.forget(ForgetRequest(brand=BRAND, query="Zeppelinska", dry_run=False, token=shown.token))
    assert await found() == {OTHER}
    await memory.close()


# Services ------------------------------------------------------------------------------------------------------------


async def test_a_service_that_is_down_stays_due_and_is_named(bench: Bench) -> None:
    vector, graph = DictService(), DictService("graph@dictionary")
    bench.services = [vector, graph]
    bench.insights(JANE, OTHER)
    await bench.sync()
    vector.down = down()
    result = await forget(bench, query="Zeppelinska")
    assert (result.status, result.exit_code) == ("partial", 1)
    assert result.proof is not None
    assert [(each.due, each.failure is not None) for each in result.proof.services] == [(1, True), (0, False)]
    assert (len(vector.stored), len(graph.stored)) == (2, 1)
    vector.down = None
    await bench.sync()
    assert [payload.content for payload in vector.stored.values()] == [OTHER]


async def test_a_service_that_confirms_and_keeps_it_is_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    service = DictService()
    bench.services = [service]
    bench.insights(JANE)
    await bench.sync()

    async def keeps(ids: Any) -> None:
        del ids

    monkeypatch.setattr(service, "delete", keeps)
    monkeypatch.setattr("dm_memory.operations.forget._PAUSE_SECONDS", 0)
    result = await forget(bench, query="Zeppelinska")
    assert result.proof is not None
    assert (result.status, result.proof.services[0].left) == ("partial", 1)


async def test_a_service_that_is_not_configured_now_is_named_and_deletes_once_it_is(bench: Bench) -> None:
    parked = DictService("vector@elsewhere")
    bench.services = [parked]
    bench.insights(JANE, OTHER)
    await bench.sync()
    bench.services = []
    result = await forget(bench, query="Zeppelinska")
    assert result.proof is not None
    assert result.proof.parked == ("vector@elsewhere",)
    bench.services = [parked]
    await bench.sync()
    assert [payload.content for payload in parked.stored.values()] == [OTHER]


# Files ---------------------------------------------------------------------------------------------------------------


async def test_files_set_aside_backups_the_cache_and_payloads_are_cleaned(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    bench.write("memory/pending/0123456789abcdef.json", {"content": f"{JANE}, pending", "content_type": "guideline"})
    await bench.sync()
    backup = Path((await bench.memory.backup(brand=BRAND)).path)
    elsewhere = bench.home.parent / "elsewhere"
    await bench.memory.backup(elsewhere, brand=BRAND)
    (bench.memory_dir / "memory.db.damaged-1").write_bytes(b"\0 rest of a page: " + JANE.encode() + b"\0")
    (bench.memory_dir / "from-0.2").mkdir()
    (bench.memory_dir / "from-0.2" / "registry.db").write_bytes(JANE.encode())
    (bench.memory_dir / "cache").mkdir()
    (bench.memory_dir / "cache" / "cache.v2.sqlite").write_bytes(JANE.encode())
    result = await forget(bench, query="Zeppelinska")
    assert result.status == "forgotten"
    assert files_with(bench, "zeppelinska") == []
    assert all(b"Zeppelinska" not in path.read_bytes() for path in elsewhere.iterdir())
    for folder in (backup, elsewhere):
        check_memory(folder)
        with closing(sqlite3.connect(folder / "memory.db")) as connection:
            assert connection.execute("SELECT content FROM entries").fetchall() == [(OTHER,)]


async def test_a_real_cache_is_made_anew_without_it(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    await bench.memory.storage_sync(StorageSyncRequest(brand=BRAND))
    assert any(name.startswith("cache/") for name in files_with(bench, "zeppelinska"))
    await forget(bench, query="Zeppelinska")
    assert files_with(bench, "zeppelinska") == []
    result = await bench.memory.storage_sync(StorageSyncRequest(brand=BRAND))
    assert result.status.value == "synced"
    assert files_with(bench, "zeppelinska") == []


async def test_a_file_of_somebody_else_that_says_it_is_named_and_kept(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    bench.write("memory/notes.md", f"My own note: {JANE}")
    result = await forget(bench, query="Zeppelinska")
    assert result.proof is not None
    assert (result.status, result.proof.left) == ("partial", ("notes.md",))
    assert (bench.memory_dir / "notes.md").exists()


async def test_what_was_handed_in_and_not_read_yet_survives_the_rewriting_of_the_journal(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync(session_learnings=(SessionLearning("read already"),))
    line = {"v": 1, "op": "entry", "at": "2026-11-21T10:00:00Z", "key": f"session/{content_hash('not read yet')}"}
    record = {**line, "kind": "session", "content_type": "campaign-learning", "content": "not read yet"}
    with (bench.memory_dir / "journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(record) + "\n")
    await forget(bench, query="Zeppelinska")
    await bench.sync()
    assert sorted(bench.texts().values()) == [OTHER, "not read yet", "read already"]


async def test_a_process_that_was_killed_after_the_rows_went_leaves_the_files_to_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    (bench.memory_dir / "memory.db.damaged-1").write_bytes(JANE.encode())

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("dm_memory.sync.forgotten.clean_files", killed)
        with pytest.raises(Killed):
            await forget(bench, query="Zeppelinska")
    assert "journal.jsonl" in files_with(bench, "zeppelinska")
    await bench.sync()
    assert files_with(bench, "zeppelinska") == []
    assert list(bench.texts().values()) == [OTHER]
    bench.check()


async def test_what_an_older_damaged_memory_still_has_of_a_forgotten_text_does_not_come_back(bench: Bench) -> None:
    bench.insights(OTHER, JANE)
    await bench.sync()
    path = bench.memory_dir / "memory.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(bench.memory_dir.parent / "older.db"),))
    assert (await forget(bench, query="zeppelinska")).status == "forgotten"
    bench.insights(OTHER)
    older = (bench.memory_dir.parent / "older.db").read_bytes()
    (bench.memory_dir.parent / "older.db").unlink()
    path.write_bytes(older[:-8192])  # its last page is missing
    result = await bench.sync()
    assert "memory-rebuilt" in [finding.code for finding in result.findings]
    assert not [text for text in bench.texts().values() if "Zeppelinska" in text]
    assert not [text for text in bench.texts("retired").values() if "Zeppelinska" in text]
    assert OTHER in "".join(bench.texts().values())


async def test_a_memory_that_is_gone_is_built_again_before_anything_is_forgotten(bench: Bench) -> None:
    await bench.sync(session_learnings=(SessionLearning("a zebra on the box"),))
    for path in bench.memory_dir.glob("memory.db*"):
        path.unlink()
    with pytest.raises(DamagedStoreError, match="is gone"):
        await bench.memory.forget(ForgetRequest(query="zebra", brand=BRAND))
    await bench.sync()
    assert (await bench.memory.forget(ForgetRequest(query="zebra", brand=BRAND))).status == "preview"


async def test_what_was_forgotten_is_never_counted_as_in_memory(bench: Bench) -> None:
    bench.insights(JANE, OTHER)
    await bench.sync()
    await forget(bench, query="zeppelinska")
    for _ in range(2):
        counts = (await bench.sync()).counts
        assert (counts.unchanged, counts.forgotten) == (1, 1)


@pytest.mark.parametrize(("reader", "words"), [(Reader.TOOL, 'restore=["'), (Reader.TERMINAL, "--restore session/")])
async def test_how_to_get_a_forgotten_text_back_fits_the_reader_and_works(
    bench: Bench, reader: Reader, words: str
) -> None:
    await bench.sync(session_learnings=(SessionLearning(JANE),))
    await forget(bench, query="zeppelinska")
    result = await bench.sync(session_learnings=(SessionLearning(JANE),))
    text = sync_report(result, reader=reader).text
    assert (words in text, "\\[" in text, "more. To see them" in text) == (True, False, False)
    refused = prepare_report(await bench.memory.prepare(PrepareRequest(JANE, brand=BRAND)), reader=reader).text
    assert ("Take out" in refused, "forgotten on request" in refused) == (False, True)
    (finding,) = (finding for finding in result.findings if finding.code == "forgotten")
    assert (await preview(bench, restore=(finding.key,))).restored == 1
