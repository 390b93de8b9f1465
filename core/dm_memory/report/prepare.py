"""The reports of ``prepare_store`` (one payload checked and stored, known already, or refused) and of ``allow``."""

from __future__ import annotations

from dm_memory.report.data import data_of
from dm_memory.report.escape import code, inline, quote
from dm_memory.report.forget import proof_lines
from dm_memory.report.model import Reader, Report, call
from dm_memory.report.parts import QUOTED_NOTE, bulleted, document, finding_text, guard_text, key_code, restore_remedy
from dm_memory.report.words import capital, counted, listed, when
from dm_memory.results import AllowResult, PrepareResult, Suggestion

__all__ = ["allow_report", "prepare_report"]

_HEADINGS = {
    "prepared": "# Kept in memory",
    "corrected": "# Corrected in memory",
    "duplicate": "# In memory already",
    "refused": "# Refused, not stored",
}
_FORGOTTEN = "forgotten"
_SHOWN_TAGS = 30
_SHOWN_WORDS = 5


def prepare_report(result: PrepareResult, *, reader: Reader = Reader.TERMINAL) -> Report:
    """Render what became of one payload; exit code 2 if it was refused."""
    heading = _HEADINGS.get(result.status, f"# {inline(result.status, 40)}")
    blocks = [_lead(result, reader), bulleted(_facts(result, reader)), QUOTED_NOTE]
    return Report(document(heading, blocks, []), {"kind": "prepare", **data_of(result)}, result.exit_code)


def _lead(result: PrepareResult, reader: Reader) -> str:
    if result.status == "refused" and any(finding.code == _FORGOTTEN for finding in result.findings):
        return "The text was not kept: it had been forgotten on request."
    if result.status == "refused":
        return "The text was not kept and will not be stored. Take out what is named below, then prepare it again."
    text = quote(result.title, 100)
    if result.status == "duplicate":
        changes = [f"has the priority {inline(result.priority, 20)} now"] if "priority" in result.changed else []
        changes += [f"expires {when(result.expires_at)}"] if "expires_at" in result.changed else []
        changes += [f"gains the tags: {_tags(result.merged_tags)}"] if result.merged_tags else []
        what = f"Its entry {listed(changes)}; everything else about it stays." if changes else "Nothing changes."
        return f"{text} is known already, so it is not stored a second time. {what}"
    if result.status == "corrected":
        old = f" instead of {quote(result.replaced_title, 100)}" if result.replaced_title else ""
        fate = "was forgotten" if result.purged is not None else "is kept as a revision"
        return f"{text} is in memory now{old}. The old text {fate}. {_delivered(result, reader)}"
    return f"{text} is in memory, and searches find it now. {_delivered(result, reader)}"


def _delivered(result: PrepareResult, reader: Reader) -> str:
    others = "Connected services get it"
    if result.delivering:
        others = f"The team gets it now through {inline(result.delivering[0], 60)}, other connected services"
    return f"{others} with the next sync: {call(reader, 'sync_memory', result.brand)}"


def _tags(tags: tuple[str, ...]) -> str:
    return ", ".join(code(tag, 60) for tag in tags[:_SHOWN_TAGS]) + (", …" if len(tags) > _SHOWN_TAGS else "")


def _facts(result: PrepareResult, reader: Reader) -> list[str]:
    key = f" · key {key_code(result.key)}" if result.key else ""
    facts = [f"Type {inline(result.content_type, 40)}{key}"]
    if result.tags and not any(each.what == "tag" for each in result.suggested):
        facts.append(f"Tags: {_tags(result.tags)}")
    lines = [f"{capital(each.what)} {_reason(each, ': ')}" for each in result.suggested if each.what != "tag"]
    tags = [f"{_reason(each, ' (')})" for each in result.suggested if each.what == "tag"]
    more = ", …" if len(tags) > _SHOWN_TAGS else ""
    facts += [*lines, *([f"Tags detected: {', '.join(tags[:_SHOWN_TAGS])}{more}"] if tags else [])]
    if result.existing_key:
        stored = f", stored {when(result.existing_stored_at)}" if result.existing_stored_at else ""
        facts.append(f"Existing entry: {key_code(result.existing_key)}{stored}")
    if result.existing_tags:
        facts.append(f"Its tags so far: {_tags(result.existing_tags)}")
    if result.priority != "normal":
        facts.append(f"Priority: {inline(result.priority, 20)}")
    if result.expires_at:
        facts.append(f"Expires: {when(result.expires_at)}")
    if result.questions:
        facts.append(f"Questions that find it: {', '.join(quote(each, 200) for each in result.questions)}")
    if result.purged is not None and result.purged.proof is not None:
        facts += proof_lines(result.purged.proof)
    for hit in result.guard_hits:
        fate = "Refused because of" if hit.refused else "Left out with its line" if hit.removed else "Masked"
        facts.append(f"{fate}: {guard_text(hit, where=False)}")
    for finding in result.findings:
        remedy = restore_remedy(reader, result.brand, finding) if finding.code == _FORGOTTEN else ""
        facts.append(finding_text(finding, remedy=remedy))
    return facts


def _reason(suggestion: Suggestion, before: str) -> str:
    words = ", ".join(quote(word, 60) for word in suggestion.words[:_SHOWN_WORDS])
    reason = f"{inline(suggestion.reason, 100)} {words}".rstrip()
    return f"{code(suggestion.value, 60)}{before}{reason}"


def allow_report(result: AllowResult) -> Report:
    """Render what became of something that the guard changes; what it is does not stand there."""
    what, brand = listed(inline(each, 40) for each in result.found), code(result.brand)
    outcome = {
        "allowed": f"Allowed in {brand} from now on: {what}.",
        "undone": f"Masked or left out in {brand} again, as everywhere: {what}.",
    }.get(result.status, f"Nothing changes in {brand}: it was so already.")
    again = f"The next sync reads the brand's files again: {call(Reader.TERMINAL, 'sync_memory', result.brand)}"
    handed_in = "What was handed in before is in memory as the guard left it; hand it in again."
    here = "This holds on this computer; computers that read the same files need the same decision."
    todo = [] if result.status == "nothing" else [again, handed_in, here]
    total = f"Allowed in {brand} altogether, although the guard would change it: {counted(result.total, 'thing')}."
    blocks = [outcome, bulleted([*todo, total, *map(finding_text, result.findings)])]
    return Report(document("# Guard", blocks, []), {"kind": "allow", **data_of(result)})
