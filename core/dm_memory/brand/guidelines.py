"""guidelines/ and the agency's sops/ -> one item per heading section; what is kept as data or a table likewise."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.documents import read_document
from dm_memory.brand.files import Limits, decode_text
from dm_memory.brand.pages import Page, add_sections, read_page, without_double_encoding
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile, SourceKind
from dm_memory.brand.tables import read_table, table_pieces
from dm_memory.brand.text import NestedTooDeeplyError, block, canonical, inline, is_empty, label, title_of, words
from dm_memory.items import ContentType, Kind, Value

__all__ = ["add_page", "parse_guideline", "parse_page_or_data"]

_DATA = frozenset({".json", ".jsonl", ".ndjson", ".yaml", ".yml"})
_TABLES = frozenset({".csv", ".tsv"})


def parse_guideline(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return one item per section of a guideline or an operating procedure; sections without text give none.

    Raises:
        BrandFileError: A data file can't be read.
    """
    collector = Collector(file, Kind.GUIDELINE, limits)
    if file.kind is SourceKind.SOP:
        facts: dict[str, Value] = {"insight_type": "sop", "insight_source": "sop"}
        return parse_page_or_data(collector, data, context, "sop", "", ContentType.GUIDELINE, facts, "Procedure")
    return parse_page_or_data(collector, data, context, "guideline", "guidelines/", ContentType.GUIDELINE, {}, "")


def parse_page_or_data(  # noqa: PLR0917  # what tells guidelines, procedures and assets apart
    collector: Collector,
    data: bytes,
    context: BrandContext,
    prefix: str,
    folder: str,
    content_type: ContentType,
    facts: dict[str, Value],
    lead: str,
    *,
    templates: bool = False,
) -> ParsedFile:
    """Return the items of a file by what it is: a page, an object with its members as sections, a table."""
    file = collector.file
    if file.suffix not in _DATA | _TABLES:
        page = read_page(file, data, context.date_order, folder)
        return add_page(collector, page, context, prefix, folder, content_type, facts, lead, templates=templates)
    name = file.name.removeprefix(folder)
    title = title_of(file.stem)
    common: dict[str, Value] = {**facts, "name": label(name)}
    if file.suffix in _TABLES:
        before, header, rows = read_table(without_double_encoding(decode_text(data)))
        for piece in table_pieces(header, rows):
            text = "\n".join([", ".join([title, *before]), piece])
            collector.add_entry(f"{prefix}/{name}#rows", text, content_type, facts={**common, "section": "rows"})
        return collector.result(len(rows))
    document = read_document(file, data)
    collector.findings += document.findings
    collector.whole &= document.whole
    values = document.value if isinstance(document.value, dict) else {"": document.value}
    found = 0
    for member, value in values.items():
        if is_empty(value) or canonical(member) in {"schema_version", "version", "updated_at", "created_at", "brand"}:
            continue
        found += 1
        try:
            # A short value stays as it is written beside its name: "tone: dry".
            text = f"{words(member)}: {inline(value)}" if member and not isinstance(value, dict | list) else block(value)
        except NestedTooDeeplyError:
            collector.malformed(member, "is nested too deeply")
            continue
        heading = f"{title} > {words(member)}" if member and isinstance(value, dict | list) else title
        key = f"{prefix}/{name}#{member or 'intro'}"
        section: dict[str, Value] = {**common, "section": label(words(member) or "intro")}
        if text:
            collector.add(key, f"{lead}{': ' if lead else ''}{heading}\n\n{text}", content_type, facts=section)
    if not found:
        collector.nothing()
    return collector.result(found)


def add_page(  # noqa: PLR0917  # as above
    collector: Collector,
    page: Page,
    context: BrandContext,
    prefix: str,
    folder: str,
    content_type: ContentType,
    facts: dict[str, Value],
    lead: str,
    *,
    templates: bool = False,
) -> ParsedFile:
    """Return the items of a page's sections."""
    name = collector.file.name.removeprefix(folder)
    order = context.date_order
    found = add_sections(
        collector, page, prefix, name, content_type, facts=facts, order=order, templates=templates, lead=lead
    )
    return collector.result(found)
