"""A page of text: Markdown (or HTML, JSX, plain text) with its front matter, cut at its headings.

What stands above a section is part of it: the file's name, the front matter's title and the headings, so that equal
rules of two channels are two entries and a learning says of what it is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dm_memory.brand.files import decode_text
from dm_memory.brand.formats.documents import looks_encoded_twice
from dm_memory.brand.formats.markdown import Section, front_matter, sections
from dm_memory.brand.formats.tables import markdown_tables, table_pieces
from dm_memory.brand.formats.text import (
    capitalised,
    fields_of,
    inline,
    is_empty,
    is_placeholder,
    label,
    labels,
    says_something,
    stamp,
    title_of,
)
from dm_memory.brand.parsed import Collector, SourceFile
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Facts, Value
from dm_memory.text.dates import dates_in_heading

__all__ = [
    "NOT_SHOWN",
    "Page",
    "Target",
    "add_sections",
    "facts_of",
    "filled",
    "front_text",
    "read_page",
    "tags_in",
    "without_double_encoding",
]

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# Obsidian's comments, embedded files and queries say nothing; a link is its text.
_OBSIDIAN = re.compile(
    r"%%.*?%%|!\[\[[^\[\]\n]+\]\]|^[ \t]*```dataview(?:js)?\b.*?(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\[\[([^\s\[\]|][^\[\]|\n]*)(?:\|([^\[\]\n]+))?\]\]")
_TAG = re.compile(r"(?<![\w/#&])#(?![0-9a-fA-F]{3,8}\b)([^\W\d_][\w/-]{1,60})")
_CODE = re.compile(r"`[^`\n]*`|https?://\S+")
_MARKS = re.compile(r"^\s*(?:[-*+\u2022]|\d+[.)]|>|\[[ xX]\])\s*|[*_`#|]+")
_MAX_LABEL_WORDS = 8
_LONG_TABLE = 1500
_UNTOLD = frozenset(
    {"custom", "index", "readme", "guidelines", "guideline", "notes", "page", "document", "untitled", "main"}
)
_DATES = (
    "date",
    "recorded_at",
    "updated",
    "updated_at",
    "last_updated",
    "modified",
    "created",
    "created_at",
    "end_date",
)
NOT_SHOWN = frozenset(
    {"title", "tags", "layout", "permalink", "slug", "draft", "id", "uuid", "name", "published", "weight", "aliases"}
    | {"cssclass", "cssclasses", "campaign_id", "collapsed", "kanban_plugin", "publish"}
)
"""What the front matter says to programs, or what every entry says anyway."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was read.

    Attributes:
        front: The front matter by canonical names.
        title: What the page is about: the front matter's title, else the file's name in words, or "" if that says
            nothing.
        text: Markdown without front matter and comments.
        recorded_at: From the front matter, else the file's name.
    """

    front: dict[str, object]
    title: str
    text: str
    recorded_at: str = ""
    findings: tuple[Finding, ...] = ()
    tags: tuple[str, ...] = ()
    facts: Facts = field(default_factory=dict)

    def sections(self) -> Iterator[Section]:
        """Yield the sections in order."""
        return sections(self.text)

    def heading(self, path: Sequence[str]) -> str:
        """Return a section's heading with everything above it that it does not say itself."""
        own = _words(" ".join(path))
        above = [part for part in self.title.split(" > ") if part and not _words(part) <= own]
        return " > ".join([*above, *path])


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def read_page(file: SourceFile, data: bytes, order: str = "", below: str = "") -> Page:
    """Return the page in ``data``.

    Args:
        file: Its suffix says what it is written in.
        data: Its bytes.
        order: How the brand writes days and months, see ``read_date``.
        below: The folder whose subfolders are part of the title.
    """
    text = decode_text(data)
    findings: list[Finding] = []
    if (repaired := without_double_encoding(text)) != text:
        message = f"{file.path}: text that was encoded twice (as “Ã©” for “é”) was repaired."
        findings.append(Finding("repaired-file", Severity.INFO, message, path=file.path))
        text = repaired
    front, text = front_matter(text)
    text = _COMMENT.sub("", text)
    if "[[" in text or "%%" in text or "```dataview" in text:
        text = _LINK.sub(lambda match: match[2] or match[1], _OBSIDIAN.sub("", text))
    suffix = file.suffix
    if suffix in {".html", ".htm", ".jsx", ".tsx", ".mdx"} or "<" in text or "&" in text:
        from dm_memory.brand.formats.html_text import has_markup, html_to_markdown  # noqa: PLC0415  # only for such a page

        page, jsx = suffix in {".html", ".htm", ".jsx", ".tsx"}, suffix in {".jsx", ".tsx", ".mdx"}
        if page or jsx or has_markup(text):
            text = html_to_markdown(text, page=page, jsx=jsx)
    fields = fields_of(front)
    stem = file.stem
    own_title = label(fields.get("title")) or label(fields.get("name"))
    title = own_title or _title(file.shown.removeprefix(below), stem)
    date = next((found for name in _DATES if (found := stamp(fields.get(name), order))), "")
    if not date and (written := dates_in_heading(stem.replace("_", "-"), order)):
        date = written.iso
    return Page(fields, title, text, date, tuple(findings), tuple(labels(fields.get("tags"))), facts_of(fields))


def _title(path: str, stem: str) -> str:
    folders = [part for part in PurePosixPath(path).parts[:-1] if part.casefold() not in _UNTOLD]
    names = [*folders, *([stem] if stem.casefold() not in _UNTOLD else [])]
    return " > ".join(title_of(name) for name in names)


def tags_in(body: str) -> tuple[str, ...]:
    """Return the tags that stand in a text, as people write them in notes: ``#weather``, ``#tone/dry``."""
    return tuple(dict.fromkeys(_TAG.findall(_CODE.sub("", body)))) if "#" in body else ()


