"""What was forgotten stays forgotten: read from shared stores before anything is planned, and owed to services.

``purge`` is the deed itself, for ``operations.forget`` and for what another machine of the team had forgotten: rows,
files, and a look at the bytes that are left.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from operator import methodcaller
from typing import Any

from dm_memory.findings import Finding, Severity, count_of_entries
from dm_memory.services.protocol import Service, unexpected
from dm_memory.services.resilience import ask
from dm_memory.store import outbox
from dm_memory.store.forgetting import (
    PENDING,
    Debts,
    Forgotten,
    Text,
    adopt_key,
    bury,
    decision,
    own_key,
    purge_journal,
    remaining,
    remove_texts,
    scrub,
    texts_with_macs,
)
from dm_memory.store.traces import Traces, clean_files, finish_pending, needles_of, prove
from dm_memory.sync.exports import write_index
from dm_memory.sync.feed import place_of, place_text
from dm_memory.sync.run import Delivered, Run
from dm_memory.text.hashing import content_hash, content_mac

__all__ = ["agree_on_key", "buried_at", "keep_forgotten", "purge", "settle"]

_log = logging.getLogger(__name__)


async def keep_forgotten(run: Run) -> None:
    """End what a killed process began, give services what they are owed, read what other machines had forgotten.

    A shared store that can't be read is left out of this run. A dry run does none of it.
    """
    if run.request.dry_run:
        return
    await run.worker.run(_finish, run)
    for service in run.env.services:
        shared = service.capabilities.shared
        try:
            await settle(run, service)
            if shared:
                await _read_tombstones(run, service)
        except Exception as error:  # noqa: BLE001  # a bug in an adapter must not cost the run; it is reported
            if shared:  # any other is met again by its delivery
                failure = unexpected(service.engine, error)
                run.delivered.setdefault(service.name, Delivered()).failure = failure


def _finish(run: Run) -> None:
    if finish_pending(run.store, run.memory_dir):
        write_index(run.store, run.memory_dir, run.env.vector_db)
    forgotten = Forgotten.load(run.store.connection)
    if not forgotten:
        return
    texts = (record.get("content") for record in run.journal.after(run.store.meta("journal_read")).records)
    again = {digest for text in texts if isinstance(text, str) and forgotten.has(digest := content_hash(text))}
    if again:  # handed in where nobody could know that it had been forgotten
        purge_journal(run.store, run.journal, (), again)


async def agree_on_key(run: Run) -> None:
    """Make the team's key that of new tombstones, if the shared store answers; else they are translated later."""
    for service in run.env.services:
        if service.capabilities.shared:
            try:
                await _shared_key(run, service)
            except Exception as error:  # noqa: BLE001  # what is wrong with it is met again, and reported, by the delivery
                _log.info("the shared key could not be read: %s", type(error).__name__)


async def settle(run: Run, service: Service) -> None:
    """Give a service what it is owed: tombstones, their lifting, and entries that have to be made again.

    Raises:
        ServiceError: It is owed further on.
    """
    debts = await run.worker.run(Debts.load, run.store, service.name)
    if service.capabilities.shared and (debts.forget or debts.restore):
        key = await _shared_key(run, service)
        if debts.restore:
            await ask(service, methodcaller("restore", debts.restore))
        macs = {id_: content_mac(key, digest) for id_, digest in debts.forget.items()}
        if macs:
            await ask(service, methodcaller("forget", macs))
    elif debts.again:
        await service.delete(debts.again)
    if debts.again or debts.forget or debts.restore:
        await run.worker.run(_settled, run, service, debts.again)


def _settled(run: Run, service: Service, again: Collection[str]) -> None:
    with run.store.transaction() as connection:
        outbox.doubt(connection, service.name, again, run.number)
        Debts().save(run.store, service.name)


