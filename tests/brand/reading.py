"""Files in a brand's folder, and what is read from them."""

from __future__ import annotations

import json
from pathlib import Path

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import ParsedFile, SourceFile, SourceKind
from dm_memory.brand.sources import list_sources, parse_source, read_source
from dm_memory.items import Item

CONTEXT = BrandContext("kopi", "Kopi")


def write(folder: Path, files: dict[str, object]) -> None:
    """Write files below ``folder``: bytes and texts as they are, everything else as JSON."""
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value))


def parse(path: str, kind: SourceKind, value: object, context: BrandContext = CONTEXT) -> ParsedFile:
    """Return what a file of ``kind`` holds whose contents are ``value``."""
    data = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return parse_source(SourceFile(path, kind), data, context, Limits())


def campaign(value: object, path: str = "campaigns/c.json") -> dict[str, Item]:
    """Return the items of a campaign file by their keys."""
    return by_key(parse(path, SourceKind.CAMPAIGN, value))


def guideline(text: str, path: str = "guidelines/voice.md") -> dict[str, Item]:
    """Return the items of a guideline by their keys."""
    return by_key(parse(path, SourceKind.GUIDELINE, text))


def insights(value: object, path: str = "insights.json") -> list[Item]:
    """Return the items of a file of insights."""
    return parse(path, SourceKind.INSIGHTS, value).items


def by_key(parsed: ParsedFile) -> dict[str, Item]:
    """Return a file's items by their keys."""
    return {item.key: item for item in parsed.items}


def texts(items: dict[str, Item]) -> set[str]:
    """Return the texts of items."""
    return {item.content for item in items.values()}


def read_all(home: Home, slug: str = "kopi", scope: str = "all") -> dict[str, ParsedFile]:
    """Return what every source of a brand holds, by path."""
    context = load_context(home, slug, Limits())
    found = {}
    for file in list_sources(home, slug, scope).files:
        found[file.path] = parse_source(file, read_source(home, slug, file, Limits()), context, Limits())
    return found
