"""Who stored what: it stands in the entry wherever that goes, and can be asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.errors import BrandNotFoundError, InputError, LockTimeoutError
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning, SyncRequest, no_progress
from dm_memory.search.results import Hit, Mode, SearchRequest
from dm_memory.settings import Settings
from dm_memory.store.locks import brand_lock
from dm_memory.sync.handin import prepare as prepare_module
from tests.support.dict_service import DictService
from tests.sync.conftest import BRAND, Bench, insight
from tests.sync.test_second_machine import Machine

pytestmark = pytest.mark.anyio

LEARNING = "Carousels with people sell twice as many gift boxes."
TEXT = "Zed cut the price of its gift box by a tenth."


async def learn(bench: Bench, *texts: str, author: str = "", **more: Any) -> None:
    await bench.sync(session_learnings=tuple(map(SessionLearning, texts)), author=author, **more)


async def prepare(bench: Bench, text: str, **more: Any) -> Any:
    memory = bench.memory
    try:
        return await memory.prepare(PrepareRequest(text, brand=BRAND, **more))
    finally:
        await memory.close()


async def search(bench: Bench, query: str, **more: Any) -> Any:
    memory = bench.memory
    try:
        return await memory.search(SearchRequest(query, brand=BRAND, **more))
    finally:
        await memory.close()


def authors(bench: Bench) -> dict[str, str]:
    return dict(bench.rows("SELECT content, author FROM entries WHERE duplicate_of IS NULL"))


def journaled(bench: Bench) -> list[Mapping[str, Any]]:
    lines = (bench.memory_dir / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line)).get("content")]


async def test_who_handed_something_in_stands_in_the_entry_the_journal_and_what_services_get(
    bench: Bench, service: DictService
) -> None:
    result = await prepare(bench, TEXT, author="Tom")
    assert result.author == "Tom"
    await learn(bench, LEARNING, author="Mara")
    assert authors(bench) == {LEARNING: "Mara", TEXT: "Tom"}
    assert {record["content"]: record["author"] for record in journaled(bench)} == authors(bench)
    assert {payload.content: payload.author for payload in service.stored.values()} == authors(bench)
    assert dict(bench.rows("SELECT content, author FROM episodes")) == authors(bench)
    assert json.loads(next((bench.memory_dir / "stored").glob("*.json")).read_text())["author"] == "Tom"


async def test_the_setting_names_the_author_unless_the_call_does(bench: Bench) -> None:
    bench.settings["author"] = "Mara"
    result = await bench.sync(session_learnings=(SessionLearning(LEARNING),))
    assert [item.author for item in result.items] == ["Mara"]
    await prepare(bench, TEXT)
    await prepare(bench, "Gift boxes sell best in the first week of December.", author="Tom")
    assert sorted(authors(bench).values()) == ["Mara", "Mara", "Tom"]


async def test_without_a_setting_nobody_is_named(bench: Bench) -> None:
    await learn(bench, LEARNING)
    assert authors(bench) == {LEARNING: ""}
    assert "author" not in journaled(bench)[0]


async def test_a_name_is_guarded_like_a_text(bench: Bench) -> None:
    await learn(bench, LEARNING, author="Mara\n## Ignore\x00 this " + "x" * 200)
    await prepare(bench, TEXT, author="sk-" + "ant-api03-" + "Zx9" * 31)
    found = authors(bench)
    assert found[LEARNING].startswith("Mara ## Ignore this x")
    assert len(found[LEARNING]) == 100
    assert "ant" not in found[TEXT]


async def test_one_learning_of_two_people_is_one_entry_of_the_first(bench: Bench, service: DictService) -> None:
    await learn(bench, LEARNING, author="Mara")
    sent = len(service.upserted)
    await learn(bench, LEARNING, author="Tom")
    await prepare(bench, LEARNING, author="Ada")
    assert authors(bench) == {LEARNING: "Mara"}
    await bench.sync()
    assert len(service.upserted) == sent
    (bench.memory_dir / "memory.db").unlink()
    await bench.sync()
    assert set(authors(bench).values()) == {"Mara"}


async def test_two_hand_ins_before_one_sync_keep_the_first_name(bench: Bench) -> None:
    bench.settings["lock_timeout"] = 0.05
    await bench.sync()
    async with brand_lock(bench.memory_dir, 1, lambda: bench.now, no_progress):
        for author in ("Mara", "Tom"):
            with pytest.raises(LockTimeoutError):
                await learn(bench, LEARNING, author=author)
    await bench.sync()
    assert authors(bench) == {LEARNING: "Mara"}


async def test_the_name_alone_stores_nothing_of_the_files_again(bench: Bench, service: DictService) -> None:
    bench.insights("As the file says.")
    await bench.sync()
    sent = len(service.upserted)
    bench.settings["author"] = "Mara"
    result = await bench.sync()
    assert (result.counts.unchanged, result.counts.stored, len(service.upserted)) == (1, 0, sent)
    assert authors(bench) == {"As the file says.": ""}


async def test_a_correction_keeps_the_author_and_names_who_corrected(bench: Bench) -> None:
    key = (await prepare(bench, TEXT, author="Mara")).key
    bench.now = bench.now.replace(hour=12)
    result = await prepare(bench, "Zed cut the price of its gift box by a fifth.", replaces=key, author="Tom")
    assert (result.status, result.author) == ("corrected", "Tom")

    def state() -> tuple[object, object]:
        return authors(bench), bench.rows("SELECT content, reason FROM revisions")

    before = state()
    expected = {"Zed cut the price of its gift box by a fifth.": "Mara"}, [(TEXT, "corrected by Tom")]
    assert before == expected
    memory = bench.memory
    history = await memory.history(key, BRAND)
    await memory.close()
    assert (history.author, history.versions[0].reason) == ("Mara", "corrected by Tom")
    (bench.memory_dir / "memory.db").unlink()
    await bench.sync()
    assert state() == before


async def test_a_file_that_goes_on_stating_what_somebody_corrected_undoes_nothing(bench: Bench) -> None:
    bench.insights("As the file says.")
    await bench.sync()
    await prepare(bench, "As it is.", replaces=next(iter(bench.texts())), author="Tom")
    bench.insights("As the file says.", "Another.")
    await bench.sync()
    assert sorted(bench.texts().values()) == ["Another.", "As it is."]


async def test_a_killed_correction_still_names_its_author(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (await prepare(bench, TEXT, author="Mara")).key
    await bench.sync()

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(prepare_module, "correct", killed)
    memory = bench.memory
    with pytest.raises(RuntimeError, match="killed"):
        await memory.prepare(PrepareRequest("Zed cut it by a fifth.", brand=BRAND, replaces=key, author="Tom"))
    await memory.close()
    await bench.sync()
    assert bench.rows("SELECT reason FROM revisions") == [("corrected by Tom",)]


async def test_an_import_keeps_the_names_of_an_export(bench: Bench, tmp_path: Path) -> None:
    await learn(bench, LEARNING, author="Mara")
    key = (await prepare(bench, TEXT, author="Mara")).key
    await prepare(bench, "Zed cut it by a fifth.", replaces=key, author="Tom")
    memory = bench.memory
    await memory.export(tmp_path / "export.jsonl", BRAND)
    await memory.close()
    other = Bench(tmp_path / "other")
    memory = other.memory
    await memory.import_(tmp_path / "export.jsonl")
    await memory.close()
    assert authors(other) == authors(bench) == {LEARNING: "Mara", "Zed cut it by a fifth.": "Mara"}
    assert other.rows("SELECT reason FROM revisions") == [("corrected by Tom",)]


async def test_the_team_s_store_carries_the_name_to_the_other_machine(tmp_path: Path) -> None:
    one, two = Machine(tmp_path / "one", tmp_path / "store"), Machine(tmp_path / "two", tmp_path / "store")
    await learn(one, LEARNING, author="Mara")
    await two.sync()
    assert authors(two) == {LEARNING: "Mara"}


async def test_learnings_without_a_brand_keep_their_author(bench: Bench) -> None:
    memory = bench.memory
    for file in (bench.folder / "profile.json",):
        file.unlink()
    bench.folder.rmdir()
    with pytest.raises(BrandNotFoundError):
        await memory.sync(SyncRequest(session_learnings=(SessionLearning(LEARNING),), author="Mara"))
    await memory.close()
    bench.folder.mkdir()
    bench.write("profile.json", {"brand_name": "Acme", "brand_slug": BRAND})
    await bench.sync()
    assert authors(bench) == {LEARNING: "Mara"}


# Asked for -----------------------------------------------------------------------------------------------------------


async def found(bench: Bench, query: str = "gift box", **more: Any) -> list[Hit]:
    return list((await search(bench, query, **more)).hits)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_search_finds_only_what_somebody_stored(bench: Bench, mode: Mode) -> None:
    await learn(bench, LEARNING, author="Mara Klein")
    await prepare(bench, TEXT, author="Tom")
    await learn(bench, "A gift box without a ribbon is returned more often.")
    for name, texts in (("mara", [LEARNING]), ("KLEIN", [LEARNING]), ("Tom", [TEXT]), ("Ada", [])):
        assert [hit.content for hit in await found(bench, "gift", author=name, mode=mode)] == texts
    assert len(await found(bench)) == 3


async def test_the_filter_comes_before_the_ranking(bench: Bench) -> None:
    await learn(bench, *(f"Gift box number {number} sells well." for number in range(300)), author="Tom")
    await learn(bench, "People like boxes that can be given away.", author="Mara")
    result = await search(bench, "gift box", author="Mara", limit=5)
    assert [hit.author for hit in result.hits] == ["Mara"]
    assert (result.entries, result.filters) == (1, {"author": "Mara"})


async def test_what_waits_is_filtered_by_its_author_too(bench: Bench) -> None:
    await bench.sync()
    for number, author in enumerate(("Mara", "Tom")):
        document = {"content": f"Gift box idea of {author}.", "content_type": "guideline", "author": author}
        bench.write(f"memory/pending/{number:016x}.json", document)
    hits = await found(bench, author="mara")
    assert [(hit.content, hit.is_waiting) for hit in hits] == [("Gift box idea of Mara.", True)]
    await bench.sync()
    assert sorted(authors(bench).values()) == ["Mara", "Tom"]


async def test_a_name_without_a_letter_is_refused(bench: Bench) -> None:
    await bench.sync()
    with pytest.raises(InputError, match="author is no name"):
        await search(bench, "gift", author="...")


async def test_what_somebody_stored_can_be_forgotten_by_the_name(bench: Bench) -> None:
    await learn(bench, LEARNING, author="Mara Klein")
    await prepare(bench, TEXT, author="Tom")
    bench.write("insights.json", [insight("As the file says.", 1)])
    await bench.sync()
    memory = bench.memory
    preview = await memory.forget(ForgetRequest(author="mara", brand=BRAND))
    assert [item.key.partition("/")[0] for item in preview.items] == ["session"]
    await memory.forget(ForgetRequest(author="mara", dry_run=False, token=preview.token, brand=BRAND))
    narrowed = await memory.forget(ForgetRequest(query="gift", author="Ada", brand=BRAND))
    await memory.close()
    assert narrowed.status == "nothing"
    assert sorted(authors(bench).values()) == ["", "Tom"]


def test_the_environment_names_the_author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody")
    assert Settings().author == ""
    monkeypatch.setenv("DM_MEMORY_AUTHOR", " Mara ")
    assert Settings().author == "Mara"


async def test_two_people_of_one_process_are_told_apart(bench: Bench) -> None:
    memory: Memory = bench.memory
    texts = {f"What person {number} learned about gift boxes.": f"Person {number}" for number in range(4)}
    await asyncio.gather(*(memory.prepare(PrepareRequest(t, brand=BRAND, author=a)) for t, a in texts.items()))
    await memory.close()
    assert authors(bench) == texts
