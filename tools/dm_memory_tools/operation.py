"""An operation: what a tool and a command have in common, which is all but how they are asked and how they answer.

Nothing here knows MCP or the command line; ``tool`` and the server's ``cli`` make tools and commands of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dm_memory.requests import Progress
from dm_memory_tools.arguments import Arguments
from dm_memory_tools.runtime import ACCESS

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["Call", "Operation"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation.

    Attributes:
        memory: The core.
        brand: The brand's slug; "" where none could be found, which is then the core's error to raise.
        door: Through which door it came, and so whom the report speaks to.
        progress: Where to report progress.
        notice_stale_cache: To be called where the local cache was found behind the durable store.
        interval_of: How often the caller itself runs storage syncs of a brand, None if it does not.
        author: Who calls, if the transport knows; else it is the one that the settings name.
    """

    memory: Memory
    brand: str
    door: Literal["tool", "terminal"]
    progress: Progress
    notice_stale_cache: Callable[[], None] = lambda: None
    interval_of: Callable[[str], float | None] = lambda _: None
    author: str = field(default_factory=lambda: ACCESS.get().name)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the core.

    Attributes:
        name: The tool's name.
        title: For people.
        description: For models: what it does and when to call it.
        help: For people in a terminal, one sentence.
        doing: What is being done, as the end of "Something went wrong inside dm-memory while ...".
        arguments: What it takes.
        run: Calls the core once and renders the answer.
        read_only: Whether nothing is written; the others may be repeated without harm.
        destructive: Whether it changes or removes what is there, and does not only add to it.
    """

    name: str
    title: str
    description: str
    help: str
    doing: str
    arguments: type[Arguments]
    run: Callable[[Call, Any], Awaitable[Report]]
    read_only: bool = False
    destructive: bool = False
