"""Where a home lies: inside a folder that a cloud service synchronises, its database can be copied half written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dm_memory.results import Check

__all__ = ["check_place", "synchronised_by"]

_BY_NAME = {
    "mobile documents": "iCloud Drive",
    "icloud drive": "iCloud Drive",
    "iclouddrive": "iCloud Drive",
    "dropbox": "Dropbox",
    "onedrive": "OneDrive",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "my drive": "Google Drive",
    "box": "Box",
    "box sync": "Box",
    "pclouddrive": "pCloud",
    "nextcloud": "Nextcloud",
    "owncloud": "ownCloud",
}
"""Names of folders, in small letters. Companies add theirs: ``OneDrive - Acme``."""

_BY_MARK = {
    ".dropbox": "Dropbox",
    ".dropbox.cache": "Dropbox",
    ".tmp.drivedownload": "Google Drive",
    ".tmp.driveupload": "Google Drive",
    ".849C9593-D756-4E56-8D6E-42412F2A707B": "OneDrive",
    ".stfolder": "Syncthing",
    ".owncloudsync.log": "ownCloud",
    ".nextcloudsync.log": "Nextcloud",
}
"""What the services leave in the topmost folder that they synchronise."""

_BY_VARIABLE = ("OneDrive", "OneDriveCommercial", "OneDriveConsumer")
"""Windows: where OneDrive's folders are, whatever they are called."""

_SEPARATED = (" - ", " (")


def synchronised_by(folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the name of the cloud service in whose folder this one lies, or "". Opens nothing.

    Args:
        folder: Need not exist. Links are followed: what counts is where the files are.
        environment: The process's variables.
    """
    real = Path(os.path.realpath(folder))
    for variable in _BY_VARIABLE:
        root = environment.get(variable)
        if root and real.is_relative_to(os.path.realpath(root)):
            return "OneDrive"
    for each in (real, *real.parents):
        if name := next(_names(each), ""):
            return name
    return ""


def _names(folder: Path) -> Iterator[str]:
    """Yield the services that a folder's name or contents speak for."""
    name = folder.name.casefold()
    if name in _BY_NAME:
        yield _BY_NAME[name]
    for separator in _SEPARATED:
        first, found, _ = name.partition(separator)
        if found and first in _BY_NAME:
            yield _BY_NAME[first]
    if folder.parent.name == "CloudStorage":
        service = folder.name.partition("-")[0]
        yield _BY_NAME.get(service.casefold(), service)
    yield from (service for mark, service in _BY_MARK.items() if os.path.lexists(folder / mark))


def check_place(home: Path) -> list[Check]:
    """Return a warning for doctor if the home lies in a synchronised folder, else nothing."""
    service = synchronised_by(home)
    if not service:
        return []
    detail = f"{home} lies in a folder that {service} synchronises: a database can be copied there while it is written."
    remedy = (
        "Move the home out of that folder and set CLAUDE_MARKETING_HOME to where it is; to share a memory with others,"
        " connect Turso instead."
    )
    return [Check("Synchronised folder", "warn", detail, remedy)]
