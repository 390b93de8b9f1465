"""What the parsers of the plugin's records have in common: a file of objects, and an object as an entry's text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dm_memory.brand.files import Limits, broken
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    block,
    capitalised,
    fields_of,
    inline,
    is_empty,
    is_id,
    is_placeholder,
    label,
    says_something,
    stamp,
)
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, SourceFile
from dm_memory.items import Kind
from dm_memory.text.hashing import content_hash

__all__ = ["date_of", "first_label", "id_of", "lines_of", "open_records", "records_in", "text_of"]

_DATES = ("recorded_at", "created_at", "scanned_at", "date", "timestamp", "updated_at", "last_updated")
_META = frozenset(
    {
        "brand",
        "brand_slug",
        "schema_version",
        "slug",
        "version",
        "recorded_at",
        "created_at",
        "updated_at",
        "last_updated",
    }
)


def open_records(
    file: SourceFile, data: bytes, kind: Kind, limits: Limits, *, rolling: bool = False
) -> tuple[Collector, object]:
    """Return a collector and a file's value, numbers with their units.

    Raises:
        BrandFileError: The file can't be read, or is neither an object nor a list.
    """
    document = read_document(file, data)
    if not isinstance(document.value, dict | list):
        raise broken(file.path, "is neither an object nor a list")
    collector = Collector(file, kind, limits, rolling=rolling, findings=document.findings, whole=document.whole)
    return collector, document.value


def records_in(
    collector: Collector, value: object, wrappers: Collection[str] = ()
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (name, object by canonical names) of each record: of a list, of an object, or the one there is.

    What is no object is reported; a bare text in a list is an object with a name.
    """
    if isinstance(value, dict):
        fields = fields_of(value)
        inner = next((fields[name] for name in wrappers if isinstance(fields.get(name), list | dict)), None)
        if inner is not None:
            yield from records_in(collector, inner)
        elif value and all(isinstance(entry, dict) for entry in value.values()):
            for name, entry in value.items():
                yield from _record(collector, name, entry, name)
        else:
            yield from _record(collector, "", value, "position 0")
        return
    collector.listed = True
    for position, entry in enumerate(value if isinstance(value, list) else []):
        if isinstance(entry, dict):
            yield from _record(collector, "", entry, f"position {position}")
        elif isinstance(entry, str) and not is_empty(entry):
            yield entry.strip(), {"name": entry.strip()}
        elif not is_empty(entry):
            collector.malformed(f"position {position}", "is not an object")


def _record(collector: Collector, name: str, entry: object, place: str) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        value = with_units(entry)
    except NestedTooDeeplyError:
        collector.malformed(place, "is nested too deeply")
        return
    yield name, fields_of(value) if isinstance(value, dict) else {}


def date_of(fields: dict[str, object], order: str = "", names: Sequence[str] = _DATES) -> str:
    """Return a record's date as ISO-8601, or ""."""
    return next((date for name in names if (date := stamp(fields.get(name), order))), "")


def first_label(fields: dict[str, object], *names: str) -> str:
    """Return the first of some fields that says something, as a short text."""
    return next((text for name in names if (text := label(fields.get(name))) and not is_placeholder(text)), "")


def id_of(collector: Collector, fields: dict[str, object], name: str, text: str, *names: str) -> str:
    """Return what identifies a record: its id, its name in an object, else its file, and in a list its text."""
    known = first_label(fields, *names, "id") or name
    own = f"-{content_hash(text)[:8]}" if collector.listed else ""
    return known or f"{collector.file.id}{own}"


def text_of(fields: dict[str, object], *names: str) -> tuple[str, str]:
    """Return (name, text) of what a record says: under one of some names, else its longest sentence."""
    known = next((name for name in names if inline(fields.get(name))), "")
    if known:
        return known, inline(fields[known])
    said = {
        name: value.strip()
        for name, value in fields.items()
        if isinstance(value, str) and says_something(value) and not is_placeholder(value) and not stamp(value)
    }
    name = max(said, key=lambda key: len(said[key]), default="")
    return name, said.get(name, "")


def lines_of(fields: dict[str, object], left_out: Collection[str] = ()) -> list[str]:
    """Return an object as lines ``Name: value``, without what is empty, left out, or says nothing about the brand."""
    lines = []
    for name, value in fields.items():
        if name in left_out or name in _META or is_id(name, value) or is_empty(value):
            continue
        text = (
            block(value)
            if isinstance(value, list) and any(isinstance(entry, dict) for entry in value)
            else inline(value)
        )
        if not is_empty(text) and not is_placeholder(text):
            lines.append(f"{capitalised(name)}:\n{text}" if "\n" in text else f"{capitalised(name)}: {text}")
    return lines
