"""The second stage of a run: the sources are read and the plan is written ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dm_memory.brand.sources import source_files
from dm_memory.findings import Finding, Severity
from dm_memory.sync import rows, session
from dm_memory.sync.duplicates import planned_from_row
from dm_memory.sync.intake import Intake, IntakeOptions, SourceItems, Taken
from dm_memory.sync.payloads import Preparer
from dm_memory.sync.reading import Chunk, Reader, file_records, missing_sources
from dm_memory.sync.requests import Scope
from dm_memory.sync.results import Action
from dm_memory.sync.state import KINDS, PREFIXES, State, is_wanted
from dm_memory.text.tags import normalise_tags
from dm_memory.text.timestamps import to_iso

__all__ = ["take_in"]


async def take_in(state: State) -> None:
    """Read the sources and write the plan ahead: first what exists nowhere else, then the files, then what waits."""
    request, environment = state.request, state.environment
    files = await state.worker.run(source_files, environment.home, state.brand, request.scope)
    paths = [file.path for file in files]
    intake = await state.worker.run(_intake, state, paths)
    if request.session_learnings:
        await state.worker.run(_take_session, state, intake)
    await state.progress("Reading the brand's files", 0, len(files))
    reader = await state.worker.run(_reader, state, intake)
    chunks = reader.chunks(files)
    done = 0
    while not state.stop.is_set() and (chunk := await state.worker.run(_take_next, state, intake, chunks)):
        done += chunk.files
        await state.progress("Reading the brand's files", done, len(files))
    if request.scope is Scope.ALL and not state.stop.is_set():
        await state.worker.run(_take_prepared, state, intake, reader)
    await state.worker.run(_finish_intake, state, intake, reader, set(paths))


def _intake(state: State, paths: Sequence[str]) -> Intake:
    options = IntakeOptions(
        run=state.run.number,
        now=to_iso(state.environment.clock()),
        layers=tuple(layer.name for layer in state.environment.layers),
        force=state.request.force,
        tags=normalise_tags(state.request.tags),
        content_type=state.request.content_type or "",
    )
    preparer = Preparer.of(state.brand, state.context, state.environment.policy)
    return Intake(state.registry, preparer, state.excluder, options, paths)


def _reader(state: State, intake: Intake) -> Reader:
    request, environment = state.request, state.environment
    return Reader(
        environment.home.brand_dir(state.brand),
        state.context,
        environment.limits,
        file_records(state.registry),
        intake.fingerprint,
        parse_all=bool(request.force or request.tags or request.content_type or request.exclude),
    )


def _take_session(state: State, intake: Intake) -> None:
    items, findings = session.items_of(state.request.session_learnings, state.run.started_at, state.environment.limits)
    state.outcomes.add_findings(findings)
    state.broken |= _has_errors(findings)
    _note(state, intake.take([SourceItems("", items)]))


def _note(state: State, taken: Taken) -> None:
    state.outcomes.planned(taken.planned, state.run.left_over)
    state.outcomes.untouched(taken.untouched, state.run.left_over)


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _take_next(state: State, intake: Intake, chunks: Iterator[Chunk]) -> Chunk | None:
    chunk = next(chunks, None)
    if chunk is None:
        return None
    state.broken |= chunk.broken
    state.outcomes.add_findings(chunk.findings)
    left_over = sum(state.run.left_over_by_origin[path] for path in chunk.skipped)
    state.outcomes.counts.unchanged += max(0, chunk.unchanged - left_over)
    if chunk.sources:
        _note(state, intake.take(chunk.sources))
    return chunk


def _take_prepared(state: State, intake: Intake, reader: Reader) -> None:
    items, names, findings = reader.prepared(state.memory_dir)
    state.outcomes.add_findings(findings)
    state.broken |= _has_errors(findings)
    state.pending_names = names
    if items:
        _note(state, intake.take([SourceItems("", items)]))


def _finish_intake(state: State, intake: Intake, reader: Reader, paths: set[str]) -> None:
    """Add what only the end of the reading shows: collisions, sources that are gone and, forced, what has left."""
    scope = state.request.scope
    findings = missing_sources(reader.records, paths, PREFIXES[scope])
    state.outcomes.add_findings([*intake.findings, *findings])
    state.broken |= _has_errors(intake.findings)
    with state.registry.transaction() as connection:
        connection.executemany("DELETE FROM files WHERE path = ?", [(finding.path,) for finding in findings])
    if state.request.force and not state.stop.is_set():
        _force_rest(state)


def _force_rest(state: State) -> None:
    """Make due again what has left the files (insights roll out of theirs), unless it is excluded."""
    kinds = KINDS[state.request.scope]
    layers = [layer.name for layer in state.environment.layers]
    for page in rows.not_seen(state.registry, sorted(kinds), state.run.number):
        wanted = [row for row in page if is_wanted(kinds, state.excluder, row)]
        with state.registry.transaction() as connection:
            due = [(row["seq"], Action.FORCED) for row in wanted]
            rows.mark_due(connection, layers, due, state.run.number, rewrite=True)
        state.outcomes.planned((planned_from_row(row, Action.FORCED) for row in wanted), state.run.left_over)
