"""campaigns/*.md -> a campaign as people write it down: a retrospective, a brief, notes."""

from __future__ import annotations

from dataclasses import replace

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.markdown import Section, bullets
from dm_memory.brand.formats.pages import Page, filled, front_text, read_page
from dm_memory.brand.formats.text import canonical, is_placeholder, label, says_something, title_of
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.sources.campaigns import is_about_lessons
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.channels import channels_named
from dm_memory.text.dates import dates_in_heading

__all__ = ["parse_campaign_page"]

_RESULTS = frozenset(
    {"results", "performance", "kpis", "figures", "ergebnisse", "résultats", "resultados", "risultati"}
)


def parse_campaign_page(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of a page about a campaign: the bullets of what was learned alone, other sections whole."""
    page = read_page(file, data, context.date_order, "campaigns/")
    sections = [section for section in page.sections() if section.body or section.path]
    first = next((section.path[0] for section in sections if section.path), "")
    named = label(page.front.get("title")) or label(page.front.get("name")) or label(page.front.get("campaign"))
    name = named or first or title_of(file.stem)
    campaign_id = label(page.front.get("campaign_id")) or file.stem
    facts: dict[str, Value] = {**page.facts, "campaign_id": campaign_id, "campaign_name": name}
    if status := label(page.front.get("status")):
        facts["campaign_status"] = status
    collector = Collector(file, Kind.CAMPAIGN, limits, updated_at=page.recorded_at, findings=list(page.findings))
    page = replace(page, title=name, facts=facts)
    if text := front_text(page):
        first_line, _, rest = text.partition("\n")
        content = f"{first_line}, plan:\n{rest}" if rest else text
        _add(collector, page, "plan", content, "plan", page.recorded_at)
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


def _add_section(collector: Collector, page: Page, section: Section, order: str) -> None:
    headings = [heading for heading in section.path if heading.casefold() != page.title.casefold()]
    last = canonical(headings[-1]) if headings else "notes"
    path = "/".join(map(canonical, headings)) or "notes"
    title = ", ".join([page.title, *headings])
    written = dates_in_heading(headings[-1], order) if headings else None
    recorded_at = written.iso if written else page.recorded_at
    points = [text for text in bullets(section.body) if says_something(text) and not is_placeholder(text)]
    channels = [heading for heading in headings if channels_named(heading)]
    page = replace(page, facts={**page.facts, "channels": channels}) if channels else page
    if not points or not any(is_about_lessons(heading) for heading in headings):
        _add(collector, page, path, f"{title}:\n{section.body}", last, recorded_at)
        return
    for point in points:
        _add(collector, page, path, f"{title}: {point}", last, recorded_at, in_list=True)
    rest = "\n".join(line for line in section.body.splitlines() if not line.lstrip().startswith(("-", "*", "+")))
    if says_something(rest) and not any(line.strip()[:1].isdigit() for line in rest.splitlines()):
        _add(collector, page, path, f"{title}:\n{rest.strip()}", last, recorded_at)


def _add(  # one item
    collector: Collector, page: Page, path: str, content: str, section: str, recorded_at: str, *, in_list: bool = False
) -> None:
    campaign_id = page.facts["campaign_id"]
    content_type = ContentType.PERFORMANCE_INSIGHT if section in _RESULTS else ContentType.CAMPAIGN_LEARNING
    add = collector.add_entry if in_list else collector.add
    facts: dict[str, Value] = {**page.facts, "section": label("results" if section in _RESULTS else section)}
    key = f"campaign/{campaign_id}#{path}"
    add(key, content, content_type, recorded_at=recorded_at, facts=facts, tags=page.tags)
