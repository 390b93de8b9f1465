"""What the core's calls take, already validated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from dm_memory.items import ContentType, Priority, Source

__all__ = [
    "AUTO",
    "ForgetRequest",
    "PrepareRequest",
    "Progress",
    "Scope",
    "SessionLearning",
    "SyncRequest",
    "no_progress",
]

Progress = Callable[[str, int, int], Awaitable[None]]
"""Called with a sentence, the number of items done and the number known to be due (0 while unknown)."""


async def no_progress(message: str, done: int, total: int) -> None:
    """Report progress to nobody."""


AUTO = "auto"
"""The content type that asks for the source's and the text's own word again."""


class Scope(StrEnum):
    """Which sources a run reads."""

    ALL = "all"
    INSIGHTS_ONLY = "insights-only"
    CAMPAIGNS_ONLY = "campaigns-only"


@dataclass(frozen=True, slots=True)
class SessionLearning:
    """Something the session taught, handed over by the assistant."""

    content: str
    content_type: ContentType | None = None
    tags: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The arguments of a sync.

    Attributes:
        content_type: For every item in scope, until ``auto`` takes it back.
        tags: Go on what this run stores; with ``retag`` on everything in scope.
        untag: Tags to take off everything in scope, for good.
        retire: Retire even if that concerns more than half of a source.
        author: Who hands the session learnings in, if that is known.
        report_items: Outcomes to keep for the report, if more than usual are wanted.
    """

    brand: str | None = None
    scope: Scope = Scope.ALL
    force: bool = False
    dry_run: bool = False
    content_type: str = ""
    tags: tuple[str, ...] = ()
    retag: bool = False
    untag: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    retire: bool = False
    author: str = ""
    report_items: int = 0
    session_learnings: tuple[SessionLearning, ...] = ()


@dataclass(frozen=True, slots=True)
class PrepareRequest:
    """The arguments of ``prepare_store``. ``expires_at`` is ISO-8601 or "".

    Attributes:
        content_type: None: what the text speaks for, or the type of the entry that is corrected.
        replaces: The key of an entry that this text corrects. Its old text becomes a revision.
        purge: The old text is forgotten instead.
        author: Who hands it in, or corrects the entry, if that is known.
    """

    content: str
    content_type: ContentType | None = None
    tags: tuple[str, ...] = ()
    source: Source = Source.SESSION
    brand: str | None = None
    priority: Priority = Priority.NORMAL
    expires_at: str = ""
    related: tuple[str, ...] = ()
    replaces: str = ""
    purge: bool = False
    author: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """The arguments of ``forget_memory``. What is given of ``query`` to ``author`` must all fit.

    Attributes:
        query: All of these words, exactly, or a "quoted phrase"; never by meaning.
        author: Who stored it; in any case, a part of the name is enough.
        before: A day, ISO-8601: only what was recorded before it. Narrows the others, like ``retired``.
        token: Of the preview, for ``dry_run=False``.
        restore: Keys of entries, or texts, that were forgotten and may be stored again; nothing is forgotten then.
    """

    query: str = ""
    keys: tuple[str, ...] = ()
    campaign: str = ""
    tag: str = ""
    author: str = ""
    before: str = ""
    retired: bool = False
    dry_run: bool = True
    token: str = ""
    restore: tuple[str, ...] = ()
    brand: str | None = None