async def _shared_key(run: Run, service: Service) -> bytes:
    """Return the team's key, and make it the one of new tombstones here."""
    proposal = await run.worker.run(_own_key, run)
    key: bytes = await ask(service, methodcaller("shared_key", proposal))
    if key != proposal:
        await run.worker.run(_adopt, run, key)
    return key


def _own_key(run: Run) -> bytes:
    with run.store.transaction():
        return own_key(run.store)


def _adopt(run: Run, key: bytes) -> None:
    with run.store.transaction():
        adopt_key(run.store, key)


def buried_at(service: str) -> str:
    """Return the name of the stored fact that says up to where a shared store's tombstones were read."""
    return f"buried:{service}"


async def _read_tombstones(run: Run, service: Service) -> None:
    """Forget what other machines had forgotten since the last look."""
    name = buried_at(service.name)
    place = place_of(await run.worker.run(run.store.meta, name))
    stones: list[Any] = []
    while True:
        page, following = await ask(service, methodcaller("tombstones", place))
        stones += page
        if following is None:
            break
        place = following
    removed = [stone.id for stone in stones if not stone.content_mac]
    if removed:
        await run.worker.run(_note_removed, run, service.name, removed)
    if buried := [stone for stone in stones if stone.content_mac]:
        key = await _shared_key(run, service)
        await run.worker.run(_bury, run, service, key, buried)
    if place is not None:
        await run.worker.run(run.store.set_meta, name, place_text(place))


def _note_removed(run: Run, service: str, ids: Sequence[str]) -> None:
    """Expect nothing any more of entries that another machine removed, as duplicates: they must not come back there."""
    with run.store.transaction() as connection:
        outbox.drop(connection, service, ids)


def _bury(run: Run, service: Service, key: bytes, stones: Sequence[Any]) -> None:
    store = run.store
    known = Forgotten.load(store.connection)
    news = [stone for stone in stones if stone.content_mac not in known.macs]
    with store.transaction():
        bury(store, [(stone.id, stone.content_mac) for stone in news])
    texts = texts_with_macs(store.connection, Forgotten((key,), frozenset(stone.content_mac for stone in news)))
    if not texts:
        return
    traces = purge(run, texts, knows=service.name)
    entries = len({text.seq for text in texts if not text.number})
    message = (
        f"{count_of_entries(entries)} forgotten on another computer"
        f" {'was' if entries == 1 else 'were'} removed here as well, with all that was made of"
        f" {'it' if entries == 1 else 'them'}."
    )
    run.outcomes.counts.buried += entries
    remedy = f"These files still contain their texts: {', '.join(traces.left)}." if traces.left else ""
    severity = Severity.WARNING if traces.left else Severity.INFO
    run.outcomes.add_findings([Finding("forgotten-elsewhere", severity, message, remedy)])


def purge(run: Run, texts: Sequence[Text], *, knows: str = "") -> Traces:
    """Remove texts from memory and from every file below its folder, and look at the bytes that are left.

    Args:
        run: The brand is locked.
        texts: From ``store.forgetting.same_texts``.
        knows: The shared store that has the tombstones already.
    """
    store = run.store
    services = {each.name: each.capabilities.shared and each.name != knows for each in run.env.services}
    with store.transaction() as connection:
        run.note_change(connection)
        stones = remove_texts(store, texts, services, run.now, run.number)
        if knows:  # it has the tombstones, so these entries are gone there: they are neither due nor missing
            outbox.forget_entries(connection, knows, [text.id for text in texts if not text.number])
        if stones:
            run.note_journal(run.append([decision(store, run.now, "forget", stones)]))
    cleaned = clean_files(store, run.memory_dir)
    write_index(store, run.memory_dir, run.env.vector_db)
    scrub(store)
    needles, short = needles_of(texts, remaining(store.connection))
    traces = prove(store, run.memory_dir, needles, short)
    traces.cleaned[:0] = cleaned
    store.set_meta(PENDING, "")
    return traces
