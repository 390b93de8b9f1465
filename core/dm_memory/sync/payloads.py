"""From an item to what may be stored: guarded, flagged, tagged, hashed. The hot path of a first sync."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from dm_memory import results
from dm_memory.findings import Finding
from dm_memory.items import Facts, Item, Kind, Value
from dm_memory.text.authors import clean_author
from dm_memory.text.flags import FLAGS_VERSION, Flags
from dm_memory.text.guard import GUARD_VERSION, MARKS, Guard, GuardHit, Hits, Policy, merge_hits
from dm_memory.text.hashing import HASH_VERSION, content_hash
from dm_memory.text.markets import regions_of
from dm_memory.text.tags import TAGGING_VERSION, Tagger, TaggingContext, normalise_tags
from dm_memory.text.terms import words_of

__all__ = ["Prepared", "Preparer", "guard_hits"]

_CACHED_TAG_SETS = 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item as the store and the services may have it.

    Attributes:
        item: The item as its source states it; its content and facts are NOT masked and must not be stored.
        content: The text to store, masked; "" if the item is refused.
        content_hash: Of ``content``; for a refused item of the text it had, so that it is known the next time.
        detected: The tags that the text and its facts speak for; sorted.
        given: The tags its source carries, normalised; sorted.
        facts: The item's facts, masked; ``flags`` lists what the text was flagged for. Empty where it is refused.
        guard_hits: What was masked or left out, with counts; never the data itself.
        places: The same of the text, with the lines it stood in.
        findings: Banned words and restricted claims in the text.
        refused: Why the item must not be stored, or "".
    """

    item: Item
    content: str
    content_hash: str
    detected: tuple[str, ...]
    given: tuple[str, ...]
    facts: Facts
    guard_hits: Hits = ()
    findings: tuple[Finding, ...] = ()
    refused: str = ""
    places: tuple[GuardHit, ...] = ()


class Preparer:
    """Prepares the items of one brand.

    Args:
        brand: The brand's slug.
        context: What the profile and the guidelines say.
        guard: Masks personal data and refuses credentials.
        tagger: Detects tags.
        flags: Finds banned words and restricted claims.
    """

    def __init__(self, brand: str, context: TaggingContext, guard: Guard, tagger: Tagger, flags: Flags) -> None:
        self.brand = brand
        self._guard = guard
        self._tagger = tagger
        self._flags = flags
        self._tag_sets: dict[tuple[str, ...], tuple[tuple[str, ...], Hits]] = {}
        self.fingerprint = _fingerprint(guard, context.fingerprint)

    @classmethod
    def of(cls, brand: str, context: TaggingContext, policy: Policy, allowed: frozenset[str] = frozenset()) -> Preparer:
        """Return the preparer with the house's own guard, tagger and flags for ``context``."""
        guard = Guard(policy, regions_of(context.target_markets), allowed)
        return cls(brand, context, guard, Tagger(context), Flags(context))

    def prepare(self, item: Item) -> Prepared:
        """Return ``item`` as it may be stored. Raises nothing: what must not be stored has ``refused`` set."""
        if item.author:
            item = replace(item, author=self.clean_author(item.author))
        words = words_of(item.content)
        guarded = self._guard.apply(item.content, words)
        facts, hits = self._guarded_facts(item.facts, guarded.hits)
        if guarded.refused:
            digest = content_hash(item.content)
            return Prepared(item, "", digest, (), (), {}, hits, (), guarded.refused, guarded.places)
        content = guarded.text
        plain = content
        if guarded.hits:
            # The marks are ours: "[e-mail]" must not tag a text with the e-mail channel.
            plain = MARKS.sub(" ", content)
            words = words_of(plain)
        plain_facts = facts if facts is item.facts else {name: _without_marks(value) for name, value in facts.items()}
        findings: tuple[Finding, ...] = ()
        # Guidelines are where the banned words are listed: flagging them there would tell nobody anything.
        if item.kind is not Kind.GUIDELINE and (flagged := self._flags.find(plain, words)):
            findings = self._flags.findings(flagged, item.key)
            facts = {**facts, "flags": [flag.label for flag in flagged]}
        given, tag_hits = self.clean_tags(item.tags) if item.tags else ((), ())
        detected = self._tagger.tags(item, plain, words, plain_facts)
        hits = merge_hits(hits, tag_hits)
        digest = content_hash(content)
        return Prepared(item, content, digest, detected, given, facts, hits, findings, "", guarded.places)

    def reasons(self, prepared: Prepared) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return why each tag was detected; see ``Tagger.reasons``."""
        return self._tagger.reasons(prepared.item, MARKS.sub(" ", prepared.content), prepared.facts)

    def _guarded_facts(self, facts: Facts, hits: Hits) -> tuple[Facts, Hits]:
        """Return the facts with personal data masked and refused values left out; the same object if all are clean."""
        is_clean = self._guard.is_clean
        kept: dict[str, Value] | None = None
        for name, value in facts.items():
            if is_clean(value):
                continue
            result = self._guard.apply_value(value)
            hits = merge_hits(hits, result.hits)
            kept = dict(facts) if kept is None else kept
            if result.refused:
                del kept[name]
            else:
                kept[name] = result.value
        return (facts if kept is None else kept), hits

    def clean_author(self, name: str) -> str:
        """Return the name of who handed something in as it may be stored; "" if it is none."""
        guarded = self._guard.apply(clean_author(name))
        return "" if guarded.refused else clean_author(guarded.text)

    def clean_tags(self, given: tuple[str, ...]) -> tuple[tuple[str, ...], Hits]:
        """Normalise given tags; a tag that contains personal data or a credential is left out and counted."""
        known = self._tag_sets.get(given)
        if known is not None:
            return known
        hits: Hits = ()
        clean = []
        for tag in given:
            result = self._guard.apply(tag)
            hits = merge_hits(hits, result.hits)
            if not result.hits:
                clean.append(tag)
        if len(self._tag_sets) >= _CACHED_TAG_SETS:
            self._tag_sets.clear()
        self._tag_sets[given] = answer = normalise_tags(clean), hits
        return answer


def guard_hits(prepared: Prepared) -> tuple[results.GuardHit, ...]:
    """Return what the guard did to an item as the report shows it."""
    places = {hit.what: hit for hit in prepared.places}
    key, refused = prepared.item.key, bool(prepared.refused)
    return tuple(
        results.GuardHit(key, what, count, refused, hit.removed, hit.lines)
        if (hit := places.get(what)) is not None
        else results.GuardHit(key, what, count, refused)
        for what, count in prepared.guard_hits
    )


def _without_marks(value: Value) -> Value:
    if isinstance(value, list):
        return [part for part in value if not MARKS.search(part)]
    return MARKS.sub(" ", value) if isinstance(value, str) else value


def _fingerprint(guard: Guard, context: str) -> str:
    """Return what decides, besides the files, how items are prepared; a change means unchanged files are read again."""
    guarding = " ".join([f"guard {GUARD_VERSION} {guard.policy}", *sorted(guard.allowed)])
    parts = f"hash {HASH_VERSION}|{guarding}|tags {TAGGING_VERSION}|flags {FLAGS_VERSION}|{context}"
    return sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()
