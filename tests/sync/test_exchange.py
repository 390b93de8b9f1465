"""Between syncs: what one machine of a team stored, another one's search finds, and what is prepared is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from dm_memory.api import Memory
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning, SyncRequest
from dm_memory.search.results import SearchRequest, SearchResult
from dm_memory.store.locks import brand_lock
from dm_memory.sync import exchange
from tests.support.dict_service import down
from tests.sync.conftest import BRAND, insight
from tests.sync.test_second_machine import Machine, stored

pytestmark = pytest.mark.anyio

TEXT = "Zed cut the price of its gift box by a tenth."
LEARNING = "Carousels with people sell twice as many gift box sets."
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers wait for the store for as long as a busy machine needs; where it hangs, a test says so itself."""
    monkeypatch.setattr(exchange, "WAIT_SECONDS", PATIENCE)


@pytest.fixture
async def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """Two machines that have synced once."""
    one, two = Machine(tmp_path / "one", tmp_path / "store"), Machine(tmp_path / "two", tmp_path / "store")
    for machine in (one, two):
        await machine.sync()
    return one, two


class Session:
    """A process of a machine: its memory stays open."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.memory: Memory = machine.memory

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.memory.close()

    async def prepare(self, text: str, **more: Any) -> Any:
        return await self.memory.prepare(PrepareRequest(text, brand=BRAND, **more))

    async def ask(self, query: str = "gift box", **more: Any) -> SearchResult:
        self.machine.now += timedelta(minutes=1)
        return await self.memory.search(SearchRequest(query, brand=BRAND, **more))

    async def texts(self) -> list[str]:
        return [hit.content for hit in (await self.ask()).hits]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that is done in the background."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  # what it waits for is in a database
            await asyncio.sleep(0.02)


async def there(machine: Machine) -> set[str]:
    return {text for _, text, _ in (await stored(machine.store)).values()}


async def until_there(machine: Machine, text: str) -> None:
    """Wait until the shared store has this text and no other."""

    async def is_there() -> bool:
        return await there(machine) == {text}

    await until(is_there)


async def test_what_one_machine_prepares_another_one_s_search_finds_without_a_sync(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    async with Session(one) as mara, Session(two) as tom:
        assert await tom.texts() == []
        await mara.prepare(TEXT, author="Mara")

        async def is_found() -> bool:
            return await tom.texts() == [TEXT]

        await until(is_found)
        (hit,) = (await tom.ask()).hits
        assert hit.author == "Mara"
    two.check()
    assert two.rows("SELECT count(*) FROM deliveries WHERE service LIKE 'durable%' AND wanted <> confirmed") == [(0,)]


async def test_what_a_sync_stores_another_one_s_search_finds(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    await one.sync(session_learnings=(SessionLearning(LEARNING),))
    async with Session(two) as tom:

        async def is_found() -> bool:
            return await tom.texts() == [LEARNING]

        await until(is_found)
    assert (await two.sync()).counts.learned == 0


async def test_changes_retirements_and_what_was_forgotten_arrive_too(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    one.campaign(["Gift box with a ribbon.", "Gift box without a ribbon."])
    one.insights("Gift box as it was.")
    await one.sync(session_learnings=(SessionLearning(LEARNING),))
    await two.sync()
    one.campaign(["Gift box with a ribbon."])
    one.insights("Gift box as it is.")
    await one.sync()
    async with Session(one) as mara:
        preview = await mara.memory.forget(ForgetRequest(query="Carousels", brand=BRAND))
        request = ForgetRequest(query="Carousels", brand=BRAND, dry_run=False, token=preview.token)
        await mara.memory.forget(request)
    expected = {"spring, learning: Gift box with a ribbon.": False, "Gift box as it is.": False}
    expected |= {"spring, learning: Gift box without a ribbon.": True}
    async with Session(two) as tom:

        async def is_same() -> bool:
            hits = (await tom.ask(include_retired=True)).hits
            return {hit.content: hit.state == "retired" for hit in hits} == expected

        await until(is_same)
    two.check()


async def test_a_text_that_was_forgotten_elsewhere_and_stands_in_a_file_here_is_named_once(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    text = "Zeppelinska wrote about the gift box."
    await one.sync(session_learnings=(SessionLearning(text),))
    await two.sync()
    (two.memory_dir / "notes.txt").write_text(text)
    async with Session(one) as mara:
        preview = await mara.memory.forget(ForgetRequest(query="Zeppelinska", brand=BRAND))
        request = ForgetRequest(query="Zeppelinska", brand=BRAND, dry_run=False, token=preview.token)
        await mara.memory.forget(request)
    said: list[str] = []
    async with Session(two) as tom:

        async def is_gone() -> bool:
            result = await tom.ask()
            said.extend(each.remedy for each in result.findings if each.code == "forgotten-elsewhere")
            return not result.hits

        await until(is_gone)
        await tom.ask()
        said += [each.remedy for each in (await tom.ask()).findings if each.code == "forgotten-elsewhere"]
    assert len(said) == 1
    assert "notes.txt" in said[0]


async def test_a_recent_look_is_not_repeated(machines: tuple[Machine, Machine]) -> None:
    _, two = machines
    two.now += timedelta(minutes=5)
    async with Session(two) as tom:
        await tom.ask()
        asked = two.remote.asked
        for _ in range(3):
            await tom.memory.search(SearchRequest("gift box", brand=BRAND))
        assert two.remote.asked == asked
    async with Session(two) as another:
        await another.memory.search(SearchRequest("gift box", brand=BRAND))
        assert two.remote.asked == asked  # another process knows when it was


async def test_a_store_that_is_down_costs_a_note_that_says_how_old_the_answer_is(
    machines: tuple[Machine, Machine],
) -> None:
    _, two = machines
    two.insights("Gift box in the file.")
    await two.sync()
    two.now += timedelta(hours=3)
    two.remote.down = down()
    async with Session(two) as tom:
        result = await tom.ask()
        assert [hit.content for hit in result.hits] == ["Gift box in the file."]
        (finding,) = [each for each in result.findings if each.code == "team-behind"]
        assert "(3 hours ago)" in finding.message
        status = await tom.memory.status(BRAND)
        assert "team-behind" in [each.code for each in status.findings]
        two.remote.down = None
        assert [each.code for each in (await tom.ask()).findings] == []


async def test_a_store_that_hangs_costs_no_more_than_a_moment(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, two = machines
    monkeypatch.setattr(exchange, "WAIT_SECONDS", 0.3)
    free = asyncio.Event()
    changes = two.remote.changes

    async def hangs(after: Any) -> Any:
        await free.wait()
        return await changes(after)

    monkeypatch.setattr(two.remote, "changes", hangs)
    async with Session(two) as tom:
        two.now += timedelta(minutes=5)
        async with asyncio.timeout(PATIENCE):
            assert [each.code for each in (await tom.ask()).findings] == ["team-behind"]
        free.set()

        async def is_current() -> bool:
            return not (await tom.ask()).findings

        await until(is_current)


async def test_a_running_sync_is_not_waited_for(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    monkeypatch.setattr(exchange, "_LOCK_SECONDS", 0.0)
    await one.sync(session_learnings=(SessionLearning(LEARNING),))
    async with Session(two) as tom:
        async with brand_lock(two.memory_dir, 1, lambda: two.now, exchange.no_progress):
            (finding,) = (await tom.ask()).findings
            assert "a sync of this brand is running" in finding.message
        assert await tom.texts() == [LEARNING]


async def test_a_sync_does_not_wait_for_an_exchange_that_hangs(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    monkeypatch.setattr(exchange, "WAIT_SECONDS", 0.3)
    await one.sync(session_learnings=(SessionLearning(LEARNING),))
    changes, asked = two.remote.changes, 0

    async def hangs_with_the_lock(after: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            await asyncio.Event().wait()
        return await changes(after)

    monkeypatch.setattr(two.remote, "changes", hangs_with_the_lock)
    async with Session(two) as tom:
        assert [each.code for each in (await tom.ask()).findings] == ["team-behind"]

        async def has_the_lock() -> bool:
            return asked == 2

        await until(has_the_lock)
        result = await tom.memory.sync(SyncRequest(brand=BRAND))
        assert (result.status, result.counts.learned) == ("complete", 1)
    two.check()


async def test_a_prepared_text_is_delivered_by_the_process_that_ends_at_once(
    machines: tuple[Machine, Machine],
) -> None:
    one, _ = machines
    async with Session(one) as mara:
        await mara.prepare(TEXT)
    assert await there(one) == {TEXT}
    assert one.vector.stored == {}  # other services get it with the next sync


async def test_a_delivery_that_fails_is_tried_again_while_nobody_asks(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    monkeypatch.setattr(exchange, "_PAUSES", (0.05, 0.05))
    monkeypatch.setattr(exchange, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(exchange, "_CLOSING_SECONDS", 0.05)
    async with Session(one) as mara:
        one.remote.down = down()
        await mara.prepare(TEXT)
        asked = one.remote.asked

        async def is_tried() -> bool:
            return one.remote.asked > asked + 2

        await until(is_tried)
        assert await there(one) == set()
        one.remote.down = None

        await until_there(one, TEXT)


async def test_what_a_killed_process_did_not_deliver_the_next_one_s_search_does(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = machines
    monkeypatch.setattr(exchange, "_CLOSING_SECONDS", 0.0)
    one.remote.down = down()
    async with Session(one) as mara:
        await mara.prepare(TEXT)
    one.remote.down = None
    assert await there(one) == set()
    async with Session(one) as mara:
        await mara.ask()

        await until_there(one, TEXT)


async def test_a_correction_that_waits_here_is_newer_than_what_the_store_tells(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    for machine in machines:
        machine.write("insights.json", [insight("Gift box as it was.", 1)])
        await machine.sync()
    key = next(iter(one.texts()))
    monkeypatch.setattr(exchange, "_CLOSING_SECONDS", 0.0)
    one.remote.down = down()
    async with Session(one) as mara:
        await mara.prepare("Gift box as one corrected it.", replaces=key, author="Mara")
    two.write("insights.json", [insight("Gift box as two edited it.", 1)])
    await two.sync()
    one.remote.down = None
    await one.sync()
    assert list(one.texts().values()) == ["Gift box as one corrected it."]
    async with Session(two) as tom:

        async def is_same() -> bool:
            return await tom.texts() == ["Gift box as one corrected it."]

        await until(is_same)


async def test_it_shows_as_no_sync_and_writes_nothing_without_news(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    runs = two.rows("SELECT number, status FROM runs")
    await one.sync(session_learnings=(SessionLearning(LEARNING),))
    async with Session(two) as tom:

        async def is_found() -> bool:
            return await tom.texts() == [LEARNING]

        await until(is_found)
        clock = two.rows("SELECT value FROM meta WHERE name = 'clock'")
        for _ in range(3):
            await tom.ask()
        assert two.rows("SELECT value FROM meta WHERE name = 'clock'") == clock
    assert two.rows("SELECT number, status FROM runs") == runs


async def test_a_brand_that_was_never_synced_is_left_alone(tmp_path: Path) -> None:
    one = Machine(tmp_path / "one", tmp_path / "store")
    async with Session(one) as mara:
        assert (await mara.ask()).findings == ()
    assert not one.memory_dir.exists()
    assert one.remote.asked == 0
