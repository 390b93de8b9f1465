"""How well search finds what answers a question: the product beside BM25 alone and vectors alone, in the same run.

Each FOLDER is a labelled set (see ``retrieval_sets``). A brand is made of each of its groups, synced through the
product, and every question is asked through the product. The figures count the first ten hits: hit@k, recall@10, MRR
and nDCG@10, as means over the questions that can be answered.

The controls search the same texts: *BM25* is an FTS5 table with Porter stemming, any word of the question may match;
once with every word, once without the question words of English, German, French and Spanish (it can't segment
Japanese). *Vectors* are wordllama's, of whole texts, by cosine. For questions that can't be answered, the share that
the product recognises is shown three times: as it says itself (``known`` of its result); by the evidence behind that,
cut where 5 % of the answerable questions are refused; and by the best raw similarity alone, a control, cut likewise.
If a set is split, both cuts are made on the questions marked ``choose`` and only applied to the ``kept`` ones.

The product is configured by defaults; only DM_MEMORY_EMBEDDER counts from the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import wordllama
from retrieval_metrics import mean_figures, quantiles, recognised
from retrieval_sets import Entry, LabelledSet, Question, normalised, read_set

from dm_memory.api import Memory
from dm_memory.requests import SyncRequest
from dm_memory.search.results import SearchRequest
from dm_memory.settings import Settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # an embedder of the tests can be named

_DEPTH = 10
_SEED = 9
_TOLERANCE = 0.02
_FEW = 0.08
"""Two of the 26 unanswerable questions of our own."""

_PRODUCT = "dm-memory"
_SETTINGS = (
    "DM_MEMORY_",
    "CLAUDE_",
    "COLLECTION_",
    "QDRANT_",
    "PINECONE_",
    "TURSO_",
    "SUPERMEMORY_",
    "FALKORDB_",
    "NEO4J_",
    "GRAPHITI_",
)
_QUESTION_WORDS = """
    a an and are at be been by can could did do does for from had has have how i in is it may might must of on or our
    should that the their them there they this to us was we were what when where which who whom whose why will with
    would you your
    das der die ein eine ist sind wann war waren warum was welche welcher welches wem wen wer wie wir wo zu
    combien comment de des est faut il la le les nos notre ou où peut pour pourquoi qu quand que quel quelle quelles
    quels qui un une
    como cuántas cuánto cuántos cuándo cuánta cómo dónde el en es hay las los por qué quién
"""

Finder = Callable[[str], list[str]]
"""Returns the texts that answer a question, best first."""


@dataclass(slots=True)
class Answers:
    """What one way of searching answered: the grades of its hits for each question, by the question's position."""

    grades: dict[int, list[int]] = field(default_factory=dict)
    similarity: dict[int, float] = field(default_factory=dict)
    known: dict[int, float] = field(default_factory=dict)
    evidence: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


def bm25(entries: Sequence[Entry], left_out: str = "") -> Finder:
    """Return a search by words alone: FTS5's BM25, Porter stems, any word may match."""
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='porter unicode61')")
    index.executemany("INSERT INTO texts VALUES (?)", [(entry.text,) for entry in entries])
    not_counted = set(left_out.split())

    def find(question: str) -> list[str]:
        words = normalised(question).split()
        match = " OR ".join(f'"{word}"' for word in words if word not in not_counted)
        ordered = "SELECT text FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?"
        return [text for (text,) in index.execute(ordered, (match, _DEPTH))] if match else []

    return find


def vectors(entries: Sequence[Entry]) -> Finder:
    """Return a search by meaning alone: wordllama's vectors of whole texts, by cosine."""
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    stored = _unit(model.embed([entry.text for entry in entries]))

    def find(question: str) -> list[str]:
        scores = stored @ _unit(model.embed([question]))[0]
        return [entries[position].text for position in np.argsort(-scores, kind="stable")[:_DEPTH]]

    return find


def _unit(rows: Any) -> Any:  # noqa: ANN401  # wordllama ships no types
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths == 0, 1.0, lengths)  # a text without any token has no direction


async def ask_product(
    labelled: LabelledSet,
    questions: Sequence[Question],
    home: Path,
    **more: Any,  # noqa: ANN401  # as its SearchRequest takes
) -> Answers:
    """Make the set's brands below ``home``, sync them and ask every question; ``more`` goes into each request."""
    labelled.write_brands(home)
    answers = Answers()
    memory = Memory(Settings(home=home))
    try:
        for group in labelled.groups:
            result = await memory.sync(SyncRequest(brand=labelled.brand_of(group)))
            assert result.counts.failed == 0, result
        for position, question in enumerate(questions):
            request = SearchRequest(question.text, brand=labelled.brand_of(question.group), limit=_DEPTH, **more)
            begun = time.perf_counter()
            found = await memory.search(request)
            answers.seconds += time.perf_counter() - begun
            answers.grades[position] = labelled.judge(question, [hit.content for hit in found.hits])
            raw = [hit.similarity for hit in found.hits if hit.similarity is not None]
            answers.similarity[position] = max(raw, default=0.0)
            answers.known[position] = float(found.known)
            answers.evidence[position] = found.evidence[0]
    finally:
        await memory.close()
    return answers


