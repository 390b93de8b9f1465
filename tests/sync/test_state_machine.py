"""Whatever a team and an engine do, in any order: after the next clean sync memory is exactly what it should be."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.items import ContentType, Payload, storage_id
from dm_memory.requests import PrepareRequest, SessionLearning
from dm_memory.results import SyncResult
from dm_memory.text.hashing import content_hash
from tests.sync.conftest import BRAND, Bench, insight

TEXTS = [
    "Short subject lines win",
    "Tuesday mornings convert best",
    "Video beats carousel on awareness",
    "Refill packs lift retention",
    "Founders' letters get replies",
    "Paid search tires after week three",
]
texts = st.sampled_from(TEXTS)


class Crash(BaseException):
    """What a SIGKILL looks like from inside: nothing after it runs, nothing catches it."""


class SyncMachine(RuleBasedStateMachine):
    """The model: every key that was ever taken in, with its present text; each distinct text is stored once."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.bench = Bench(self.root / "home", settings={"batch_size": 2})
        self.entries: list[dict[str, object]] = []
        self.minute = 0
        self.lessons: list[str] = []
        self.expected: dict[str, str] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    # What a team does ------------------------------------------------------------------------------------------

    @rule(text=texts)
    def records_an_insight(self, text: str) -> None:
        self.minute += 1
        self.entries.append(insight(text, self.minute))
        self._write()

    @rule(text=texts, index=st.integers(0, 20))
    def edits_an_insight(self, text: str, index: int) -> None:
        if self.entries:
            self.entries[index % len(self.entries)]["insight"] = text
            self._write()

    @rule(first=st.integers(0, 20), second=st.integers(0, 20))
    def swaps_two_insights(self, first: int, second: int) -> None:
        if self.entries:
            one, two = self.entries[first % len(self.entries)], self.entries[second % len(self.entries)]
            one["insight"], two["insight"] = two["insight"], one["insight"]
            self._write()

    @rule()
    def the_oldest_insight_rolls_out(self) -> None:
        if self.entries:
            self.entries.pop(0)
            self._write()

    @rule(lessons=st.lists(texts, max_size=4))
    def rewrites_a_campaign(self, lessons: list[str]) -> None:
        # Lists only grow: what a shrinking list means for memory has a test of its own.
        self.lessons = [*lessons, *self.lessons[len(lessons) :]]
        self._write()

    @rule(text=texts)
    def prepares_a_payload(self, text: str) -> None:
        request = PrepareRequest(f"Prepared: {text}", ContentType.BRAND_ASSET, brand=BRAND)
        result = asyncio.run(self.bench.memory.prepare(request))
        self.expected[result.key] = request.content

    # What happens to a sync ------------------------------------------------------------------------------------

    @rule(text=st.none() | texts, force=st.booleans())
    def syncs(self, text: str | None, force: bool) -> None:  # Hypothesis passes it by name
        self.bench.layer.refuse = lambda _: None
        self.bench.layer.down = None
        result = self._sync(text, force=force)
        assert result.status == "complete"
        assert (result.counts.failed, result.counts.queued) == (0, 0)
        self._memory_is_exact(result)

    @rule(text=texts, poison=texts)
    def syncs_with_a_poisoned_text(self, text: str, poison: str) -> None:
        before = {payload.key: payload.content for payload in self.bench.layer.held.values()}
        self.bench.layer.refuse = lambda payload: ValueError("boom") if poison in payload.content else None
        result = self._sync(text)
        self.bench.layer.refuse = lambda _: None
        held = {payload.key: payload.content for payload in self.bench.layer.held.values()}
        poisoned = {item.key for item in result.items if item.failure}
        for key in poisoned & before.keys():
            assert held.get(key) == before[key], "a modified item that fails keeps its old version"
        wanted = {t for t in self.expected.values() if poison not in t}
        assert wanted <= set(held.values()), "everything else goes in"

    @rule(text=texts)
    def syncs_while_the_layer_is_down(self, text: str) -> None:
        self.bench.layer.down = LayerError("Down.", "Wait.", error_class=ErrorClass.UNAVAILABLE)
        result = self._sync(text)
        self.bench.layer.down = None
        assert result.counts.stored == 0

    @rule(text=texts, confirmed=st.integers(0, 5), after_storing=st.booleans())
    def is_killed_while_it_syncs(self, text: str, confirmed: int, after_storing: bool) -> None:
        calls = 0

        def strike() -> None:
            nonlocal calls
            calls += 1
            if calls > confirmed:
                raise Crash

        def refuse(_: Payload) -> None:
            strike()

        if after_storing:
            self.bench.layer.after_upsert = strike
        else:
            self.bench.layer.refuse = refuse  # type: ignore[assignment]  # it raises instead of returning an error
        try:
            self._sync(text)
        except Crash:
            pass
        finally:
            self.bench.layer.after_upsert = lambda: None
            self.bench.layer.refuse = lambda _: None

    # What must be true -----------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_embedded_again_that_is_stored(self) -> None:
        if hasattr(self, "bench"):
            assert not self.bench.layer.needless

    def _sync(self, text: str | None, *, force: bool = False) -> SyncResult:
        learnings = (SessionLearning(f"Session: {text}"),) if text else ()
        for learning in learnings:
            self.expected[f"session/{content_hash(learning.content)}"] = learning.content
        for entry in self.entries:
            self.expected[f"insight/{entry['recorded_at']}"] = str(entry["insight"])
        for index, lesson in enumerate(self.lessons):
            self.expected[f"campaign/c1#learnings/{index}"] = f"c1, learning: {lesson}"
        try:
            return asyncio.run(self.bench.sync(session_learnings=learnings, force=force))
        finally:
            if force:  # storing again is what force is for
                self.bench.layer.needless.clear()

    def _memory_is_exact(self, result: SyncResult) -> None:
        held = list(self.bench.layer.held.values())
        assert sorted(payload.content for payload in held) == sorted(set(self.expected.values()))
        for payload in held:
            assert payload.id == storage_id(BRAND, payload.key)
            assert self.expected[payload.key] == payload.content
        assert result.checkpoint.moved
        assert result.checkpoint.total_items == len(held)
        assert {entry["storage_id"] for entry in self.bench.read("_index.json")} == set(self.bench.layer.held)

    def _write(self) -> None:
        self.bench.write("insights.json", self.entries)
        if self.lessons:
            self.bench.write("campaigns/c1.json", {"campaign_id": "c1", "learnings": self.lessons})


SyncMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSync = SyncMachine.TestCase
