"""The report of ``forget_memory``: what would go and from where, the proof that it went, and what may come back."""

from __future__ import annotations

from collections import Counter

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import (
    QUOTED_NOTE,
    TEXT_BYTES,
    bulleted,
    bullets,
    document,
    failure_text,
    finding_text,
    fitting,
    key_code,
    restore_call,
)
from dm_memory.report.words import counted, entries, listed, number, role_of, role_words, sentence_end, size, when
from dm_memory.results import ForgetItem, ForgetPlaces, ForgetProof, ForgetResult, ServiceProof

__all__ = ["forget_report", "proof_lines"]

_LINES = 50
_SHOWN_KEYS = 5
_SHOWN_FILES = 8

_KINDS = {"duplicate": "the same text under another key", "revision": "an earlier text of this entry"}


def forget_report(result: ForgetResult, *, reader: Reader = Reader.TERMINAL) -> Report:
    """Render a preview, a deletion with its proof, or what may be stored again."""
    text = fitting(lambda limit: _text(result, limit, reader), max(_LINES, len(result.items)), TEXT_BYTES)
    rest = "Narrow what is to be forgotten, and every text is shown."
    return Report(text, {"kind": "forget", **data_of(result)}, result.exit_code, rest)


def _text(result: ForgetResult, limit: int, reader: Reader) -> str:
    sections: list[tuple[str, list[str]]] = []
    is_done = result.proof is not None
    if result.items:
        lines = bullets(map(_item_text, result.items), total=len(result.items), limit=limit, rest="narrow the request")
        sections.append(("What is gone" if is_done else "What would go", [lines]))
        sections.append(("From where", [bulleted(_places(result.places))]))
    if result.proof is not None:
        sections.append(("What was looked at", [bulleted(proof_lines(result.proof))]))
    if result.items:
        sections.append(("What could come back", _returning(result, reader)))
    if result.reach and result.items:
        sections.append(("How far it reaches", [sentence_end(inline(result.reach))]))
    lead = [_lead(result, reader)]
    if result.unknown:
        unknown = listed(key_code(key) for key in result.unknown[:_SHOWN_KEYS])
        more = len(result.unknown) - _SHOWN_KEYS
        lead.append(f"Not found: {unknown}" + (f" and {number(more)} more." if more > 0 else "."))
    lead += [f"- {finding_text(finding)}" for finding in result.findings]
    return document(f"# Forgetting in {code(result.brand)}", [*lead, QUOTED_NOTE], sections)


def _lead(result: ForgetResult, reader: Reader) -> str:
    what = _what(result) if result.items else ""
    if result.status == "preview":
        return f"**Preview: nothing was deleted.** {what} would be deleted for good. {_confirm(result, reader)}"
    if result.status == "changed":
        start = "**Nothing was deleted: memory has changed since the preview, or the token is not of this request.**"
        return f"{start} {what} would be deleted now. {_confirm(result, reader)}"
    if result.status == "forgotten":
        return f"**Forgotten: {what} deleted for good**, and looked for everywhere: nothing is left."
    if result.status == "partial":
        return f"**Deleted from memory: {what}. Not everything is proven gone yet**, see “What was looked at”."
    if result.status == "restored":
        sync = call(reader, "sync_memory", result.brand)
        texts = counted(result.restored, "text")
        return f"**{texts} may be stored again.** What a file still states comes back with the next sync: {sync}"
    return "**Nothing was changed: nothing fits.** Words are matched exactly, and every criterion must fit."


def _what(result: ForgetResult) -> str:
    kinds = Counter(item.what for item in result.items)
    words = [
        (kinds["entry"], "entry", "entries"),
        (kinds["duplicate"], "duplicate", "duplicates"),
        (kinds["revision"], "earlier text", "earlier texts"),
    ]
    return listed(counted(*each) for each in words if each[0])


def _confirm(result: ForgetResult, reader: Reader) -> str:
    token = code(result.token)
    if reader is Reader.TOOL:
        return f"Ask the user; then call again with the same arguments, `dry_run=false` and `token` {token}."
    return f"To delete it, run the same command again with {code(f'--delete --token {result.token}')}."