def facts_of(fields: dict[str, object]) -> dict[str, Value]:
    """Return what a page's front matter says that is metadata."""
    facts: dict[str, Value] = {}
    for name in ("campaign_id", "campaign_name", "period", "owner", "status"):
        if text := label(fields.get(name)):
            facts[name] = text
    if campaign := label(fields.get("campaign")):
        facts.setdefault("campaign_id", campaign)
        facts.setdefault("campaign_name", campaign)
    if channels := labels(fields.get("channels") or fields.get("channel")):
        facts["channels"] = channels
    return facts


def front_text(page: Page) -> str:
    """Return the front matter as an entry's text, or "" if it says no more than a title and tags."""
    lines = []
    for name, value in page.front.items():
        if name in NOT_SHOWN or is_empty(value):
            continue
        text = inline(value)
        if text and not is_placeholder(text):
            lines.append(f"{capitalised(name)}: {text}")
    shown = [
        name for name in page.front if name not in NOT_SHOWN and name not in _DATES and not is_empty(page.front[name])
    ]
    return "\n".join([page.title, *lines]).strip() if shown else ""


def filled(body: str) -> str:
    """Return a section's text, or "" if it is a template that nobody filled in."""
    lines = body.splitlines()
    for position, line in enumerate(lines):
        header = (
            position + 1 < len(lines)
            and "|" in line
            and "-" in lines[position + 1]
            and _is_table_rule(lines[position + 1])
        )
        if header or not line.strip() or _is_table_rule(line):
            continue
        if any(_says(cell) for cell in (line.split("|") if line.strip().startswith("|") else [line])):
            return body.strip()
    return ""


def _is_table_rule(line: str) -> bool:
    return "-" in line and set(line) <= set(" \t:|-")


def _says(text: str) -> bool:
    """Return whether a line or a table's cell says something; a label before a blank field does not."""
    plain = _MARKS.sub("", text).strip()
    plain = re.sub(r"^\[[ xX]\]\s*", "", plain).strip()
    if is_empty(plain) or is_placeholder(plain):
        return False
    name, colon, value = plain.partition(":")
    if colon and len(name.split()) <= _MAX_LABEL_WORDS:
        return not (is_empty(value) or is_placeholder(value.strip()))
    return True


@dataclass(frozen=True, slots=True)
class Target:
    """Where the sections of a page, or the members of a data file, go.

    Attributes:
        prefix: What the keys begin with, without the slash.
        folder: The part of the path that keys leave out.
        facts: Of each item.
        lead: A word for what kind of text it is, before the heading.
        templates: Blank fields are what the file is for.
    """

    collector: Collector
    prefix: str
    folder: str
    content_type: ContentType
    facts: Facts = field(default_factory=dict)
    lead: str = ""
    templates: bool = False

    @property
    def name(self) -> str:
        """What keys and facts call the file."""
        return self.collector.file.name.removeprefix(self.folder)

    def add(
        self, path: str, heading: str, text: str, section: str, page: Page | None = None, *, in_list: bool = False
    ) -> None:
        """Add one section; ``path`` is its place in the file's key."""
        put = self.collector.add_entry if in_list else self.collector.add
        above = f"{self.lead}: {heading}" if self.lead and heading else heading or self.lead
        put(
            f"{self.prefix}/{self.name}#{path}",
            f"{above}\n\n{text}" if above else text,
            self.content_type,
            recorded_at=page.recorded_at if page else "",
            facts={**(page.facts if page else {}), **self.facts, "name": label(self.name), "section": label(section)},
            tags=page.tags if page else (),
        )


def add_sections(target: Target, page: Page, order: str) -> int:
    """Add an item for each section of a page; return how many sections have a text."""
    target.collector.findings += page.findings
    found = 0
    if text := front_text(page):
        rest = text.removeprefix(page.title).strip()
        target.add("front-matter", page.title, rest, "front matter", page)
        found += 1
    for section in page.sections():
        if not section.body:
            continue
        found += 1
        body = section.body if target.templates else filled(section.body)
        if not body:
            target.collector.unfilled += 1
            continue
        written = dates_in_heading(section.path[-1], order) if section.path else None
        dated = replace(page, recorded_at=written.iso) if written else page
        if target.content_type is not ContentType.BRAND_ASSET:  # a post's hashtags are part of the post
            dated = replace(dated, tags=(*page.tags, *tags_in(body)))
        pieces = list(_pieces(body))
        for piece in pieces:
            heading, own = page.heading(section.path), " > ".join(section.path) or "intro"
            target.add("/".join(section.path) or "intro", heading, piece, own, dated, in_list=len(pieces) > 1)
    return found


def _pieces(body: str) -> Iterator[str]:
    """Yield a section's text whole; of one with a long table the rest and the table's pieces, each with its header."""
    long = [
        table for table in markdown_tables(body) if sum(len(cell) for row in table[3] for cell in row) > _LONG_TABLE
    ]
    if not long:
        yield body
        return
    lines = body.splitlines()
    behind = 0
    rest: list[str] = []
    for start, end, header, rows in long:
        rest += lines[behind:start]
        yield from table_pieces(header, rows)
        behind = end
    rest += lines[behind:]
    if says_something("\n".join(rest)):
        yield "\n".join(rest).strip()


def without_double_encoding(text: str) -> str:
    """Return ``text`` with what was encoded twice ("CafÃ©") repaired."""
    if not looks_encoded_twice(text.encode("utf-8", "surrogatepass")):
        return text
    from ftfy import fix_encoding  # noqa: PLC0415  # 100 ms, only if the bytes look like it

    return "\n".join(map(fix_encoding, text.split("\n")))
