"""campaigns/*.md -> a campaign as people write it down: a retrospective, a brief, notes."""

from __future__ import annotations

import re
from dataclasses import replace

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.markdown import Section, points
from dm_memory.brand.formats.pages import NOT_SHOWN, Page, facts_of, filled, front_text, read_page, tags_in
from dm_memory.brand.formats.tables import markdown_tables, row_text
from dm_memory.brand.formats.text import canonical, fields_of, is_placeholder, label, says_something, title_of
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.sources.campaigns import add_campaign, is_about_lessons, page_path
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.channels import channels_named
from dm_memory.text.dates import dates_in_heading

__all__ = ["parse_campaign_page"]

_RESULTS = frozenset(
    {"results", "performance", "kpis", "figures", "ergebnisse", "résultats", "resultados", "risultati", "resultaten"}
    | {"wyniki", "результаты", "結果", "结果", "成果", "결과"}
)
# "Status: Done", "**Budget:** 5,000 €", and Obsidian's "owner:: Ola"; an address is none.
_PROPERTY = re.compile(r"[-*\s]{0,4}([^\W\d][\w /'&-]{0,40}):{1,2}(?!//)[*_]*\s*([^\s].*|)")


def parse_campaign_page(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of a page about a campaign: the bullets of what was learned alone, other sections whole."""
    page = read_page(file, data, context.date_order, "campaigns/")
    sections = [section for section in page.sections() if section.body or section.path]
    front, sections = (page.front, sections) if page.front else _properties(sections)
    page = replace(page, front=front, facts=page.facts or facts_of(front))
    first = next((section.path[0] for section in sections if section.path), "")
    first = "" if is_about_lessons(first) or canonical(first) in _RESULTS else first
    named = next((text for name in ("title", "name", "campaign") if (text := label(front.get(name)))), "")
    name = named or first or title_of(file.stem)
    campaign_id = label(front.get("campaign_id")) or file.id
    facts: dict[str, Value] = {**page.facts, "campaign_id": campaign_id, "campaign_name": name}
    if status := label(front.get("status")):
        facts["campaign_status"] = status
    collector = Collector(file, Kind.CAMPAIGN, limits, updated_at=page.recorded_at, findings=list(page.findings))
    page = replace(page, title=name, facts=facts)
    if front_text(page):
        told = with_units({key: value for key, value in front.items() if key not in NOT_SHOWN})
        assert isinstance(told, dict)  # noqa: S101  # an object stays one
        add_campaign(collector, told | {"name": name, "tags": front.get("tags")}, campaign_id, context.date_order, page)
    found = 0
    for section in sections:
        if not section.body:
            continue
        found += 1
        if not (body := filled(section.body)):
            collector.unfilled += 1
            continue
        _add_section(collector, page, Section(section.path, body), context.date_order)
    return collector.result(found)


def _properties(sections: list[Section]) -> tuple[dict[str, object], list[Section]]:
    """Return what stands as ``Name: value`` below a page's title, as Notion exports it, and the sections without it."""
    at = next((at for at, section in enumerate(sections) if section.body), -1)
    if at < 0 or len(sections[at].path) > 1:
        return {}, sections
    paragraph, _, rest = sections[at].body.partition("\n\n")
    found = [_PROPERTY.fullmatch(line.strip()) for line in paragraph.splitlines()]
    if len(found) < 2 or not all(found):  # noqa: PLR2004  # one line with a colon is a sentence
        return {}, sections
    front = {match[1].strip(): match[2].strip() for match in found if match}
    return fields_of(front), [*sections[:at], Section(sections[at].path, rest.strip()), *sections[at + 1 :]]


def _add_section(collector: Collector, page: Page, section: Section, order: str) -> None:
    headings = [heading for heading in section.path if heading.casefold() != page.title.casefold()]
    last = canonical(headings[-1]) if headings else "notes"
    path = "/".join(map(canonical, headings)) or "notes"
    title = ", ".join([page.title, *headings])
    written = dates_in_heading(headings[-1], order) if headings else None
    recorded_at = written.iso if written else page.recorded_at
    channels = [heading for heading in headings if channels_named(heading)]
    page = replace(page, facts={**page.facts, "channels": channels}) if channels else page
    lessons, rest = _lessons(section.body) if any(map(is_about_lessons, headings)) else ([], section.body)
    for lesson in lessons:
        _add(collector, page, path, f"{title}: {lesson}", last, recorded_at, in_list=True)
    if not lessons or says_something(rest):
        _add(collector, page, path, f"{title}:\n{rest}", last, recorded_at)


def _lessons(body: str) -> tuple[list[str], str]:
    """Return the list entries and the rows of tables in a text, and what stands around them."""
    lines = body.splitlines()
    found: list[str] = []
    for start, end, header, rows in list(markdown_tables(body)):
        found += [row_text(header, row) for row in rows]
        lines[start:end] = [""] * (end - start)
    entries, rest = points("\n".join(lines))
    return [text for text in (*entries, *found) if says_something(text) and not is_placeholder(text)], rest


def _add(  # one item
    collector: Collector, page: Page, path: str, content: str, section: str, recorded_at: str, *, in_list: bool = False
) -> None:
    campaign_id = str(page.facts["campaign_id"])
    content_type = ContentType.PERFORMANCE_INSIGHT if section in _RESULTS else ContentType.CAMPAIGN_LEARNING
    add = collector.add_entry if in_list else collector.add
    facts: dict[str, Value] = {**page.facts, "section": label("results" if section in _RESULTS else section)}
    # The campaign's data file may have a plan or results of its own; a list is one list wherever it is written.
    key = f"campaign/{campaign_id}#{path if in_list else page_path(collector.file, campaign_id, path)}"
    tags = (*page.tags, *tags_in(content))
    add(key, content, content_type, recorded_at=recorded_at, facts=facts, tags=tags)
