"""A file that is moved states nothing new; an edit of one line changes one entry, whatever the file is."""

from __future__ import annotations

import sqlite3

import pytest

from dm_memory.store.database import FILE_NAME
from dm_memory.sync.storing import Storing
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio

FILES: dict[str, object] = {
    "insights.json": [
        {"insight": "Plain mails won over designed ones with trial users"},
        {"insight": "Photos of people sell better", "date": "2026-03-01"},
    ],
    "learnings.md": "# 2026-06-14\n\n- Rain kills demand above all on Sundays\n- Fairs bring families\n",
    "competitors/blue.md": "# Blue\n\nThey rent kayaks by the hour.\n",
    "campaigns/pine.json": {"budget": "5000 EUR", "learnings": ["Videos tire returning customers after a while"]},
    "campaigns/pine.md": "---\nowner: Ola\n---\n\n## Learnings\n\n- Calendars were forwarded\n  to colleagues\n",
    "campaigns/old/oak.json": {"budget": "1000 EUR"},
    "campaigns/all.csv": "Campaign,Learning\nElm,Elm letters came back unopened\nAsh,Ash cards were kept\n",
    "guidelines/voice.md": "# Voice\n\nBe calm and clear.\n\n## Length\n\nThree sentences at most.\n",
    "guidelines/words.yaml": "tone: dry and calm\nrules:\n  - rule: Never shout\n  - rule: Always thank\n",
    "performance/q1.csv": "Campaign,CTR\nPine,1%\nOak,2%\n",
    "performance/months.json": [{"date": "2026-01-01", "orders": 3}, {"date": "2026-02-01", "orders": 4}],
    "signals/fair.json": {"signal": "The fair moved to May"},
    "content-library/hero.md": "Hear the water.\n",
}


async def filled(bench: Bench) -> dict[str, str]:
    for path, value in FILES.items():
        if isinstance(value, str):
            (bench.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (bench.folder / path).write_text(value, encoding="utf-8")
        else:
            bench.write(path, value)
    await bench.sync()
    return bench.texts()


def move(bench: Bench, path: str, target: str) -> None:
    (bench.folder / target).parent.mkdir(parents=True, exist_ok=True)
    (bench.folder / path).rename(bench.folder / target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("campaigns/pine.json", "campaigns/archive/2026/pine.json"),
        ("campaigns/pine.json", "campaigns/pine-2026.json"),
        ("campaigns/pine.md", "campaigns/notes/pine.md"),
        ("campaigns/old/oak.json", "campaigns/oak.json"),
        ("campaigns/all.csv", "campaigns/table.csv"),
        ("guidelines/voice.md", "guidelines/custom/voice.md"),
        ("guidelines/words.yaml", "guidelines/custom/words.yaml"),
        ("performance/q1.csv", "performance/2026/q1.csv"),
        ("performance/months.json", "performance/monthly.json"),
        ("competitors/blue.md", "competitors/2026/blue.md"),
        ("signals/fair.json", "signals/2026/trade-fair.json"),
        ("content-library/hero.md", "content-library/site/hero.md"),
    ],
)
async def test_a_moved_file_states_nothing_new_and_its_edits_are_edits(bench: Bench, path: str, target: str) -> None:
    before = await filled(bench)
    move(bench, path, target)
    result = await bench.sync()
    retitled = (
        result.counts.modified if path.startswith(("content-library", "competitors")) else 0
    )  # its folder is part of its title
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, retitled, 0)
    assert bench.texts().keys() == before.keys()
    assert (await bench.sync()).counts.stored == 0
    text = (bench.folder / target).read_text(encoding="utf-8")
    (bench.folder / target).write_text(f"{text} \n", encoding="utf-8")
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, 0, 0)
    bench.check()


async def test_a_renamed_guideline_has_another_title_and_the_same_entries(bench: Bench) -> None:
    before = await filled(bench)
    move(bench, "guidelines/voice.md", "guidelines/tone.md")
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, 2, 0)
    assert bench.texts().keys() == before.keys()
    assert "Tone > Voice > Length\n\nThree sentences at most." in bench.texts().values()


async def test_another_file_where_a_moved_one_lay_has_entries_of_its_own(bench: Bench) -> None:
    await filled(bench)
    move(bench, "guidelines/voice.md", "guidelines/custom/voice.md")
    await bench.sync()
    (bench.folder / "guidelines/voice.md").write_text("# Voice\n\nLoud and proud.\n", encoding="utf-8")
    await bench.sync()
    texts = set(bench.texts().values())
    assert {
        "Voice\n\nLoud and proud.",
        "Voice\n\nBe calm and clear.",
        "Voice > Length\n\nThree sentences at most.",
    } <= texts
    assert (await bench.sync()).counts.stored == 0
    bench.check()


