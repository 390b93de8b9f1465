"""Any order of writing, deleting, failing and syncing: after a run the cache is the newest part of the store."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dm_memory.cache.results import Status
from dm_memory.findings import Severity
from dm_memory.services.turso.schema import Table
from tests.cache.syncing import Busy, Pair, embedding, episode, pattern, stopped

NUMBERS = st.integers(0, 12)
SOME = st.lists(NUMBERS, min_size=1, max_size=6, unique=True)
KEEP = st.sampled_from([1, 3, 5, 20])


class Machine(RuleBasedStateMachine):
    """Drives one store and one cache."""

    @initialize(size=st.sampled_from([1, 2, 3, 100]), remote=st.booleans())
    def begin(self, size: int, *, remote: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.pair = Pair(self.folder, batch_size=size)
        self.pair.flaky.remote = remote

    @rule(numbers=SOME, text=st.sampled_from(["a", "b", "ü\u0000"]), vectors=st.booleans())
    def write_episodes(self, numbers: list[int], text: str, *, vectors: bool) -> None:
        self.pair.put(*(episode(number, text) for number in numbers))
        if vectors:
            self.pair.put(*(embedding(f"e{number}", float(number)) for number in numbers))

    @rule(numbers=SOME, rate=st.sampled_from([0.0, 1 / 3]))
    def write_patterns(self, numbers: list[int], rate: float) -> None:
        self.pair.put(*(pattern(number, rate) for number in numbers))

    @rule(numbers=SOME, value=st.floats(-9, 9, width=32), chunk=st.integers(0, 1))
    def write_embeddings(self, numbers: list[int], value: float, chunk: int) -> None:
        self.pair.put(*(embedding(f"{'ep'[number % 2]}{number}", value, chunk) for number in numbers))

    @rule(numbers=SOME, table=st.sampled_from([Table.EPISODES, Table.PATTERNS]))
    def delete(self, numbers: list[int], table: Table) -> None:
        self.pair.delete(table, [f"{table[0]}{number}" for number in numbers])

    @rule(number=NUMBERS)
    def delete_embedding(self, number: int) -> None:
        self.pair.delete(Table.EMBEDDINGS, [f"v-e{number}-0"])

    @rule(left=st.integers(0, 12), keep=KEEP, full=st.booleans(), embeddings=st.booleans())
    def sync_until_the_store_fails(self, left: int, keep: int, *, full: bool, embeddings: bool) -> None:
        self.pair.flaky.left = left
        self.pair.sync(max_episodes_cache=keep, full=full, sync_embeddings=embeddings)
        self.pair.flaky.left = None

    @rule(left=st.integers(0, 12), keep=KEEP, full=st.booleans())
    def sync_until_its_process_is_killed(self, left: int, keep: int, *, full: bool) -> None:
        stopped(self.pair, left, max_episodes_cache=keep, full=full)

    @rule(numbers=SOME, keep=KEEP, full=st.booleans())
    def sync_while_others_write(self, numbers: list[int], keep: int, *, full: bool) -> None:
        rows = [episode(number, "meanwhile") for number in numbers]
        self.pair.sync(Busy(self.pair, rows), max_episodes_cache=keep, full=full)

    @rule(keep=KEEP)
    def sync_parts(self, keep: int) -> None:
        result = self.pair.sync(max_episodes_cache=keep, sync_patterns=False, sync_embeddings=False)
        assert not [finding for finding in result.findings if finding.severity is Severity.ERROR]

    @rule(keep=KEEP, full=st.booleans())
    def sync(self, keep: int, *, full: bool) -> None:
        result = self.pair.sync(max_episodes_cache=keep, full=full)
        assert {finding.code for finding in result.findings} <= {"durable-orphan"}
        assert result.status in {Status.SYNCED, Status.UNCHANGED}
        assert result.behind == 0
        assert result.validated
        self.pair.assert_the_same(keep)
        self.pair.flaky.calls.clear()
        again = self.pair.sync(max_episodes_cache=keep)
        assert (again.status, again.findings) == (Status.UNCHANGED, ())
        assert self.pair.flaky.calls == ["survey"]

    @invariant()
    def what_is_cached_fits_together(self) -> None:
        for table in Table:
            self.pair.cached(table)

    def teardown(self) -> None:
        if hasattr(self, "pair"):
            self.pair.close()
            shutil.rmtree(self.folder)


@pytest.mark.slow
def test_after_every_run_the_cache_is_the_newest_part_of_the_store() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
