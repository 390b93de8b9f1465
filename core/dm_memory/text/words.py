"""What search by words compares: a text's words, and a question's, in one form.

A word is folded (case, width, the accents of Latin letters) and stemmed in the language of its text. Scripts without
spaces between words are cut into pairs of neighbouring characters. Everything that comes out consists of letters and
digits only, so that the tokenizer ``unicode61`` of FTS5 keeps it whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from unicodedata import combining, normalize

import Stemmer

from dm_memory.text.stop_words import STEMMERS, STOP_WORDS

__all__ = ["WORDS_VERSION", "QueryWord", "QueryWords", "analyse", "language_of", "query_words", "words_version"]

WORDS_VERSION = f"1 snowball-{Stemmer.version()}"
"""Changes when a text would be analysed otherwise; stored with the index, which is then built again."""

_LONGEST = 64
_CACHED_WORDS = 50_000
_MAX_QUERY_WORDS = 64
_SHORTEST_JOINED = 6

# Thai to Myanmar, Khmer, Hiragana and Katakana, Han, Hangul: no spaces between words, or endings that cling to them.
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u309f"
_OTHERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u30a1-\u30ff\uac00-\ud7af"
_UNSPACED = re.compile(f"[{_HAN}{_HIRAGANA}{_OTHERS}]")
_RUN = re.compile(f"[{_HAN}{_HIRAGANA}{_OTHERS}]+")
_GRAMMAR = re.compile(f"[{_HIRAGANA}]+")
_ASKING = re.compile(
    "何時|何故|何処|何日|何月|何人|何個|幾つ|誰|何|教えて|下さい"  # Japanese
    "|什么|什麼|怎么|怎麼|怎样|怎樣|哪里|哪裡|哪个|哪個|哪些|为什么|為什麼|多少"  # Chinese
    "|可以|几|幾|吗|嗎|呢|是否|如何|我们|我們|的"
    "|무엇|어떻게|어디|언제|누구|왜|얼마나|얼마|우리"  # Korean
)
_MARKS = "\u0300-\u036f\u0483-\u0487\u05b0-\u05c7\u0610-\u061a\u064b-\u0670\u0900-\u0eff\u1000-\u109f\u1780-\u17ff"
_PIECE = f"[^\\W_](?:[^\\W_]|[{_MARKS}])*"
"""A letter or digit and what follows; ``\\w`` would end at the vowel signs of Arabic, Indic and Thai scripts."""
_WORD = re.compile(f"{_PIECE}(?:[-'\u2019.,/:+&@%_]{_PIECE})*")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:[-'.,/:+&@%_][a-z0-9]+)*")
_PART = re.compile(_PIECE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)+")
_HALVES = frozenset(
    ("c", "d", "j", "l", "ll", "m", "n", "qu", "re", "s", "t", "ve", "all", "dall", "dell", "nell", "sull")
)
"""What an apostrophe cuts off a word in English, French and Italian."""
_PHRASE = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』')


@dataclass(frozen=True, slots=True)
class QueryWord:
    """A word of a question: as written, and what it may be in the index: a form for each language, stop words out.

    Attributes:
        parts: Of a joined word ("whats app", "check-out"), what it was written as, stop words out.
    """

    text: str
    forms: tuple[str, ...]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryWords:
    """A question taken apart.

    Attributes:
        words: What counts, in order, each once.
        ignored: Question words and stop words, as written.
        phrases: What stood in quotation marks, as written: a text has to contain each.
        joined: Neighbours in one word, which count if texts write them so and have not all of their parts.
    """

    words: tuple[QueryWord, ...]
    ignored: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    joined: tuple[QueryWord, ...] = ()


_DEFAULT = ("en",)
"""The languages of a brand that names none, and has no market that does: of its texts as of the questions."""


def words_version(languages: Sequence[str]) -> str:
    """Return what the index depends on besides its texts: analysis, stemmer, the brand's languages in their order."""
    return f"{WORDS_VERSION} {','.join(languages or _DEFAULT)}"


def analyse(text: str, language: str) -> str:
    """Return the words of ``text`` as the index has them, in order, a space between them.

    Args:
        text: Any text.
        language: A two-letter code; texts of a language without a stemmer keep their words as they are.
    """
    stem = _stemmer(language)
    folded = _folded(text)
    if folded.isascii():
        return " ".join([stem(word) for word in _ascii_words(folded)])
    return " ".join([part if kind else stem(part) for part, kind in _words(folded)])