async def test_a_copied_file_is_no_moved_one(bench: Bench) -> None:
    before = await filled(bench)
    source = bench.folder / "guidelines/voice.md"
    (bench.folder / "guidelines/custom").mkdir()
    (bench.folder / "guidelines/custom/voice.md").write_bytes(source.read_bytes())
    assert (await bench.sync()).counts.retired == 0
    assert before.items() <= bench.texts().items()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("insights.json", "designed ones with", "all designed ones with"),
        ("insights.json", "Photos of people", "Pictures of people"),
        ("learnings.md", "above all on", "above all also on"),
        ("competitors/blue.md", "by the hour", "by the day"),
        ("campaigns/pine.json", "5000", "5500"),
        ("campaigns/pine.json", "after a while", "after some while"),
        ("campaigns/pine.md", "owner: Ola", "owner: Mia"),
        ("campaigns/pine.md", "to colleagues", "to many colleagues"),
        ("campaigns/all.csv", "cards were kept", "cards were often kept"),
        ("guidelines/voice.md", "Three sentences", "Four sentences"),
        ("guidelines/words.yaml", "dry and calm", "calm and dry"),
        ("performance/q1.csv", "Oak,2%", "Oak,2.5%"),
        ("performance/months.json", "4", "5"),
        ("signals/fair.json", "moved to May", "moved to spring"),
    ],
)
async def test_an_edit_of_one_line_changes_one_entry(bench: Bench, path: str, old: str, new: str) -> None:
    before = await filled(bench)
    text = (bench.folder / path).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (bench.folder / path).write_text(text.replace(old, new), encoding="utf-8")
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, 1, 0)
    assert bench.texts().keys() == before.keys()
    bench.check()


async def test_a_file_that_nobody_could_read_costs_only_itself(bench: Bench) -> None:
    before = await filled(bench)
    deep: object = "x"
    for _ in range(60):
        deep = [deep]
    for path in ("signals/deep.json", "approvals/deep.json", "audiences.json", "competitors.json", "churn/deep.json"):
        bench.write(path, {"segments": [deep], "name": "Deep", "reason": deep, "signal": deep})
    result = await bench.sync()
    named = {finding.path for finding in result.findings if finding.code in {"broken-file", "malformed-entry"}}
    assert {"signals/deep.json", "approvals/deep.json", "audiences.json", "churn/deep.json"} <= named
    assert before.items() <= bench.texts().items()
    bench.check()


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("guidelines/words.yaml", "guidelines/custom/words.yaml"),
        ("signals/fair.json", "signals/2026/trade-fair.json"),
        ("competitors/blue.md", "competitors/2026/blue.md"),
    ],
)
async def test_a_sync_of_campaigns_alone_forgets_no_other_file_that_was_moved(
    bench: Bench, path: str, target: str
) -> None:
    before = await filled(bench)
    move(bench, path, target)
    await bench.sync()
    move(bench, "campaigns/all.csv", "campaigns/table.csv")
    assert (await bench.sync(scope="campaigns-only")).counts.stored == 0
    with (bench.folder / target).open("a", encoding="utf-8") as file:
        file.write("\n")
    result = await bench.sync()
    assert (result.counts.new, result.counts.retired) == (0, 0)
    assert bench.texts().keys() == before.keys()


async def test_a_moved_file_keeps_its_entries_when_the_memory_is_built_again(bench: Bench) -> None:
    await filled(bench)
    move(bench, "guidelines/voice.md", "guidelines/custom/voice.md")
    await bench.sync()
    before = bench.texts()
    with sqlite3.connect(bench.memory_dir / FILE_NAME) as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('checked_at', 'damaged')")
    connection.close()
    result = await bench.sync()
    assert "memory-rebuilt" in {finding.code for finding in result.findings}
    assert bench.texts() == before
    bench.check()


async def test_a_run_that_is_killed_behind_the_note_of_what_moved_loses_no_entry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await filled(bench)
    (bench.folder / "guidelines").rename(bench.folder / "guides")
    (bench.folder / "guidelines").mkdir()
    (bench.folder / "guides").rename(bench.folder / "guidelines/custom")
    with monkeypatch.context() as patch:
        patch.setattr(Storing, "take", killed)
        with pytest.raises(MemoryError):
            await bench.sync()
    result = await bench.sync()
    assert (result.counts.new, result.counts.modified, result.counts.retired) == (0, 0, 0)
    assert bench.texts() == before


def killed(*_: object) -> None:
    raise MemoryError


async def test_a_damaged_note_of_what_moved_stops_no_sync(bench: Bench) -> None:
    await filled(bench)
    with sqlite3.connect(bench.memory_dir / FILE_NAME) as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(name, '{"guidelines/voice.md": "gui') for name in ("moved", "verified", "file_problems")],
        )
    connection.close()
    assert (await bench.memory.status(BRAND)).status == "ready"
    assert (await bench.sync()).status == "complete"
