"""Check the project's own labelled questions: each names real entries and shares at most one content word with them.

A content word is one that no stop list contains, cut back to its stem: English by the Porter stemmer of SQLite's FTS5,
German, French and Spanish to the first six letters without accents, of which one may begin with the other. In Japanese,
a run of kanji or katakana that question and answer have in common counts as one word.

Usage: check_questions.py [FOLDER]
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrieval_sets import Entry, normalised, read_brand

_REPOSITORY = Path(__file__).resolve().parents[1]
_STOP = {
    "en": """a about after again all already also am an and any are as at be because been before being below beside
        between both but by can can't could did do does doing don t down due during each else even ever every few for
        from further get given had has have having he her here him his how i if in into is it its itself just ll long
        make many may me might more most much must my no nor not of off on once one only or other our out over own
        people per rather re s same she should so some somebody someone still such than that the their them then there
        these they this those through to too two under until up us use very was way we were what when where which while
        who whom whose why will with would you your""",
    "de": """aber alle als am an auch auf aus bei beim bin bis da damit das dem den der des die dies diese dieser dürfen
        ein eine einem einen einer eines er es für gibt hat haben ihr ihre im in ist ja jede jeden jeder kann kein keine
        können man mehr mit müssen nach nicht noch nur ob obwohl oder ohne schon sich sie sind so über um und uns unser
        unsere unseren unserem unserer viele viel vom von vor wann war waren warum was wenn welche welcher welchen wem
        wer werden wie wieviel wir wird wo worden wurde wurden zu zum zur""",
    "fr": """a ai au aux avec ce ces cette c comme comment combien d dans de des doit du elle en est et eux faut il ils
        je l la le les leur leurs lui ma mais même mes moins n ne nos notre nous on ont ou où par pas peut plus pour
        pourquoi premier qu quand que quel quelle quelles quels qui s sa sans se ses si son sont sur t tes trois un une
        veut veulent vos votre vous y""",
    "es": """a al algo como cómo con cual cuál cuando cuándo cuántas cuántos de del desde donde dónde dos e el ella
        ellos en entre es esta este esto está fue ha hay hace la las le les lo los más me mejor muy nada ni no nos
        nuestra nuestro o para pero por porque que qué quien quién quienes se sea ser si sí sin sobre solo son su sus
        también tan te tras tu un una uno unos y ya""",
    "ja": "",
}
_RUN = re.compile(r"[\u4e00-\u9fff\u30a1-\u30fa\u30fc]{2,}")
_BEGINNING = 60
_LEAST, _STEM = 3, 6


def _unaccented(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


class _Stemmer:
    """The stems of English words, by the tokenizer that the control of the benchmark uses."""

    def __init__(self) -> None:
        self._index = sqlite3.connect(":memory:")
        self._index.execute("CREATE VIRTUAL TABLE words USING fts5(word, tokenize='porter unicode61')")
        self._index.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(words, 'row')")

    def __call__(self, words: set[str]) -> set[str]:
        self._index.execute("DELETE FROM words")
        self._index.execute("INSERT INTO words VALUES (?)", [" ".join(sorted(words))])
        return {term for (term,) in self._index.execute("SELECT term FROM terms")}


def shared_words(question: str, answer: str, language: str, stems: _Stemmer) -> list[str]:
    """Return the content words that a question has in common with a text."""
    if language == "ja":
        runs = [(mine, theirs) for mine in _RUN.findall(question) for theirs in _RUN.findall(answer)]
        return sorted({common for mine, theirs in runs if len(common := _longest_common(mine, theirs)) > 1})
    stop = set(normalised(_STOP[language]).split())
    one, other = ({*normalised(text).split()} - stop for text in (question, answer))
    if language == "en":
        return sorted(stems(one) & stems(other))
    mine, theirs = ({_unaccented(word)[:_STEM] for word in words if len(word) >= _LEAST} for words in (one, other))
    return sorted(word for word in mine if any(word.startswith(stem) or stem.startswith(word) for stem in theirs))


def _longest_common(one: str, other: str) -> str:
    pieces = (one[i:j] for i in range(len(one)) for j in range(len(one), i, -1))
    return max((piece for piece in pieces if piece in other), key=len, default="")


def problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with a set, a sentence each; print how many words questions share with their answers."""
    home = folder / json.loads((folder / "set.json").read_text(encoding="utf-8"))["home"]
    entries: dict[str, list[Entry]] = {}
    shares: dict[str, Counter[int]] = {}
    stems, seen = _Stemmer(), set[str]()
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        texts = entries.setdefault(asked["group"], read_brand(home / "brands" / asked["group"]))
        counts = shares.setdefault(asked["language"], Counter())
        yield from (f"{asked['id']} ({asked['query']}): {text}" for text in _form(asked, seen))
        for name, beginning in zip(asked["relevant"], asked["relevant_text"], strict=True):
            found = [entry for entry in texts if normalised(beginning) in normalised(entry.text)]
            yield from (f"{asked['id']} ({asked['query']}): {text}" for text in _label(name, beginning, found))
            words = shared_words(asked["query"], found[0].text, asked["language"], stems) if found else []
            counts[len(words)] += 1
            if len(words) > 1:
                yield f"{asked['id']} ({asked['query']}): shares {', '.join(words)} with {name}"
    for language, counts in sorted(shares.items()):
        print(f"{language}: {counts[0]} answers share no word with their question, {counts[1]} share one")


def _form(asked: dict[str, Any], seen: set[str]) -> Iterator[str]:
    if asked["id"] in seen:
        yield "the id is taken"
    seen.add(asked["id"])
    if asked["split"] != ("kept" if int(asked["id"][1:]) % 3 == 0 else "choose"):
        yield "every third question is kept, by its id"
    if (asked["kind"] == "answerable") != bool(asked["relevant"]):
        yield f"{asked['kind']}, but {len(asked['relevant'])} relevant entries"


def _label(name: str, beginning: str, found: list[Entry]) -> Iterator[str]:
    if name not in {entry.id for entry in found}:
        yield f"{name} does not contain {beginning!r}"
    if len({entry.text for entry in found}) > 1:
        yield f"{beginning!r} is in {[entry.id for entry in found]}"
    if len(beginning) > _BEGINNING:
        yield f"{beginning!r} is longer than {_BEGINNING} characters"


if __name__ == "__main__":
    found = [*problems(Path(sys.argv[1]) if len(sys.argv) > 1 else _REPOSITORY / "examples" / "retrieval")]
    print("\n".join(found) or "Every question is as it should be.")
    sys.exit(bool(found))
