"""Tables: CSV exports with lines before their header, and rows as text that keeps the header with each piece."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

__all__ = ["markdown_tables", "read_rows", "read_tables", "row_text", "table_pieces"]

_DELIMITERS = ",;\t|"
_MAX_FIELD = 1_000_000
_PIECE_CHARS = 1200
_SEP = re.compile(r"sep=(.)[ \t]*(?:\r\n|\r|\n)", re.IGNORECASE)  # names the delimiter to Excel
_DIGIT = re.compile(r"\d")
_SEPARATOR = re.compile(r"[\s|:-]+")

csv.field_size_limit(_MAX_FIELD)


def read_tables(text: str) -> list[tuple[list[str], list[str], list[list[str]]]]:
    """Return (lines before the table, header, rows) of each table of a CSV export.

    A header is the first row that is as wide as its table and has no empty cell; what stands before it (a report's
    name, its period) is text. Some exports have several tables, each behind an empty line.
    """
    stated = _SEP.match(text)
    delimiter = stated[1] if stated else _delimiter(text)
    text = text[stated.end() :] if stated else text
    try:
        rows = list(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter))
    except csv.Error:
        rows = [line.split(delimiter) for line in text.splitlines()]
    return [table for group in _groups(rows) if (table := _table(group))[1]]


def _groups(rows: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Yield the rows of each table."""
    group: list[list[str]] = []
    wide = 0
    for at, row in enumerate(rows):
        if not any(cell.strip() for cell in row):
            continue
        after_gap = at > 0 and not any(cell.strip() for cell in rows[at - 1])
        below = rows[at + 1] if at + 1 < len(rows) else []
        is_header = len(row) > 1 and all(cell.strip() and not _DIGIT.search(cell) for cell in row)
        if after_gap and wide > 1 and is_header and any(cell.strip() for cell in below):
            yield group
            group, wide = [], 0
        group.append(row)
        wide += len(row) > 1
    yield group


def _table(rows: Sequence[list[str]]) -> tuple[list[str], list[str], list[list[str]]]:
    if not rows:
        return [], [], []
    widths = [len(row) for row in rows]
    width = max(set(widths), key=lambda size: (widths.count(size) * (size > 1), size))
    first = next(
        (at for at, row in enumerate(rows) if len(row) == width and all(cell.strip() for cell in row)),
        next((at for at, row in enumerate(rows) if len(row) == width), 0),
    )
    lines = [", ".join(cell.strip(" #-=*\t") for cell in row if cell.strip(" #-=*\t")) for row in rows[:first]]
    header = [cell.strip() for cell in rows[first]]
    return [line for line in lines if line], header, [[cell.strip() for cell in row] for row in rows[first + 1 :]]


def read_rows(text: str) -> list[object]:
    """Return the rows of a CSV file as objects by the headers' names; of equal names the second gets a number."""
    found: list[object] = []
    for _before, header, rows in read_tables(text):
        names: list[str] = []
        for name in header:
            names.append(f"{name} {names.count(name) + 1}" if name in names else name)
        found += [dict(zip(names, row, strict=False)) for row in rows]
    return found


def row_text(header: Sequence[str], row: Sequence[str]) -> str:
    """Return a row that says what each of its cells is: ``Campaign: Fleece, CTR: 3.2%, Spend: 1.234,56``.

    Of a matrix, whose first column has no name, the row's name comes first: ``email: Q1: 3.2%, Q2: 4.1%``.
    """
    row = [" ".join(cell.split()) for cell in row]
    named = [f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=False) if cell]
    named += [cell for cell in row[len(header) :] if cell.strip()]
    if header and not header[0] and row and row[0].strip() and len(named) > 1:
        return f"{row[0].strip()}: {', '.join(named[1:])}"
    return ", ".join(named)


def table_pieces(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as text, some at a time; every cell has its column's name, so that a piece is understood alone."""
    lines: list[str] = []
    size = 0
    for row in rows:
        text = row_text(header, row)
        if not text:
            continue
        if lines and size + len(text) > _PIECE_CHARS:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(f"- {text}")
        size += len(text)
    if lines:
        yield "\n".join(lines)


def markdown_tables(body: str) -> Iterator[tuple[int, int, list[str], list[list[str]]]]:
    """Yield (first line, line behind it, header, rows) of each pipe table in a Markdown text."""
    lines = body.splitlines()
    at = 0
    while at + 1 < len(lines):
        if (
            "|" in lines[at]
            and "-" in lines[at + 1]
            and "|" in lines[at + 1] + lines[at]
            and _SEPARATOR.fullmatch(lines[at + 1])
        ):
            end = at + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield at, end, _cells(lines[at]), [_cells(line) for line in lines[at + 2 : end]]
            at = end
        else:
            at += 1


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)]


def _delimiter(text: str) -> str:
    """Return the sign that cuts most lines into the same number of cells, outside of quotes."""
    sample = [line for line in text.splitlines()[:50] if line.strip()]
    best, score = ",", 0
    for sign in _DELIMITERS:
        counts = [len(next(csv.reader([line], delimiter=sign), [])) - 1 for line in sample]
        common = max(set(counts), key=counts.count) if counts else 0
        found = counts.count(common) * common if common else max(counts, default=0)
        if found > score:
            best, score = sign, found
    return best
