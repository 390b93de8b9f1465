"""Which of a brand's files hold items, in a stable order, and which parser reads each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import assert_never

from dm_memory.brand.campaigns import parse_campaign
from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, stays_inside
from dm_memory.brand.guidelines import parse_guideline
from dm_memory.brand.home import Home
from dm_memory.brand.insights import parse_insights
from dm_memory.brand.parsed import ParsedFile, SourceFile, SourceKind
from dm_memory.brand.performance import parse_performance

__all__ = ["ParsedFile", "SourceFile", "SourceKind", "parse_source", "source_files"]

_INSIGHTS = "insights.json"
_FOLDERS = (
    ("campaigns", ".json", SourceKind.CAMPAIGN),
    ("performance", ".json", SourceKind.PERFORMANCE),
    ("guidelines", ".md", SourceKind.GUIDELINE),
    ("guidelines/custom", ".md", SourceKind.GUIDELINE),
)
_BY_SCOPE = {
    "all": frozenset(SourceKind),
    "insights-only": frozenset({SourceKind.INSIGHTS}),
    "campaigns-only": frozenset({SourceKind.CAMPAIGN, SourceKind.PERFORMANCE}),
}


def source_files(home: Home, slug: str, scope: str) -> list[SourceFile]:
    """Return the files to read for ``scope`` (``all``, ``insights-only``, ``campaigns-only``), in a stable order.

    Only names are looked at. What turns out to be no file fails when it is read; a folder that can't be listed stands
    for itself in the list (its path ends in a slash), so that reading it reports why.

    Raises:
        BrandNotFoundError, HomeError: See ``Home.brand_dir``.
    """
    kinds = _BY_SCOPE[scope]
    folder = home.brand_dir(slug)
    files: list[SourceFile] = []
    if SourceKind.INSIGHTS in kinds and os.path.lexists(folder / _INSIGHTS):
        files.append(SourceFile(_INSIGHTS, SourceKind.INSIGHTS))
    for name, suffix, kind in _FOLDERS:
        if kind in kinds:
            files.extend(SourceFile(path, kind) for path in _listed(home.root, folder, name, suffix))
    return files


def parse_source(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:  # noqa: ARG001  # the port's signature: a parser may need the brand
    """Return the items that ``data``, the bytes of ``file``, holds.

    Raises:
        BrandFileError: The file as a whole is unusable. A malformed entry is a finding and stops only itself.
    """
    match file.kind:
        case SourceKind.INSIGHTS:
            return parse_insights(file, data, limits)
        case SourceKind.CAMPAIGN:
            return parse_campaign(file, data, limits)
        case SourceKind.PERFORMANCE:
            return parse_performance(file, data, limits)
        case SourceKind.GUIDELINE:
            return parse_guideline(file, data, limits)
        case _:
            assert_never(file.kind)


def _listed(root: Path, brand_dir: Path, name: str, suffix: str) -> list[str]:
    folder = brand_dir / name
    if not os.path.lexists(folder):
        return []
    if not stays_inside(root, folder):
        return [f"{name}/"]
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return [f"{name}/"]
    return sorted(f"{name}/{_text(entry)}" for entry in names if _is_ours(entry, suffix))


def _is_ours(name: str, suffix: str) -> bool:
    """Leave out indexes, hidden files and what editors and people leave lying about."""
    return name.endswith(suffix) and name[0] not in "._#~"


def _text(name: str) -> str:
    """Return a file name that can be stored. One that isn't UTF-8 can't be found under its mended name: a finding."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
