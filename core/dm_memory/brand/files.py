"""Bytes of a brand's files, and JSON out of them: a link, a device, what is too large or broken ends in a finding.

Names too: the marks by which cloud services name conflict copies and placeholders.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import orjson

from dm_memory.brand.encodings import decode_legacy
from dm_memory.errors import DmMemoryError, system_reason
from dm_memory.findings import Finding, Severity

__all__ = [
    "BrandFileError",
    "Limits",
    "broken",
    "clean_json_text",
    "decode_text",
    "no_number",
    "original_of",
    "parse_json",
    "placeholder_of",
    "read_brand_file",
    "read_inside",
    "read_outside",
    "stays_inside",
]

# Neither is known on Windows; there the explicit check for a link decides alone.
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO for reading must not wait for a writer.
_FLAGS = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
"""Windows' links between folders, which are no symbolic links."""

_REPAIR = "Repair the file or restore it from a backup, then sync again."


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a file (bytes) and a single text (characters) may be before it is refused instead of read."""

    max_file_bytes: int = 64 * 1024 * 1024
    max_content_chars: int = 2_000_000


class BrandFileError(DmMemoryError):
    """One brand file as a whole can't be used; ``finding`` says so in the form a report takes."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message, finding.remedy)
        self.finding = finding


def _failure(code: str, path: str, message: str, remedy: str) -> BrandFileError:
    return BrandFileError(Finding(code, Severity.ERROR, message, remedy, path=path))


def broken(path: str, what: str) -> BrandFileError:
    """Return the error for a file whose contents are unusable; ``what`` completes "``path`` ..."."""
    return _failure("broken-file", path, f"{path or 'The data'} {what}.", _REPAIR)


def stays_inside(home: Path, path: str | Path) -> bool:
    """Return whether ``path``, all links followed, exists and lies in ``home``."""
    try:
        target = os.path.realpath(path, strict=True)
        root = os.path.realpath(home, strict=True)
    except (OSError, ValueError):
        return False
    return target == root or target.startswith(root.rstrip(os.sep) + os.sep)


def read_brand_file(brand_dir: Path, relative: str, limits: Limits) -> bytes:
    """Return the bytes of ``relative`` (posix, below ``brand_dir``, which is ``{home}/brands/{slug}``).

    A link is followed only if it stays inside the home.

    Raises:
        BrandFileError: ``link-refused``, ``file-too-large`` or ``unreadable-file``.
    """
    return read_inside(brand_dir.parent.parent, brand_dir, relative, limits)


def read_outside(path: Path, shown: str, limits: Limits) -> bytes:
    """Return the bytes of a file that a setting names, wherever it lies; ``shown`` is how errors call it.

    Raises:
        BrandFileError: ``file-too-large`` or ``unreadable-file``.
    """
    try:
        descriptor = os.open(os.path.realpath(path, strict=True), _FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(shown, error) from None
    return _read_descriptor(descriptor, shown, limits)


def read_inside(
    home: Path, folder: Path, relative: str, limits: Limits, *, shown: str = "", checked: set[str] | None = None
) -> bytes:
    """Return the bytes of ``folder/relative`` under the same rules, for any ``folder`` of the home.

    ``checked`` are folders that the caller has been in a moment ago; it grows.
    """
    path = _checked_path(home, folder, relative, set() if checked is None else checked)
    relative = shown or relative
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in {errno.ELOOP, errno.EMLINK}:
            return _read_link(home, path, relative, limits)
        raise _unreadable(relative, error) from None
    return _read_descriptor(descriptor, relative, limits)


def _checked_path(home: Path, folder: Path, relative: str, checked: set[str]) -> str:
    """Join the two; O_NOFOLLOW guards only the last name of a path, so the folders before it are checked here."""
    names = relative.replace(os.sep, "/").split("/")
    if ".." in names or not names[0] or ":" in names[0]:
        raise _link_refused(relative)
    path = str(folder)
    last = len(names) - 1
    for position, name in enumerate(names):
        path = f"{path}{os.sep}{name}"
        if (position == last and _NOFOLLOW) or path in checked:
            continue
        if _is_link(path) and not stays_inside(home, path):
            raise _link_refused(relative)
        if position < last:
            checked.add(path)
    return path


def _is_link(path: str) -> bool:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION


def _read_link(home: Path, path: str, relative: str, limits: Limits) -> bytes:
    if not stays_inside(home, path):
        raise _link_refused(relative)
    try:
        descriptor = os.open(os.path.realpath(path, strict=True), _FLAGS)
    except OSError as error:
        raise _unreadable(relative, error) from None
    return _read_descriptor(descriptor, relative, limits)


def _read_descriptor(descriptor: int, relative: str, limits: Limits) -> bytes:
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is a pipe or a device"
            raise _failure("unreadable-file", relative, f"{relative} {what}, not a file.", "Move it out of the way.")
        if status.st_size > limits.max_file_bytes:
            raise _too_large(relative, limits)
        return _read_all(descriptor, status.st_size, relative, limits)
    except OSError as error:
        raise _unreadable(relative, error) from None
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int, relative: str, limits: Limits) -> bytes:
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    # The file grew or shrank since it was measured, or the system answers in pieces.
    chunks = [data]
    total = len(data)
    while chunk := os.read(descriptor, 1 << 20):
        chunks.append(chunk)
        total += len(chunk)
        if total > limits.max_file_bytes:
            raise _too_large(relative, limits)
    return b"".join(chunks)


def _too_large(relative: str, limits: Limits) -> BrandFileError:
    return _failure(
        "file-too-large",
        relative,
        f"{relative} is larger than {limits.max_file_bytes:,} bytes and was not read.",
        "Split or shorten the file, or raise DM_MEMORY_MAX_FILE_BYTES.",
    )


