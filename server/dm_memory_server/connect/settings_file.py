"""A client's settings file: read, changed in one place, compared, written whole, with a copy of what it was."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from dm_memory.errors import ConfigurationError, HomeError, system_reason
from dm_memory.store.files import sync_folder
from dm_memory_server.connect import jsonc, toml_table

__all__ = ["Change", "SettingsFile", "UnusableFileError"]

_MOST_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 3
_BACKUP = ".before-dm-memory"


class UnusableFileError(ConfigurationError):
    """The file can't be changed safely; nothing was written."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file's text before and after; both the same if there is nothing to do. ``was``: the entry there was."""

    before: str
    after: str
    was: Mapping[str, Any] | None

    @property
    def is_needed(self) -> bool:
        """Whether the file would change."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file in which one member of one table is ours.

    Args:
        path: The file; it need not exist, and may be a link.
        dialect: How it is written.
        place: The names that lead to our entry.
    """

    path: Path
    dialect: Literal["json", "jsonc", "toml"]
    place: tuple[str, ...]

    @property
    def backup(self) -> Path:
        """Where the file is copied to before it is changed."""
        target = self._target
        return target.with_name(f"{target.name}{_BACKUP}")

    @property
    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def entry(self) -> Mapping[str, Any] | None:
        """Return our entry, None if there is none. Raises ``UnusableFileError``."""
        return self._entry_in(self._load(self._text(self._bytes())))

    def with_entry(self, entry: Mapping[str, Any]) -> Change:
        """Return the change that writes the entry; of one that is there only what starts the server is changed.

        Raises:
            UnusableFileError: The file can't be read, or the change can't be made without touching anything else.
        """
        before = self._text(self._bytes())
        old = self._entry_in(self._load(before))
        if old is not None and not {"url", "serverUrl", "httpUrl"}.isdisjoint(old):
            raise self._unusable(f"{self.place[-1]} is a server at an address there")
        wanted = {name: value for name, value in entry.items() if old is None or name in {"type", "command", "args"}}
        if old is not None and all(old.get(name) == value for name, value in wanted.items()):
            return Change(before, before, old)
        return Change(before, self._checked(before, wanted, old), old)

    def without_entry(self) -> Change:
        """Return the change that takes the entry out. Raises ``UnusableFileError``."""
        before = self._text(self._bytes())
        old = self._entry_in(self._load(before))
        if old is None:
            return Change(before, before, old)
        earlier = self._before_the_entry(before, old)
        return Change(before, self._checked(before, None, old) if earlier is None else earlier, old)

    def _before_the_entry(self, text: str, entry: Mapping[str, Any]) -> str | None:
        """Return what the file was, to the last character, if nothing but the entry was put into it since."""
        kept = SettingsFile(self.backup, self.dialect, self.place)
        try:
            earlier = kept._text(kept._bytes())
            if kept.path.is_file() and kept.entry() is None and self._edited(earlier, entry, None) == text:
                return earlier
        except (ValueError, UnusableFileError):
            pass
        return None

    def write(self, plan: Callable[[], Change]) -> Change:
        """Make a change and write it, again on the newer text if another program wrote meanwhile; return it.

        The file is replaced at once; its mode, its owner and a link that leads to it stay.

        Raises:
            UnusableFileError: As ``plan`` does, or the file keeps changing.
            HomeError: The system refuses it.
        """
        target = self._target
        try:
            with _lock(target):
                for _ in range(_ATTEMPTS):
                    change = plan()
                    if not change.is_needed or self._replace(target, change):
                        return change
        except OSError as error:
            reason, remedy = system_reason(error)
            raise HomeError(f"{self.path} can't be written ({reason}); it is as it was.", remedy) from None
        raise UnusableFileError(
            f"Another program keeps writing {self.path}; nothing was changed.", "Close the client, then try again."
        )

    # ------------------------------------------------------------------------------------------------------------------

    def _replace(self, target: Path, change: Change) -> bool:
        """Write what a change says; return False if the file is no longer what the change was made from."""
        before = self._bytes()
        if self._text(before) != change.before:
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
        status = target.stat() if target.exists() else None
        if status:
            if not os.access(target, os.W_OK):
                raise PermissionError(13, "it is read-only")
            _beside(target, before, status).replace(self.backup)
        made = _beside(target, mark + change.after.encode(), status)
        if self._bytes() != before:
            made.unlink()
            return False
        made.replace(target)
        sync_folder(target.parent)
        return True

    def _bytes(self) -> bytes:
        target = self._target
        try:
            with contextlib.suppress(FileNotFoundError):
                status = target.stat()
                if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                    raise self._unusable("it is no regular file of an ordinary size")
                return target.read_bytes()
        except OSError as error:
            raise self._unusable(system_reason(error)[0]) from None
        return b""

    def _text(self, content: bytes) -> str:
        try:
            return content.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError:
            raise self._unusable("it is no UTF-8") from None

    def _load(self, text: str) -> Any:  # noqa: ANN401  # whatever a person wrote into the file
        try:
            return (
                toml_table.load(text) if self.dialect == "toml" else jsonc.load(text, comments=self.dialect == "jsonc")
            )
        except (ValueError, RecursionError):
            kind = {"toml": "TOML", "json": "JSON", "jsonc": "JSON"}[self.dialect]
            raise self._unusable(f"it is no valid {kind}") from None

    def _entry_in(self, settings: Any) -> Mapping[str, Any] | None:  # noqa: ANN401  # as above
        for name in self.place:
            if not isinstance(settings, Mapping):
                raise self._unusable("its settings have another form than the client's")
            settings = settings.get(name, {} if name != self.place[-1] else None)
        if settings is not None and not isinstance(settings, Mapping):
            raise self._unusable(f"{self.place[-1]} has another form than an entry's")
        return settings

    def _checked(self, before: str, values: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> str:
        """Return the new text, read back: with our entry as it should be, and all else as it was."""
        expected = _replaced(self._load(before), self.place, None if values is None else {**(old or {}), **values})
        try:
            after = self._edited(before, values, old)
            if _pruned(self._load(after), self.place) == _pruned(expected, self.place):
                return after
        except (ValueError, UnusableFileError):
            pass
        raise self._unusable("the entry can't be changed there without touching anything else")

    def _edited(self, text: str, values: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> str:
        if values is None:
            discard = toml_table.discard if self.dialect == "toml" else jsonc.discard
            return discard(text, self.place)
        if self.dialect == "toml":
            return toml_table.assign(text, self.place, values)
        if old is None:
            return jsonc.assign(text, self.place, values)
        for name, value in values.items():
            if old.get(name) != value:
                text = jsonc.assign(text, (*self.place, name), value)
        return text

    def _unusable(self, reason: str) -> UnusableFileError:
        return UnusableFileError(
            f"{self.path} can't be used ({reason}); nothing was changed.",
            "Correct it, then try again, or put the entry above into it by hand.",
        )


def _replaced(settings: Any, place: Sequence[str], entry: Mapping[str, Any] | None) -> Any:  # noqa: ANN401  # as above
    """Return settings with an entry in its place, or without it."""
    name, rest = place[0], place[1:]
    if rest:
        if entry is None and name not in settings:
            return settings
        return {**settings, name: _replaced(settings.get(name, {}), rest, entry)}
    if entry is None:
        return {key: value for key, value in settings.items() if key != name}
    return {**settings, name: dict(entry)}


def _pruned(settings: Any, place: Sequence[str]) -> Any:  # noqa: ANN401  # as above
    """Return settings without the tables that lead to our entry, where they are empty: TOML makes and drops them."""
    inner = settings.get(place[0])
    if len(place) == 1 or not isinstance(inner, Mapping):
        return settings
    inner = _pruned(inner, place[1:])
    return _replaced(settings, place[:1], inner or None)


def _beside(target: Path, content: bytes, status: os.stat_result | None) -> Path:
    """Write a file beside the target, on the disk when this returns; with its mode and owner, else private."""
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if status:
            Path(name).chmod(stat.S_IMODE(status.st_mode))
            if hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):
                    os.chown(name, status.st_uid, status.st_gid)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _lock(target: Path) -> FileLock:
    """Return what keeps two of us from changing one file; it leaves nothing in the client's folder."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{user}:{target}".encode(errors="surrogateescape")).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"dm-memory-connect-{name}.lock", timeout=60, mode=0o600)
