"""Bearer tokens in the home: made once, stored as hashes, revoked at once.

``{home}/dm-memory/tokens.json`` has the SHA-256 of each secret. A slow hash would protect guessable passwords; these
are 256 random bits, which nobody guesses at any speed, and each request is checked. docs/decisions/0030-http.md
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dm_memory.errors import HomeError, InputError, system_reason
from dm_memory.store.files import make_own_folder, read_own, write_atomic

__all__ = ["NAME_PATTERN", "Token", "TokenFile"]

_FOLDER = "dm-memory"
_PREFIX = "dmm_"
_MOST_BYTES = 4 * 1024 * 1024
_LOCK_SECONDS = 10.0

NAME_PATTERN = r"^[\w.@-][\w.@ -]{0,63}$"
"""What a token can be called: it stands in logs and, as who stored it, in memory."""


class Token(BaseModel):
    """A token as it is stored.

    Attributes:
        name: What people call it.
        sha256: Of its secret, in hexadecimal.
        brand: The one brand it is for; "" for all.
        read_only: Whether it may not write.
        created_at: When it was made, ISO 8601.
    """

    # What narrows a token has no default, and a field that is not known may be one that does: a file with a misspelt
    # "brand", or of a newer version, must not open every brand.
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME_PATTERN)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    brand: str
    read_only: bool
    created_at: str = ""


class _Document(BaseModel):
    version: int = Field(default=1, ge=1, le=1)
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read, and how the file looked then: every write is a rename, so another file has another identity."""

    identity: tuple[int, ...] | None
    tokens: tuple[Token, ...]


class TokenFile:
    """The tokens of a home. Reads them again whenever the file is another one.

    Args:
        root: The home.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.path = root / _FOLDER / "tokens.json"
        self._seen = _Seen(None, ())

    def all(self) -> tuple[Token, ...]:
        """Return the tokens there are now.

        Raises:
            HomeError: The file can't be read or is damaged; then no token counts.
        """
        identity = self._identity()
        if identity != self._seen.identity:
            self._seen = _Seen(None, ())  # until the new one is read, nobody gets in by the old one
            self._seen = _Seen(identity, self._read() if identity else ())
        return self._seen.tokens

    def find(self, secret: str) -> Token | None:
        """Return the token with this secret, in a time that says nothing of the others. Raises as ``all``."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def add(self, name: str, brand: str, now: str, *, read_only: bool = False) -> str:
        """Make a token and return its secret, which nobody can read again.

        Raises:
            InputError: There is a token of this name, or the name can't be one.
            HomeError: The file can't be read or written.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        try:
            made = Token(name=name, sha256=digest, brand=brand, read_only=read_only, created_at=now)
        except ValidationError:
            raise InputError(
                f"“{name[:80]}” can't be the name of a token.",
                "Use up to 64 letters, digits, spaces and . _ @ -.",
            ) from None
        with self._changing():
            tokens = self.all()
            if any(token.name == name for token in tokens):
                raise InputError(
                    f"There is a token “{name}” already.",
                    f"Choose another name, or revoke it first: dm-memory token revoke {name!r}.",
                )
            self._write((*tokens, made))
        return secret

    def revoke(self, name: str) -> Token:
        """Remove a token and return what it was. Raises ``InputError`` if there is none, ``HomeError``."""
        with self._changing():
            tokens = self.all()
            gone = next((token for token in tokens if token.name == name), None)
            if gone is None:
                raise InputError(
                    f"There is no token “{name[:80]}”.", "`dm-memory token list` shows the names of those there are."
                )
            self._write(tuple(token for token in tokens if token is not gone))
        return gone

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from None
        return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)

    def _read(self) -> tuple[Token, ...]:
        try:
            return _Document.model_validate_json(read_own(self.path, _MOST_BYTES)).tokens
        except OSError as error:
            raise self._unusable(error) from None
        except ValidationError:
            raise HomeError(
                f"The tokens in {self.path} can't be read: the file is damaged, or of a newer version.",
                "Put it back from a backup, or delete it and make the tokens again.",
            ) from None

    def _write(self, tokens: tuple[Token, ...]) -> None:
        write_atomic(self.path, _Document(tokens=tokens).model_dump_json(indent=1).encode())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other processes from changing the file meanwhile."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_own_folder(self.path.parent)
            lock = filelock.FileLock(self.path.with_name(".tokens.lock"), mode=0o600, timeout=_LOCK_SECONDS)
            with lock:
                yield
        except filelock.Timeout:
            raise HomeError(f"{self.path} is being changed by another process.", "Try again in a moment.") from None
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> HomeError:
        reason, remedy = system_reason(error)
        return HomeError(f"The tokens in {self.path} can't be used ({reason}).", remedy)
