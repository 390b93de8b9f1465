"""Which of a brand's files contain items, which parser reads each, and why the others are not read.

Nothing is passed over in silence: each file below the brand is a source, a known log or index, litter, or named as
unread with the reason and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, broken, original_of, placeholder_of, read_inside, read_outside, stays_inside
from dm_memory.brand.formats.pages import Target
from dm_memory.brand.formats.text import NestedTooDeeplyError
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile, SourceKind
from dm_memory.brand.sources.approvals import parse_approvals
from dm_memory.brand.sources.assets import parse_asset
from dm_memory.brand.sources.audiences import parse_audiences
from dm_memory.brand.sources.campaign_pages import parse_campaign_page
from dm_memory.brand.sources.campaigns import parse_campaign
from dm_memory.brand.sources.competitors import parse_competitors
from dm_memory.brand.sources.geo import parse_geo
from dm_memory.brand.sources.guidelines import parse_file, parse_guideline
from dm_memory.brand.sources.insights import parse_insights
from dm_memory.brand.sources.intelligence import parse_intelligence
from dm_memory.brand.sources.metrics import parse_metrics
from dm_memory.brand.sources.notes import parse_notes
from dm_memory.brand.sources.performance import parse_performance
from dm_memory.brand.sources.profile_entries import parse_context_page, parse_profile
from dm_memory.brand.sources.signals import parse_signals
from dm_memory.brand.sources.violations import parse_violations
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Kind

__all__ = [
    "NO_MEMORY",
    "Listing",
    "ParsedFile",
    "SourceFile",
    "SourceKind",
    "kind_of",
    "list_sources",
    "parse_source",
    "read_source",
    "reason_for",
]

_DATA = frozenset({".json", ".jsonl", ".ndjson", ".json5", ".jsonc", ".yaml", ".yml", ".toml"})
_TABLES = frozenset({".csv", ".tsv"})
_PAGES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".html", ".htm"})
_TEXTS = _PAGES | {".txt", ".text", ".jsx", ".tsx"}
_ALL = _DATA | _TABLES | _TEXTS
_MAX_DEPTH = 12
_MAX_NAMED = 10

NO_MEMORY: dict[str, str] = {
    "memory/": "what dm-memory and the plugin's script write themselves; pending and stored payloads are read apart",
    "executions/": "a log of what was published",
    "quality/evals/": "a log of single evaluations; the averages in quality/_summary.json are remembered",
    "_index.json": "an index of its folder",
    "_manifest.json": "an index of its folder",
}
"""Files that are no memory, by folder or name, each with the reason."""

_TOP: dict[str, tuple[SourceKind, frozenset[str]]] = {
    "profile": (SourceKind.PROFILE, _DATA),
    "insights": (SourceKind.INSIGHTS, _DATA | _TABLES | _PAGES),
    "learnings": (SourceKind.INSIGHTS, _DATA | _TABLES | _PAGES),
    "competitors": (SourceKind.COMPETITORS, _DATA | _TABLES | _PAGES),
    "audiences": (SourceKind.AUDIENCES, _DATA | _TABLES | _PAGES),
    "guideline-violations": (SourceKind.VIOLATIONS, _DATA | _TABLES),
    "product-marketing-context": (SourceKind.CONTEXT, _TEXTS),
}
_FOLDERS: dict[str, tuple[SourceKind, frozenset[str]]] = {
    "campaigns": (SourceKind.CAMPAIGN, _DATA | _TABLES | _PAGES),
    "performance": (SourceKind.PERFORMANCE, _DATA | _TABLES | _PAGES),
    "intelligence": (SourceKind.INTELLIGENCE, _DATA),
    "approvals": (SourceKind.APPROVALS, _DATA),
    "guidelines": (SourceKind.GUIDELINE, _ALL),
    "competitors": (SourceKind.COMPETITORS, _DATA | _TABLES | _PAGES),
    "panels": (SourceKind.AUDIENCES, _DATA),
    "signals": (SourceKind.SIGNALS, _DATA | _PAGES),
    "geo": (SourceKind.GEO, _DATA),
    "narrative": (SourceKind.GEO, _DATA),
    "churn": (SourceKind.METRICS, _DATA),
    "quality": (SourceKind.METRICS, _DATA),
    "growth": (SourceKind.METRICS, _DATA),
    "journeys": (SourceKind.METRICS, _DATA),
    "content-library": (SourceKind.ASSET, _ALL),
    "voice-samples": (SourceKind.ASSET, _ALL),
    "templates": (SourceKind.ASSET, _ALL),
}
_INSIGHTS = frozenset({SourceKind.INSIGHTS, SourceKind.INTELLIGENCE})
_CAMPAIGNS = frozenset({SourceKind.CAMPAIGN, SourceKind.APPROVALS})
# The order in which sources are read, and reported.
_ORDER = {kind: position for position, kind in enumerate(SourceKind)}

_LITTER_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", ".gitkeep", ".gitignore", ".keep"}
    | {"$recycle.bin", "__macosx", "node_modules", "@eadir", "lost+found", "__pycache__"}  # folders
)
_LITTER_ENDS = (
    "~",
    ".swp",
    ".swo",
    ".swx",
    ".tmp",
    ".temp",
    ".bak",
    ".orig",
    ".part",
    ".crdownload",
    ".lock",
    ".download",
    "zone.identifier",
)
_WHAT: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (".docx", ".doc", ".odt", ".rtf", ".pages"),
        ("is a word processor's document", "Save it as Markdown beside it."),
    ),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), ("is a spreadsheet", "Export its sheets as CSV.")),
    **dict.fromkeys(
        (".pptx", ".ppt", ".key", ".odp"), ("is a presentation", "Write what it says into a Markdown file.")
    ),
    ".pdf": ("is a PDF", "Save its text as Markdown."),
    **dict.fromkeys(
        (".gdoc", ".gsheet", ".gslides", ".url", ".webloc"),
        ("only points to a document elsewhere", "Export the document."),
    ),
    **dict.fromkeys(
        (
            ".png",
            ".jpg",
            ".jpeg",
            ".gif",
            ".svg",
            ".webp",
            ".heic",
            ".ai",
            ".psd",
            ".fig",
            ".sketch",
            ".ico",
            ".tif",
            ".tiff",
        ),
        ("is a picture", "Nothing has to be done; describe it in a guideline if it matters."),
    ),
    **dict.fromkeys((".mp4", ".mov", ".mp3", ".wav", ".m4a", ".webm"), ("is a recording", "Write down what it says.")),
    **dict.fromkeys((".zip", ".gz", ".tar", ".7z", ".rar"), ("is an archive", "Unpack it.")),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below a brand.

    Attributes:
        files: The sources to read, in a stable order.
        unread: A finding for each file that is no source and neither a known log nor litter.
        protected: Paths, or folders with a slash, whose entries must not be retired in this run: something stands for
            them whose contents are elsewhere, or they could not be listed. "" stands for the whole brand.
        scope: What was looked for.
    """

    files: tuple[SourceFile, ...]
    unread: tuple[Finding, ...] = ()
    protected: frozenset[str] = frozenset()
    scope: str = "all"

    def is_protected(self, path: str) -> bool:
        """Return whether what ``path`` states must stay as it is in this run."""
        if path in self.protected:
            return True
        return any(path.startswith(folder) for folder in self.protected if folder.endswith("/") or not folder)

    def tells_absence(self, path: str) -> bool:
        """Return whether a source that is not among the files is gone: it was looked for, and nothing stands for it."""
        if self.is_protected(path):
            return False
        if path.startswith("sops:/"):
            return self.scope == "all"
        place = _place_of(path)
        return place is not None and _in_scope(SourceFile(path, place[0]), self.scope)


