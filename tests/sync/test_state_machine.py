"""Whatever a team, a service and a power cut do, in any order: after the next clean sync all is as it should be."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.items import ContentType, Payload
from dm_memory.requests import PrepareRequest, SessionLearning
from dm_memory.results import SyncResult
from dm_memory.text.hashing import content_hash
from tests.support.dict_service import DictService, down
from tests.support.embedders import ConstantEmbedder
from tests.sync.conftest import BRAND, Bench, check_memory, insight

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


class Model(ConstantEmbedder):
    """An embedding model that can fail."""

    fails = False

    def __init__(self, name: str) -> None:
        super().__init__(8, name)

    def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self.fails:
            raise RuntimeError
        return super().embed_documents(texts)


class SyncMachine(RuleBasedStateMachine):
    """The model: each distinct text that a source states is current, once; what was handed in stays for ever."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.service = DictService()
        self.graph = DictService("graph@dictionary", counts=False, keeps_retired=True)
        self.model = Model("first")
        self.bench = Bench(self.root / "home", [self.service, self.graph], embedder=self.model)
        self.entries: list[dict[str, object]] = []
        self.minute = 0
        self.lessons: list[str] = []
        self.handed_in: set[str] = set()
        self.ever: set[str] = set()
        self.lied = False
        self.lost: set[str] = set()
        self.remembered: dict[object, str] = {}

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
        self.lessons = lessons
        self.bench.campaign(lessons)

    @rule()
    def deletes_the_campaign(self) -> None:
        self.lessons = []
        (self.bench.folder / "campaigns" / "spring.json").unlink(missing_ok=True)

    @rule(text=texts)
    def prepares_a_payload(self, text: str) -> None:
        memory = self.bench.memory
        request = PrepareRequest(content=text, content_type=ContentType.CAMPAIGN_LEARNING, brand=BRAND)
        result = asyncio.run(memory.prepare(request))
        assert result.status in {"prepared", "duplicate"}
        assert content_hash(text) in self._current(), "found at once"
        self.handed_in.add(text)

    # What goes wrong -------------------------------------------------------------------------------------------

    @rule(text=texts)
    def the_service_refuses_a_text(self, text: str) -> None:
        def refuse(payload: Payload) -> Exception | None:
            if text in payload.content:
                return ServiceError("It is refused.", "Change it.", error_class=ErrorClass.VALIDATION)
            return None

        self.service.refuse = refuse
        self._sync()
        self.service.refuse = lambda _: None

    @rule()
    def the_service_is_down(self) -> None:
        self.service.down = down()
        result = self._sync()
        assert result.status == "partial" or not self._current()
        self.service.down = None

    @rule()
    def the_service_confirms_and_stores_nothing(self) -> None:
        self.service.lies = self.lied = True
        self._sync()
        self.service.lies = False
        # What is new and missing shows in the counts; that a changed text is the old one there, verify sees.
        asyncio.run(self.bench.memory.verify(BRAND, repair=True))
        self.lied = False

    @rule()
    def the_model_fails(self) -> None:
        self.model.fails = True
        self._sync()
        self.model.fails = False

    @rule(name=st.sampled_from(["first", "second"]))
    def another_model_is_chosen(self, name: str) -> None:
        self.model = self.bench.embedder = Model(name)

    @rule(count=st.integers(1, 3))
    def the_service_loses_entries(self, count: int) -> None:
        for id_ in list(self.service.stored)[:count]:
            del self.service.stored[id_]

    @rule(after=st.integers(0, 3))
    def the_process_is_killed(self, after: int) -> None:
        left = [after]

        def crash() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        self.service.after_upsert = crash
        try:
            self._sync()
        except Crash:
            for moment, text in self._stated().items():  # memory has the old text or the new one
                if self.remembered.get(moment) != text:
                    self.remembered.pop(moment, None)
        finally:
            self.service.after_upsert = lambda: None

    @rule()
    def the_database_is_lost(self) -> None:
        if "journal" not in self.lost:  # both at once are what only backups help against
            self._lose_database()
            for path in self.bench.memory_dir.glob("memory.db*"):
                path.unlink()

    @rule(keep=st.floats(0, 1))
    def the_database_is_cut(self, keep: float) -> None:
        path = self.bench.memory_dir / "memory.db"
        if path.exists() and "journal" not in self.lost:
            self._lose_database()
            path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    @rule()
    def the_journal_is_lost(self) -> None:
        if "database" not in self.lost:
            self.lost.add("journal")
            (self.bench.memory_dir / "journal.jsonl").unlink(missing_ok=True)

    # What must be so -------------------------------------------------------------------------------------------

    @rule(learning=st.none() | texts)
    def syncs(self, learning: str | None) -> None:
        learnings = (SessionLearning(learning),) if learning else ()
        self._sync(session_learnings=learnings)
        if learning:
            self.handed_in.add(learning)
        self._is_exact()

    @rule()
    def syncs_by_force(self) -> None:
        self._sync(force=True)
        self._is_exact()

    def _is_exact(self) -> None:
        result = self._sync()
        assert result.status == "complete", result
        stated = {*self.remembered.values(), *self.handed_in}
        self.ever |= stated
        lessons = {f"spring, learning: {text}" for text in self.lessons}
        current = self._current()
        assert current >= set(map(content_hash, stated | lessons))
        assert current <= set(map(content_hash, self.ever | lessons)), "what no file states any more is retired"
        assert result.store.without_vectors == 0
        again = self._sync()
        assert (again.counts.stored, again.counts.embedded, again.counts.retired) == (0, 0, 0)

    def _current(self) -> set[str]:
        sql = "SELECT content_hash FROM entries WHERE state = 'current' AND duplicate_of IS NULL"
        return {digest for (digest,) in self.bench.rows(sql)}

    def _lose_database(self) -> None:
        """Which file states what only services give back is lost as well: it stays current."""
        self.lost.add("database")
        self.ever |= {payload.content for payload in (*self.service.stored.values(), *self.graph.stored.values())}

    def _stated(self) -> dict[object, str]:
        return {entry["recorded_at"]: str(entry["insight"]) for entry in self.entries}

    def _write(self) -> None:
        self.ever |= {str(entry["insight"]) for entry in self.entries}
        self.bench.write("insights.json", self.entries)

    def _sync(self, **arguments: Any) -> SyncResult:
        result = asyncio.run(self.bench.sync(**arguments))
        self.lost.clear()
        self.remembered |= self._stated()
        check_memory(self.bench.memory_dir)
        if result.status == "complete":
            sql = "SELECT id, content FROM entries WHERE duplicate_of IS NULL"
            entries = dict(self.bench.rows(sql))
            assert {id_: own.content for id_, own in self.graph.stored.items()} == entries
            current = dict(self.bench.rows(f"{sql} AND state = 'current'"))
            there = {id_: own.content for id_, own in self.service.stored.items()}
            assert there.keys() == current.keys()
            assert there == current or self.lied
        return result


@pytest.mark.parametrize("walks", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_after_any_walk_memory_and_services_are_as_they_should_be(walks: int) -> None:
    every = list(HealthCheck)
    run_state_machine_as_test(
        SyncMachine,
        settings=settings(max_examples=walks, stateful_step_count=25, deadline=None, suppress_health_check=every),
    )