def ask_control(labelled: LabelledSet, questions: Sequence[Question], make: Callable[[Any], Finder]) -> Answers:
    """Ask every question of a control, made for each group."""
    finders = {group: make(entries) for group, entries in labelled.groups.items()}
    answers = Answers()
    for position, question in enumerate(questions):
        begun = time.perf_counter()
        found = finders[question.group](question.text)
        answers.seconds += time.perf_counter() - begun
        answers.grades[position] = labelled.judge(question, found)
    return answers


def means(questions: Sequence[Question], ways: Mapping[str, Answers], **only: str) -> dict[str, dict[str, float]]:
    """Return each way's figures for the answerable questions, for those alone whose attributes are as ``only`` says."""
    counted = [
        (position, list(question.relevant.values()))
        for position, question in enumerate(questions)
        if question.relevant and all(getattr(question, name) == value for name, value in only.items())
    ]
    return {
        way: mean_figures([(answers.grades[position], ideal) for position, ideal in counted])
        for way, answers in ways.items()
    }


def by_sort(
    questions: Sequence[Question], scores: Mapping[int, float], split: str = ""
) -> tuple[list[float], list[float]]:
    """Return the scores of the questions that can be answered, and of those that can't; of one split or of all."""
    found: tuple[list[float], list[float]] = ([], [])
    for position, score in scores.items():
        if not split or questions[position].split == split:
            found[not questions[position].relevant].append(score)
    return found


def not_known(
    questions: Sequence[Question], scores: Mapping[int, float], threshold: float | None = None
) -> dict[str, Mapping[str, float]]:
    """Return for each split, and for all, how many unanswerable questions score below a threshold.

    By default the threshold is the one that refuses 5 % of the answerable questions marked ``choose``, or of all.
    """
    splits = sorted({question.split for question in questions} - {""})
    if threshold is None:
        answerable = by_sort(questions, scores, "choose" if "choose" in splits else "")[0]
        threshold = recognised(answerable, [0.0])["threshold"] if answerable else 0.0
    parts = {split or "all": by_sort(questions, scores, split) for split in (*splits, "")}
    return {name: recognised(*part, threshold) for name, part in parts.items() if all(part)}


