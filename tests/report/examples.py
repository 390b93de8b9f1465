"""Results as the core returns them, built for the report's tests."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from dm_memory.errors import BrandNotFoundError, ErrorClass, LayerError
from dm_memory.findings import Finding, Severity
from dm_memory.report import Check
from dm_memory.services.protocol import Capacity, Health, SearchHit
from dm_memory.results import (
    Action,
    CheckpointState,
    Counts,
    Failure,
    GuardHit,
    ItemOutcome,
    LayerResult,
    LayerStatus,
    NextSync,
    PrepareResult,
    SearchResult,
    StatusResult,
    SyncResult,
)

ENGINE = "Qdrant Edge (embedded)"
MODEL = "wordllama l2_supercat 256"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def item(number: int = 1, text: str = "Carousel posts get three times the saves", **changes: object) -> ItemOutcome:
    outcome = ItemOutcome(
        key=f"insight/2026-01-{number % 28 + 1:02d}T10:00:00.000001",
        title=f"{text} {number}",
        content_hash=digest(f"{text}{number}"),
        action=Action.NEW,
        content_type="campaign-learning",
        tags=("instagram", "2026-q1"),
        storage_id="5d2a1f6e-0c0b-5b7e-9a51-0a8a1b2c3d4e",
        stored=True,
    )
    return replace(outcome, **changes)  # type: ignore[arg-type]


def layer(**changes: object) -> LayerResult:
    result = LayerResult(
        name="vector",
        engine=ENGINE,
        stored=14,
        failed=0,
        queued=0,
        entries=210,
        opened=True,
        capacity=Capacity(1_468_006, None, "bytes", 210),
        model=MODEL,
    )
    return replace(result, **changes)  # type: ignore[arg-type]


STATE = CheckpointState(
    moved=True,
    last_complete_sync_at="2026-11-21T01:45:12+00:00",
    total_items=210,
    delta=12,
    by_content_type={"campaign-learning": 120, "performance-insight": 80, "guideline": 10},
    pending=0,
    failed=0,
    path="memory/sync-state.json",
)


def run(**changes: object) -> SyncResult:
    result = SyncResult(
        brand="acme-coffee",
        brand_name="Acme Coffee",
        run_id="20261121-014512-3f9a",
        dry_run=False,
        scope="all",
        force=False,
        status="complete",
        started_at="2026-11-21T01:45:12+00:00",
        seconds=1.42,
        counts=Counts(),
        items=(),
        items_omitted=0,
        findings=(),
        guard_hits=(),
        layers=(layer(),),
        checkpoint=STATE,
        next_sync=NextSync(0, "Nothing is waiting. Sync again at the end of the next session."),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def first_sync() -> SyncResult:
    new = tuple(item(number) for number in range(1, 13))
    changed = (
        item(20, "Free shipping raises the basket by 18 %", action=Action.MODIFIED),
        item(21, "Short subject lines win", action=Action.METADATA),
    )
    skipped = (
        item(30, action=Action.DUPLICATE, stored=False, reason="same text as insight/2026-01-02T10:00:00.000001"),
        item(31, "Draft: summer plan", action=Action.EXCLUDED, stored=False, reason="excluded by *draft*"),
        item(32, "The ads account", action=Action.REFUSED, stored=False, reason="holds an API key"),
    )
    return run(
        counts=Counts(new=12, modified=1, metadata=1, duplicate=1, excluded=1, refused=1, stored=14, embedded=13),
        items=new + changed + skipped,
        findings=(
            Finding(
                "broken-file",
                Severity.ERROR,
                "campaigns/spring.json is not valid JSON (line 3).",
                "Mend or remove the file, then sync again.",
                path="campaigns/spring.json",
            ),
            Finding(
                "banned-word",
                Severity.WARNING,
                'The text uses the banned word "cheap".',
                "Leave the word out when you reuse this text; it was stored as it is.",
                key=new[0].key,
            ),
            Finding(
                "profile-defaults",
                Severity.INFO,
                "profile.json names no industry, so no industry tag was added.",
                path="profile.json",
            ),
        ),
        guard_hits=(
            GuardHit(new[0].key, "e-mail address", 1, refused=False),
            GuardHit(new[1].key, "phone number", 2, refused=False),
            GuardHit(skipped[2].key, "API key", 1, refused=True),
        ),
        compliance_note="Germany is a target market: the GDPR applies to personal data of people there",
        status="partial",
        checkpoint=replace(STATE, moved=False, last_complete_sync_at=""),
        next_sync=NextSync(0, "Repair the broken files, then sync again: everything else is safe.", 12),
    )


def unchanged() -> SyncResult:
    return run(
        counts=Counts(unchanged=210),
        seconds=0.018,
        layers=(layer(stored=0, opened=False, capacity=None),),
        checkpoint=replace(STATE, delta=0),
    )


def partial_failure() -> SyncResult:
    poisoned = Failure(
        "validation",
        "The engine did not accept this entry.",
        "Shorten the text, then sync again.",
        layer="vector",
        attempts=2,
        next_attempt_at="2026-11-21T01:50:00+00:00",
    )
    outage = Failure(
        "unavailable",
        "The Pinecone index did not answer.",
        "Check the network and PINECONE_API_KEY, then sync again.",
        code="503",
        layer="vector",
    )
    failed = (
        item(1, "A very long transcript", stored=False, failure=poisoned),
        *(item(number, stored=False, failure=outage, action=Action.MODIFIED) for number in (2, 3)),
    )
    waiting = (item(4, stored=False), item(5, stored=False))
    return run(
        status="partial",
        counts=Counts(new=8, modified=2, stored=5, failed=3, queued=2, embedded=5),
        items=failed + tuple(item(number) for number in range(6, 11)) + waiting,
        layers=(
            layer(
                stored=5,
                failed=3,
                queued=2,
                entries=203,
                failure=outage,
                capacity=Capacity(1_760_000, 2_000_000, "records", 203),
            ),
        ),
        checkpoint=replace(STATE, moved=False, total_items=203, delta=5, pending=5, failed=3),
        next_sync=NextSync(5, "Fix what failed, then sync again: only what is missing is stored.", 5),
        waited=3.2,
    )


def dry_run() -> SyncResult:
    planned = tuple(item(number, stored=False, planned=True) for number in range(1, 26))
    return run(
        dry_run=True,
        counts=Counts(new=25, unchanged=185),
        items=planned,
        seconds=0.05,
        layers=(layer(stored=0, opened=False, capacity=None, entries=185),),
        checkpoint=replace(STATE, moved=False, total_items=185, delta=0),
        next_sync=NextSync(25, "Sync without dry_run to store this.", 25),
    )


def status() -> StatusResult:
    failure = Failure(
        "validation", "The engine did not accept this entry.", "Shorten the text.", layer="vector", attempts=3
    )
    well = LayerStatus(
        name="vector",
        engine=ENGINE,
        model=MODEL,
        entries=210,
        held=208,
        pending=1,
        failed=1,
        health=Health(ok=True, engine=ENGINE, detail="answers"),
        capacity=Capacity(1_468_006, None, "bytes", 208),
    )
    down = LayerError(
        "FalkorDB did not answer.",
        "Start it, or unset its address.",
        error_class=ErrorClass.UNAVAILABLE,
        code="ECONNREFUSED",
    )
    graph = replace(
        well,
        name="graph",
        engine="FalkorDB",
        model="",
        held=None,
        health=Health(ok=False, engine="FalkorDB", detail="does not answer", error=down),
        capacity=Capacity(97, 100, "graphs"),
    )
    return StatusResult(
        brand="acme-coffee",
        brand_name="Acme Coffee",
        status="attention",
        total_items=210,
        counts=STATE.by_content_type,
        pending=1,
        failed=1,
        prepared=2,
        last_sync_at="2026-11-21T01:45:12+00:00",
        last_complete_sync_at="2026-11-20T18:00:00+00:00",
        sync_age_seconds=27_912.0,
        last_run_status="partial",
        layers=(well, graph),
        failures=(item(1, stored=False, failure=failure),),
        findings=(Finding("index-rebuilt", Severity.INFO, "The index file was damaged and was rebuilt."),),
        advice=("Sync with force to restore 2 entries that the engine lost.", "Start FalkorDB."),
    )


def never_synced() -> StatusResult:
    return replace(
        status(),
        status="never-synced",
        total_items=0,
        counts={},
        pending=0,
        failed=0,
        prepared=0,
        last_sync_at="",
        last_complete_sync_at="",
        sync_age_seconds=None,
        last_run_status="",
        layers=(),
        failures=(),
        findings=(),
        advice=("Run a first sync.",),
    )


def prepared() -> PrepareResult:
    text = "Webinar leads convert slower but are worth more after six months"
    return PrepareResult(
        brand="acme-coffee",
        status="prepared",
        key="prepared/0123456789abcdef",
        content_hash=digest(text),
        content_type="campaign-learning",
        tags=("webinar", "2026-q4"),
        title=text,
        path="memory/pending/0123456789abcdef.json",
        priority="high",
        expires_at="2027-01-01",
        guard_hits=(GuardHit("prepared/0123456789abcdef", "e-mail address", 1, refused=False),),
    )


def duplicate() -> PrepareResult:
    return replace(
        prepared(),
        status="duplicate",
        path="",
        priority="normal",
        expires_at="",
        existing_key="insight/2026-01-05T10:00:00",
        existing_stored_at="2026-11-20T18:00:00+00:00",
        existing_tags=("webinar",),
        merged_tags=("2026-q4",),
        guard_hits=(),
    )


def refused() -> PrepareResult:
    hit = GuardHit("prepared/0123456789abcdef", "API key", 1, refused=True)
    return replace(prepared(), status="refused", path="", guard_hits=(hit,))


def hit(number: int = 1, **changes: object) -> SearchHit:
    found = SearchHit(
        id="5d2a1f6e-0c0b-5b7e-9a51-0a8a1b2c3d4e",
        key=f"insight/2026-01-{number:02d}T10:00:00",
        content="Carousel posts on Instagram got three times more saves than single images in March.",
        content_type="campaign-learning",
        source="sync",
        tags=("instagram", "2026-q1"),
        recorded_at="2026-01-05T10:00:00",
        score=0.0325,
        similarity=0.64,
        lexical=True,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def search() -> SearchResult:
    return SearchResult(
        brand="acme-coffee",
        query="instagram carousel saves",
        filters={"content_type": "campaign-learning"},
        hits=(hit(1), hit(2, similarity=0.31, lexical=False), hit(3, similarity=0.1), hit(4, similarity=None)),
        entries=210,
        engine=ENGINE,
        model=MODEL,
    )


def search_nothing() -> SearchResult:
    return replace(search(), hits=(), query="mount everest", filters={})


def checks() -> tuple[Check, ...]:
    return (
        Check("Home folder", "ok", "Found, with 2 brands"),
        Check("Free space", "warn", "Only 120 MB are free", "Free some space"),
        Check("Registry of acme-coffee", "fail", "The file is damaged", "Sync once: it is rebuilt"),
    )


def error() -> BrandNotFoundError:
    return BrandNotFoundError(
        'There is no brand "acme".', "Name one of the brands there are with --brand.", ("acme-coffee", "beanco")
    )
