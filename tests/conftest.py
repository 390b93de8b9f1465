"""Which tests are chosen: those that need what is not here are left out, visibly, and never skipped."""

from __future__ import annotations

import importlib.util
import os

import pytest

_PROGRAMS = {
    "sqld": "DM_MEMORY_SQLD",
    "falkordb": "DM_MEMORY_FALKORDB",
    "neo4j": "DM_MEMORY_NEO4J",
    "interop": "DM_MEMORY_INTEROP",
    "npm": "DM_MEMORY_NPM",
    "shared": "DM_MEMORY_SHARED",
}
_MODULES = {
    "redb": ("dm_memory_redb",),
    "supermemory": ("supermemory",),
    "fastembed": ("fastembed",),
    "graphiti": ("falkordb", "neo4j"),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is not here."""
    absent = {marker for marker, variable in _PROGRAMS.items() if not os.environ.get(variable)}
    absent |= {
        marker
        for marker, modules in _MODULES.items()
        if not all(importlib.util.find_spec(module) for module in modules)
    }
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
