"""What the reports say, fixed by golden files, and that their data fits the schema.

``DM_MEMORY_WRITE_GOLDEN=1`` writes the golden files again; read them before committing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from dm_memory.errors import ErrorClass, InputError, ServiceError
from dm_memory.extras import how_to_get_the_model
from dm_memory.report import (
    Reader,
    Report,
    allow_report,
    backup_report,
    doctor_report,
    error_report,
    export_report,
    forget_report,
    history_report,
    import_report,
    migrate_report,
    parts,
    patterns_report,
    prepare_report,
    restore_report,
    search_report,
    status_report,
    sync_report,
    verify_report,
)
from dm_memory.report.data import fitted
from dm_memory.report.parts import words_alone
from dm_memory.report.schema import report_schema
from dm_memory.report.sync import SYNC_SECTIONS
from dm_memory.report.words import ago, duration, size
from dm_memory.results import Action, Counts, StoreResult
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
    "explained": lambda: search_report(examples.explained()),
    "search_unknown": lambda: search_report(examples.search_unknown()),
    "search_nothing": lambda: search_report(examples.search_nothing()),
    "history": lambda: search_report(examples.history()),
    "verify": lambda: verify_report(examples.verify()),
    "migrate": lambda: migrate_report(examples.migrate()),
    "status_with_patterns": lambda: status_report(examples.healthy(), examples.patterns()),
    "forget_preview": lambda: forget_report(examples.forget_preview()),
    "forget_preview_for_a_model": lambda: forget_report(examples.forget_preview(), reader=Reader.TOOL),
    "forgotten": lambda: forget_report(examples.forgotten()),
    "partly_forgotten": lambda: forget_report(examples.partly_forgotten()),
    "nothing_to_forget": lambda: forget_report(examples.nothing_to_forget()),
    "restored": lambda: forget_report(examples.restored(), reader=Reader.TOOL),
    "corrected": lambda: prepare_report(examples.corrected()),
    "corrected_and_purged": lambda: prepare_report(examples.corrected_and_purged()),
    "allowed": lambda: allow_report(examples.allowed()),
    "entry_history": lambda: history_report(examples.entry_history()),
    "patterns": lambda: patterns_report(examples.patterns()),
    "exported": lambda: export_report(examples.exported()),
    "imported": lambda: import_report(examples.imported()),
    "backed_up": lambda: backup_report(examples.backed_up()),
    "put_back": lambda: restore_report(examples.put_back()),
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


def test_the_published_schema_is_the_one_of_the_results(schema: dict[str, Any]) -> None:
    """``uv run python -m dm_memory.report.schema > docs/report.schema.json`` writes it."""
    assert schema == report_schema()


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


SYNCS = ("first_sync", "unchanged_sync", "partial_failure", "dry_run", "retired", "retired_for_a_model")


@pytest.mark.parametrize("name", SYNCS)
def test_a_sync_report_always_has_its_eight_sections_in_order(name: str) -> None:
    headings = [line[3:] for line in REPORTS[name]().text.splitlines() if line.startswith("## ")]
    assert tuple(headings) == SYNC_SECTIONS


# Numbers and names ---------------------------------------------------------------------------------------------------

_NOT_NUMBERS = re.compile(
    r"“[^”]*”|`[^`]*`|\(line \d+\)|\d{4}-\d\d-\d\d( \d\d:\d\d)?|wordllama[a-z0-9-]*|^\d+\. ", re.MULTILINE
)


def spoken(value: Any) -> set[str]:
    """Return every way in which a report may write the numbers of its data."""
    if isinstance(value, dict):
        lists = {f"{len(part):,}" for part in value.values() if isinstance(part, list)}
        return lists.union(*map(spoken, value.values()))
    if isinstance(value, list):
        return set().union(*map(spoken, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return set()
    if isinstance(value, float):
        return {*re.findall(r"[\d.,]+", f"{duration(value)} {ago(value)}"), str(int(value))}
    return {f"{abs(value):,}", *re.findall(r"[\d.,]+", size(abs(value)))}


def derived(data: dict[str, Any]) -> set[str]:
    """Return the numbers that a report adds up: personal data found, places, what is planned, groups of one cause."""
    found = {f"{sum(hit['count'] for hit in data.get('guard', ()) if not hit['removed'] and not hit['refused'])}"}
    entries = data.get("store", {})
    found.add(f"{len(data.get('items', ())) - 20}")  # what a list of twenty lines leaves out
    return found | {f"{entries.get('entries', 0) + entries.get('retired', 0)}"}


@pytest.mark.parametrize("name", [*SYNCS, "status", "healthy", "never_synced", "search", "verify", "migrate"])
def test_every_number_of_a_report_is_in_its_data(name: str) -> None:
    report = REPORTS[name]()
    known = spoken(report.data) | derived(report.data)
    text = _NOT_NUMBERS.sub("", report.text)
    for drift in report.data.get("parts", ()):
        known.add(str(sum(part["missing"] + part["stale"] + (part["unknown"] or 0) for part in report.data["parts"])))
        known |= spoken(drift)
    numbers = {found.rstrip(".,") for found in re.findall(r"\d[\d.,]*", text)}
    findings = " ".join(finding["message"] for finding in report.data.get("findings", ()))
    assert {number for number in numbers if number not in known and number not in findings} == set()


@pytest.mark.parametrize("name", REPORTS)
def test_markdown_has_short_ids_and_neither_hashes_nor_run_ids_nor_weights(name: str) -> None:
    report = REPORTS[name]()
    text = report.text.replace(report.data.get("token") or "no token", "")  # which has to be copied
    assert not re.search(r"\b[0-9a-f]{12,}\b", text)
    assert report.data.get("run_id", "no run") not in report.text
    assert "c2c596675fd6" not in report.text


@pytest.mark.parametrize("name", REPORTS)
def test_one_of_something_is_never_written_in_the_plural(name: str) -> None:
    wrong = re.search(
        r"(?<![\d,.])1 (\w+ )?(entries|texts|pieces|problems|facts|entities|duplicates|checks|are|times|points)\b",
        REPORTS[name]().text,
    )
    assert wrong is None, wrong


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0 ms"), (0.9996, "1 second"), (1.04, "1 second"), (3.44, "3.4 seconds"), (9.96, "10 seconds"),
        (59.7, "1 minute"), (119, "2 minutes"), (3599, "1 hour"), (5400, "2 hours"), (86_399, "1 day"),
    ],
)  # fmt: skip
def test_durations_are_rounded_to_the_nearest(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# What each section says ----------------------------------------------------------------------------------------------


def section(report: Report, name: str) -> str:
    return report.text.split(f"## {name}\n")[1].split("\n## ")[0]


def test_a_dry_run_says_first_that_nothing_was_written() -> None:
    assert REPORTS["dry_run"]().text.splitlines()[2].startswith("**Dry run: nothing was written.**")


def test_a_synced_line_has_text_type_tags_and_short_id_and_what_was_before() -> None:
    lines = section(REPORTS["first_sync"](), "Synced")
    assert (
        "- “Short subject lines win 21” · campaign-learning · tags `2026-q1`, `email` · batch tags `launch` "
        "· id `5d2a1f6e`" in lines
    )
    assert "  - before: text “Free shipping raises the basket by 12 %”, type performance-insight" in lines
    assert "  - tags added: `email`, `launch`" in lines
    assert "  - tags removed: `draft`" in lines


def test_a_long_list_is_cut_with_a_count_and_a_call_while_the_data_has_all() -> None:
    report = sync_report(examples.dry_run(), list_limit=3)
    assert report.text.count("- “") == 3
    assert (
        "… and 22 more. To see them: `dm-memory sync --brand acme-coffee --dry-run --report-items 100`" in report.text
    )
    assert len(report.data["items"]) == 25
    for_a_model = sync_report(examples.dry_run(), list_limit=3, reader=Reader.TOOL).text
    assert 'To see them: `sync_memory(brand="acme-coffee", dry_run=true, report_items=100)`' in for_a_model
    assert "dm-memory sync" not in for_a_model


def test_the_markdown_stays_below_its_limit_and_says_what_was_cut() -> None:
    items = tuple(examples.item(number, "字" * 99, planned=True, stored=False) for number in range(500))
    run = replace(examples.dry_run(), items=items, counts=Counts(new=500))
    text = sync_report(run, list_limit=400).text
    assert len(text.encode()) <= 24_000
    shown = text.count("- “")
    assert f"… and {500 - shown} more." in text
    assert len(sync_report(run, list_limit=500, max_bytes=None).text.encode()) > 100_000


def test_data_is_cut_to_its_limit_with_counts_and_how_to_get_the_rest(validator: Draft202012Validator) -> None:
    items = tuple(examples.item(number, planned=True, stored=False) for number in range(1000))
    report = sync_report(replace(examples.dry_run(), items=items), reader=Reader.TOOL)
    data = fitted(report.data, 30_000, report.rest)
    assert len(orjson.dumps(data)) <= 30_000
    assert data["cut"]["items"] == {"shown": len(data["items"]), "of": 1000}
    assert len(data["items"]) > 20
    assert "report_items=1000" in data["rest"]
    validator.validate(data)


def test_failures_with_one_cause_are_explained_once_and_files_stand_with_their_place() -> None:
    failed = section(REPORTS["partial_failure"](), "Failed")
    assert failed.count("not accepted (validation)") == 1
    assert failed.count("tried 2 times") == 2
    assert "campaigns/spring.json is not valid JSON (line 3). What to do:" in section(REPORTS["first_sync"](), "Failed")


@pytest.mark.parametrize(
    ("used", "words"), [(79, ""), (80, "soon full"), (94, "soon full"), (95, "almost full"), (100, "100 %")]
)
def test_storage_is_announced_from_80_percent_and_urgently_from_95(used: int, words: str) -> None:
    service = examples.service(capacity=Capacity(used, 100, "records"))
    report = sync_report(examples.run(services=(service,)))
    assert words in report.text
    assert ("Alert" in report.text) is (used >= 80)
    assert ("Make room in Pinecone" in section(report, "Next sync")) is (used >= 80)
    assert f"{100 - used} record{'' if used == 99 else 's'} remain" in report.text


def test_the_capacity_of_a_service_reads_alike_in_sync_and_status() -> None:
    capacity = Capacity(1_760_000, 2_000_000_000, "bytes", 210)
    sync = sync_report(examples.run(services=(examples.service(capacity=capacity),)))
    status = replace(examples.status().services[0], engine="Pinecone (dm-memory)", capacity=capacity)
    line = (
        "Pinecone (dm-memory) (vector database): 1.8 MB used for 210 entries, less than 1 % of 2.0 GB; 2.0 GB remain."
    )
    assert line in sync.text
    assert line in status_report(replace(examples.status(), services=(status,))).text


def test_a_service_that_states_no_limit_is_not_said_to_have_none() -> None:
    stored = Capacity(58, None, "entries", 58, "DM_MEMORY_QDRANT_LIMIT")
    text = sync_report(examples.run(services=(examples.service(capacity=stored),))).text
    assert "58 entries used; the service states no limit; DM_MEMORY_QDRANT_LIMIT sets one." in text


def test_what_was_not_looked_at_is_not_called_counted() -> None:
    asked = section(sync_report(examples.run(services=(examples.service(counted=None),))), "Memory and services")
    assert "210 stored there (not counted)" in asked
    silent = examples.service(asked=False, counted=None)
    assert "(not looked at)" in section(sync_report(examples.run(services=(silent,))), "Memory and services")
    lost = examples.service(counted=204, missing=6)
    assert "204 counted there, 6 missing" in sync_report(examples.run(services=(lost,))).text


def test_a_service_that_is_down_is_never_passed_over_with_nothing_failed() -> None:
    failure = examples.partial_failure().services[0].failure
    down = examples.service(failure=failure, queued=4)
    failed = section(sync_report(examples.run(services=(down,), counts=Counts(queued=4))), "Failed")
    assert "Nothing failed" not in failed
    assert "The Pinecone index did not answer." in failed
    assert "4 entries wait for Pinecone" in failed


def test_connecting_a_service_is_explained_once_where_there_is_none() -> None:
    assert REPORTS["unchanged_sync"]().text.count("No service is connected") == 1
    assert "No service is connected" not in REPORTS["partial_failure"]().text


def test_held_back_retirements_say_how_to_confirm_in_the_words_of_the_reader() -> None:
    assert "to retire the entries: `dm-memory sync --brand acme-coffee --retire`" in REPORTS["retired"]().text
    assert 'to retire the entries: `sync_memory(brand="acme-coffee", retire=true)`' in (
        REPORTS["retired_for_a_model"]().text
    )


def test_the_delta_says_what_it_consists_of() -> None:
    assert "205 entries (-1 by this sync: +1 current again and -2 retired)" in REPORTS["retired"]().text


def test_healthy_is_said_only_of_what_was_looked_at_and_is_right() -> None:
    well = examples.healthy()
    assert "Healthy.\n" in status_report(well).text
    store = replace(well.store, without_vectors=58)
    service = replace(examples.status().services[0], counted=None, pending=0, failed=0)
    for changed, words in (
        (replace(well, pending=58), "Nothing failed; 58 entries wait for a service."),
        (replace(well, prepared=1), "Nothing failed; 1 entry waits for the next sync."),
        (replace(well, store=store), "Nothing failed; 58 entries have no vectors yet."),
        (replace(well, services=(service,)), "Healthy as far as it was looked at: Qdrant (db) answers, but"),
    ):
        text = status_report(changed).text
        assert words in text
        assert "Healthy.\n" not in text


def test_memory_without_a_model_says_so_with_the_command_that_changes_it() -> None:
    words_only = replace(examples.healthy(), store=replace(examples.STORE, model="", without_vectors=0))
    assert "Search runs on words alone" in status_report(words_only).text
    assert how_to_get_the_model() in status_report(words_only).text.replace("\\", "")
    assert "Search runs on words alone" in sync_report(examples.run(store=words_only.store)).text


def test_a_complete_sync_of_a_part_is_not_said_to_be_incomplete() -> None:
    part = replace(examples.healthy(), last_complete_sync_at="", sync_age_seconds=None)
    text = status_report(part).text
    assert "(complete), of a part of the brand's files; a sync of everything is still to come" in text
    assert "none was complete" not in text
    scoped = examples.run(scope="insights-only", checkpoint=replace(examples.STATE, moved=False))
    assert "not moved, because this sync read only a part (insights-only)" in sync_report(scoped).text


def test_exit_codes_follow_the_result() -> None:
    expected = {"first_sync": 1, "unchanged_sync": 0, "refused": 2, "error": 2, "doctor": 1}
    expected |= {"forget_preview": 0, "forgotten": 0, "partly_forgotten": 1, "nothing_to_forget": 2, "restored": 0}
    expected |= {"exported": 0, "imported": 1, "backed_up": 0, "put_back": 1}
    assert {name: REPORTS[name]().exit_code for name in expected} == expected


def test_a_preview_says_that_nothing_was_deleted_and_how_to_go_on_in_the_words_of_the_reader() -> None:
    for name, how in (("forget_preview", "--delete --token"), ("forget_preview_for_a_model", "`dry_run=false`")):
        report = REPORTS[name]()
        lead = report.text.split("\n\n")[1]
        assert lead.startswith("**Preview: nothing was deleted.** 1 entry, 1 duplicate and 1 earlier text would")
        assert how in lead
        assert report.data["token"] in lead
    stale = replace(examples.forget_preview(), status="changed")
    assert forget_report(stale).text.split("\n\n")[1].startswith("**Nothing was deleted: memory has changed")


def test_forgotten_is_said_only_with_its_proof_and_what_is_due_is_named() -> None:
    assert REPORTS["forgotten"]().data["proof"]["complete"] is True
    text = REPORTS["partly_forgotten"]().text
    assert "**Forgotten" not in text
    looked = section(REPORTS["partly_forgotten"](), "What was looked at")
    assert "**Supermemory: 1 deletion is still due**" in looked
    assert "the text is still in `backups/old/memory.db`" in looked
    assert "Not connected at present: vector database `qdrant:db:6333/dm-memory`" in looked


def test_files_that_still_state_a_forgotten_text_are_named() -> None:
    assert "`insights.json`: 1 entry" in section(REPORTS["forget_preview"](), "What could come back")
    assert "No file of the brand states it." in section(REPORTS["forgotten"](), "What could come back")


def test_how_far_forgetting_reaches_is_always_said() -> None:
    assert section(REPORTS["forget_preview"](), "How far it reaches").strip() == examples.ALONE
    assert "Every computer that syncs with Turso" in section(REPORTS["forgotten"](), "How far it reaches")


def test_hundreds_of_texts_to_forget_fit_and_are_counted() -> None:
    item = examples.forget_preview().items[0]
    many = replace(examples.forget_preview(), items=tuple(replace(item, title="字" * 99) for _ in range(500)))
    text = forget_report(many).text
    assert len(text.encode()) <= 24_000
    assert f"… and {500 - text.count('- “')} more." in text


def test_patterns_say_how_often_and_where_and_contradictions_name_both_sources() -> None:
    text = REPORTS["patterns"]().text
    assert "worked in 3 campaigns · campaigns `spring-2026`, `summer-2026` and `autumn-2026` · channels `email`" in text
    assert "worked in 1 campaign, failed in 1 campaign, success rate 50%" in text
    assert "“31 %” (`campaign/spring-2026#results/email`) against “24 %” (`performance/2026-03-31`)" in text
    status = REPORTS["status_with_patterns"]()
    assert "success rate 50%" in section(status, "What worked and what failed")
    assert len(status.data["contradictions"]) == 1


def test_a_cancelled_run_says_what_is_kept() -> None:
    run = examples.run(status="cancelled", counts=Counts(new=9, stored=4, queued=5))
    assert "**The sync was stopped.** 4 entries were stored before that." in sync_report(run).text


def test_an_item_of_every_action_shows_up_somewhere() -> None:
    for action in Action:
        skipped = action in {Action.DUPLICATE, Action.EXCLUDED, Action.FORGOTTEN, Action.REFUSED, Action.UNCHANGED}
        item = examples.item(1, action=action, stored=not skipped, storage_id=f"{action.value:a<8}"[:8])
        assert item.storage_id in sync_report(examples.run(items=(item,))).text, action


def test_a_refused_text_is_shown_nowhere_because_it_can_hold_the_credential() -> None:
    text = "key sk-live-0123456789"
    item = examples.item(1, text, action=Action.REFUSED, stored=False)
    for report in (
        sync_report(examples.run(items=(item,))),
        prepare_report(replace(examples.refused(), title=text)),
    ):
        assert "sk-live" not in report.text
        assert "sk-live" not in json.dumps(report.data)


def test_what_search_does_not_know_is_said_before_the_nearest_hits() -> None:
    assert "**Memory has no answer**" in REPORTS["search_unknown"]().text
    assert "**Memory has no answer**" not in REPORTS["search"]().text


def test_filters_that_nothing_passes_are_named_as_the_reason_before_a_sync() -> None:
    nothing = replace(examples.search_unknown(), hits=(), entries=0, filters={"tags": "email"})
    said = search_report(nothing).text
    assert said.index("No entry fits the filters. Ask with fewer filters.") < said.index("sync")


def test_a_hundred_long_hits_still_fit() -> None:
    hits = tuple(examples.hit(1, passage="ü" * 5000, content="ü" * 5000) for _ in range(100))
    report = search_report(replace(examples.search(), hits=hits))
    assert len(report.text.encode()) <= 24_000
    assert len(orjson.dumps(fitted(report.data, 30_000, report.rest))) <= 30_000


def test_error_classes_are_stable_names_for_programs() -> None:
    service = ServiceError("Qdrant did not answer.", "Start it.", error_class=ErrorClass.UNAVAILABLE)
    assert error_report(service).data["error"]["class"] == "unavailable"
    assert error_report(InputError("No text.", "Pass some.")).data["error"]["class"] == "input"


@pytest.mark.parametrize("model", ["", "wordllama-l2-supercat-256@c2c596675fd6"])
def test_a_python_without_the_model_is_named_with_what_changes_it(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Also where another Python made vectors before: search runs on words alone from then on."""
    store = StoreResult(3, 0, 0, model, 0, 0, 0, 0, 0, 4096)
    assert bool(words_alone(store)) is not bool(model)
    monkeypatch.setattr(parts, "find_spec", lambda _: None)
    assert "Search runs on words alone" in words_alone(store)
    assert words_alone(replace(store, model="text-embedding-3@1")) == ""