@dataclass(slots=True)
class _Found:
    """What a walk has found so far."""

    files: list[SourceFile] = field(default_factory=list)
    unread: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)

    def leave(self, path: str, what: str, remedy: str) -> None:
        """Note a file that is not read; files of one folder with one reason are named together."""
        folder = path.rpartition("/")[0]
        self.unread.setdefault((folder, what, remedy), []).append(path)


def list_sources(home: Home, slug: str, scope: str, *, context_file: Path | None = None) -> Listing:
    """Return the files to read for ``scope`` (``all``, ``insights-only``, ``campaigns-only``) and what is not read.

    Only names are looked at. What turns out to be no file fails when it is read; a folder that can't be listed stands
    for itself in the list (its path ends in a slash), so that reading it reports why. Unread files are named by the
    scope ``all`` alone: the others don't look everywhere.

    Args:
        home: The home.
        slug: The brand.
        scope: See above.
        context_file: A ``product-marketing-context.md`` elsewhere that a setting points at.

    Raises:
        BrandNotFoundError, HomeError: See ``Home.brand_dir``.
    """
    folder = home.brand_dir(slug)
    found = _Found()
    _walk(home.root, folder, "", found, 0)
    _walk_procedures(home, found)
    if context_file is not None:
        found.files.append(SourceFile(f"context:/{context_file.name}", SourceKind.CONTEXT))
    # Conflict copies come behind what they are copies of.
    found.files.sort(key=lambda file: (_ORDER[file.kind], file.path.count("/"), file.conflict_copy, file.path))
    files = [file for file in _with_namesakes(found.files) if _in_scope(file, scope)]
    unread = tuple(_unread(key, paths) for key, paths in sorted(found.unread.items())) if scope == "all" else ()
    return Listing(tuple(files), unread, frozenset(found.protected), scope)


