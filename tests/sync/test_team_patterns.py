"""Patterns of a team: several machines count over the same campaigns, whoever has their files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dm_memory.services.turso.hrana import open_turso_store
from dm_memory.services.turso.schema import Table
from dm_memory.sync import pipeline
from tests.cache.file_engine import file_store
from tests.cache.sqld import Server
from tests.sync.conftest import BRAND
from tests.sync.test_second_machine import Machine, RealMachine, Remote, synced, team_server

__all__ = ["team_server"]  # a fixture

pytestmark = pytest.mark.anyio

POINT = "E-mails on Tuesday."


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", tmp_path / "store"), Machine(tmp_path / "two", tmp_path / "store")


def campaign(
    machine: Machine | RealMachine, number: str, *, worked: Sequence[str] = (), failed: Sequence[str] = (), **more: str
) -> None:
    document = {
        "campaign_id": number,
        "campaign_name": more.get("name", f"Campaign {number}"),
        "created_at": "2026-10-01T00:00:00",
        "retrospective": {"what_worked": worked, "what_failed": failed},
    }
    machine.write(f"campaigns/{number}.json", document)


async def patterns(machine: Machine) -> dict[str, tuple[int, float, list[str]]]:
    """Return how often each was met, its success rate and its campaigns."""
    store = file_store(machine.store, BRAND)
    page = await store.page(Table.PATTERNS)
    await store.close()
    rows = [dict(zip(page.columns, row, strict=True)) for row in page.rows]
    return {
        str(row["text"]): (
            int(row["occurrence_count"] or 0),
            float(row["success_rate"] or 0),
            json.loads(str(row["campaigns"])),
        )
        for row in rows
    }


async def test_a_point_that_its_machine_corrects_is_no_pattern_any_more(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    campaign(one, "spring", worked=[POINT])
    await one.sync()
    await two.sync()
    campaign(one, "spring", worked=["Podcasts bring the best leads."])
    for machine in (one, two, one):
        await machine.sync()
        assert await patterns(one) == {"Podcasts bring the best leads.": (1, 1.0, ["spring"])}


async def test_what_two_machines_say_of_one_campaign_both_counts(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    campaign(one, "spring", worked=[POINT])
    await one.sync()
    campaign(two, "spring", worked=["Podcasts bring the best leads."])
    for machine in (two, one, two):
        await machine.sync()
        assert set(await patterns(one)) == {POINT, "Podcasts bring the best leads."}


async def test_two_machines_that_count_at_the_same_time_agree_afterwards(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_new(*_: object) -> tuple[list[object], None]:
        return [], None

    one, two = machines
    campaign(one, "spring", worked=[POINT])
    campaign(two, "summer", failed=[POINT])
    await one.sync()
    with monkeypatch.context() as patch:  # it looked before the other one wrote
        patch.setattr(Remote, "changes", nothing_new)
        patch.setattr(Remote, "_patterns", lambda *_: nothing_of_it())
        await two.sync()
    await one.sync()
    assert await patterns(one) == {POINT: (2, 0.5, ["spring", "summer"])}


async def nothing_of_it() -> list[object]:
    return []


@pytest.mark.sqld
async def test_the_product_writes_patterns_to_a_connected_store(team_server: Server, tmp_path: Path) -> None:
    """Through the front door, with all that stands between it and a server."""
    machine = RealMachine(tmp_path / "one")
    campaign(machine, "spring", worked=[POINT])
    await synced(machine.connected(team_server))
    store = open_turso_store(team_server.url, team_server.token, BRAND)
    assert (await store.counts())[Table.PATTERNS] == 1
    await store.close()


async def test_what_only_one_machine_can_count_stays_counted(machines: tuple[Machine, Machine]) -> None:
    """Campaigns of one name share their texts, which are stored once: the other machine never learns of the second."""
    one, two = machines
    campaign(one, "march", worked=[POINT], name="Newsletter")
    await one.sync()
    campaign(two, "april", worked=[POINT], name="Newsletter")
    await two.sync()
    assert await patterns(one) == {POINT: (2, 1.0, ["april", "march"])}
    campaign(one, "may", failed=[POINT], name="Special")
    for machine in (one, two, one, two):
        await machine.sync()
        assert await patterns(one) == {POINT: (3, 2 / 3, ["april", "march", "may"])}
    campaign(two, "april", worked=["Short texts."], name="Newsletter")
    for machine in (two, one):
        await machine.sync()
        assert await patterns(one) == {POINT: (2, 0.5, ["march", "may"]), "Short texts.": (1, 1.0, ["april"])}


async def test_patterns_are_written_although_the_process_ended_right_after_the_items(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    one, _ = machines
    campaign(one, "spring", worked=[POINT])
    monkeypatch.setattr(pipeline, "push_patterns", killed)
    with pytest.raises(BaseException):  # noqa: B017, PT011  # alone, or in a group
        await one.sync()
    monkeypatch.undo()
    assert await patterns(one) == {}
    await one.sync()
    assert await patterns(one) == {POINT: (1, 1.0, ["spring"])}
