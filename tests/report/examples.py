"""Results as the core returns them, built for the report's tests."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from dm_memory.errors import BrandNotFoundError, ErrorClass, ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.results import (
    Action,
    AllowResult,
    BackupResult,
    Check,
    CheckpointState,
    Contradiction,
    Counts,
    Drift,
    ExportResult,
    Failure,
    ForgetItem,
    ForgetPlaces,
    ForgetProof,
    ForgetResult,
    GuardHit,
    HistoryResult,
    ImportResult,
    ItemOutcome,
    MigrateResult,
    NextSync,
    PatternLine,
    PatternsResult,
    PrepareResult,
    RestoreResult,
    ServiceProof,
    ServiceResult,
    ServiceStatus,
    StatusResult,
    StoreResult,
    Suggestion,
    SyncResult,
    VerifyResult,
    Version,
)
from dm_memory.search.results import (
    EntityFacts,
    Explanation,
    FactLine,
    Hit,
    Relevance,
    RevisionLine,
    SearchResult,
    WordFound,
)
from dm_memory.services.protocol import Capacity, Health

MODEL = "wordllama-l2-supercat-256@c2c596675fd6"
PINECONE = "vector@pinecone:api.pinecone.io/dm-memory"
SUPERMEMORY = "cross-session@supermemory:api.supermemory.ai/acme-coffee"


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


STORE = StoreResult(
    entries=210,
    retired=0,
    without_vectors=0,
    model=MODEL,
    entities=96,
    facts=310,
    new_entities=4,
    new_facts=21,
    patterns=7,
    bytes=1_468_006,
)


def service(**changes: object) -> ServiceResult:
    result = ServiceResult(
        name=PINECONE,
        role="vector",
        engine="Pinecone (dm-memory)",
        stored=14,
        failed=0,
        removed=0,
        queued=0,
        entries=210,
        counted=210,
        missing=0,
        asked=True,
        capacity=Capacity(1_760_000, 2_000_000_000, "bytes", 210, "DM_MEMORY_PINECONE_LIMIT"),
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
        store=STORE,
        services=(),
        checkpoint=STATE,
        next_sync=NextSync(0, "Nothing is waiting. Sync again at the end of the next session."),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def first_sync() -> SyncResult:
    """A brand's first files: most of it new, one entry changed, something of everything that can be skipped."""
    new = tuple(item(number) for number in range(1, 13))
    changed = (
        item(
            20,
            "Free shipping raises the basket by 18 %",
            action=Action.MODIFIED,
            before={"text": "Free shipping raises the basket by 12 %", "content_type": "performance-insight"},
        ),
        item(
            21,
            "Short subject lines win",
            action=Action.METADATA,
            tags=("2026-q1", "email", "launch"),
            batch_tags=("launch",),
            before={"tags": "2026-q1, draft"},
        ),
    )
    skipped = (
        item(30, action=Action.DUPLICATE, stored=False, reason=f"same text as session/{digest('session')}"),
        item(31, "Draft: summer plan", action=Action.EXCLUDED, stored=False, reason="excluded by *draft*"),
        item(32, "The ads account", action=Action.REFUSED, stored=False, reason="the text consists of an API key"),
    )
    return run(
        counts=Counts(new=12, modified=1, metadata=1, duplicate=1, excluded=1, refused=1, stored=14, embedded=13),
        items=new + changed + skipped,
        findings=(
            Finding(
                "broken-file",
                Severity.ERROR,
                "campaigns/spring.json is not valid JSON (line 3).",
                "Repair the file or restore it from a backup, then sync again.",
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
            GuardHit(new[0].key, "e-mail address", 1, refused=False, lines=(2,)),
            GuardHit(new[1].key, "phone number", 2, refused=False, lines=(1, 4)),
            GuardHit(new[2].key, "API key", 1, refused=False, removed=True, lines=(7,)),
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
        store=replace(STORE, new_entities=0, new_facts=0),
        checkpoint=replace(STATE, delta=0),
    )


def partial_failure() -> SyncResult:
    """Everything is in memory; Pinecone refused one entry and then stopped answering, Supermemory is fine."""
    refused = Failure(
        "validation",
        "Pinecone did not accept this entry.",
        "Shorten the text, then sync again.",
        code="400",
        service=PINECONE,
        attempts=2,
        next_attempt_at="2026-11-21T01:50:00+00:00",
    )
    outage = Failure(
        "unavailable",
        "The Pinecone index did not answer.",
        "Check the network and PINECONE_API_KEY, then sync again.",
        code="503",
        service=PINECONE,
    )
    failed = (
        item(1, "A very long transcript", stored=False, failure=refused),
        item(2, "A long transcript", stored=False, failure=refused),
    )
    long = tuple(replace(entry, failure=None, stored=True) for entry in failed)
    stored = (
        *long,
        *(item(number) for number in range(3, 11)),
        item(11, action=Action.MODIFIED, before={"text": "Old 11"}),
    )
    return run(
        status="partial",
        counts=Counts(new=10, modified=1, stored=11, failed=2, queued=3, embedded=11),
        items=failed + stored,
        services=(
            service(stored=6, failed=2, queued=3, entries=203, counted=None, failure=outage, capacity=None),
            service(
                name=SUPERMEMORY,
                role="cross-session",
                engine="Supermemory",
                stored=11,
                counted=None,
                capacity=Capacity(176, 200, "entries", 176, "DM_MEMORY_SUPERMEMORY_LIMIT"),
            ),
        ),
        store=replace(STORE, entries=208),
        checkpoint=replace(
            STATE,
            moved=False,
            total_items=208,
            delta=10,
            by_content_type={"campaign-learning": 118, "performance-insight": 80, "guideline": 10},
            pending=5,
            failed=2,
        ),
        next_sync=NextSync(5, "Fix what failed (see there), then sync again: only what is missing is stored.", 5),
        waited=3.2,
    )


def dry_run() -> SyncResult:
    planned = tuple(item(number, stored=False, planned=True) for number in range(1, 26))
    return run(
        dry_run=True,
        counts=Counts(new=25, unchanged=185),
        items=planned,
        seconds=0.05,
        store=replace(STORE, entries=185, new_entities=0, new_facts=0),
        services=(
            service(
                stored=0,
                entries=185,
                counted=None,
                needed=210_000,
                preview=(
                    {"_id": "5d2a1f6e", "text": "Carousel posts get three times the saves 1", "tags": ["instagram"]},
                ),
            ),
        ),
        checkpoint=replace(
            STATE,
            moved=False,
            total_items=185,
            delta=0,
            by_content_type={"campaign-learning": 95, "performance-insight": 80, "guideline": 10},
        ),
        next_sync=NextSync(25, "Sync without dry_run to store this.", 25),
    )


def retired() -> SyncResult:
    """A campaign file lost two learnings, one came back; most guidelines are gone, which a sync does not believe."""
    gone = tuple(
        item(number, action=Action.RETIRED, tags=(), reason="no file states it any more") for number in (40, 41)
    )
    return run(
        status="partial",
        counts=Counts(retired=2, restored=1, unchanged=190, held_back=12, stored=1, embedded=0),
        items=(item(42, "Video ads tire after three weeks", action=Action.RESTORED), *gone),
        findings=(
            Finding(
                "retire-held-back",
                Severity.WARNING,
                "12 of 15 entries of the kind guideline are no longer in the brand's files; none was retired.",
                "Restore the files if that was a mistake.",
            ),
        ),
        store=replace(STORE, entries=205, retired=2, new_entities=0, new_facts=0),
        checkpoint=replace(
            STATE,
            moved=False,
            total_items=205,
            delta=-1,
            by_content_type={"campaign-learning": 115, "performance-insight": 75, "guideline": 15},
        ),
        next_sync=NextSync(0, "Answer the question in the summary, then sync again: everything else is safe.", 3),
    )


def status() -> StatusResult:
    failure = Failure(
        "validation",
        "Qdrant did not accept this entry.",
        "Shorten the text.",
        service="vector@qdrant:db:6333/dm-memory",
    )
    well = ServiceStatus(
        name="vector@qdrant:db:6333/dm-memory",
        role="vector",
        engine="Qdrant (db)",
        entries=210,
        counted=208,
        pending=1,
        failed=1,
        health=Health(ok=True, engine="Qdrant (db)", detail="Qdrant answers."),
        capacity=Capacity(860, 1000, "points", 208, "DM_MEMORY_QDRANT_LIMIT"),
    )
    down = ServiceError(
        "FalkorDB refused the connection.",
        "Start it, or unset FALKORDB_URI.",
        error_class=ErrorClass.UNAVAILABLE,
        code="ECONNREFUSED",
    )
    graph = ServiceStatus(
        name="graph@falkordb:db:6379/acme-coffee",
        role="graph",
        engine="Graphiti's FalkorDB (db)",
        entries=210,
        counted=None,
        pending=0,
        failed=0,
        health=Health(ok=False, engine="FalkorDB", detail="does not answer", error=down),
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
        store=replace(STORE, retired=3, without_vectors=1),
        services=(well, graph),
        failures=(item(1, stored=False, failure=failure),),
        findings=(
            Finding(
                "drift",
                Severity.ERROR,
                "Qdrant (db) has 208 entries, but 210 were stored there.",
                "Sync: it looks for what is missing and stores it again.",
            ),
        ),
        advice=("Start it, or unset FALKORDB_URI.", "Sync: it looks for what is missing and stores it again."),
    )


def healthy() -> StatusResult:
    """Nothing connected, everything right."""
    return replace(
        status(),
        status="ready",
        pending=0,
        failed=0,
        prepared=0,
        last_complete_sync_at="2026-11-21T01:45:12+00:00",
        sync_age_seconds=48.0,
        last_run_status="complete",
        store=STORE,
        services=(),
        failures=(),
        findings=(),
        advice=("Nothing to do.",),
    )


def never_synced() -> StatusResult:
    return replace(
        healthy(),
        status="never-synced",
        total_items=0,
        counts={},
        last_sync_at="",
        last_complete_sync_at="",
        sync_age_seconds=None,
        last_run_status="",
        store=StoreResult(0, 0, 0, "", 0, 0, 0, 0, 0, 0),
        advice=("Sync this brand for the first time.",),
    )


def prepared() -> PrepareResult:
    text = "Webinar leads convert slower but are worth more after six months"
    return PrepareResult(
        brand="acme-coffee",
        status="prepared",
        key=f"prepared/{digest(text)}",
        content_hash=digest(text),
        content_type="campaign-learning",
        tags=("webinar", "2026-q4"),
        title=text,
        priority="high",
        expires_at="2027-01-01",
        guard_hits=(GuardHit(f"prepared/{digest(text)}", "e-mail address", 1, refused=False, lines=(1,)),),
        suggested=(
            Suggestion("content type", "campaign-learning", "the text names no competitor and no metric"),
            Suggestion("tag", "webinar", "the text says", ("webinar",)),
            Suggestion("tag", "2026-q4", "its date"),
        ),
        questions=("What do we know about webinar, leads, convert and slower?",),
    )


def duplicate() -> PrepareResult:
    return replace(
        prepared(),
        status="duplicate",
        priority="normal",
        expires_at="",
        existing_key="insight/2026-01-05T10:00:00",
        existing_stored_at="2026-11-20T18:00:00+00:00",
        existing_tags=("webinar",),
        merged_tags=("2026-q4",),
        guard_hits=(),
        suggested=(),
    )


def refused() -> PrepareResult:
    hit = GuardHit("prepared/", "API key", 1, refused=True, lines=(1,))
    return replace(prepared(), status="refused", key="", guard_hits=(hit,), suggested=(), questions=())


def hit(number: int = 1, **changes: object) -> Hit:
    text = "Carousel posts on Instagram got three times more saves than single images in March."
    found = Hit(
        id="5d2a1f6e-0c0b-5b7e-9a51-0a8a1b2c3d4e",
        key=f"insight/2026-01-{number:02d}T10:00:00",
        content=text,
        passage=text,
        kind="insight",
        content_type="campaign-learning",
        source="sync",
        tags=("instagram", "2026-q1"),
        recorded_at="2026-01-05T10:00:00",
        score=0.91,
        relevance=Relevance.HIGHLY,
        similarity=0.64,
        share=1.0,
        words=("carousel", "saves"),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def search() -> SearchResult:
    moved = FactLine("Carousel posts lead in saves", "2026-01-05T10:00:00", "", "insight/2026-01-01T10:00:00")
    old = FactLine("Single images lead in saves", "2025-06-01", "2026-01-05T10:00:00", "insight/2025-06-01T10:00:00")
    return SearchResult(
        brand="acme-coffee",
        query="instagram carousel saves",
        filters={"content_type": "campaign-learning", "from_date": "2026-01-01"},
        hits=(
            hit(1),
            hit(2, relevance=Relevance.RELATED, priority="high", key=f"session/{digest('x')}", author="Dana"),
            hit(3, relevance=Relevance.TANGENTIAL, state="retired", retired_at="2026-02-01T09:00:00+00:00"),
        ),
        elsewhere=(hit(4, service="Pinecone (dm-memory)", source="", score=0.0, relevance=Relevance.TANGENTIAL),),
        entries=210,
        model=MODEL,
        words=("instagram", "carousel", "saves"),
        entities=(EntityFacts("Instagram", "channel", (moved,), ((old, moved),)),),
        patterns=patterns().patterns[:2],
    )


def explained() -> SearchResult:
    why = Explanation(
        words=(WordFound("carousel", 3.1, found=True), WordFound("shares", 2.4, found=False)),
        bm25=7.25,
        by_words=0.8,
        similarity=0.64,
        by_meaning=0.9,
        weight=0.4,
        by_single_words=0.05,
        by_neighbours=0.0,
        reasons=("contains carousel", "similar in meaning (0.64)"),
    )
    return replace(search(), hits=(hit(1, score=0.89, explanation=why),), elsewhere=(), entities=(), patterns=())


def search_unknown() -> SearchResult:
    far = hit(1, relevance=Relevance.TANGENTIAL)
    return replace(
        search(),
        query="who founded the company?",
        filters={},
        hits=(far,),
        known=False,
        entities=(),
        patterns=(),
        elsewhere=(),
    )


def search_nothing() -> SearchResult:
    return replace(
        search(), hits=(), elsewhere=(), entities=(), patterns=(), query="mount everest", filters={}, known=False
    )


def history() -> SearchResult:
    lines = (
        RevisionLine(1, "Send on Monday.", "2026-01-05T10:00:00", "2026-02-01T09:00:00+00:00", "changed"),
        RevisionLine(2, "Send on Tuesday morning.", "2026-02-01T09:00:00+00:00", "", ""),
    )
    return replace(search_nothing(), query="", history=lines)


def verify() -> VerifyResult:
    memory = Drift("memory", "memory.db", checked=210, missing=1, stale=0, unknown=0, examples=("insight/a",))
    pinecone = Drift(PINECONE, "Pinecone (dm-memory)", checked=210, missing=2, stale=1, unknown=None)
    return VerifyResult("acme-coffee", repair=False, parts=(memory, pinecone), seconds=0.4)


def migrate() -> MigrateResult:
    return MigrateResult(
        "acme-coffee", "memory", "Qdrant (db)", due=210, stored=210, failed=0, expected=210, counted=210, sampled=50,
        differing=0, stopped=False, seconds=2.4,
    )  # fmt: skip


def checks() -> tuple[Check, ...]:
    return (
        Check("Home folder", "ok", "Found, with 2 brands"),
        Check("Free space", "warn", "Only 120 MB are free", "Free some space"),
        Check("Memory of acme-coffee", "fail", "The file is damaged", "Sync once: it is rebuilt"),
    )


def error() -> BrandNotFoundError:
    return BrandNotFoundError(
        'There is no brand "acme".', "Name one of the brands there are with --brand.", ("acme-coffee", "beanco")
    )


# Forgetting, correcting, files ---------------------------------------------------------------------------------------

ALONE = "This computer and the services that are connected to it; other computers keep what they have."


def forget_preview() -> ForgetResult:
    """One insight, stated twice, with an earlier text; a file still states it."""
    key = "insight/2026-01-05T10:00:00"
    said = "Mara K. asked for a refund twice"
    items = (
        ForgetItem(key, said, "entry", "campaign-learning", "current", "2026-01-05T10:00:00", "insights.json"),
        ForgetItem(key, "Mara K. asked for a refund", "revision", "campaign-learning", "current", "2026-01-04"),
        ForgetItem(f"session/{digest(said)}", said, "duplicate", "campaign-learning", "retired", "2026-01-06"),
    )
    places = ForgetPlaces(
        entries=2,
        revisions=1,
        vectors=1,
        facts=3,
        patterns=1,
        journal=2,
        files=1,
        services={"Pinecone (dm-memory)": 1, "Supermemory": 1},
    )
    return ForgetResult(
        "acme-coffee", "preview", digest("token")[:32], items, places, ("insight/x",), {"insights.json": (key,)}, ALONE
    )


def forgotten() -> ForgetResult:
    proof = ForgetProof(
        files=11,
        bytes=1_404_829,
        cleaned=("journal.jsonl", "backups/20261124-101500/memory.db"),
        short=1,
        services=(ServiceProof(PINECONE, "Pinecone (dm-memory)", looked=1),),
    )
    reach = "Every computer that syncs with Turso cleans its own memory with its next sync."
    return replace(forget_preview(), status="forgotten", unknown=(), returning={}, reach=reach, proof=proof)


def partly_forgotten() -> ForgetResult:
    """A file can't be written, Pinecone is slow, Supermemory is down, Qdrant is not configured any more."""
    failure = Failure("unavailable", "Supermemory can't be reached.", "Check the network.", service=SUPERMEMORY)
    proof = ForgetProof(
        files=11,
        bytes=1_404_829,
        left=("backups/old/memory.db",),
        services=(
            ServiceProof(PINECONE, "Pinecone (dm-memory)", looked=1, left=1, due=1),
            ServiceProof(SUPERMEMORY, "Supermemory", due=1, failure=failure),
        ),
        parked=("vector@qdrant:db:6333/dm-memory",),
    )
    return replace(forget_preview(), status="partial", unknown=(), proof=proof)


def nothing_to_forget() -> ForgetResult:
    return ForgetResult("acme-coffee", "nothing", unknown=("insight/x",))


def restored() -> ForgetResult:
    return ForgetResult("acme-coffee", "restored", unknown=("insight/x",), restored=1, reach=ALONE)


def corrected() -> PrepareResult:
    old = "Webinar leads convert faster"
    return replace(
        prepared(),
        status="corrected",
        key="insight/2026-01-05T10:00:00",
        replaced_title=old,
        replaced_hash=digest(old),
        priority="normal",
        expires_at="",
        guard_hits=(),
        suggested=(),
    )


def corrected_and_purged() -> PrepareResult:
    return replace(corrected(), purged=forgotten())


def allowed() -> AllowResult:
    return AllowResult("acme-coffee", ("e-mail address", "phone number"), "allowed", 2)


def entry_history() -> HistoryResult:
    return HistoryResult(
        "acme-coffee",
        asked="session/copy",
        key="insight/2026-01-05T10:00:00",
        content_type="campaign-learning",
        state="current",
        origin="insights.json",
        author="Dana",
        tags=("email",),
        versions=(
            Version(1, "Send on Monday.", "2026-01-05T10:00:00", "2026-02-01T09:00:00+00:00", "changed"),
            Version(2, "Send on Tuesday.", "2026-02-01T09:00:00+00:00", "2026-03-01T09:00:00+00:00", "corrected"),
            Version(3, "Send on Tuesday morning.", "2026-03-01T09:00:00+00:00", "", ""),
        ),
        facts=(("Tuesday is best for email", "2026-02-01", ""),),
    )


def patterns() -> PatternsResult:
    """One point that worked, one that failed, one that did both, and two figures for one thing."""
    found = (
        PatternLine(
            "Early access for subscribers",
            "worked",
            3,
            0,
            1.0,
            ("spring-2026", "summer-2026", "autumn-2026"),
            ("email",),
            "2026-03-02T10:00:00",
            "2026-10-01T10:00:00",
        ),
        PatternLine("Podcast codes read fast", "failed", 0, 1, 0.0, ("spring-2026",), (), "2026-03-02", "2026-03-02"),
        PatternLine(
            "A gift with the second bag",
            "mixed",
            1,
            1,
            0.5,
            ("spring-2026", "summer-2026"),
            ("email", "retail"),
            "2026-03-02",
            "2026-07-01",
        ),
    )
    first, second = "campaign/spring-2026#results/email", "performance/2026-03-31"
    return PatternsResult(
        "acme-coffee",
        found,
        7,
        (Contradiction("Spring, open rate, March", "31 %", first, "24 %", second),),
    )


def exported() -> ExportResult:
    return ExportResult("/srv/exports/acme.jsonl", "jsonl", {"acme-coffee": 210}, 3, 1, 161_523, seconds=0.02)


def imported() -> ImportResult:
    return ImportResult(
        "/srv/exports/acme.jsonl",
        {"acme-coffee": 210},
        new=12,
        changed=1,
        unchanged=195,
        duplicates={"insight/b": "insight/a"},
        forgotten=1,
        refused=("line 7: it can't be read, or names no brand",),
        seconds=0.4,
    )


def backed_up() -> BackupResult:
    return BackupResult("acme-coffee", "/backups/acme", 210, 1_272_599, "2026-11-25T22:39:32+00:00", 0.07)


def put_back() -> RestoreResult:
    failure = Failure("unavailable", "Supermemory can't be reached.", "Check the network.", service=SUPERMEMORY)
    down = service(name=SUPERMEMORY, role="cross-session", engine="Supermemory", stored=0, queued=2, failure=failure)
    return RestoreResult(
        "acme-coffee", "/backups/acme", 210, "/brands/acme/memory/backups/now", 1, (service(removed=4), down), 0.25
    )
