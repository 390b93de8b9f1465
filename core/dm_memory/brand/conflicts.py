"""The marks by which cloud services name their own files: conflict copies, placeholders, pointers."""

from __future__ import annotations

import re

__all__ = ["original_of", "placeholder_of"]

# Dropbox, Box and Nextcloud write "(Jo's conflicted copy 2026-01-02)", in the user's language; Syncthing a mark with
# date, time and device. "x (1).json" and "x-DESKTOP-AB12345.json" are what browsers and OneDrive make: a copy only if
# the file without the mark lies beside it. iCloud's "x 2.json" is what people call a second campaign, and is one.
_CONFLICT = re.compile(
    r"(?:[ _.-]*\([^()]*(?:conflict|conflit|konflikt|conflicto|conflitto|conflito|конфликт|競合|冲突|衝突|충돌)[^()]*\)"
    r"|\.sync-conflict-\d{8}-\d{6}(?:-[0-9A-Z]{7})?|[ _.-]+(?:conflicted copy|conflict copy)[^./]*)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?: \(\d{1,2}\)| - [Cc]opy(?: \(\d+\))?|-(?:DESKTOP|LAPTOP)-[A-Z0-9]{5,})(?=\.[^./]+$)")
_PLACEHOLDER = re.compile(r"\.(?P<name>.+)\.icloud|(?P<other>.+)\.(?:cloud|cloudf|dropbox|odlocal)", re.IGNORECASE)
_PLACEHOLDER_ENDS = (".icloud", ".cloud", ".cloudf", ".dropbox", ".odlocal")


def original_of(path: str, beside: frozenset[str] | None = None) -> str:
    """Return the path of which ``path`` is a conflict copy, or "" if it is none.

    Args:
        path: The path that may be a copy's.
        beside: The paths in its folder; only if the original is among them is a mere number the mark of a copy. None
            takes it for one.
    """
    folder, slash, name = path.rpartition("/")
    if (
        "(" not in name
        and "onflict" not in name
        and "DESKTOP-" not in name
        and "LAPTOP-" not in name
        and " - " not in name
    ):
        return ""
    if _CONFLICT.search(name):
        return f"{folder}{slash}{_CONFLICT.sub('', name)}"
    if match := _NUMBERED.search(name):
        original = f"{folder}{slash}{name[: match.start()]}{name[match.end() :]}"
        if beside is None or original in beside:
            return original
    return ""


def placeholder_of(name: str) -> str:
    """Return the name of the file that ``name`` stands for while a cloud drive keeps its contents, or ""."""
    if not name.endswith(_PLACEHOLDER_ENDS):
        return ""
    match = _PLACEHOLDER.fullmatch(name)
    return (match["name"] or match["other"]) if match else ""
