"""guidelines/ and the agency's sops/ -> one item per heading section; what is kept as data or a table likewise."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, decode_text
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.pages import Target, add_sections, read_page, without_double_encoding
from dm_memory.brand.formats.tables import read_tables, table_pieces
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    block,
    canonical,
    fields_of,
    inline,
    is_empty,
    is_id,
    is_placeholder,
    label,
    title_of,
    word_set,
    words,
)
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile, SourceKind
from dm_memory.items import ContentType, Kind

__all__ = ["parse_file", "parse_guideline"]

_DATA = frozenset({".json", ".jsonl", ".ndjson", ".json5", ".jsonc", ".yaml", ".yml", ".toml"})
_TABLES = frozenset({".csv", ".tsv"})
_META = word_set("schema_version version updated_at created_at brand brand_slug")


def parse_guideline(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return one item per section of a guideline or an operating procedure; sections without text give none.

    Raises:
        BrandFileError: A data file can't be read.
    """
    collector = Collector(file, Kind.GUIDELINE, limits)
    if file.kind is SourceKind.SOP:
        facts = {"insight_type": "sop", "insight_source": "sop"}
        return parse_file(Target(collector, "sop", "", ContentType.GUIDELINE, facts, "Procedure"), data, context)
    return parse_file(Target(collector, "guideline", "guidelines/", ContentType.GUIDELINE), data, context)


def parse_file(target: Target, data: bytes, context: BrandContext) -> ParsedFile:
    """Return the items of a file by what it is: a page, an object with its members as sections, a table.

    Raises:
        BrandFileError: A data file can't be read.
    """
    collector = target.collector
    file = collector.file
    if file.suffix in _TABLES:
        entries = 0
        for before, header, rows in read_tables(without_double_encoding(decode_text(data))):
            heading = ", ".join([title_of(file.stem), *before])
            entries += len(rows)
            for piece in table_pieces(header, rows):
                target.add("rows", heading, piece, "rows", in_list=True)
        return collector.result(entries)
    if file.suffix in _DATA:
        return collector.result(_add_members(target, data))
    page = read_page(file, data, context.date_order, target.folder)
    return collector.result(add_sections(target, page, context.date_order))


def _add_members(target: Target, data: bytes) -> int:
    """Add the members of a data file, each as a section; return how many say something."""
    collector = target.collector
    document = read_document(collector.file, data)
    collector.findings += document.findings
    collector.whole &= document.whole
    title = title_of(collector.file.stem)
    values = document.value if isinstance(document.value, dict) else {"": document.value}
    found = 0
    for member, value in values.items():
        if is_empty(value) or canonical(member) in _META:
            continue
        found += 1
        own = bool(member) and isinstance(value, dict | list)
        try:
            if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
                _add_records(target, title, member, value)
                continue
            # A short value stays as it is written beside its name: "tone: dry".
            text = block(value) if own or not member else f"{words(member)}: {inline(value)}"
        except NestedTooDeeplyError:
            collector.malformed(member, "is nested too deeply")
            continue
        if text:
            heading = f"{title} > {words(member)}" if own else title
            target.add(member or "intro", heading, text, words(member) or "intro")
    if not found:
        collector.nothing()
    return found


def _add_records(target: Target, title: str, member: str, records: list[object]) -> None:
    """Add the rules, posts or terms of a list, each with its own name."""
    for record in records:
        fields = fields_of(record) if isinstance(record, dict) else {}
        named = next((name for name in ("title", "name", "label", "term") if label(fields.get(name))), "")
        told = {key: entry for key, entry in fields.items() if key not in {named, "tags"} and not is_id(key, entry)}
        text = block(told if fields else record)
        heading = " > ".join(part for part in (title, words(member), label(fields.get(named))) if part)
        if text and not is_placeholder(text):
            target.add(member or "intro", heading, text, words(member) or "intro", in_list=True)