def _with_namesakes(files: Sequence[SourceFile]) -> Iterator[SourceFile]:
    """Yield the files; one is marked if another folder has a file of its kind and name."""
    folders: dict[tuple[SourceKind, str], set[str]] = {}
    for file in files:
        folders.setdefault((file.kind, file.stem.casefold()), set()).add(file.path.rpartition("/")[0])
    for file in files:
        several = len(folders[file.kind, file.stem.casefold()]) > 1
        yield replace(file, namesake=True) if several and file.path.count("/") > 1 else file


def read_source(
    home: Home,
    slug: str,
    file: SourceFile,
    limits: Limits,
    *,
    folder: Path | None = None,
    context_file: Path | None = None,
    checked: set[str] | None = None,
) -> bytes:
    """Return the bytes of a source.

    Args:
        home: The home.
        slug: The brand.
        file: The source.
        limits: How large it may be.
        folder: ``home.brand_dir(slug)``, for a caller that reads many.
        context_file: As for ``list_sources``.
        checked: See ``files.read_inside``, for a caller that reads many.

    Raises:
        BrandFileError: It is a link out of the home, a special file, too large or unreadable.
        BrandNotFoundError, HomeError: See ``Home.brand_dir``.
    """
    if file.path.startswith("sops:/"):
        return read_inside(home.root, home.root / "sops", file.path.removeprefix("sops:/"), limits, shown=file.path)
    if file.path.startswith("context:/") and context_file is not None:
        return read_outside(context_file, file.path, limits)
    return read_inside(home.root, folder or home.brand_dir(slug), file.path, limits, checked=checked)


