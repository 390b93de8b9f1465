"""What a brand must not say, wherever people write it: bullets, numbered lists, tables, comma lists, in their language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dm_memory.brand.markdown import Section, bullets
from dm_memory.brand.tables import markdown_tables
from dm_memory.brand.text import inline, is_placeholder, label, words

__all__ = ["Restrictions", "read_restrictions", "restrictions_in_value"]

# \u2013 and \u2014 are the dashes that set a remark apart.
_MARKED = re.compile(r"""(?:\*\*|__|[`"“„«*])(.+?)(?:\*\*|__|[`"”“»*])(?=$|[\s,;:.(\u2013\u2014-])""")
_REMARK = re.compile(r"\s+[\u2013\u2014-]+\s+|\s*[:(→]|\s+->")
_DASH = re.compile(r"\s[\u2013\u2014-]+\s|\s*(?:→|->)")
_INSTEAD = re.compile(
    r"(?:say|use|write|prefer|better|besser|lieber|stattdessen|dire|plutôt|usar|mejor|dì|usare|liever|hellre)\s*:?\s*(.+)$",
    re.IGNORECASE,
)
_MAX_WORDS = 4

_BANNED = re.compile(
    r"\bban(?:ned|s)?\b|\bforbid|\bprohibit|\bnever (?:use|say|write)|\b(?:do not|don.?t|must not|not to) (?:use|say|write)"
    r"|\bnot allowed|\bblack ?list|\bblock ?list|\boff.limits|\bno.go|\btaboo|\bdisallowed"
    r"|verboten|nicht (?:verwenden|benutzen|sagen|schreiben)|niemals|tabu|gesperrt|unzulässig|unerwünscht"
    r"|interdit|proscrit|à bannir|bannis|ne (?:pas|jamais) (?:utiliser|dire|écrire)"
    r"|prohibid|vetad|no (?:usar|decir|utilizar)|nunca (?:usar|decir|dizer)|proibid|não (?:usar|dizer)"
    r"|vietat|proibit|da non (?:usare|dire)|non (?:usare|dire)"
    r"|verboden|niet gebruiken|nooit gebruiken|zakazan|niedozwolon|nie używa|förbjud|forbud|kiellet|zakázan|yasak"
    r"|запрещ|нельзя|禁止|禁用|使わない|違禁|违禁|금지|محظور",
    re.IGNORECASE,
)
_AVOID = re.compile(
    r"\bavoid|vermeid|à éviter|éviter|evitar|evitare|vermijd|unika|undvik|undgå|unngå|vält|избега|避け|避免",
    re.IGNORECASE,
)
_RESTRICTED = re.compile(
    r"\brestrict|\bregulated|\blimited|\bapproval|eingeschränkt|genehmigungspflichtig|encadré|soumis|restringid|regulad|limitat"
    r"|beperkt|ograniczon|begränsa|制限|受限",
    re.IGNORECASE,
)
_CLAIMS = re.compile(
    r"\bclaim|\bpromise|aussage|versprechen|behauptung|allégation|promesse|affirmation|afirmaci|declaraci|promesa|alegaç|promessa"
    r"|affermazion|dichiarazion|bewering|twierdze|obietnic|påstående|påstand|väittä|заявлен|обещан|表示|主張|声明|宣称",
    re.IGNORECASE,
)
_WORDS_HEADING = re.compile(
    r"\bword|\bphrase|\bterm|\bvocabular|\blanguage|wort|wörter|begriff|formulierung|mots?\b|terme|palabra|término|frase"
    r"|parol[ae]|termin|palavra|woord|słow|ord\b|слов|言葉|用語|词|語|단어|restriction|einschränkung",
    re.IGNORECASE,
)
_INSTEAD_OF = re.compile(r"^(?:instead of|rather than|(?:an)?statt|au lieu de|en lugar de|em vez de|invece di|in plaats van)", re.IGNORECASE)
_PREFERRED = re.compile(
    r"instead|^(?:we |please )?(?:use|say|write|prefer)|preferred|better|replacement|alternative|besser|lieber|wir (?:sagen|schreiben)"
    r"|plutôt|dire|mejor|decir|usar|preferi|meglio|liever|zamiast|hellre|✅|\bdo$|^do\b(?! not)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What the guidelines forbid.

    Attributes:
        avoid_words: What they would rather not see.
        preferred: What to write instead, by the word in lower case.
    """

    banned_words: tuple[str, ...] = ()
    restricted_claims: tuple[str, ...] = ()
    avoid_words: tuple[str, ...] = ()
    preferred: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.banned_words or self.restricted_claims or self.avoid_words)

    def joined(self, other: Restrictions) -> Restrictions:
        """Return both, each word once."""
        return Restrictions(
            tuple(dict.fromkeys((*self.banned_words, *other.banned_words))),
            tuple(dict.fromkeys((*self.restricted_claims, *other.restricted_claims))),
            tuple(dict.fromkeys((*self.avoid_words, *other.avoid_words))),
            tuple(dict((*other.preferred, *self.preferred)).items()),
        )


@dataclass(slots=True)
class _Found:
    banned: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)
    preferred: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> list[str]:
        """Return the list for a heading's kind."""
        return {"banned": self.banned, "claims": self.claims, "avoid": self.avoid}[kind]

    def done(self) -> Restrictions:
        """Return what was found, each once, without what a template left open."""
        return Restrictions(
            _distinct(self.banned), _distinct(self.claims), _distinct(self.avoid), tuple(self.preferred.items())
        )


def read_restrictions(sections: Iterable[Section], *, whole_file: bool = True) -> Restrictions:
    """Return what the sections of a page forbid.

    ``- **cheap** - say "affordable"`` bans ``cheap`` and prefers ``affordable``; ``- cheap, budget`` bans both.

    Args:
        sections: Of restrictions.md, or of another guideline.
        whole_file: The file is about restrictions: a heading needs not say that it is about words.
    """
    found = _Found()
    for section in sections:
        kind = next((kind for title in reversed(section.path) if (kind := _kind(title, whole_file=whole_file))), "")
        tables = list(markdown_tables(section.body))
        for _start, _end, header, rows in tables:
            _from_table(found, kind, header, rows)
        if not kind:
            continue
        into = found.of(kind)
        entries = list(bullets(section.body))
        for entry in entries:
            into += [_phrase(entry)] if kind == "claims" else _phrases(entry)
            _note_preferred(found, entry)
        if not entries and not tables:
            into += _listed(section.body)
    return found.done()


def restrictions_in_value(value: object) -> Restrictions:
    """Return what an object forbids whose keys are such headings (a YAML or JSON file)."""
    found = _Found()
    _from_value(found, value, "", 0)
    return found.done()


def _from_value(found: _Found, value: object, kind: str, depth: int) -> None:
    if depth > 8:  # noqa: PLR2004  # no list of words is nested so deeply
        return
    if isinstance(value, dict):
        for name, entry in value.items():
            _from_value(found, entry, _kind(words(name), whole_file=True) or kind, depth + 1)
    elif isinstance(value, list):
        for entry in value:
            _from_value(found, entry, kind, depth + 1)
    elif kind and (text := inline(value)):
        found.of(kind).extend([_phrase(text)] if kind == "claims" else _phrases(text))


def _kind(title: str, *, whole_file: bool) -> str:
    """Return what a heading announces: ``claims``, ``banned``, ``avoid`` or ""."""
    banned, avoid = _BANNED.search(title), _AVOID.search(title)
    if _CLAIMS.search(title) and (banned or avoid or _RESTRICTED.search(title)):
        return "claims"
    if not whole_file and not _WORDS_HEADING.search(title):
        return ""
    return "banned" if banned else "avoid" if avoid else ""


def _from_table(found: _Found, kind: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Read a table: below such a heading its first column, and anywhere one whose header is "instead of"."""
    instead_of = next((at for at, name in enumerate(header) if _INSTEAD_OF.match(name)), -1)
    preferred = next((at for at, name in enumerate(header) if at != instead_of and _PREFERRED.search(name)), -1)
    if instead_of < 0 and not kind:
        return
    column = instead_of if instead_of >= 0 else next((at for at in range(len(header)) if at != preferred), -1)
    if column < 0:
        return
    for row in rows:
        if len(row) <= column or not row[column]:
            continue
        phrases = [_phrase(row[column])] if kind == "claims" else _phrases(row[column])
        found.of(kind or "banned").extend(phrases)
        if 0 <= preferred < len(row) and (better := _clean(row[preferred])):
            found.preferred.update({phrase.casefold(): better for phrase in phrases if phrase})


def _note_preferred(found: _Found, entry: str) -> None:
    """Keep what a bullet says to write instead: ``cheap -> affordable``, ``cheap - say "affordable"``."""
    parts = _DASH.split(entry, maxsplit=1)
    if len(parts) != 2:  # noqa: PLR2004  # a phrase and a remark
        return
    match = _INSTEAD.match(parts[1].strip())
    arrow = "→" in entry or "->" in entry
    better = _clean(match[1] if match else parts[1] if arrow else "")
    for phrase in _phrases(parts[0]) if better else ():
        found.preferred[phrase.casefold()] = better


def _listed(body: str) -> list[str]:
    """Return the words of a plain list: one a line, or separated by commas."""
    found: list[str] = []
    for line in body.splitlines():
        text = line.strip()
        parts = [_clean(part) for part in re.split(r"[,;、，]", text.rstrip("."))]
        short = all(0 < len(part.split()) <= _MAX_WORDS for part in parts)
        if short and (len(parts) > 1 or not text.endswith((".", ":", "!", "?"))) and "|" not in text:
            found += parts
    return found


def _phrase(bullet: str) -> str:
    marked = _MARKED.match(bullet)
    return _clean(marked[1] if marked else _REMARK.split(bullet, maxsplit=1)[0])


def _phrases(bullet: str) -> list[str]:
    if _MARKED.match(bullet):
        statement = _DASH.split(bullet, maxsplit=1)[0]
        return [_clean(match[1]) for match in _MARKED.finditer(statement)]
    phrase = _phrase(bullet)
    parts = [_clean(part) for part in re.split(r"[,、，]", phrase)]
    short = all(len(part.split()) <= _MAX_WORDS for part in parts)
    return parts if short else [phrase]


def _clean(text: str) -> str:
    return text.strip(" \t*_`\"'“”„«»\u2018\u2019.,;:").removeprefix("❌").strip(" \t\"'“”„")


def _distinct(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label(text) for text in texts if text and not is_placeholder(text)))