def query_words(text: str, languages: Sequence[str]) -> QueryWords:
    """Return what counts in a question.

    A question of nothing but stop words is taken at its word.

    Args:
        text: The question.
        languages: Codes of the languages the brand's texts are in, the most likely first.
    """
    languages = languages or _DEFAULT
    asked_in = (language_of(text, languages),)
    phrases = tuple(" ".join(next(filter(None, found)).split()) for found in _PHRASE.findall(text))
    everything: dict[str, QueryWord] = {}
    joined: dict[str, QueryWord] = {}
    ignored: dict[str, None] = {}
    last = ""
    folded = _ASKING.sub(" ", _folded(text))
    for word, unspaced in _words(folded):
        both, first, last = last + word, last, "" if unspaced or len(word) == 1 else word
        if first and last and len(both) >= _SHORTEST_JOINED and both.isalpha():
            parts = [each for each in (first, word) if each not in STOP_WORDS.get(asked_in[0], ())]
            if len(parts) == 2 or (parts and f"{first}-{word}" in folded):  # noqa: PLR2004  # "check-out", but not "for the"
                joined[both] = QueryWord(both, _forms(both, languages), tuple(parts))
        if not unspaced and any(word in STOP_WORDS.get(language, ()) for language in asked_in):
            ignored[word] = None
        forms = (word,) if unspaced else _forms(word, languages)
        everything.setdefault(forms[0], QueryWord(word, forms))
    words = [word for word in everything.values() if word.text not in ignored and not _GRAMMAR.fullmatch(word.text)]
    if not words:
        return QueryWords(tuple(everything.values())[:_MAX_QUERY_WORDS], (), phrases)
    wholes = tuple(word for word in joined.values() if word.forms[0] not in everything)[:_MAX_QUERY_WORDS]
    return QueryWords(tuple(words[:_MAX_QUERY_WORDS]), tuple(ignored), phrases, wholes)


def _forms(word: str, languages: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_stemmer(language)(word) for language in languages))


def language_of(text: str, languages: Sequence[str]) -> str:
    """Return which of ``languages`` a text is in: by its script, then by its stop words; the first one in doubt."""
    languages = languages or _DEFAULT
    unspaced = len(_UNSPACED.findall(text[:2000]))
    if unspaced * 3 > len(text[:2000].split()) and unspaced > 1:
        return _unspaced_language(text, languages)
    if len(languages) == 1:
        return languages[0]
    words = _PART.findall(text[:2000].casefold())
    counts = [sum(word in STOP_WORDS.get(language, ()) for word in words) for language in languages]
    best = max(counts)
    return languages[counts.index(best)] if best > counts[0] else languages[0]


def _unspaced_language(text: str, languages: Sequence[str]) -> str:
    """Return the language of a text without spaces; kana are Japanese, Hangul is Korean, Han alone may be either."""
    if re.search(r"[\u3041-\u30ff]", text):
        return "ja"
    if re.search(r"[\uac00-\ud7af]", text):
        return "ko"
    return next((language for language in languages if language in {"ja", "zh", "ko", "th"}), "zh")


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else normalize("NFKC", normalize("NFKC", text).casefold())


def _ascii_words(folded: str) -> Iterator[str]:
    """Yield what ``_words`` yields for a text without any letter beyond ASCII."""
    for word in _ASCII_WORD.findall(folded):
        if word.isalnum():
            yield word
        else:
            yield from _parts(word)


def _words(folded: str) -> Iterator[tuple[str, bool]]:
    """Yield the words of a folded text, and whether each is one or two characters of a script without spaces."""
    for found in _WORD.findall(folded):
        for part in (found,) if found.isalnum() else _parts(found):
            if part.isascii() or not _UNSPACED.search(part):
                yield part, False
                continue
            start = 0
            for run in _RUN.finditer(part):
                if run.start() > start:
                    yield part[start : run.start()], False
                yield from ((pair, True) for pair in _pairs(run[0]))
                start = run.end()
            if start < len(part):
                yield part[start:], False


def _pairs(run: str) -> Iterable[str]:
    run = "".join(letter for letter in run if letter.isalnum())  # without vowel signs, at which FTS5 cuts
    return (run,) if len(run) == 1 else (run[place : place + 2] for place in range(len(run) - 1))


def _parts(word: str) -> Iterator[str]:
    """Yield the parts of a compound; of one with digits, or with a single letter in front, the whole as well.

    So ``q3-2026`` and ``e-mail`` are found as ``Q3 2026`` and ``email``; ``12.5`` and ``1,200`` are one word each.
    """
    if _NUMBER.fullmatch(word):
        yield word.replace(".", "").replace(",", "")
        return
    parts = _PART.findall(word)
    if "'" in word or "\u2019" in word:
        yield from [part for part in parts if part not in _HALVES] or parts
        return
    yield from parts
    whole = "".join(parts)
    if (len(parts[0]) == 1 or not whole.isalpha()) and len(whole) <= _LONGEST:
        yield whole


@cache
def _stemmer(language: str) -> Callable[[str], str]:
    """Return the function that makes a folded word what the index has; it remembers the last words it met."""
    algorithm = Stemmer.Stemmer(STEMMERS[language], 0) if language in STEMMERS else None
    one_at_a_time = threading.Lock()  # a Snowball stemmer works in a buffer of its own

    @lru_cache(_CACHED_WORDS)
    def stem(word: str) -> str:
        if algorithm is not None and len(word) <= _LONGEST and not word.isdigit():
            with one_at_a_time:
                word = algorithm.stemWord(word)
        return word if word.isascii() else _plain(word)

    return stem


def _plain(word: str) -> str:
    """Return a word without the accents of its Latin and Greek letters, and without what FTS5 would cut it at."""
    parted = normalize("NFD", word)
    plain = []
    base = ""
    for letter in parted:
        if combining(letter) and base < "\u0400":
            continue
        plain.append(letter)
        base = letter
    whole = normalize("NFC", "".join(plain))
    return "".join(letter for letter in whole if letter.isalnum()) or "0"