def parse_source(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items in ``data``, the bytes of ``file``.

    Raises:
        BrandFileError: The file as a whole is unusable. A malformed entry is a finding and stops only itself.
    """
    try:
        parsed = _parsed(file, data, context, limits)
    except (NestedTooDeeplyError, RecursionError):
        raise broken(file.path, "is nested too deeply") from None
    if not parsed.items and not parsed.findings and file.suffix in _TEXTS | _TABLES:
        # A list without entries is one that waits for them; a page without a text is somebody's mistake.
        message = f"{file.path} says nothing that could be remembered."
        parsed.findings.append(Finding("empty-text", Severity.INFO, message, "Fill it in, or remove it.", file.path))
    return parsed


def _parsed(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    if file.suffix in _PAGES and file.kind is SourceKind.CAMPAIGN:
        return parse_campaign_page(file, data, context, limits)
    if file.suffix in _PAGES and file.kind is SourceKind.PERFORMANCE:
        collector = Collector(file, Kind.PERFORMANCE, limits)
        target = Target(collector, "performance", "performance/", ContentType.PERFORMANCE_INSIGHT)
        return parse_file(target, data, context)
    if file.suffix in _PAGES and file.kind in _NOTES:
        return parse_notes(file, data, context, limits)
    return _PARSERS[file.kind](file, data, context, limits)


_NOTES = frozenset({SourceKind.INSIGHTS, SourceKind.COMPETITORS, SourceKind.AUDIENCES, SourceKind.SIGNALS})
_PARSERS: dict[SourceKind, Callable[[SourceFile, bytes, BrandContext, Limits], ParsedFile]] = {
    SourceKind.INSIGHTS: parse_insights,
    SourceKind.INTELLIGENCE: parse_intelligence,
    SourceKind.CAMPAIGN: parse_campaign,
    SourceKind.PERFORMANCE: parse_performance,
    SourceKind.COMPETITORS: parse_competitors,
    SourceKind.AUDIENCES: parse_audiences,
    SourceKind.VIOLATIONS: parse_violations,
    SourceKind.APPROVALS: parse_approvals,
    SourceKind.GUIDELINE: parse_guideline,
    SourceKind.SOP: parse_guideline,
    SourceKind.ASSET: parse_asset,
    SourceKind.SIGNALS: parse_signals,
    SourceKind.GEO: parse_geo,
    SourceKind.METRICS: parse_metrics,
    SourceKind.PROFILE: parse_profile,
    SourceKind.CONTEXT: parse_context_page,
}


def kind_of(path: str) -> SourceKind | None:
    """Return what is kept where ``path`` lies."""
    if path.startswith("sops:/"):
        return SourceKind.SOP
    place = _place_of(path)
    return place[0] if place else None


def reason_for(path: str) -> str:
    """Return why a file is no memory, or "" if it should be one."""
    name = path.rpartition("/")[2]
    if name in NO_MEMORY:
        return NO_MEMORY[name]
    return next(
        (reason for prefix, reason in NO_MEMORY.items() if prefix.endswith("/") and path.startswith(prefix)), ""
    )


def _in_scope(file: SourceFile, scope: str) -> bool:
    if scope == "all":
        return True
    alone = file.kind is SourceKind.PERFORMANCE and file.stem.startswith("snapshot-")
    if scope == "insights-only":
        return file.kind in _INSIGHTS or alone
    return file.kind in _CAMPAIGNS or (file.kind is SourceKind.PERFORMANCE and not alone)


def _walk(root: Path, brand_dir: Path, below: str, found: _Found, depth: int) -> None:
    """Look at one folder and those below it; ``below`` is its path with a slash, or ""."""
    folder = brand_dir / below if below else brand_dir
    entries = _listed(root, folder, below, found)
    beside = frozenset(f"{below}{name}" for name, is_folder in entries if not is_folder)
    for name, is_folder in entries:
        path = f"{below}{name}"
        if _is_litter(name) and not placeholder_of(name):
            continue
        if is_folder and not _is_read_as_file(path):
            _walk_below(root, brand_dir, path, found, depth)
        elif name not in NO_MEMORY:
            _classify(path, beside, found)


def _walk_below(root: Path, brand_dir: Path, path: str, found: _Found, depth: int) -> None:
    if reason_for(f"{path}/"):
        return
    if depth >= _MAX_DEPTH:
        found.leave(path, "is a folder nested too deeply", "Move what is in it further up.")
    elif (depth or path.split("/", 1)[0] not in _FOLDERS) and (brand_dir / path).is_symlink():
        found.leave(path, "is a link to a folder", "Replace the link by the folder itself.")
    else:
        _walk(root, brand_dir, f"{path}/", found, depth + 1)


def _listed(root: Path, folder: Path, below: str, found: _Found) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of what is in a folder, sorted; one that can't be listed is reported when read."""
    try:
        if below and not stays_inside(root, folder):
            raise PermissionError  # a link out is like a folder that can't be listed
        with os.scandir(folder) as entries:
            # A name that isn't UTF-8 can't be stored, nor found under its new one: a finding.
            return sorted(
                (entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), entry.is_dir())
                for entry in entries
            )
    except OSError:
        found.protected.add(below)
        if place := _place_of(below.rstrip("/") + "/x.json"):
            found.files.append(SourceFile(below, place[0]))
        elif below:
            found.leave(below, "can't be listed", "Check its permissions, or replace the link by the folder itself.")
        return []


