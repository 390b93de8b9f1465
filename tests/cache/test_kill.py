"""A storage sync killed at any moment: the next run goes on from what was committed, and reads none of it again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.opening import EngineChoice, open_cache
from dm_memory.cache.results import Status
from dm_memory.services.turso.schema import Table
from tests.cache.cached import cached_payloads
from tests.cache.syncing import Flaky, Pair, embedding, episode, pattern
from tests.support.processes import REPOSITORY, command_environment

ROUNDS = int(os.environ.get("DM_MEMORY_KILL_ROUNDS", "15"))
"""Rounds per engine; a hundred take some minutes."""

ROWS, EMBEDDINGS, PAGE = 1500, 700, 10

SYNC = """
import sys
from pathlib import Path
from tests.cache.syncing import Pair
pair = Pair(Path(sys.argv[1]), sys.argv[2], max_episodes_cache=int(sys.argv[3]), batch_size=10)
print("begun", flush=True)
pair.sync(full=sys.argv[4] == "full")
print("done", flush=True)
"""


class Counting(Flaky):
    """A store that notes which rows it was asked for."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.store)
        self.read: dict[Table, list[tuple[str, int]]] = {table: [] for table in Table}

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in {"page", "embeddings_of"}:
            return found

        async def noted(*arguments: Any, **options: Any) -> Any:
            page = await found(*arguments, **options)
            table = arguments[0] if name == "page" else Table.EMBEDDINGS
            self.read[table] += [(str(row[0]), int(row[1])) for row in page.rows]
            return page

        return noted


@dataclass
class Met:
    """What the rounds met; a test in which no kill fell between two pages would prove nothing."""

    midway: int = 0
    killed: int = 0


def fill(pair: Pair, _: random.Random) -> None:
    """Make a store whose cache is still to be filled."""
    pair.put(*map(episode, range(ROWS)), *(embedding(f"e{n}") for n in range(EMBEDDINGS)), *map(pattern, range(300)))


def change(pair: Pair, seed: random.Random) -> None:
    """Make a cached store and change it in every way."""
    fill(pair, seed)
    assert pair.sync().status is Status.SYNCED
    pair.put(*(episode(number, "edited") for number in seed.sample(range(ROWS), 500)))
    pair.put(*map(episode, range(ROWS, ROWS + 200)), *(embedding(f"e{n}", 2.0) for n in range(100, 400)))
    pair.put(*(pattern(number, 0.75) for number in range(0, 300, 3)))
    pair.delete(Table.EPISODES, [f"e{number}" for number in seed.sample(range(ROWS), 100)])


def places(pair: Pair) -> dict[Table, set[tuple[str, int]]]:
    """Return which rows are cached, each with the moment of its last change."""
    if not pair.place.exists:
        return {table: set() for table in Table}
    with open_cache(pair.place.folder, pair.place.engine) as cache:
        assert cache.findings == ()
        assert {finding.code for finding in cache.check()} == set()
        return {
            table: {(record.key, record.recorded_at) for page in cache.scan(table) for record in page}
            for table in Table
        }


def kill_somewhere(pair: Pair, seed: random.Random, longest: float, keep: int = ROWS, *, full: bool = False) -> bool:
    """Run a sync in another process and kill it at a random moment; return whether it was still at work."""
    command = [sys.executable, "-c", SYNC, str(pair.folder), str(pair.place.engine), str(keep), "full" * full]
    environment = command_environment({"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            process.wait(seed.uniform(0.0, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return process.stdout.readline() != "done\n"


def one_round(folder: Path, engine: EngineChoice, seed: random.Random, prepare: Callable[..., None], met: Met) -> None:
    folder.mkdir()
    pair = Pair(folder, engine, max_episodes_cache=ROWS, batch_size=PAGE)
    prepare(pair, seed)
    before = places(pair)
    met.killed += kill_somewhere(pair, seed, longest=0.35)
    committed = places(pair)
    store = Counting(pair)
    result = pair.sync(store)
    assert result.status in {Status.SYNCED, Status.UNCHANGED}
    assert result.findings == ()
    assert result.validated
    for table in (Table.EPISODES, Table.PATTERNS):
        rows = store.read[table]
        assert len(rows) == len(set(rows)), "no row was read twice"
        assert not committed[table].intersection(rows), "no row was read again that had been committed"
    met.midway += before != committed and any(store.read.values())
    pair.assert_the_same(ROWS)
    assert pair.sync().status is Status.UNCHANGED
    pair.close()


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [fill, change])
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_committed_is_read_again(
    tmp_path: Path, engine: EngineChoice, prepare: Callable[..., None]
) -> None:
    met = Met()
    for number in range(ROUNDS // 2 + 1):
        one_round(tmp_path / str(number), engine, random.Random(number), prepare, met)
    assert met.midway, "no kill fell between two pages"


def edit(pair: Pair, seed: random.Random) -> None:
    """Change a few hundred rows of the store in every way."""
    some = seed.sample(range(400), seed.choice([0, 3, 60, 200]))
    text = f"text of {seed.random()}"
    pair.put(*(episode(number, text) for number in some), *(embedding(f"e{n}", seed.random()) for n in some[::2]))
    pair.put(*(pattern(number, seed.random()) for number in seed.sample(range(50), 9)))
    pair.delete(Table.EPISODES, [f"e{number}" for number in seed.sample(range(400), seed.choice([0, 5, 40]))])


def damage(pair: Pair, seed: random.Random) -> None:
    """Flip bytes of a file of the cache, cut it short, or empty it."""
    files = [path for path in pair.place.files.all() if path.exists() and path.stat().st_size]
    if not files:
        return
    path = seed.choice(files)
    content = bytearray(path.read_bytes())
    match seed.choice(["flip", "cut", "empty", "zeros"]):
        case "flip":
            for _ in range(seed.choice([1, 5, 200])):
                content[seed.randrange(len(content))] ^= 1 << seed.randrange(8)
        case "cut":
            del content[seed.randrange(len(content)) :]
        case "empty":
            content.clear()
        case _:
            start = seed.randrange(len(content))
            end = min(len(content), start + 4096)
            content[start:end] = bytes(end - start)
    path.write_bytes(content)


def served(pair: Pair) -> dict[str, str]:
    return {payload.id: payload.content for payload in cached_payloads(pair.place)}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def test_kills_damage_and_changing_limits_in_turn_leave_no_old_row_and_nothing_short(
    tmp_path: Path, engine: EngineChoice
) -> None:
    """One store and one cache, through all of it again and again."""
    seed = random.Random(7)
    pair = Pair(tmp_path, engine, batch_size=10)
    pair.put(*map(episode, range(400)))
    killed = 0
    for number in range(ROUNDS):
        last = {key: row["content"] for key, row in pair.held(Table.EPISODES).items()}
        edit(pair, seed)
        now = {key: row["content"] for key, row in pair.held(Table.EPISODES).items()}
        if seed.random() < 0.7:
            killed += kill_somewhere(pair, seed, 0.3, seed.choice([20, 90, 1000]), full=seed.random() < 0.3)
        if seed.random() < 0.4:
            damage(pair, seed)
        for key, text in served(pair).items():
            assert text in {last.get(key), now.get(key)}, number
        keep = seed.choice([20, 90, 1000])
        result = pair.sync(max_episodes_cache=keep, full=seed.random() < 0.1)
        assert result.exit_code == 0, (number, result.findings)
        assert result.validated
        pair.assert_the_same(keep)
        assert served(pair).items() <= now.items()
        assert pair.sync(max_episodes_cache=keep).status is Status.UNCHANGED
    assert killed
    pair.close()