def _item_text(item: ForgetItem) -> str:
    parts = [quote(item.title, 100)]
    parts += [_KINDS[item.what]] if item.what in _KINDS else []
    parts.append(inline(item.content_type, 40))
    parts += [inline(item.state, 20)] if item.state == "retired" else []
    parts += [when(item.recorded_at)] if item.recorded_at else []
    parts += [f"from {code(item.origin)}"] if item.origin else []
    return " · ".join([*parts, f"key {key_code(item.key)}"])


def _places(places: ForgetPlaces) -> list[str]:
    inside = [
        counted(count, *words)
        for count, *words in (
            (places.entries, "entry", "entries"),
            (places.revisions, "earlier text"),
            (places.vectors, "vector"),
            (places.facts, "fact"),
        )
        if count
    ]
    lines = [f"Memory on this computer: {listed(inside)}."] if inside else []
    if places.patterns:
        lines.append(f"Patterns that are counted again without it: {number(places.patterns)}.")
    if places.journal:
        lines.append(f"Journal: {counted(places.journal, 'line')}.")
    if places.files:
        lines.append(f"Texts handed in and kept as files: {number(places.files)}.")
    lines += [f"{inline(engine, 60)}: {entries(count)}." for engine, count in places.services.items()]
    lines.append("Copies below `memory/`: cache, exports and backups that dm-memory made there, last report, logs.")
    return lines


def _returning(result: ForgetResult, reader: Reader) -> list[str]:
    """Return what the brand's own files still say: forgetting leaves them as they are."""
    if not result.returning:
        return ["No file of the brand states it."]
    does = "stays" if result.proof is not None else "would stay"
    head = (
        "These files of the brand still state it, and are not changed. "
        f"It {does} out of memory until its text changes there, or somebody restores it; delete it there as well."
    )
    lines = []
    for path, keys in result.returning.items():
        more = len(keys) - _SHOWN_KEYS
        shown = listed([key_code(key) for key in keys[:_SHOWN_KEYS]])
        lines.append(f"{code(path)}: {entries(len(keys))}, {shown}" + (f" and {number(more)} more" if more > 0 else ""))
    how = restore_call(reader, result.brand, "KEY")
    return [head, bulleted(lines), f"To restore, by key or by the text itself: {how}"]


def proof_lines(proof: ForgetProof) -> list[str]:
    """Return what was looked at after a deletion, and what was found."""
    read = f"{counted(proof.files, 'file')} below `memory/` ({size(proof.bytes)})"
    verb = "was" if proof.files == 1 else "were"
    if proof.left:
        left = listed(code(path) for path in proof.left[:_SHOWN_FILES]) + (
            ", …" if len(proof.left) > _SHOWN_FILES else ""
        )
        lines = [
            f"**{read} {verb} read byte by byte: the text is still in {left}.** Close what uses them, forget again."
        ]
    else:
        lines = [f"{read} {verb} read byte by byte: none contains the text any more."]
    if proof.cleaned:
        more = len(proof.cleaned) - _SHOWN_FILES
        cleaned = listed(code(path) for path in proof.cleaned[:_SHOWN_FILES]) + (
            f" and {more} more" if more > 0 else ""
        )
        lines.append(f"Removed, or written again without it: {cleaned}.")
    if proof.short:
        what = counted(proof.short, "text is", "texts are")
        lines.append(f"{what} too short to be recognised by bytes: looked for in the database's rows and by ids only.")
    lines += map(_service_line, proof.services)
    for name in proof.parked:
        there = f"{role_words(role_of(name))} {code(name.partition('@')[2] or name)}"
        lines.append(f"**Not connected at present: {there}.** It is deleted there as soon as it is connected again.")
    return lines


def _service_line(service: ServiceProof) -> str:
    engine = inline(service.engine, 60)
    if service.failure is not None:
        due = counted(service.due, "deletion is", "deletions are")
        return f"**{engine}: {due} still due**, the next sync tries again. {failure_text(service.failure)}"
    if service.left:
        return (
            f"**{engine}: still has {number(service.left)} of {entries(service.looked)}**; the next sync deletes again."
        )
    if service.due:
        return f"**{engine}: {counted(service.due, 'deletion is', 'deletions are')} still due**; the next sync does it."
    return f"{engine}: looked for {entries(service.looked)} by id, none is there."