def _classify(path: str, beside: frozenset[str], found: _Found) -> None:
    """Decide what a file is."""
    folder, _, name = path.rpartition("/")
    slash = "/" if folder else ""
    if stands_for := placeholder_of(name):
        found.protected.add(f"{folder}{slash}{stands_for}")
        found.leave(path, "stands for a file whose contents are in the cloud", "Download it, then sync again.")
        return
    original = original_of(path, beside)
    if original and original not in beside:
        found.protected.add(original)
    place, suffix = _place_of(original or path), _suffix(name)
    if place and suffix in place[1] and not _is_index(name):
        found.files.append(SourceFile(path, place[0], conflict_copy=bool(original)))
        return
    what, remedy = _WHAT.get(suffix, ("", ""))
    if not what and _is_index(name):
        what, remedy = "is taken for an index by its name", "Rename it without the underscore if it is knowledge."
    if not what and place:
        what, remedy = f"has a form that is not read here ({suffix or 'no suffix'})", "Save it as Markdown or JSON."
    if not what:
        what, remedy = "lies where nothing is read", "Move it to guidelines/custom if it is knowledge."
    found.leave(path, what, remedy)


def _place_of(path: str) -> tuple[SourceKind, frozenset[str]] | None:
    """Return what is kept where ``path`` lies, and in which forms it is read."""
    parts = path.split("/")
    if len(parts) == 1:
        return _TOP.get(path.rpartition(".")[0].lower())
    if parts[0] == "geo" and (len(parts) < 3 or parts[1] not in {"audits", "narratives"}):  # noqa: PLR2004  # geo/kind/file
        return None
    if parts[0] == "panels" and not parts[-1].startswith("panel."):
        return None
    return _FOLDERS.get(parts[0])


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def _is_index(name: str) -> bool:
    return name.startswith("_") and name != "_summary.json"


def _is_read_as_file(path: str) -> bool:
    """Return whether a folder has the name of a source: it is listed, so that reading it reports what it is."""
    suffix = _suffix(path)
    return suffix in _DATA | _TABLES | _PAGES and _place_of(path) is not None


def _is_litter(name: str) -> bool:
    lower = name.lower()
    return (
        lower in _LITTER_NAMES
        or lower.startswith((".", "~$", "~wrl"))
        or lower.endswith(_LITTER_ENDS)
        # "#1 rule.md" is somebody's page, "#rules.md#" what Emacs left.
        or (lower.startswith("#") and lower.endswith("#"))
    )


def _walk_procedures(home: Home, found: _Found) -> None:
    """The agency's procedures lie beside the brands and belong to each."""
    folder = home.root / "sops"
    if not os.path.lexists(folder):
        return
    below = _Found()
    for path in _files_in(home.root, folder, below):
        name = path.rpartition("/")[2]
        if _is_litter(name) or name in NO_MEMORY:
            continue
        if _suffix(name) in _ALL and not _is_index(name):
            found.files.append(SourceFile(f"sops:/{path}", SourceKind.SOP))
        else:
            what, remedy = _WHAT.get(_suffix(name), ("is not read here", "Save it as Markdown."))
            found.leave(f"sops:/{path}", what, remedy)
    if below.protected:
        found.protected.add("sops:/")
        found.files.append(SourceFile("sops:/", SourceKind.SOP))


def _files_in(root: Path, folder: Path, found: _Found, below: str = "", depth: int = 0) -> Iterator[str]:
    for name, is_folder in _listed(root, folder / below if below else folder, below or "sops:/", found):
        if not is_folder:
            yield f"{below}{name}"
        elif depth < _MAX_DEPTH and not name.startswith(".") and not (folder / below / name).is_symlink():
            yield from _files_in(root, folder, found, f"{below}{name}/", depth + 1)


def _unread(key: tuple[str, str, str], paths: list[str]) -> Finding:
    folder, what, remedy = key
    if len(paths) == 1:
        return Finding("not-read", Severity.INFO, f"{paths[0]} {what} and is not read.", remedy, path=paths[0])
    names = ", ".join(path.rpartition("/")[2] for path in paths[:_MAX_NAMED])
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    message = f"{folder or 'The brand'}: {len(paths)} files are not read, each {what}: {names}{more}."
    return Finding("not-read", Severity.INFO, message, remedy, path=f"{folder}/" if folder else paths[0])
