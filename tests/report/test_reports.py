"""What the reports say, held by golden files, and that their data keeps to the schema.

``DM_MEMORY_WRITE_GOLDEN=1`` writes the golden files anew; read them before committing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from dm_memory.errors import ErrorClass, InputError, ServiceError
from dm_memory.report import (
    Reader,
    Report,
    doctor_report,
    error_report,
    migrate_report,
    prepare_report,
    search_report,
    status_report,
    sync_report,
    verify_report,
)
from dm_memory.report.data import fitted
from dm_memory.report.schema import report_schema
from dm_memory.report.sync import SYNC_SECTIONS
from dm_memory.results import Action, Counts
from dm_memory.services.protocol import Capacity
from tests.report import examples

GOLDEN = Path(__file__).parent / "golden"

REPORTS: dict[str, Callable[[], Report]] = {
    "first_sync": lambda: sync_report(examples.first_sync()),
    "unchanged_sync": lambda: sync_report(examples.unchanged()),
    "partial_failure": lambda: sync_report(examples.partial_failure()),
    "dry_run": lambda: sync_report(examples.dry_run()),
    "retired": lambda: sync_report(examples.retired()),
    "retired_for_a_model": lambda: sync_report(examples.retired(), reader=Reader.TOOL),
    "status": lambda: status_report(examples.status()),
    "healthy": lambda: status_report(examples.healthy()),
    "never_synced": lambda: status_report(examples.never_synced()),
    "prepared": lambda: prepare_report(examples.prepared()),
    "duplicate": lambda: prepare_report(examples.duplicate()),
    "refused": lambda: prepare_report(examples.refused()),
    "search": lambda: search_report(examples.search()),
    "search_unknown": lambda: search_report(examples.search_unknown()),
    "search_nothing": lambda: search_report(examples.search_nothing()),
    "history": lambda: search_report(examples.history()),
    "verify": lambda: verify_report(examples.verify()),
    "migrate": lambda: migrate_report(examples.migrate()),
    "doctor": lambda: doctor_report(examples.checks()),
    "error": lambda: error_report(examples.error()),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_as_agreed(name: str) -> None:
    text = REPORTS[name]().text
    golden = GOLDEN / f"{name}.md"
    if os.environ.get("DM_MEMORY_WRITE_GOLDEN"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_data_keeps_to_the_published_schema_and_is_json(name: str, validator: Draft202012Validator) -> None:
    data = REPORTS[name]().data
    validator.validate(json.loads(orjson.dumps(data)))


def test_the_schema_refuses_a_field_nobody_described(validator: Draft202012Validator) -> None:
    data = REPORTS["first_sync"]().data
    assert not validator.is_valid({**data, "surprise": 1})
    assert not validator.is_valid({key: value for key, value in data.items() if key != "run_id"})


def test_every_object_in_the_schema_is_closed(schema: dict[str, Any]) -> None:
    def open_objects(node: object) -> list[object]:
        if isinstance(node, list):
            return [found for part in node for found in open_objects(part)]
        if not isinstance(node, dict):
            return []
        here = [node] if node.get("type") == "object" and "additionalProperties" not in node else []
        return here + [found for part in node.values() for found in open_objects(part)]

    assert open_objects(schema) == []


@pytest.mark.parametrize("name", ["first_sync", "unchanged_sync", "partial_failure", "dry_run"])
def test_a_sync_report_always_has_its_eight_sections_in_order(name: str) -> None:
    headings = [line[3:] for line in REPORTS[name]().text.splitlines() if line.startswith("## ")]
    assert tuple(headings) == SYNC_SECTIONS


def test_a_run_with_nothing_to_do_has_one_line_per_section() -> None:
    after_summary = REPORTS["unchanged_sync"]().text.split("## Synced")[1]
    bodies = [body.strip().splitlines()[2:] for body in ("x\n" + after_summary).split("## ")[1:]]
    assert all(len(body) == 1 for body in bodies)


def test_a_dry_run_says_first_that_nothing_was_written() -> None:
    assert REPORTS["dry_run"]().text.splitlines()[2].startswith("**Dry run: nothing was written.**")


def test_a_long_list_is_cut_with_a_count_and_a_command_while_the_data_has_all() -> None:
    report = sync_report(examples.dry_run(), list_limit=3)
    assert report.text.count("- “") == 3
    assert "… and 22 more. To see them: `dm-memory sync --brand acme-coffee --dry-run --limit 100`" in report.text
    assert len(report.data["items"]) == 25


def test_failures_with_one_cause_are_explained_once() -> None:
    text = sync_report(examples.partial_failure()).text
    failed = text.split("## Failed")[1].split("## Sync state")[0]
    assert failed.count("not reachable (unavailable)") == 1
    assert failed.count("tried 1 time") == 2


def test_markdown_shows_short_hashes_and_data_whole_ones() -> None:
    report = sync_report(examples.first_sync())
    full = report.data["items"][0]["hash"]
    assert len(full) == 64
    assert f"`{full[:12]}`" in report.text
    assert full not in report.text


@pytest.mark.parametrize(
    ("used", "words"), [(79, ""), (80, "soon full"), (94, "soon full"), (95, "almost full"), (100, "100 %")]
)
def test_storage_is_announced_from_80_percent_and_urgently_from_95(used: int, words: str) -> None:
    layer = examples.layer(capacity=Capacity(used, 100, "records"))
    text = sync_report(examples.run(layers=(layer,))).text
    assert words in text
    assert ("Alert" in text) is (used >= 80)


def test_a_service_that_tells_no_limit_is_not_said_to_have_none() -> None:
    held = Capacity(58, None, "entries", 58)
    places = ("graph", "graph@falkordb:db.example:6379/acme", "vector@qdrant:q.example:6333/team")
    layers = tuple(replace(examples.layer(capacity=held), name=name) for name in places)
    embedded, falkordb, qdrant = (
        sync_report(examples.run(layers=layers)).text.split("## Storage capacity")[1].split("- ")[1:]
    )
    assert "no limit but the disk" in embedded
    assert "the service tells no limit." in falkordb
    assert "the service tells no limit; DM_MEMORY_QDRANT_LIMIT sets one." in qdrant


def test_a_layer_in_trouble_is_never_passed_over_with_nothing_failed() -> None:
    down = replace(examples.layer(), failure=replace(examples.partial_failure().layers[0].failure, layer=""), queued=4)
    text = sync_report(examples.run(layers=(down,), counts=Counts(queued=4))).text
    failed = text.split("## Failed")[1].split("## Sync state")[0]
    assert "Nothing failed" not in failed
    assert "the vector layer was in trouble: see Memory layers" in failed


def test_entries_that_wait_are_told_in_the_first_sentence_of_the_status() -> None:
    waiting = replace(examples.status(), status="ready", pending=58, failed=0)
    assert "58 entries wait for the next sync" in status_report(waiting).text
    assert "Memory is well" not in status_report(waiting).text
    assert "Memory is well" in status_report(replace(waiting, pending=0)).text


def test_exit_codes_follow_the_result() -> None:
    codes = {name: REPORTS[name]().exit_code for name in ("first_sync", "unchanged_sync", "refused", "error", "doctor")}
    assert codes == {"first_sync": 1, "unchanged_sync": 0, "refused": 2, "error": 2, "doctor": 1}


def test_a_cancelled_run_says_what_is_kept() -> None:
    run = examples.run(status="cancelled", counts=Counts(new=9, stored=4, queued=5))
    assert "**The sync was stopped.** 4 entries stored before that stayed in memory." in sync_report(run).text


def test_an_item_of_every_action_shows_up_somewhere() -> None:
    for action in Action:
        skipped = action in {Action.DUPLICATE, Action.EXCLUDED, Action.REFUSED, Action.UNCHANGED}
        item = examples.item(1, action=action, stored=not skipped)
        assert item.key in sync_report(examples.run(items=(item,))).text, action


def test_a_refused_text_is_shown_nowhere_because_it_can_hold_the_credential() -> None:
    text = "key sk-live-0123456789"
    item = examples.item(1, text, action=Action.REFUSED, stored=False)
    for report in (
        sync_report(examples.run(items=(item,))),
        prepare_report(replace(examples.refused(), title=text)),
    ):
        assert "sk-live" not in report.text
        assert "sk-live" not in json.dumps(report.data)


def test_relevance_is_told_in_words() -> None:
    levels = [relevance(replace(examples.hit(), similarity=value)) for value in (0.9, 0.3, 0.1, None)]
    assert levels == ["strong", "good", "weak", "words"]


def test_error_classes_are_stable_names_for_programs() -> None:
    layer = LayerError("Qdrant did not answer.", "Start it.", error_class=ErrorClass.UNAVAILABLE)
    assert error_report(layer).data["error"]["class"] == "unavailable"
    assert error_report(InputError("No text.", "Pass some.")).data["error"]["class"] == "input"