def _link_refused(relative: str) -> BrandFileError:
    return _failure(
        "link-refused",
        relative,
        f"{relative} is a link that leaves the home folder and was not followed.",
        "Replace the link by the file itself.",
    )


def _unreadable(relative: str, error: OSError | ValueError) -> BrandFileError:
    reason, remedy = "not a usable file name", "Check its permissions and its name."
    if isinstance(error, OSError) and error.errno:
        reason, remedy = system_reason(error)
    return _failure("unreadable-file", relative, f"{relative} can't be read ({reason}).", remedy)


# An escape in a JSON text is two characters or six; matching each whole keeps `\\u0000` (an escaped backslash) apart
# from `\u0000`. Alternatives: a valid surrogate pair, a lone surrogate, NUL, any other escape.
_ESCAPE = re.compile(
    r"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(data: bytes, path: str = "") -> object:
    """Return the value that ``data`` contains; every text in it is free of NUL and of lone surrogates.

    orjson reads what is strictly JSON. What it refuses and a person would still call readable (a byte order mark,
    UTF-16, lone surrogate escapes, raw control characters, NaN) is repaired and read a second time. What people and
    assistants write beyond that is read by ``documents.read_document``.

    Raises:
        BrandFileError: ``broken-file``; ``path`` names the file in it.
    """
    if b"\\u0000" not in data:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # the careful reading below decides
    text = clean_json_text(data)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_leniently(text, path)


def clean_json_text(data: bytes) -> str:
    """Return JSON as text whose escapes contain neither NUL nor lone surrogates."""
    return _ESCAPE.sub(_repaired_escape, decode_text(data))


def _repaired_escape(match: re.Match[str]) -> str:
    if match["lone"]:
        return "\\ufffd"
    return "" if match["nul"] else match[0]


def _parse_leniently(text: str, path: str) -> object:
    if not text.strip():
        raise broken(path, "is empty")
    try:
        return json.loads(text, strict=False, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise broken(path, f"is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise broken(path, "is nested too deeply") from None
    except ValueError:
        raise broken(path, "contains a number that is too long") from None


def no_number(_name: str) -> None:
    """NaN and the infinities mean "no value": nothing could store them."""


def decode_text(data: bytes) -> str:
    """Return ``data`` as text without byte order mark, NUL and lone surrogates (U+FFFD stands for those).

    Bytes that are not UTF-8 are read as Windows-1252, which Python on Windows wrote by default before 3.15, unless they
    look like another of the encodings that are in use.
    """
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16", "replace") if wide else _decode_utf8(data)
    return text.removeprefix("\ufeff").replace("\0", "")


def _decode_utf8(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return decode_legacy(data) if text.count("\0") * 4 > len(text) else text
    try:
        return _SURROGATE.sub("\ufffd", data.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return decode_legacy(data)


# Dropbox, Box and Nextcloud write "(Jo's conflicted copy 2026-01-02)", in the user's language; Syncthing and ownCloud a
# mark with date and time. "x (1).json", "Copy of x.json" and "x-DESKTOP-AB12345.json" are what browsers, file managers
# and OneDrive make: a copy only if the file without the mark lies beside it. iCloud's "x 2.json" is what people call a
# second campaign, and is one.
_CONFLICT = re.compile(
    r"(?:[ _.-]*\([^()]*(?:conflict|conflit|konflikt|conflitto|conflito|конфликт|競合|冲突|衝突|충돌|تعارض)[^()]*\)"
    r"|\.sync-conflict-\d{8}-\d{6}(?:-[0-9A-Z]{7})?|_conflict-\d{8}-\d{6}"
    r"|[ _.-]+(?:conflicted copy|conflict copy)[^./]*)",
    re.IGNORECASE,
)
_COPY = "copy|kopie|copie|copia|c\u00f3pia|kopia|kopi|копия|コピー|のコピー|副本|的副本|拷贝|복사본"
_NUMBERED = re.compile(
    r"^(?:(?:copy of|kopie von|kopie van|copie de|copia de|copia di|c\u00f3pia de|kopia|копия) )?(?P<stem>.+?)"
    rf"(?: \(\d{{1,2}}\)|(?: [-\u2013\u2014])? ?(?<=[ -])\(?(?:{_COPY})\)?(?: \(?\d{{1,2}}\)?)?"
    r"|(?:のコピー|副本|的副本)"
    r"|-(?:(?:DESKTOP|LAPTOP)-[A-Z0-9]{5,}|[\w-]*(?:MacBook|iMac)[\w-]*))?(?P<end>\.[^./]+)$",
    re.IGNORECASE,
)
# "landing page copy.md" is what copywriters call their text.
_COPY_OF_TEXT = tuple(f" copy{end}" for end in (".md", ".markdown", ".mdx", ".txt", ".html", ".htm"))
_MAYBE = re.compile(
    r"[(]|conflict|DESKTOP-|LAPTOP-|MacBook|iMac|copi|copy|kopi|ópia|копия|コピー|副本|拷贝|복사본", re.IGNORECASE
)
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
    if not _MAYBE.search(name):
        return ""
    if _CONFLICT.search(name):
        return f"{folder}{slash}{_CONFLICT.sub('', name)}"
    match = _NUMBERED.match(name)
    if match is None or (name.lower().endswith(_COPY_OF_TEXT)):
        return ""
    original = f"{folder}{slash}{match['stem']}{match['end']}"
    return original if original != path and (beside is None or original in beside) else ""


def placeholder_of(name: str) -> str:
    """Return the name of the file that ``name`` stands for while a cloud drive keeps its contents, or ""."""
    if not name.endswith(_PLACEHOLDER_ENDS):
        return ""
    match = _PLACEHOLDER.fullmatch(name)
    return (match["name"] or match["other"]) if match else ""
