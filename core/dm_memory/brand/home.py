"""The home folder: which brands there are, which one is meant, and where its files lie. Writes nothing."""

from __future__ import annotations

import difflib
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from dm_memory.brand.files import BrandFileError, Limits, parse_json, read_inside, stays_inside
from dm_memory.errors import BrandNotFoundError, HomeError, system_reason

__all__ = ["NO_BRAND", "Home", "is_brand_name"]

_MAX_NAME = 100
_SHOWN = 120
# A colon separates a drive or a stream on Windows.
_SEPARATORS = frozenset("/\\:")
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_SET_HOME = "Set CLAUDE_MARKETING_HOME, or pass --home, to the folder that contains the brands."

NO_BRAND = 'Set one up with /dm:brand-setup, or without the plugin with: dm-memory init "Brand name".'
"""What to do if a home has no brand."""


def is_brand_name(name: str) -> bool:
    """Return whether ``name`` can be a brand's slug: a plain folder name, never a path.

    Letters of any script are welcome; separators, control characters, surrogates and a leading dot or underscore not.
    """
    return (
        0 < len(name) <= _MAX_NAME
        and name[0] not in "._"
        and name == name.strip()
        and not _SEPARATORS & set(name)
        and not any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name)
    )


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that contains the brands, ``~/.claude-marketing`` by default.

    Attributes:
        root: The folder.
        only: The one brand that is seen; the others are as if they were not there. "" for all.
    """

    root: Path
    only: str = ""

    def __post_init__(self) -> None:
        """Take ``only`` in Unicode NFC, as slugs are."""
        object.__setattr__(self, "only", unicodedata.normalize("NFC", self.only))

    def narrowed(self, brand: str) -> Home:
        """Return the home in which only this brand is seen; of one that is narrowed to another brand, none."""
        home = Home(self.root, brand)
        nothing = Home(self.root, f"{home.only}/")  # no folder is named like that
        return home if self.only in {"", home.only} else nothing

    def brands(self) -> tuple[str, ...]:
        """Return the slugs of all brands, sorted, in Unicode NFC.

        Raises:
            HomeError: The home is missing, unreadable or linked elsewhere below.
        """
        return tuple(sorted(self._folders()))

    def resolve(self, name: str | None, default: str | None = None) -> str:
        """Return the slug that is meant: ``name``, else ``default``, else the active brand.

        Raises:
            BrandNotFoundError: None of them is given, or the one that is given does not exist.
            HomeError: See ``brands``.
        """
        folders = self._folders()
        wanted = (name or "").strip() or self.only or (default or "").strip() or self._active()
        slug = unicodedata.normalize("NFC", wanted)
        if slug in folders:
            return slug
        raise _not_found(slug, tuple(sorted(folders)))

    def resolve_or_only(self, name: str | None, default: str | None = None) -> str:
        """Return the same slug; where none is named, configured or active, that of the only brand there is.

        Raises:
            BrandNotFoundError: See ``resolve``; carries the slugs.
            HomeError: See ``brands``.
        """
        try:
            return self.resolve(name, default)
        except BrandNotFoundError as error:
            if name or default or len(error.brands) != 1:
                raise
            return error.brands[0]

    def brand_dir(self, slug: str) -> Path:
        """Return the folder of the brand ``slug``.

        Raises:
            BrandNotFoundError: ``slug`` is no valid name, or there is no such brand.
            HomeError: The folder is a link that leaves the home, or this user may not read it.
        """
        folders = self._folders()
        slug = unicodedata.normalize("NFC", slug)
        if slug not in folders:
            raise _not_found(slug, tuple(sorted(folders)))
        path = self.root / "brands" / folders[slug]
        self._refuse_leaving(path)
        _refuse_unreadable(path)
        return path

    def memory_dir(self, slug: str) -> Path:
        """Return the brand's ``memory`` folder, which may not exist yet.

        Raises:
            BrandNotFoundError: See ``brand_dir``.
            HomeError: It is a link that leaves the home, no folder, or this user may not read it.
        """
        path = self.brand_dir(slug) / "memory"
        if os.path.lexists(path):
            self._refuse_leaving(path)
            if not _is_folder(path):
                raise HomeError(f"{path} is not a folder.", "Move it out of the way, then sync again.")
            _refuse_unreadable(path)
        return path

    def _folders(self) -> dict[str, str]:
        """Return the brands' folder names by slug. A folder name can be NFD (macOS), a slug is always NFC."""
        path = self.root / "brands"
        if not _is_folder(self.root):
            raise HomeError(f"There is no folder {self.root}.", f"{_SET_HOME} No brand yet? {NO_BRAND}")
        if not os.path.lexists(path):
            return {}
        self._refuse_leaving(path)
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if is_brand_name(entry.name) and entry.is_dir())
        except OSError as error:
            raise HomeError(f"{path} can't be read ({system_reason(error)[0]}).", _SET_HOME) from None
        folders: dict[str, str] = {}
        for name in names:
            slug = unicodedata.normalize("NFC", name)
            if (slug not in folders or slug == name) and self.only in {"", slug}:
                folders[slug] = name
        return folders

    def _active(self) -> str:
        """Return the active brand's slug, or "": a broken file means that no brand is active."""
        try:
            document = parse_json(read_inside(self.root, self.root / "brands", "_active-brand.json", Limits()))
        except BrandFileError:
            return ""
        slug = document.get("active_slug") if isinstance(document, dict) else None
        return slug.strip() if isinstance(slug, str) else ""

    def _refuse_leaving(self, path: Path) -> None:
        if not stays_inside(self.root, path):
            raise HomeError(
                f"{path} is a link that leaves the home folder.",
                "Move the real folder into the home, or set CLAUDE_MARKETING_HOME to the folder that contains it.",
            )


def _refuse_unreadable(path: Path) -> None:
    """Raise ``HomeError`` for a folder that this user may not look into: everything in it would seem to be absent."""
    if os.access(path, os.R_OK | os.X_OK):
        return
    user = getattr(os, "geteuid", lambda: None)()
    is_foreign = user is not None and path.stat().st_uid != user
    why = "belongs to another user and " if is_foreign else ""
    raise HomeError(
        f"The folder {path} {why}can't be read.",
        "Run dm-memory as the user it belongs to, or make it readable and writable for this one.",
    )


def _is_folder(path: Path) -> bool:
    """Return whether a folder is there. Raises ``HomeError`` if that can't be found out."""
    try:
        return path.is_dir()
    except OSError as error:
        reason, remedy = system_reason(error)
        shown = str(path) if len(str(path)) < _SHOWN else f"{str(path)[:_SHOWN]}..."
        raise HomeError(f"{shown} can't be looked at ({reason}).", remedy) from None


def _not_found(slug: str, brands: tuple[str, ...]) -> BrandNotFoundError:
    if not brands:
        return BrandNotFoundError("There is no brand yet.", NO_BRAND, brands)
    known = f"The brands are: {', '.join(brands)}."
    if not slug:
        return BrandNotFoundError("No brand is named and none is active.", f"Name one. {known}", brands)
    shown = slug[:_MAX_NAME].encode("utf-8", "replace").decode()
    if not is_brand_name(slug):
        return BrandNotFoundError(f"{shown!r} can't be a brand's name.", f"Use its folder's name. {known}", brands)
    close = difflib.get_close_matches(slug, brands, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return BrandNotFoundError(f"There is no brand named {shown!r}.", f"{hint}{known}", brands)