def measure(folder: Path, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Measure one set; return its name and everything there is to report."""
    labelled = read_set(folder)
    questions = chosen(labelled.questions, options.split, options.limit_queries)
    with tempfile.TemporaryDirectory() as home:
        mode = {"mode": options.mode} if options.mode else {}
        product = asyncio.run(ask_product(labelled, questions, Path(home), **mode))
    ways = {
        _PRODUCT: product,
        "BM25 alone, every word": ask_control(labelled, questions, bm25),
        "BM25 alone, no question words": ask_control(labelled, questions, lambda texts: bm25(texts, _QUESTION_WORDS)),
        "vectors alone (wordllama)": ask_control(labelled, questions, vectors),
    }
    parts = {
        what: sorted({getattr(question, what) for question in questions if question.relevant} - {""})
        for what in ("language", "split")
    }
    answerable, unanswerable = by_sort(questions, product.similarity)
    return labelled.name, {
        "texts": sum(map(len, labelled.groups.values())),
        "questions": len(questions),
        "answerable": sum(bool(question.relevant) for question in questions),
        "texts that could not be told": labelled.unmatched,
        "figures": means(questions, ways),
        "ms a question": {way: 1000 * answers.seconds / max(1, len(questions)) for way, answers in ways.items()},
        "parts": {what: {one: means(questions, ways, **{what: one}) for one in parts[what]} for what in parts},
        "top similarity": {"answerable": quantiles(answerable), "unanswerable": quantiles(unanswerable)},
        "refused": fmean(not known for known in by_sort(questions, product.known)[0]),
        "not known": {
            "as it says": not_known(questions, product.known, 1.0),
            "by its evidence": not_known(questions, product.evidence),
            "by top similarity": not_known(questions, product.similarity),
        },
    }


def chosen(questions: Sequence[Question], split: str, limit: int) -> list[Question]:
    """Return the questions of a split (those without one are in both), at most ``limit``, always the same ones."""
    kept = [question for question in questions if split == "all" or question.split in ("", split)]
    return kept if not 0 < limit < len(kept) else random.Random(_SEED).sample(kept, limit)


def show(name: str, report: Mapping[str, Any], *, by_language: bool) -> None:
    """Print the figures of a set."""
    print(f"\n{name}: {report['texts']:,} texts, {report['questions']} questions, {report['answerable']} answerable")
    if report["texts that could not be told"]:
        print(f"  {report['texts that could not be told']} found texts could not be told to be any of the set")
    _show_figures(report["figures"], report["ms a question"])
    for what, parts in report["parts"].items():
        for part, figures in parts.items() if by_language or what == "split" else ():
            print(f"  {what} {part}:")
            _show_figures(figures, {})
    for sort, values in report["top similarity"].items():
        if values:
            print(f"  top similarity, {sort}: " + "  ".join(f"{key} {value:.3f}" for key, value in values.items()))
    print(f"  answerable questions that memory says not to know: {report['refused']:.1%}")
    if report["questions"] > report["answerable"]:
        for how, parts in report["not known"].items():
            for part, found in parts.items():
                print(f"  not known, {how}, {part}: {_share(found)}")
    sys.stdout.flush()


def _show_figures(figures: Mapping[str, Mapping[str, float]], milliseconds: Mapping[str, float]) -> None:
    names = list(figures[_PRODUCT])
    print(f"    {'':<30}" + "".join(f"{name:>11}" for name in names) + ("      ms" if milliseconds else ""))
    for way, values in figures.items():
        cost = f"{milliseconds[way]:>8.2f}" if milliseconds else ""
        print(f"    {way:<30}" + "".join(f"{values[name]:>11.3f}" for name in names) + cost)


def _share(found: Mapping[str, float]) -> str:
    return (
        f"{found['recognised']:.0%} recognised, {found['refused']:.1%} of the answerable refused"
        f" (below {found['threshold']:.3f})"
    )


def fallen(reports: Mapping[str, Any], recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each of the product's figures that is below the recorded one by more than the tolerance."""
    if recorded["asked"] != asked:
        return [f"The record was made with {recorded['asked']}, this run with {asked}: they can't be compared."]
    worse = []
    for name, then in recorded["sets"].items():
        if name not in reports:
            worse.append(f"{name} was not measured.")
            continue
        now, tolerance = reports[name], recorded["tolerance"]
        worse += [
            f"{name}: {figure} is {now['figures'][_PRODUCT][figure]:.3f}, recorded {value:.3f}."
            for figure, value in then["figures"][_PRODUCT].items()
            if now["figures"][_PRODUCT][figure] < value - tolerance
        ]
        if now["refused"] > then["refused"] + tolerance:
            worse.append(f"{name}: {now['refused']:.1%} of the answerable refused, recorded {then['refused']:.1%}.")
        shares = [report["not known"]["as it says"].get("all", {}).get("recognised", 0.0) for report in (now, then)]
        if shares[0] < shares[1] - _FEW:
            worse.append(f"{name}: {shares[0]:.0%} of the unanswerable recognised, recorded {shares[1]:.0%}.")
    return worse


def rounded(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Return a report with four digits a figure."""
    if isinstance(value, float):
        return round(value, 4)
    return {key: rounded(member) for key, member in value.items()} if isinstance(value, Mapping) else value


def main() -> int:
    """Measure every set; return 1 if recorded figures have fallen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--limit-queries", type=int, default=0, metavar="N", help="a sample of N questions a set")
    parser.add_argument("--split", choices=("choose", "kept", "all"), default="all", help="which questions of ours")
    parser.add_argument("--mode", default="", help="ask the product in this mode of its own")
    parser.add_argument("--by-language", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything; the form --fail-below reads")
    parser.add_argument("--fail-below", type=Path, metavar="FILE", help="fail if a figure of FILE's sets has fallen")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(_SETTINGS) and name != "DM_MEMORY_EMBEDDER"]:
        del os.environ[name]
    reports = {}
    for folder in options.folders:
        name, report = measure(folder, options)
        reports[name] = rounded(report)
        show(name, report, by_language=options.by_language)
    asked = {"split": options.split, "limit_queries": options.limit_queries, "mode": options.mode}
    worse = []
    if options.fail_below:
        worse = fallen(reports, json.loads(options.fail_below.read_text(encoding="utf-8")), asked)
    if options.json:
        written = {"asked": asked, "tolerance": _TOLERANCE, "sets": reports}
        options.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if worse:
        print("\nFallen:\n  " + "\n  ".join(worse))
    return bool(worse)


if __name__ == "__main__":
    sys.exit(main())
