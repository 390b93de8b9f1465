"""Which tests are chosen: those that need what is not here are left out, visibly, and never skipped."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from hypothesis import settings

# Where a container forbids Python to keep what it compiled, most of the time of a run would go into compiling: the
# tests start hundreds of processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_PROGRAMS = {
    "sqld": "DM_MEMORY_SQLD",
    "falkordb": "DM_MEMORY_FALKORDB",
    "neo4j": "DM_MEMORY_NEO4J",
    "nginx": "DM_MEMORY_NGINX",
    "interop": "DM_MEMORY_INTEROP",
    "npm": "DM_MEMORY_NPM",
    "artefact": "DM_MEMORY_ARTEFACTS",
    "shared": "DM_MEMORY_SHARED",
    "slow": "DM_MEMORY_SLOW",
    "clients": "DM_MEMORY_CLIENTS",
}
_PACKAGES = {
    "redb": ("dm-memory-redb",),
    "supermemory": ("supermemory",),
    "fastembed": ("fastembed",),
    "graphiti": ("falkordb", "neo4j"),
    "otel": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    "docs": ("rust-just", "zensical"),
    "wordllama": ("wordllama",),
}


# How long an example takes depends on the machine, and on what else it does.
settings.register_profile("dm-memory", deadline=None)
settings.load_profile("dm-memory")

# Several folders share the contract of services, which pytest takes for no test file.
pytest.register_assert_rewrite("tests.services.contract")


def pytest_configure() -> None:
    """Let processes that tests start be interrupted: a shell's background job ignores SIGINT, and hands that on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests: one more than there are processors, since many tests wait for others.

    None for single files: starting the processes takes longer than most of them, and a debugger needs this one.
    """
    if config.args and all(".py" in argument for argument in config.args):
        return 0
    return (os.cpu_count() or 1) + 1


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
