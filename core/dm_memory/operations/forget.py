"""Forgetting: a preview of what would go and from where, the deed with its proof, and taking it back.

Words are matched exactly, never by meaning. A text goes with every other key it stands under. The preview's token is a
hash of the brand and of what was found; it is kept nowhere, and a set that has changed since needs a new preview.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from dm_memory.errors import DamagedStoreError, InputError, ServiceError
from dm_memory.findings import Finding
from dm_memory.items import storage_id
from dm_memory.operations.maintenance import delivering, maintenance
from dm_memory.requests import ForgetRequest, Progress
from dm_memory.results import ForgetItem, ForgetPlaces, ForgetProof, ForgetResult, ServiceProof
from dm_memory.search.phrases import contains
from dm_memory.services.protocol import Service, unexpected
from dm_memory.store.database import Store, read_store
from dm_memory.store.entries import in_json
from dm_memory.store.forgetting import (
    Debts,
    Forgotten,
    Text,
    decision,
    lift,
    macs_of_entry,
    own_key,
    same_texts,
)
from dm_memory.store.journal import Journal
from dm_memory.store.naming import cut_key, full_id, full_key
from dm_memory.sync.finish import failure_of
from dm_memory.sync.forgotten import agree_on_key, keep_forgotten, purge, settle
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.run import Environment, Run, title_of
from dm_memory.text.authors import clean_author, is_by
from dm_memory.text.hashing import content_hash, content_mac
from dm_memory.text.tags import normalise_tag
from dm_memory.text.timestamps import day_of
from dm_memory.text.words import query_words

__all__ = ["forget_brand", "forget_replaced"]

_PAGE = 500
_LOOKS = 5
_PAUSE_SECONDS = 0.4
"""Between looks at a service that deletes a moment after it said so."""


async def forget_brand(
    env: Environment, request: ForgetRequest, brand: str, progress: Progress, stop: asyncio.Event
) -> ForgetResult:
    """Show what would be forgotten, forget it, or let it be stored again.

    Raises:
        InputError: Nothing is asked for, a date is none, or the token is missing.
        DmMemoryError: The memory can't be used. A service that is down is in the result.
    """
    started = time.monotonic()
    if request.restore:
        result = await _restore(env, request, brand, progress, stop)
        return replace(result, seconds=time.monotonic() - started)
    wanted = _Wanted.of(request)
    if request.dry_run:
        result = await asyncio.to_thread(_preview_of, env, brand, wanted)
        return replace(result, seconds=time.monotonic() - started)
    if not request.token:
        raise InputError(
            "Forgetting needs the token of a preview.", "Call with dry_run=true first, and pass its token."
        )
    async with maintenance(env, brand, progress, stop) as run:
        await keep_forgotten(run)
        found = await run.worker.run(wanted.find, run.store)
        preview = await run.worker.run(_preview, run.store, found, env.services, Journal(run.memory_dir))
        if preview.status == "nothing" or preview.token != request.token:
            status = "nothing" if preview.status == "nothing" else "changed"
            return replace(preview, status=status, seconds=time.monotonic() - started)
        result = await _forget(run, found.texts, preview)
        findings = tuple(run.outcomes.findings)
    return replace(result, seconds=time.monotonic() - started, findings=findings)


async def forget_replaced(
    env: Environment, brand: str, digest: str, progress: Progress, stop: asyncio.Event
) -> ForgetResult:
    """Forget a text that entries had before they were corrected; ``digest`` is its content hash."""
    started = time.monotonic()
    async with maintenance(env, brand, progress, stop) as run:
        found = await run.worker.run(_replaced, run.store, digest)
        preview = await run.worker.run(_preview, run.store, found, env.services, Journal(run.memory_dir))
        if preview.status == "nothing":
            return preview
        result = await _forget(run, found.texts, preview)
    return replace(result, seconds=time.monotonic() - started)


def _replaced(store: Store, digest: str) -> _Found:
    texts = [text for text in same_texts(store.connection, (), [digest]) if text.number and text.content_hash == digest]
    return _Found(store.brand, texts, ())


# What is asked for ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What matches: texts to go, and keys that are not in memory."""

    brand: str
    texts: Sequence[Text]
    unknown: tuple[str, ...]

    @property
    def token(self) -> str:
        """The hash of the brand and of what was found."""
        lines = sorted(f"{text.id} {text.number} {text.content_hash}" for text in self.texts)
        return sha256("\n".join((self.brand, *lines)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The criteria of a call, all of which must fit."""

    parts: tuple[str, ...]
    keys: frozenset[str]
    campaign: str
    tag: str
    author: str
    before: int
    retired: bool

    @classmethod
    def of(cls, request: ForgetRequest) -> _Wanted:
        """Return the criteria. Raises ``InputError``."""
        query = request.query.strip()
        tag = normalise_tag(request.tag) or "" if request.tag.strip() else ""
        keys = frozenset(key.strip() for key in request.keys if key.strip())
        author = clean_author(request.author)
        if not (query or keys or request.campaign.strip() or tag or author):
            raise InputError(
                "It is not said what is to be forgotten.",
                "Pass query, keys, campaign, tag or author; before and retired narrow these, and do not stand alone.",
            )
        day = day_of(request.before) if request.before.strip() else 0
        if day is None:
            raise InputError(f"{request.before[:40]!r} is no date.", "Write it as 2026-12-31.")
        return cls(_parts(query), keys, request.campaign.strip(), tag, author, day, request.retired)

    def find(self, store: Store) -> _Found:
        """Return what fits, with every other key under which the same texts stand.

        Raises:
            InputError: A short key fits several entries.
        """
        named = {full_key(store.connection, name) or name for name in self.keys}
        tagged = (
            set(store.rows("SELECT seq FROM tags WHERE tag = ? AND removed = 0", (self.tag,))) if self.tag else set()
        )
        whole: dict[int, str] = {}
        earlier: set[str] = set()
        keys: set[str] = set()
        before: dict[int, list[tuple[str, str, int | None]]] = {}
        for seq, content, digest, recorded in store.rows(
            "SELECT seq, content, content_hash, recorded_at FROM revisions"
        ):
            before.setdefault(seq, []).append((content, digest, day_of(recorded)))
        for seq, key, content, digest, facts, state, day, author in store.rows(_ENTRIES):
            details = orjson.loads(facts)
            if named and key not in named:
                continue
            keys.add(key)
            fits = not (self.tag and (seq,) not in tagged) and not (self.retired and state != "retired")
            fits = fits and (not self.author or is_by(author, self.author))
            if not fits or (self.campaign and not _is_of(self.campaign, key, details)):
                continue
            if self._is_before(day) and self._says(content, details):
                whole[seq] = digest
            elif self.parts:
                earlier |= {
                    old
                    for text, old, then in before.get(seq, ())
                    if self._is_before(then or day) and self._says(text, {})
                }
        texts = same_texts(store.connection, whole, {*whole.values(), *earlier})
        return _Found(store.brand, texts, tuple(sorted(named - keys)))

    def _is_before(self, day: int | None) -> bool:
        return not self.before or (day is not None and day < self.before)

    def _says(self, content: str, details: Mapping[str, Any]) -> bool:
        """Return whether a text, with its details, has all the words."""
        if not self.parts or contains(content, self.parts):
            return True
        lists = (value if isinstance(value, list) else [value] for value in details.values())
        return contains("\n".join((content, *(str(part) for values in lists for part in values))), self.parts)


_ENTRIES = "SELECT seq, key, content, content_hash, facts, state, day, author FROM entries ORDER BY seq"


def _parts(query: str) -> tuple[str, ...]:
    """Return the phrases of a query and its words, stop words too."""
    phrases = query_words(query, ()).phrases
    rest = query
    for phrase in phrases:
        rest = " ".join(rest.split()).replace(phrase, " ")
    words = (word.strip(_QUOTES) for word in rest.split())
    return (*phrases, *(word for word in words if any(character.isalnum() for character in word)))


_QUOTES = '"“”„«»「」『』.,;:!?()'


def _is_of(campaign: str, key: str, details: Mapping[str, Any]) -> bool:
    """Return whether an entry is a campaign's: by the id in its key or its details, or by the campaign's name."""
    if key.startswith("campaign/") and key.removeprefix("campaign/").partition("#")[0] == campaign:
        return True
    name = str(details.get("campaign_name", ""))
    return str(details.get("campaign_id", "")) == campaign or (bool(name) and name.casefold() == campaign.casefold())


# The preview ---------------------------------------------------------------------------------------------------------


def _preview_of(env: Environment, brand: str, wanted: _Wanted) -> ForgetResult:
    memory_dir = env.home.memory_dir(brand)
    with read_store(memory_dir, brand) as store:
        if store is None:
            if any(record["op"] in {"entry", "retired", "decided"} for record in Journal(memory_dir).read().records):
                # The next sync builds it again from the journal, with what was to be forgotten.
                raise DamagedStoreError(f"The memory of {brand} is gone.", "Run a sync: it builds the memory again.")
            return ForgetResult(brand, "nothing", unknown=tuple(sorted(wanted.keys)))
        with store.snapshot():
            return _preview(store, wanted.find(store), env.services, Journal(memory_dir))


def _preview(store: Store, found: _Found, services: Sequence[Service], journal: Journal) -> ForgetResult:
    texts = found.texts
    if not texts:
        return ForgetResult(store.brand, "nothing", unknown=found.unknown)
    whole = {text.seq for text in texts if not text.number}
    rows = {row[0]: row for row in store.rows(_SHOWN, (in_json({text.seq for text in texts}),))}
    items = []
    returning: dict[str, list[str]] = {}
    for text in sorted(texts, key=lambda text: (text.key, text.number)):
        _, content_type, state, recorded, origin, duplicate = rows[text.seq]
        what = "revision" if text.number else ("duplicate" if duplicate is not None else "entry")
        items.append(ForgetItem(text.key, title_of(text.content), what, content_type, state, recorded, origin))
    for path, key in store.rows(_STATED, (in_json(whole),)):
        if (store.path.parent.parent / path).is_file():
            returning.setdefault(path, []).append(key)
    return ForgetResult(
        store.brand,
        "preview",
        found.token,
        tuple(items),
        _places(store, texts, whole, services, journal),
        found.unknown,
        {path: tuple(keys) for path, keys in returning.items()},
        _reach(services),
    )


_SHOWN = (
    "SELECT seq, content_type, state, recorded_at, origin, duplicate_of FROM entries"
    " WHERE seq IN (SELECT value FROM json_each(?))"
)
_STATED = (
    "SELECT s.path, e.key FROM sightings s JOIN entries e ON e.seq = s.seq WHERE s.path <> ''"
    " AND e.seq IN (SELECT value FROM json_each(?1)) UNION SELECT origin, key FROM entries"
    " WHERE origin <> '' AND seq IN (SELECT value FROM json_each(?1)) ORDER BY 1, 2"
)


def _places(
    store: Store, texts: Sequence[Text], whole: Iterable[int], services: Sequence[Service], journal: Journal
) -> ForgetPlaces:
    chosen = in_json(whole)
    hashes = {text.content_hash for text in texts}
    keys = {text.key for text in texts if not text.number}
    records = [record for record in journal.read().records if isinstance(record.get("content"), str)]
    names = {f"{text.prepared_hash}.json" for text in texts if text.prepared_hash}
    folders = [store.path.parent / folder for folder in ("pending", "stored")]

    def count(sql: str) -> int:
        return store.value(f"SELECT count(*) FROM {sql} IN (SELECT value FROM json_each(?))", (chosen,))

    return ForgetPlaces(
        entries=sum(not text.number for text in texts),
        revisions=sum(bool(text.number) for text in texts),
        vectors=count("vectors WHERE seq"),
        facts=count("facts WHERE entry"),
        patterns=store.value(
            "SELECT count(DISTINCT pattern) FROM points WHERE seq IN (SELECT value FROM json_each(?))", (chosen,)
        ),
        journal=sum(record.get("key") in keys or content_hash(record["content"]) in hashes for record in records),
        files=sum((folder / name).is_file() for folder in folders for name in names),
        services={service.engine: _known_in(store, service, texts) for service in services},
    )


def _known_in(store: Store, service: Service, texts: Sequence[Text]) -> int:
    sql = (
        "SELECT count(*) FROM deliveries WHERE service = ? AND kind = 'entry' AND confirmed <> ''"
        " AND id IN (SELECT value FROM json_each(?))"
    )
    return store.value(sql, (service.name, in_json({text.id for text in texts})))


def _reach(services: Sequence[Service]) -> str:
    shared = [service.engine for service in services if service.capabilities.shared]
    if shared:
        return f"Every computer that syncs with {shared[0]} cleans its own memory with its next sync."
    return "This computer and the services that are connected to it; other computers keep what they have."


# The deed ------------------------------------------------------------------------------------------------------------


async def _forget(run: Run, texts: Sequence[Text], preview: ForgetResult) -> ForgetResult:
    await run.progress("Forgetting", 0, len(texts))
    await agree_on_key(run)
    traces = await run.worker.run(partial(purge, run, texts))
    await run.worker.run(_note_cut_keys, run, texts)
    ids = [*dict.fromkeys(text.id for text in texts if not text.number)]
    again = [*dict.fromkeys(text.id for text in texts if text.number and text.id not in ids)]
    services = [await _delete_in(run, service, ids, again) for service in run.env.services]
    parked = await run.worker.run(_parked, run)
    proof = ForgetProof(
        files=traces.files,
        bytes=traces.bytes,
        left=tuple(traces.left),
        cleaned=tuple(dict.fromkeys(traces.cleaned)),
        short=traces.short,
        services=tuple(services),
        parked=tuple(parked),
    )
    return replace(preview, status="forgotten" if proof.is_complete else "partial", proof=proof)


async def _delete_in(run: Run, service: Service, ids: Sequence[str], again: Sequence[str]) -> ServiceProof:
    """Delete entries in a service and look for them there; store again those that stay, without their older texts."""
    await run.progress(f"Deleting in {service.engine}", 0, len(ids))
    work = delivering(run, service, await run.worker.run(model_in_use, run))
    error: ServiceError | None = None
    left: set[str] = set()
    try:
        await settle(run, service)
        error = (await work.run_deletions()).failure
        if error is None:
            left = await _left(service, ids)
        if error is None and again:
            error = (await work.run()).failure
    except Exception as failure:  # noqa: BLE001  # a bug in an adapter is reported, with the other services
        error = unexpected(service.engine, failure)
    due = await run.worker.run(_due, run, service.name, [*ids, *again])
    return ServiceProof(
        service.name,
        service.engine,
        looked=len(ids) if error is None else 0,
        left=len(left),
        due=due,
        failure=failure_of(error, service.name) if error else None,
    )


def _note_cut_keys(run: Run, texts: Sequence[Text]) -> None:
    """Note how reports name what was forgotten, to restore it by that: as a MAC, for it has digits of a hash.

    Another machine's tombstones, and a memory that was built again, know the whole key or the id alone.
    """
    store = run.store
    with store.transaction():
        key = own_key(store)
        for text in texts:
            if not text.number and (cut := cut_key(text.key)) != text.key:
                store.set_meta(f"{_CUT_KEY}{content_mac(key, cut)}", text.id)


_CUT_KEY = "cut-key:"


async def _left(service: Service, ids: Sequence[str]) -> set[str]:
    """Return which ids a service still has; some delete a moment after they said so."""
    left = set(ids)
    for look in range(_LOOKS):
        wanted = [*left]
        left = {id_ for at in range(0, len(wanted), _PAGE) for id_ in await service.fetch(wanted[at : at + _PAGE])}
        if not left or look == _LOOKS - 1:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return left


def _due(run: Run, service: str, ids: Sequence[str]) -> int:
    sql = (
        "SELECT count(*) FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted <> confirmed"
        " AND id IN (SELECT value FROM json_each(?))"
    )
    debts = Debts.load(run.store, service)
    return max(run.store.value(sql, (service, in_json(ids))), len(debts.forget), len(debts.again))


def _parked(run: Run) -> list[str]:
    """Return the services that are not configured at present and have something to delete."""
    names = set(run.service_names)
    sql = "SELECT DISTINCT service FROM deliveries WHERE wanted = '' AND kind = 'entry' ORDER BY service"
    return [name for (name,) in run.store.rows(sql) if name not in names]


# Taking it back ------------------------------------------------------------------------------------------------------


async def _restore(
    env: Environment, request: ForgetRequest, brand: str, progress: Progress, stop: asyncio.Event
) -> ForgetResult:
    if request.dry_run and request.token:
        raise InputError("Restoring needs no token.", "Pass restore alone.")
    findings: tuple[Finding, ...]
    async with maintenance(env, brand, progress, stop) as run:
        await keep_forgotten(run)
        restored, unknown = await run.worker.run(_lift, run, request.restore)
        for service in env.services:
            if restored and service.capabilities.shared:
                # It stays owed, and the next sync gives it; a bug must not undo the rest.
                with contextlib.suppress(Exception):
                    await settle(run, service)
        findings = tuple(run.outcomes.findings)
    status = "restored" if restored else "nothing"
    return ForgetResult(
        brand, status, unknown=unknown, restored=restored, reach=_reach(env.services), findings=findings
    )


def _lift(run: Run, names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Lift the tombstones of entries; return how many, and what is unknown.

    They are named by the key, whole or as reports print it, the whole or short id, or the text itself.
    """
    store = run.store
    forgotten = Forgotten.load(store.connection)
    macs: set[str] = set()
    unknown = []
    for name in names:
        found = {
            *macs_of_entry(store.connection, storage_id(run.brand, full_key(store.connection, name) or name.strip())),
            *macs_of_entry(store.connection, full_id(store.connection, name) or name.strip()),
            *forgotten.macs_of(content_hash(name)),
        }
        for key in () if found else forgotten.keys:
            found.update(macs_of_entry(store.connection, store.meta(f"{_CUT_KEY}{content_mac(key, cut_key(name))}")))
        macs |= found
        if not found:
            unknown.append(title_of(name))
    if not macs:
        return 0, tuple(unknown)
    with store.transaction() as connection:
        run.note_change(connection)
        stones = dict(store.rows(_STONES, (in_json(macs),)))
        ids = lift(store, macs)
        for service in run.env.services:
            if service.capabilities.shared:
                debts = Debts.load(store, service.name)
                debts.forget = {id_: digest for id_, digest in debts.forget.items() if id_ not in ids}
                debts.restore = [*dict.fromkeys((*debts.restore, *ids))]
                debts.save(store, service.name)
        run.note_journal(run.append([decision(store, run.now, "restore", stones)]))
    return len(names) - len(unknown), tuple(unknown)


_STONES = (
    "SELECT id, content_mac FROM tombstones WHERE item_table = 'episodes'"
    " AND content_mac IN (SELECT value FROM json_each(?))"
)
