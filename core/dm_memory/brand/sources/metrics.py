"""churn/, quality/_summary.json, growth/ and journeys/ -> the latest state of each: figures, not each line of a log."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import capitalised, fields_of, inline, slug_of, stamp, title_of
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, lines_of, open_records
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.dates import dates_in_heading

__all__ = ["parse_metrics"]

_UPDATED = ("updated_at", "last_updated", "recorded_at", "created_at", "date")


def parse_metrics(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the one entry that a file of measurements is: its latest state.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    value = with_units(value)
    states = value if isinstance(value, list) else [value]
    known = [fields_of(state) for state in states if isinstance(state, dict) and state]
    if not known:
        collector.nothing()
        return collector.result(len(states))
    latest = max(known, key=lambda state: date_of(state, context.date_order, _UPDATED)) if len(known) > 1 else known[0]
    before = known[known.index(latest) - 1] if len(known) > 1 and known.index(latest) else {}
    folder = file.path.split("/")[0]
    date = date_of(latest, context.date_order, _UPDATED) or _date_in(file.stem)
    collector.updated_at = date
    if folder == "journeys":
        _journey(collector, latest, date)
    elif folder == "growth":
        _growth(collector, latest, date)
    else:
        _figures(collector, folder, latest, before, date)
    return collector.result(len(states))


def _date_in(stem: str) -> str:
    """Return the moment in a name that the plugin's scripts made: ``model-loop-20261125-192150``."""
    written = dates_in_heading(stem) or None
    parts = stem.rsplit("-", 2)
    return written.iso if written else stamp("-".join(parts[1:])) if len(parts) == 3 else ""  # noqa: PLR2004  # name, day, time


def _add(collector: Collector, key: str, lines: list[str], kind: str, date: str) -> None:
    facts: dict[str, Value] = {"insight_type": kind, "insight_source": key.partition("/")[0]}
    collector.add(key, "\n".join(lines), ContentType.PERFORMANCE_INSIGHT, recorded_at=date, facts=facts)


def _figures(
    collector: Collector, folder: str, latest: dict[str, object], before: dict[str, object], date: str
) -> None:
    """Churn of a segment, averages of quality: each figure, and what it was before if it changed."""
    lines = []
    for line in lines_of(latest, {"last_eval_id"}):
        name = next((key for key in latest if line.startswith(f"{capitalised(key)}:")), "")
        was = inline(before.get(name))
        changed = was and was != inline(latest.get(name)) and len(was) < 60  # noqa: PLR2004  # a figure, no text
        lines.append(f"{line} (before: {was})" if changed else line)
    stem = collector.file.stem
    about = "Quality of the content, averages" if folder == "quality" else f"Churn risk of {title_of(stem)}"
    _add(collector, f"{folder}/{collector.file.id.lstrip('_')}", [about, *lines], folder, date)


def _growth(collector: Collector, fields: dict[str, object], date: str) -> None:
    """A model is known by its name: the newest file of it is its state. Of a projection its end is kept."""
    name = first_label(fields, "name") or title_of(collector.file.stem)
    lines = [f"Growth model {name}"]
    lines += lines_of({key: value for key, value in fields.items() if key != "name" and not _is_series(value)})
    for key, value in fields.items():
        if _is_series(value) and isinstance(value, list):
            lines.append(f"{capitalised(key)}, the last of {len(value)}: {inline(value[-1])}")
    _add(collector, f"growth/{slug_of(name)}", lines, "growth", date)


def _is_series(value: object) -> bool:
    return isinstance(value, list) and len(value) > 3 and all(isinstance(entry, dict) for entry in value)  # noqa: PLR2004


def _journey(collector: Collector, fields: dict[str, object], date: str) -> None:
    name = first_label(fields, "name") or title_of(collector.file.stem)
    lines = [f"Customer journey {name}"]
    states = fields.get("states")
    for state in states if isinstance(states, list) else []:
        known = fields_of(state) if isinstance(state, dict) else {}
        title = first_label(known, "name") or inline(state)
        rest = inline({key: value for key, value in known.items() if key != "name"})
        lines.append(f"State {title}{f': {rest}' if rest else ''}")
    steps = fields.get("transitions")
    for step in steps if isinstance(steps, list) else []:
        known = fields_of(step) if isinstance(step, dict) else {}
        start, end = first_label(known, "from_state", "from"), first_label(known, "to_state", "to")
        rest = inline(
            {key: value for key, value in known.items() if key not in {"from_state", "to_state", "from", "to"}}
        )
        lines.append(f"{start} -> {end}{f': {rest}' if rest else ''}" if start or end else inline(step))
    lines += lines_of(fields, {"name", "states", "transitions"})
    _add(collector, f"journey/{first_label(fields, 'journey_id', 'id') or collector.file.id}", lines, "journey", date)
