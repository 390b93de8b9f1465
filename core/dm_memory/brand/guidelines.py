"""guidelines/*.md -> one item per heading section; restrictions.md -> the words and claims a brand must not use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dm_memory.brand.files import Limits, decode_text
from dm_memory.brand.markdown import bullets, sections
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.text import label
from dm_memory.items import ContentType, Kind, Value

__all__ = ["Restrictions", "parse_guideline", "parse_restrictions"]

# \u2013 and \u2014 are the dashes that set a remark apart.
_MARKED = re.compile(r"""(?:\*\*|__|[`"“„«*])(.+?)(?:\*\*|__|[`"”“»*])(?=$|[\s,;:.(\u2013\u2014-])""")
_REMARK = re.compile(r"\s+[\u2013\u2014-]+\s+|\s*[:(→]|\s+->")
_DASH = re.compile(r"\s[\u2013\u2014-]+\s")
_MAX_WORDS = 4


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What restrictions.md forbids."""

    banned_words: tuple[str, ...] = ()
    restricted_claims: tuple[str, ...] = ()


def parse_guideline(file: SourceFile, data: bytes, limits: Limits) -> ParsedFile:
    """Return one item per section of a Markdown file; sections without text below their heading give none."""
    name = file.path.removeprefix("guidelines/")
    collector = Collector(file.path, Kind.GUIDELINE, limits)
    found = 0
    for section in sections(decode_text(data)):
        if not section.body:
            continue
        found += 1
        heading = " > ".join(section.path)
        facts: dict[str, Value] = {"name": label(name), "section": label(heading or "intro")}
        content = f"{heading}\n\n{section.body}" if heading else section.body
        key = f"guideline/{name}#{'/'.join(section.path) or 'intro'}"
        collector.add(key, content, ContentType.GUIDELINE, "", facts)
    return collector.result(found)


def parse_restrictions(data: bytes) -> Restrictions:
    """Return the bullets below headings that contain "Banned" or "Restricted claims", freed of marks and remarks.

    ``- **cheap** - say "affordable"`` bans ``cheap``; ``- cheap, budget`` bans both.
    """
    banned: list[str] = []
    claims: list[str] = []
    for section in sections(decode_text(data)):
        nearest = next((kind for title in reversed(section.path) if (kind := _kind(title))), "")
        for bullet in bullets(section.body) if nearest else ():
            if nearest == "banned":
                banned += _phrases(bullet)
            else:
                claims.append(_phrase(bullet))
    return Restrictions(_distinct(banned), _distinct(claims))


def _kind(title: str) -> str:
    title = title.casefold()
    if "restricted claim" in title or "banned claim" in title:
        return "claims"
    return "banned" if "banned" in title else ""


def _phrase(bullet: str) -> str:
    marked = _MARKED.match(bullet)
    return _clean(marked[1] if marked else _REMARK.split(bullet, maxsplit=1)[0])


def _phrases(bullet: str) -> list[str]:
    if _MARKED.match(bullet):
        statement = _DASH.split(bullet, maxsplit=1)[0]
        return [_clean(match[1]) for match in _MARKED.finditer(statement)]
    phrase = _phrase(bullet)
    parts = [_clean(part) for part in phrase.split(",")]
    short = all(len(part.split()) <= _MAX_WORDS for part in parts)
    return parts if short else [phrase]


def _clean(text: str) -> str:
    return text.strip(" \t*_`\"'“”„«».,;:").strip()


def _distinct(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label(text) for text in texts if text))
