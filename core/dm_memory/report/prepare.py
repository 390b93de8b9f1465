"""The report of ``prepare_store``: one payload checked and set aside, known already, or refused."""

from __future__ import annotations

from dm_memory.report.data import finding_data, guard_data, tags_data
from dm_memory.report.escape import code, inline, quote, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import QUOTED_NOTE, command, document, finding_text, guard_text
from dm_memory.report.words import short_hash, when
from dm_memory.results import PrepareResult

__all__ = ["prepare_report"]

_HEADINGS = {
    "prepared": "# Prepared for memory",
    "duplicate": "# In memory already",
    "refused": "# Refused, not stored",
}


def prepare_report(result: PrepareResult) -> Report:
    """Render what became of one payload; exit code 2 where it was refused."""
    heading = _HEADINGS.get(result.status, f"# {inline(result.status, 40)}")
    blocks = [_lead(result), "\n".join(f"- {line}" for line in _facts(result)), QUOTED_NOTE]
    return Report(document(heading, blocks, []), _data(result), result.exit_code)


def _lead(result: PrepareResult) -> str:
    if result.status == "refused":
        return "The text was not kept and will not be stored. Take out what is named below, then prepare it again."
    text = quote(result.title)
    if result.status == "duplicate":
        return f"{text} is known already, so it is not stored a second time. {_merged(result)}"
    return f"{text} is safely recorded. The next sync stores it: {command('sync', result.brand)}"


def _merged(result: PrepareResult) -> str:
    if not result.merged_tags:
        return "Nothing changes."
    return f"Its entry gains the tags: {_tags(result.merged_tags)}; all else about it stays."


def _tags(tags: tuple[str, ...]) -> str:
    return ", ".join(code(tag, 60) for tag in tags[:30]) + (", …" if len(tags) > 30 else "")  # noqa: PLR2004  # a line


def _facts(result: PrepareResult) -> list[str]:
    key = f"key {code(result.key)} · " if result.key else ""
    identity = f"{key}hash {code(short_hash(result.content_hash))}"
    facts = [f"Type {inline(result.content_type, 40)} · {identity}"]
    if result.tags:
        facts.append(f"Tags: {_tags(result.tags)}")
    if result.existing_key:
        stored = f", stored {when(result.existing_stored_at)}" if result.existing_stored_at else ", not stored yet"
        facts.append(f"Existing entry: {code(result.existing_key)}{stored}")
    if result.existing_tags:
        facts.append(f"Its tags so far: {_tags(result.existing_tags)}")
    if result.priority != "normal":
        facts.append(f"Priority: {inline(result.priority, 20)}")
    if result.expires_at:
        facts.append(f"Expires: {when(result.expires_at)}")
    if result.path:
        facts.append(f"Waits in {code(result.path)}")
    facts += [f"{'Refused because of' if hit.refused else 'Masked'}: {guard_text(hit)}" for hit in result.guard_hits]
    return facts + [finding_text(finding) for finding in result.findings]


def _data(result: PrepareResult) -> dict[str, object]:
    return {
        "kind": "prepare",
        "brand": result.brand,
        "status": result.status,
        "key": scrub(result.key),
        "hash": result.content_hash,
        "content_type": scrub(result.content_type),
        "tags": tags_data(result.tags),
        "title": "" if result.status == "refused" else visible(result.title),
        "path": scrub(result.path),
        "existing_key": scrub(result.existing_key),
        "existing_stored_at": result.existing_stored_at or None,
        "existing_tags": tags_data(result.existing_tags),
        "merged_tags": tags_data(result.merged_tags),
        "priority": result.priority,
        "expires_at": scrub(result.expires_at) or None,
        "guard": [guard_data(hit) for hit in result.guard_hits],
        "findings": [finding_data(finding) for finding in result.findings],
    }
