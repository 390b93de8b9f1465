"""A minimal brand for people without the marketing plugin: a profile, its folders, and the active mark."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

import orjson

from dm_memory.brand.home import Home, is_brand_name
from dm_memory.errors import HomeError, InputError
from dm_memory.store.files import make_private_folder, write_atomic

__all__ = ["init_brand"]

_FOLDERS = ("campaigns", "performance", "guidelines")
_NOT_IN_SLUG = re.compile(r"[^\w]+")


def init_brand(home: Home, name: str, now: datetime) -> str:
    """Make a brand as the plugin's scripts lay it out, and make it the active one; return its slug.

    Args:
        home: The home; it is made if it is missing.
        name: The brand's name as people write it.
        now: The present moment.

    Raises:
        InputError: The name has no letter or digit, or there is such a brand.
        HomeError: The folders can't be written.
    """
    title = " ".join(name.split())
    slug = _NOT_IN_SLUG.sub("-", unicodedata.normalize("NFC", title).casefold()).strip("-_")
    if not is_brand_name(slug):
        raise InputError(
            f"{title!r} can't be a brand's name.", 'Pass a name with letters, as in: dm-memory init "Acme".'
        )
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if slug in home.brands():
            raise InputError(f"There is a brand {slug!r} already.", "Pass another name, or sync that brand.")
        brands = home.root / "brands"
        folder = brands / slug
        for path in (brands, folder, *(folder / each for each in _FOLDERS)):
            make_private_folder(path)
        moment = now.astimezone().replace(tzinfo=None).isoformat()
        profile = {"brand_name": title, "brand_slug": slug, "schema_version": "1.0", "created_at": moment}
        write_atomic(folder / "profile.json", orjson.dumps(profile, option=orjson.OPT_INDENT_2))
        active = {"active_slug": slug, "updated_at": moment}
        write_atomic(brands / "_active-brand.json", orjson.dumps(active, option=orjson.OPT_INDENT_2))
    except OSError as error:
        message = f"The brand can't be written below {home.root} ({error.strerror})."
        raise HomeError(message, "Make the folder writable, or set CLAUDE_MARKETING_HOME to another one.") from error
    return slug
