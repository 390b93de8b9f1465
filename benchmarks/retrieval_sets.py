"""Labelled sets for search: texts, questions, and which texts answer which question.

A set is a folder with ``queries.jsonl`` and either ``corpus.jsonl`` (a brand is made of each group) or ``set.json``,
which names the home of a sample brand: ``{"home": "../home"}``. In the latter, a question names its answers by how
their texts begin (``relevant_text``), because keys belong to the product.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Entry", "LabelledSet", "Question", "normalised", "read_brand", "read_set"]

_WINDOW, _WINDOWS = 40, 8
_NOT_A_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A text that can be found: ``id`` is the corpus's, or ``file#place`` in a sample brand."""

    id: str
    text: str
    recorded_at: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A labelled question.

    Attributes:
        relevant: What answers it -> its grade. Empty: memory can't answer it. Keys are entry ids in a corpus and
            beginnings of texts in a sample brand.
        split: ``choose`` or ``kept``; "" in sets that have none.
    """

    group: str
    text: str
    relevant: Mapping[str, int]
    id: str = ""
    language: str = "en"
    split: str = ""


@dataclass(slots=True)
class LabelledSet:
    """One set. ``groups`` are its texts by brand; ``home`` is the sample brand's, or None for a corpus."""

    name: str
    questions: list[Question]
    groups: dict[str, list[Entry]]
    home: Path | None = None
    unmatched: int = 0
    _ids: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _letters: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def brand_of(self, group: str) -> str:
        """Return the slug of a group's brand: a sample brand's own, or one that no two sets share."""
        return group if self.home else re.sub(r"[^a-z0-9-]+", "-", f"{self.name}-{group}".lower()).strip("-")

    def write_brands(self, home: Path) -> None:
        """Write the brands of all groups below ``home``, as the marketing plugin would have."""
        if self.home:
            shutil.copytree(self.home, home, dirs_exist_ok=True)
            return
        for group, entries in self.groups.items():
            folder = home / "brands" / self.brand_of(group)
            folder.mkdir(parents=True)
            insights = [_insight(entry) for entry in entries]
            (folder / "insights.json").write_text(json.dumps(insights), encoding="utf-8")
            profile = {"brand_name": group, "brand_slug": folder.name, "language": {"primary_language": "English"}}
            (folder / "profile.json").write_text(json.dumps(profile), encoding="utf-8")

    def judge(self, question: Question, contents: Sequence[str]) -> list[int]:
        """Return the grades of ranked texts; what is relevant counts at its first appearance only."""
        left, grades = dict(question.relevant), []
        for content in contents:
            found = [name for name in self._names_of(question.group, content, left) if name in left]
            best = max(found, key=left.__getitem__, default=None)
            grades.append(left.pop(best) if best is not None else 0)
        return grades

    def _names_of(self, group: str, content: str, beginnings: Mapping[str, int]) -> Sequence[str]:
        if self.home:
            text = normalised(content)
            return [beginning for beginning in beginnings if normalised(beginning) in text]
        known = self._ids.get(group) or self._ids.setdefault(group, self._by_text(group))
        if content not in known:
            known[content] = self._nearest(group, content)
            self.unmatched += not known[content]
        return known[content]

    def _by_text(self, group: str) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = defaultdict(list)
        for entry in self.groups[group]:
            ids[entry.text].append(entry.id)
        return dict(ids)

    def _nearest(self, group: str, content: str) -> list[str]:
        """Return what a text belongs to that the product cut into passages or masked in places."""
        if group not in self._letters:
            self._letters[group] = [(entry.id, normalised(entry.text)) for entry in self.groups[group]]
        text = normalised(content)
        step = max(1, (len(text) - _WINDOW) // (_WINDOWS - 1))
        windows = {text[start : start + _WINDOW] for start in range(0, max(1, len(text) - _WINDOW + 1), step)}
        votes = Counter(
            {known: sum(window in letters for window in windows) for known, letters in self._letters[group]}
        )
        (best, most), (_, second) = [*votes.most_common(2), ("", 0)][:2]
        return [best] if most > second else []


def _insight(entry: Entry) -> dict[str, object]:
    made = {"type": "session_learning", "source": "session", "insight": entry.text, "context": "", "actionable": False}
    return made | ({"recorded_at": entry.recorded_at} if entry.recorded_at else {})


def normalised(text: str) -> str:
    """Return the letters and digits of a text in lower case, words apart by one space."""
    return _NOT_A_LETTER.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def read_set(folder: Path) -> LabelledSet:
    """Read a set from its folder.

    Raises:
        OSError: A file is missing.
        ValueError: A file is not what it should be.
    """
    lines = _lines(folder / "queries.jsonl")
    questions = [
        Question(
            group=line["group"],
            text=line["query"],
            relevant=_grades(line.get("relevant_text", line["relevant"])),
            id=line.get("id", f"{number}"),
            language=line.get("language", "en"),
            split=line.get("split", ""),
        )
        for number, line in enumerate(lines, 1)
    ]
    groups: dict[str, list[Entry]] = {}
    if not (folder / "set.json").is_file():
        for line in _lines(folder / "corpus.jsonl"):
            entry = Entry(line["id"], line["text"], line.get("recorded_at", ""))
            groups.setdefault(line["group"], []).append(entry)
        return LabelledSet(folder.resolve().name, questions, groups)
    home = (folder / json.loads((folder / "set.json").read_text(encoding="utf-8"))["home"]).resolve()
    for brand in {question.group for question in questions}:
        groups[brand] = read_brand(home / "brands" / brand)
    return LabelledSet("own", questions, groups, home)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _grades(relevant: Sequence[str] | Mapping[str, int]) -> dict[str, int]:
    return dict(relevant) if isinstance(relevant, Mapping) else dict.fromkeys(relevant, 1)


def read_brand(folder: Path) -> list[Entry]:
    """Return the entries of a sample brand, read by the formats alone: what the controls search."""
    entries = [
        Entry(f"insights.json#{insight['recorded_at']}", _readable([insight[name] for name in _SAID if insight[name]]))
        for insight in json.loads((folder / "insights.json").read_text(encoding="utf-8"))
    ]
    for path in sorted(folder.glob("campaigns/[!_]*.json")):
        campaign = json.loads(path.read_text(encoding="utf-8"))
        entries += [Entry(f"campaigns/{path.name}#{place}", text) for place, text in _campaign(campaign)]
    for path in sorted(folder.glob("performance/*.json")):
        snapshot = json.loads(path.read_text(encoding="utf-8"))
        entries.append(Entry(f"performance/{path.name}#", _readable(snapshot)))
    for path in sorted(folder.glob("guidelines/**/*.md")):
        name = path.relative_to(folder).as_posix()
        entries += [Entry(f"{name}#{place}", text) for place, text in _sections(path.read_text(encoding="utf-8"))]
    return entries


_SAID = ("insight", "context", "actionable")
_LESSONS = ("results", "retrospective", "strategy_decisions", "learnings", "creative_direction")
_HEADING = re.compile(r"^(#+) +(.+)$", re.MULTILINE)


def _campaign(campaign: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of the plan and of each lesson, each with the campaign's name."""
    name = campaign["name"]
    plan = {key: value for key, value in campaign.items() if key not in _LESSONS and not key.endswith(("_id", "_at"))}
    yield "plan", _readable(plan)
    for section in _LESSONS:
        for place, lesson in _leaves(section, campaign.get(section, ())):
            title = [part for part in place.split("/") if not part.isdigit()][-1]
            yield place, f"{name}, {title.replace('_', ' ')}: {_readable(lesson)}"


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # brand files contain any JSON
    """Yield each member of a list and each list of an object; bare figures of an object stay together."""
    if isinstance(value, list | tuple):
        yield from ((f"{place}/{number}", member) for number, member in enumerate(value))
    elif isinstance(value, dict):
        bare = {name: member for name, member in value.items() if not isinstance(member, list | dict)}
        if bare:
            yield place, bare
        for name, member in value.items():
            if isinstance(member, list):
                yield from _leaves(f"{place}/{name}", member)
            elif isinstance(member, dict):
                yield f"{place}/{name}", {name: member}
    else:
        yield place, value


def _readable(value: Any) -> str:  # noqa: ANN401  # as above
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')}: {_readable(member)}" for name, member in value.items())
    if isinstance(value, list):
        return "\n".join(_readable(member) for member in value if member is not True)
    return str(value)


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield (headings, headings and text) of each section that has text."""
    path: list[str] = []
    marks = [*_HEADING.finditer(markdown)]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        path[len(mark[1]) - 1 :] = [mark[2]]
        body = markdown[mark.end() : following.start() if following else None].strip()
        if body:
            yield "/".join(path), f"{' > '.join(path)}\n\n{body}"
