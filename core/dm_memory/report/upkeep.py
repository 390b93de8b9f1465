"""The reports of ``dm-memory verify`` and ``dm-memory migrate``."""

from __future__ import annotations

from dm_memory.report.data import failure_data, finding_data
from dm_memory.report.escape import code, inline, scrub, visible
from dm_memory.report.model import Report
from dm_memory.report.parts import command, document, failure_text, finding_text
from dm_memory.report.words import duration, entries, number, role_of
from dm_memory.results import LayerDrift, MigrateResult, VerifyResult

__all__ = ["migrate_report", "verify_report"]


def verify_report(result: VerifyResult) -> Report:
    """Render a comparison of registry and layers."""
    rows = [
        "| Layer | Engine | Compared | Missing | Stale | Unknown | Mended |",
        "|---|---|---:|---:|---:|---:|---:|",
        *map(_row, result.layers),
    ]
    notes = [f"- {note}" for layer in result.layers for note in _notes(layer)]
    notes += [f"- {finding_text(finding)}" for finding in result.findings]
    sections = [
        ("Layers", ["\n".join(rows)]),
        ("Please know", ["\n".join(notes) or "Nothing besides."]),
        ("What to do next", [_next(result)]),
    ]
    text = document(f"# Verification of {code(result.brand)}", [_verdict(result)], sections)
    return Report(text, _verify_data(result), result.exit_code)


def _verdict(result: VerifyResult) -> str:
    took = duration(result.seconds)
    differing = sum(layer.differing for layer in result.layers)
    if any(layer.failure for layer in result.layers):
        return f"**Not every layer could be compared**, see below. {entries(differing)} differ in the others. ({took})"
    if not differing:
        return f"**Registry and layers agree.** ({took})"
    mended = sum(layer.repaired for layer in result.layers)
    if not result.repair:
        return f"**{entries(differing)} differ.** Nothing was changed. ({took})"
    return f"**{entries(differing)} differed, {number(mended)} were mended.** ({took})"


def _row(layer: LayerDrift) -> str:
    unknown = "not listed" if layer.unknown is None else number(layer.unknown)
    counts = " | ".join(map(number, (layer.checked, layer.missing, layer.stale)))
    return f"| {role_of(layer.name)} | {inline(layer.engine, 60)} | {counts} | {unknown} | {number(layer.repaired)} |"


def _notes(layer: LayerDrift) -> list[str]:
    notes = [failure_text(layer.failure)] if layer.failure else []
    if layer.examples:
        keys = ", ".join(code(key, 80) for key in layer.examples)
        notes.append(f"{role_of(layer.name)}: for example {keys}.")
    return notes


def _next(result: VerifyResult) -> str:
    if not result.exit_code:
        return "Nothing to do."
    if any(layer.failure for layer in result.layers):
        return "Mend what keeps a layer from answering (see above), then verify again."
    if not result.repair:
        again = command("verify", result.brand, "--repair")
        return f"{again} stores again what is missing or stale, and takes up what the registry does not know."
    return (
        "What is left is text that another entry holds too: it can be found, and nothing is lost. "
        "A sync with force writes everything anew."
    )


def _verify_data(result: VerifyResult) -> dict[str, object]:
    return {
        "kind": "verify",
        "brand": result.brand,
        "repair": result.repair,
        "agrees": not any(layer.differing or layer.failure for layer in result.layers),
        "seconds": round(result.seconds, 4),
        "layers": [_layer_data(layer) for layer in result.layers],
        "findings": [finding_data(finding) for finding in result.findings],
    }


def _layer_data(layer: LayerDrift) -> dict[str, object]:
    return {
        "name": layer.name,
        "role": role_of(layer.name),
        "engine": scrub(layer.engine),
        "checked": layer.checked,
        "missing": layer.missing,
        "stale": layer.stale,
        "unknown": layer.unknown,
        "examples": [visible(key) for key in layer.examples],
        "repaired": layer.repaired,
        "error": failure_data(layer.failure) if layer.failure else None,
    }


def migrate_report(result: MigrateResult) -> Report:
    """Render a migration."""
    held = "can't say" if result.held is None else number(result.held)
    confirmed, refused = number(result.stored), number(result.failed)
    read, differing = entries(result.sampled), number(result.differing)
    lines = [
        f"To move when it began: {number(result.due)}; confirmed in this run: {confirmed}; refused: {refused}.",
        f"Should be there: {number(result.expected)}; {inline(result.target, 60)} says: {held}.",
        f"Read back: {read}, {differing} of them not as they should be.",
    ]
    notes = [f"- {failure_text(result.failure)}"] if result.failure else []
    notes += [f"- {finding_text(finding)}" for finding in result.findings]
    sections = [
        ("Moved", ["\n".join(f"- {line}" for line in lines)]),
        ("Please know", ["\n".join(notes) or "Nothing besides."]),
        ("What to do next", [_next_step(result)]),
    ]
    way = f"from {inline(result.source, 60)} to {inline(result.target, 60)}"
    done = "**Everything is there**" if result.expected else "**There is nothing to move, the durable store is empty**"
    done = done if result.is_complete else "**Not everything is there yet**"
    text = document(f"# Migration of {code(result.brand)}", [f"{done}: {way}, {duration(result.seconds)}."], sections)
    return Report(text, _migrate_data(result), result.exit_code)


def _next_step(result: MigrateResult) -> str:
    if not result.is_complete:
        return "Migrate again: it goes on where it stopped, and stores nothing twice."
    if not result.expected:
        return "Sync first: that fills the durable store."
    return "Set DM_MEMORY_VECTOR_DB to the new database, or remove the settings of the other one; then sync."


def _migrate_data(result: MigrateResult) -> dict[str, object]:
    return {
        "kind": "migrate",
        "brand": result.brand,
        "source": scrub(result.source),
        "target": scrub(result.target),
        "complete": result.is_complete,
        "due": result.due,
        "stored": result.stored,
        "failed": result.failed,
        "expected": result.expected,
        "held": result.held,
        "sampled": result.sampled,
        "differing": result.differing,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 4),
        "error": failure_data(result.failure) if result.failure else None,
        "findings": [finding_data(finding) for finding in result.findings],
    }
