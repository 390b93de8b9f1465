"""A run that ends between two transactions of the cache: what it leaves is never taken for complete."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.opening import EngineChoice
from dm_memory.cache.results import Status
from dm_memory.services.turso.schema import Table
from tests.cache.syncing import Busy, Pair, episode, stopped


@pytest.fixture(params=["sqlite", pytest.param("redb", marks=pytest.mark.redb)])
def engine(request: pytest.FixtureRequest) -> EngineChoice:
    choice: EngineChoice = request.param
    return choice


def edits(pair: Pair) -> None:
    pair.put(*(episode(number, "edited") for number in range(20)))


def a_hole(pair: Pair) -> None:
    """Leave a fill from below that did not reach the stretch."""
    pair.sync(max_episodes_cache=5)
    pair.flaky.left = 14
    pair.sync(max_episodes_cache=100)
    pair.flaky.left = None
    assert 10 < len(pair.cached(Table.EPISODES)) < 30


@pytest.mark.parametrize("before", [edits, a_hole])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("keep", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_stopped_between_any_two_transactions(
    tmp_path: Path, engine: EngineChoice, before: Any, *, full: bool, keep: int
) -> None:
    for left in count():
        (tmp_path / str(left)).mkdir()
        pair = Pair(tmp_path / str(left), engine, batch_size=2)
        pair.flaky.remote = False
        pair.put(*map(episode, range(30)))
        pair.sync(max_episodes_cache=100)
        before(pair)
        more = stopped(pair, left, max_episodes_cache=5, full=full)
        result = pair.sync(max_episodes_cache=keep)
        assert result.findings == (), left
        assert pair.sync(max_episodes_cache=keep).status is Status.UNCHANGED
        pair.assert_the_same(keep)
        pair.close()
        if not more:
            return


@pytest.mark.parametrize("full", [False, True])
def test_what_others_write_during_a_run_leaves_no_hole(tmp_path: Path, engine: EngineChoice, *, full: bool) -> None:
    pair = Pair(tmp_path, engine, batch_size=100)
    pair.put(*map(episode, range(30)))
    pair.sync(Busy(pair, [*map(episode, range(100, 103))]), max_episodes_cache=5, full=full)
    assert pair.sync(max_episodes_cache=100).findings == ()
    pair.assert_the_same(100)
    pair.close()
