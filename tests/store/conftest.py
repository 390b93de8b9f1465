"""A memory folder, stores in it, and entries to put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dm_memory.store.database import Store, open_store

BRAND = "acme"


@pytest.fixture
def memory_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def opened(memory_dir: Path) -> Iterator[Callable[[], Store]]:
    """Open the store; what is opened is closed."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_store(memory_dir, BRAND)))
