"""Which tests are chosen: those that need what is not here are left out, visibly, and never skipped."""

from __future__ import annotations

import os
import signal
from importlib.metadata import PackageNotFoundError, version

import pytest

_PROGRAMS = {
    "sqld": "DM_MEMORY_SQLD",
    "falkordb": "DM_MEMORY_FALKORDB",
    "neo4j": "DM_MEMORY_NEO4J",
    "interop": "DM_MEMORY_INTEROP",
    "npm": "DM_MEMORY_NPM",
    "shared": "DM_MEMORY_SHARED",
    "slow": "DM_MEMORY_SLOW",
}
_PACKAGES = {
    "redb": ("dm-memory-redb",),
    "supermemory": ("supermemory",),
    "fastembed": ("fastembed",),
    "graphiti": ("falkordb", "neo4j"),
    "docs": ("rust-just", "zensical"),
    "wordllama": ("wordllama",),
}


# Several folders share the contract of layers, which pytest takes for no test file.
pytest.register_assert_rewrite("tests.services.contract")


def pytest_configure() -> None:
    """Let processes that tests start be interrupted: a shell's background job ignores SIGINT, and hands that on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is not here."""
    absent = {marker for marker, variable in _PROGRAMS.items() if not os.environ.get(variable)}
    absent |= {marker for marker, packages in _PACKAGES.items() if not all(map(_installed, packages))}
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
