"""How a missing extra is installed, in the words of the way in which dm-memory itself was."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["how_to_install", "words_for"]

_NAME = "dm-memory"


def how_to_install(extra: str) -> str:
    """Return the sentence that says how to add an optional dependency to the installation that runs."""
    try:
        record = distribution(_NAME).read_text("direct_url.json") or ""
    except PackageNotFoundError:
        record = ""
    return words_for(extra, Path(sys.prefix), record)


def words_for(extra: str, prefix: Path, record: str) -> str:
    """Return the same for any installation: each installer leaves something behind by which it is known.

    Args:
        extra: The optional dependency.
        prefix: The environment. uv's tools have a receipt there; those of uvx lie in its cache.
        record: The text of PEP 610's ``direct_url.json``, or "". A bundle or a checkout that uv runs is a folder that
            is used where it lies.
    """
    folder, editable = _source(record)
    wanted = f"'{folder or _NAME}[{extra}]'"
    if (prefix / "uv-receipt.toml").is_file():
        return f"Install it with the extra {extra}: uv tool install {wanted}."
    if any(part.startswith(_UVX_FOLDERS) for part in prefix.parts):
        return f"Start it with the extra {extra}: uvx --from {wanted} {_NAME}."
    if editable and _is_made_by_uv(prefix):
        return f"Install the extra {extra} in the folder {folder}: uv sync --inexact --extra {extra}."
    return f"Install it with the extra {extra}: pip install {wanted}."


_UVX_FOLDERS = ("archive-v", "environments-v")
"""Folders of uv's cache; what follows is the number of their layout."""


def _source(record: str) -> tuple[str, bool]:
    """Return the folder that was installed ("" for a package of an index), and whether it is used where it lies."""
    try:
        found = json.loads(record or "{}")
        url = urlsplit(found.get("url", ""))
        editable = bool(found.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return "", False
    return (url2pathname(url.path), editable) if url.scheme == "file" else ("", False)


def _is_made_by_uv(prefix: Path) -> bool:
    try:
        return "\nuv = " in (prefix / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return False
