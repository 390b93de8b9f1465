"""What a brand must not say, in the forms people write it: bullets, numbers, tables, commas, in their language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dm_memory.brand.formats.markdown import Section, bullets
from dm_memory.brand.formats.tables import markdown_tables
from dm_memory.brand.formats.text import fields_of, inline, is_placeholder, label, words

__all__ = ["Restrictions", "read_restrictions", "restrictions_in_table", "restrictions_in_value"]

# \u2013 and \u2014 are the dashes that set a remark apart.
_MARKED = re.compile(r"""(?:\*\*|__|[`"“„«*])(.+?)(?:\*\*|__|[`"”“»*])(?=$|[\s,;:.(\u2013\u2014-])""")
# "*any* superlative" stresses a word of a phrase, it marks none.
_STRESSED = re.compile(r"[*_][^*_]+[*_]\s+\w")
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
_BREAK = re.compile(r"\s[\u2013\u2014-]+\s|\s*(?:→|->)|\s*(?::\s|\()")
_LABEL = re.compile(r"[*_]*\s?([^\s|*_:\uff1a\d][^|:\uff1a]{1,60}?)[*_ ]{0,8}(?:[:\uff1a]|(?<=[*_]))[*_]*\s*(.*)$")
_REMARK = re.compile(r"\s+[\u2013\u2014-]+\s+|\s*[:(→]|\s+->")
_DASH = re.compile(r"\s[\u2013\u2014-]+\s|\s*(?:→|->)")
_COLON = re.compile(r"\s*:\s+")
_INSTEAD = re.compile(
    r"(?:say|use|write|prefer|better|besser|lieber|stattdessen|préférer|préférez|dire|plutôt|usar|mejor|dì|usare|liever"
    r"|hellre)\s*:?\s*(.+)$",
    re.IGNORECASE,
)
_MAX_WORDS = 4
_MAX_LABEL_WORDS = 6
_WORD_FIELDS = ("word", "term", "phrase", "claim", "banned", "avoid", "never", "text", "name", "from")
_BETTER_FIELDS = frozenset(
    (
        "use",
        "use_instead",
        "instead",
        "prefer",
        "preferred",
        "say",
        "replacement",
        "replace_with",
        "alternative",
        "better",
    )
)

# Parts of headings, in the languages brands write in; compared in lower case. Expressions with so many alternatives
# take 30 ms to build, in every process that syncs.
_BANNED = (
    *("banned", "bans:", "forbid", "prohibit", "never use", "never say", "never write", "not allowed", "blacklist"),
    *("blocklist", "block list", "off-limits", "off limits", "no-go", "taboo", "disallowed"),
    *(
        f"{lead} {verb}"
        for lead in ("do not", "don't", "don\u2019t", "must not", "not to")
        for verb in ("use", "say", "write")
    ),
    *("verboten", "nicht verwenden", "nicht benutzen", "nicht sagen", "niemals", "tabu", "gesperrt", "unzulässig"),
    *("interdit", "proscrit", "à bannir", "bannis", "ne pas utiliser", "ne jamais utiliser", "ne pas dire"),
    *("prohibid", "vetad", "no usar", "no decir", "no utilizar", "nunca usar", "proibid", "não usar", "não dizer"),
    *("vietat", "proibit", "da non usare", "non usare", "non dire", "verboden", "niet gebruiken", "nooit gebruiken"),
    *("zakazan", "niedozwolon", "nie używa", "förbjud", "forbud", "kiellet", "zakázan", "yasak", "запрещ", "нельзя"),
    *("禁止", "禁用", "使わない", "いけない", "ngワード", "ng words", "違禁", "违禁", "금지", "محظور", "ممنوع"),
    *("don'ts", "don\u2019ts", "donts", "❌", "🚫", "⛔"),
)
_AVOID = (
    *("avoid", "vermeid", "éviter", "evitar", "evitare", "vermijd", "unika", "undvik", "undgå", "unngå", "vält"),
    *("избега", "避け", "避免", "unerwünscht"),
)
_RESTRICTED = (
    *("restrict", "regulated", "limited", "approval", "eingeschränkt", "genehmigungspflichtig", "encadré", "soumis"),
    *("restringid", "regulad", "limitat", "beperkt", "ograniczon", "begränsa", "制限", "受限"),
)
_CLAIMS = (
    *("claim", "promise", "aussage", "versprechen", "behauptung", "allégation", "promesse", "affirmation", "afirmaci"),
    *("declaraci", "promesa", "alegaç", "promessa", "affermazion", "dichiarazion", "bewering", "twierdze", "obietnic"),
    *("påstående", "påstand", "väittä", "заявлен", "обещан", "表示", "主張", "声明", "宣称"),
)
_WORDS_HEADING = (
    *(
        "word",
        "phrase",
        "term",
        "vocabular",
        "language",
        "wort",
        "wörter",
        "begriff",
        "formulierung",
        "mots",
        "palabra",
    ),
    *(
        "término",
        "frase",
        "parol",
        "palavra",
        "woord",
        "słow",
        "слов",
        "言葉",
        "用語",
        "词",
        "語",
        "단어",
        "restriction",
    ),
    *("einschränkung",),
)
_INSTEAD_OF = (
    *("instead of", "rather than", "statt", "anstatt", "au lieu de", "en lugar de", "em vez de", "invece di"),
    *("in plaats van", "zamiast"),
)
_PREFERRED = (
    *(
        "instead",
        "we use",
        "we say",
        "we write",
        "please use",
        "use",
        "say",
        "write",
        "prefer",
        "better",
        "replacement",
    ),
    *("alternative", "besser", "lieber", "stattdessen", "wir sagen", "wir schreiben", "plutôt", "mejor", "meglio"),
    *("liever", "hellre", "✅"),
)


def _has(text: str, parts: Sequence[str]) -> bool:
    return any(part in text for part in parts)


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


def read_restrictions(sections: Iterable[Section], *, whole_file: bool = True, default: str = "") -> Restrictions:
    """Return what the sections of a page forbid.

    ``- **cheap** - say "affordable"`` bans ``cheap`` and prefers ``affordable``; ``- cheap, budget`` bans both.

    Args:
        sections: Of restrictions.md, or of another guideline.
        whole_file: The file is about restrictions: a heading needs not say that it is about words.
        default: What lists without a heading are: ``banned`` if the file's name says so.
    """
    found = _Found()
    for section in (part for whole in sections for part in _labelled(whole, whole_file=whole_file)):
        kind = next((kind for title in reversed(section.path) if (kind := _kind(title, whole_file=whole_file))), "")
        kind = kind or ("" if section.path else default)
        tables = list(markdown_tables(section.body))
        for _start, _end, header, rows in tables:
            _from_table(found, kind, header, rows)
        if not kind:
            continue
        into = found.of(kind)
        entries = [_CHECKBOX.sub("", entry) for entry in bullets(section.body)]
        for entry in entries:
            into += [_phrase(entry)] if kind == "claims" else _phrases(entry)
            _note_preferred(found, entry)
        if not entries and not tables:
            into += _listed(section.body)
    return found.done()


def _labelled(section: Section, *, whole_file: bool) -> Iterator[Section]:
    """Yield a section cut at its lines that are headings in all but name: "**Banned words**", "Never use: cheap"."""
    path, body = section.path, list[str]()
    for line in section.body.splitlines():
        match = None if line[:1].isspace() or line.startswith(("- ", "* ", "+ ", "|", ">")) else _LABEL.match(line)
        title = match[1].strip() if match else ""
        if match and len(title.split()) <= _MAX_LABEL_WORDS and _kind(title, whole_file=whole_file):
            yield Section(path, "\n".join(body))
            path, body = (*section.path, title), [match[2]] if match[2] else []
        else:
            body.append(line)
    yield Section(path, "\n".join(body))


def restrictions_in_value(value: object, default: str = "") -> Restrictions:
    """Return what an object forbids whose keys are such headings (a YAML or JSON file, a page's front matter)."""
    found = _Found()
    _from_value(found, value, "" if isinstance(value, dict) else default, 0)
    return found.done()


def restrictions_in_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Restrictions:
    """Return what a table forbids that is about nothing else."""
    found = _Found()
    _from_table(found, "banned", header, rows)
    return found.done()


def _from_value(found: _Found, value: object, kind: str, depth: int) -> None:
    if depth > 8:  # noqa: PLR2004  # no list of words is nested so deeply
        return
    if isinstance(value, dict):
        fields = fields_of(value)
        named = next((name for name in _WORD_FIELDS if isinstance(fields.get(name), str)), "")
        # {"cheap": "affordable"}, and not {"pricing": "cheap, budget"}, whose keys are only sorting the words.
        pairs = kind != "claims" and all(entry is None or _is_phrase(entry) for entry in value.values())
        if kind and (named or (pairs and _BETTER_FIELDS.isdisjoint(fields))):
            better = next((fields[name] for name in fields if name in _BETTER_FIELDS), "")
            for word, instead in [(fields[named], better)] if named else value.items():
                _from_value(found, word, kind, depth + 1)
                if use := _clean(_INSTEAD.sub(r"\1", label(instead))):
                    found.preferred[_clean(str(word)).casefold()] = use
            return
        for name, entry in value.items():
            _from_value(found, entry, _kind(words(name), whole_file=True) or kind, depth + 1)
    elif isinstance(value, list):
        for entry in value:
            _from_value(found, entry, kind, depth + 1)
    elif kind and (text := " ".join(inline(value).split())):
        found.of(kind).extend([_phrase(text)] if kind == "claims" else _phrases(text))


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and "," not in value and len(value.split()) <= _MAX_WORDS


def _kind(title: str, *, whole_file: bool) -> str:
    """Return what a heading announces: ``claims``, ``banned``, ``avoid`` or ""."""
    title = title.casefold()
    banned, avoid = _has(title, _BANNED), _has(title, _AVOID)
    if _has(title, _CLAIMS) and (banned or avoid or _has(title, _RESTRICTED)):
        return "claims"
    if not whole_file and not _has(title, _WORDS_HEADING):
        return ""
    return "banned" if banned else "avoid" if avoid else ""


def _from_table(found: _Found, kind: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Read a table: below such a heading its first column, and anywhere one whose header is "instead of"."""
    names = [name.casefold() for name in header]
    instead_of = next((at for at, name in enumerate(names) if name.startswith(_INSTEAD_OF)), -1)
    preferred = next((at for at, name in enumerate(names) if at != instead_of and _is_preferred(name)), -1)
    said = next((at for at, name in enumerate(names) if _kind(name, whole_file=True)), -1)
    if instead_of < 0 and not kind and (preferred < 0 or said < 0):
        return
    first = next((at for at in range(len(header)) if at != preferred), -1)
    column = next((at for at in (instead_of, said) if at >= 0), first)
    if len(header) == 1 and not _kind(header[0], whole_file=True) and not _has(names[0], _WORDS_HEADING):
        rows = [header, *rows]
    for row in rows if column >= 0 else ():
        if len(row) <= column or not row[column]:
            continue
        phrases = [_phrase(row[column])] if kind == "claims" else _phrases(row[column])
        found.of(kind or "banned").extend(phrases)
        if 0 <= preferred < len(row) and (better := _clean(row[preferred])):
            found.preferred.update({phrase.casefold(): better for phrase in phrases if phrase})


def _is_preferred(name: str) -> bool:
    """Return whether a column's name is about what to write; "never use" is not."""
    return _has(name, _PREFERRED) and not _has(name, _BANNED) and not _has(name, _AVOID)


def _note_preferred(found: _Found, entry: str) -> None:
    """Keep what a bullet says to write instead: ``cheap -> affordable``, ``cheap - say "affordable"``."""
    parts = (_DASH if _DASH.search(entry) else _COLON).split(entry, maxsplit=1)
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
        parts = [_clean(part) for part in re.split(r"[,;\u3001\uff0c]|\s/\s", text.rstrip("."))]
        short = all(0 < len(part.split()) <= _MAX_WORDS for part in parts)
        if short and (len(parts) > 1 or not text.endswith((".", ":", "!", "?"))) and "|" not in text:
            found += parts
    return found


def _phrase(bullet: str) -> str:
    marked = None if _STRESSED.match(bullet) else _MARKED.match(bullet)
    return _clean(marked[1] if marked else _REMARK.split(bullet, maxsplit=1)[0])


def _phrases(bullet: str) -> list[str]:
    if _MARKED.match(bullet) and not _STRESSED.match(bullet):
        statement = _BREAK.split(bullet, maxsplit=1)[0]
        return [_clean(match[1]) for match in _MARKED.finditer(statement)]
    phrase = _phrase(bullet)
    parts = [_clean(part) for part in re.split(r"[,\u3001\uff0c]", phrase)]
    short = all(len(part.split()) <= _MAX_WORDS for part in parts)
    return parts if short else [phrase]


def _clean(text: str) -> str:
    return text.strip(" \t*_`\"'“”„«»\u2018\u2019.,;:").removeprefix("❌").strip(" \t\"'“”„")


def _distinct(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label(text) for text in texts if text and not is_placeholder(text)))
