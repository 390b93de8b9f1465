"""Pages where the plugin keeps records: what a person writes down of insights, competitors, audiences, signals."""

from __future__ import annotations

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.markdown import points
from dm_memory.brand.formats.pages import Target, filled, read_page, tags_in
from dm_memory.brand.formats.text import is_placeholder, says_something
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile, SourceKind
from dm_memory.brand.sources.guidelines import parse_file
from dm_memory.items import ContentType, Facts, Kind
from dm_memory.text.dates import dates_in_heading

__all__ = ["parse_notes"]

_KINDS = {
    SourceKind.COMPETITORS: ("competitor", ContentType.COMPETITIVE_INTEL, "Competitor"),
    SourceKind.SIGNALS: ("signal", ContentType.COMPETITIVE_INTEL, "Signal"),
    SourceKind.AUDIENCES: ("audience", ContentType.CAMPAIGN_LEARNING, "Audience"),
}


def parse_notes(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return an item for each section of a page; of insights and learnings one for each point of a list."""
    if file.kind in _KINDS:
        prefix, content_type, lead = _KINDS[file.kind]
        facts: Facts = {"insight_type": prefix, "insight_source": "notes"}
        folder = f"{file.path.split('/')[0]}/" if "/" in file.path else ""
        collector = Collector(file, Kind.INSIGHT, limits)
        return parse_file(Target(collector, prefix, folder, content_type, facts, lead), data, context)
    return _insights(file, data, context, limits)


def _insights(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    page = read_page(file, data, context.date_order)
    collector = Collector(file, Kind.INSIGHT, limits, updated_at=page.recorded_at, findings=list(page.findings))
    found = 0
    for section in page.sections():
        if not (body := filled(section.body)):
            collector.unfilled += bool(section.body)
            continue
        found += 1
        dates = [date for heading in section.path if (date := dates_in_heading(heading, context.date_order))]
        # A heading that is a date says no more than the date.
        headings = [heading for heading in section.path if not dates_in_heading(heading, context.date_order)]
        entries, rest = points(body)
        for text in (*entries, rest):
            if not says_something(text) or is_placeholder(text):
                continue
            collector.add_entry(
                f"insight/{file.name}#{'/'.join(section.path) or 'intro'}",
                f"{' > '.join(headings)}: {text}" if headings else text,
                ContentType.PERFORMANCE_INSIGHT,
                recorded_at=dates[-1].iso if dates else page.recorded_at,
                facts={**page.facts, "insight_source": "notes"},
                tags=(*page.tags, *tags_in(text)),
            )
    return collector.result(found)
