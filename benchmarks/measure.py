"""One measurement is one fresh process: its seconds, its CPU and its peak memory, and what it says about itself."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import IO, Any

import orjson

__all__ = [
    "BUNDLED",
    "CONSTANT",
    "REPOSITORY",
    "Line",
    "Run",
    "arguments",
    "environment",
    "interleaved",
    "median",
    "our_sync",
    "piped",
    "places",
    "reaped",
    "report",
    "run_child",
    "run_process",
    "table",
]

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # benchmarks take brands, fakes and embedders from the tests

CONSTANT = "tests.support.embedders:constant"
"""An embedder that costs nothing: everything but the model is measured."""

BUNDLED = "wordllama"
"""The embedder of an installation as it comes."""

_TMPFS = Path("/dev/shm")  # noqa: S108  # that is what is measured


@dataclass(frozen=True, slots=True)
class Run:
    """What one process cost: wall and CPU seconds, peak resident memory in MB, and the JSON it printed."""

    wall: float
    cpu: float
    peak_mb: float
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: what was measured, the product, its control, their ratio, and what the ratio should be."""

    figure: str
    product: str
    control: str
    ratio: str
    goal: str


def environment(embedder: str = CONSTANT) -> dict[str, str]:
    """Return the environment of a measured process: the repository importable, no setting of the caller's.

    Compiled modules are kept, as at a user's: else every process would compile its own again.
    """
    left_out = ("DM_MEMORY_", "CLAUDE_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"PYTHONPATH": str(REPOSITORY), "DM_MEMORY_EMBEDDER": embedder}


def run_process(command: Sequence[str], embedder: str = CONSTANT) -> Run:
    """Run a command to its end and account for it alone; its standard output may be one JSON object.

    Raises:
        RuntimeError: It failed; its standard error is the text.
    """
    before = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment(embedder),
        cwd=REPOSITORY,
    ) as process:
        out, err = _drain(process)
        usage = reaped(process)
    wall = time.perf_counter() - before
    if process.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {process.returncode}: {err.decode(errors='replace')[-2000:]}"
        )
    said = orjson.loads(out) if out.startswith(b"{") else {}
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def reaped(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait for a process's end; return what it took, without its children."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


@contextmanager
def piped(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[tuple[Popen[bytes], IO[bytes], IO[bytes]]]:
    """Provide a process of a command, its standard input and its output; ``reaped`` has to end it."""
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    env = environment() | dict(settings)
    with Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=env, cwd=REPOSITORY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process, process.stdin, process.stdout


def _drain(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Read both pipes to their ends without reaping the process: ``wait4`` must do that."""
    assert process.stdout is not None
    assert process.stderr is not None
    out = process.stdout.read()  # what children write to standard error fits its pipe
    return out, process.stderr.read()


def run_child(name: str, *options: object, embedder: str = CONSTANT) -> Run:
    """Run ``benchmarks/NAME.py`` in a fresh process."""
    return run_process([sys.executable, str(REPOSITORY / "benchmarks" / f"{name}.py"), *map(str, options)], embedder)


def our_sync(home: Path, embedder: str = CONSTANT) -> Run:
    """Run ``dm-memory sync`` from start to end."""
    command = [sys.executable, "-m", "dm_memory_server.main", "sync", "--home", str(home), "--brand", "acme", "--json"]
    return run_process(command, embedder)


def interleaved(rounds: int, **measurements: Callable[[], Run]) -> dict[str, list[Run]]:
    """Take every measurement in turn, ``rounds`` times, so that a busy machine is busy for all of them."""
    results: dict[str, list[Run]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, take in measurements.items():
            results[name].append(take())
    return results


@contextmanager
def places(folder: Path | None = None) -> Iterator[dict[str, Path]]:
    """Provide empty folders to measure in, by their names: one on a disk, one in memory where the system has tmpfs.

    Args:
        folder: On which disk; by default that of temporary files if it is the repository's, else the repository.
    """
    temporary = Path(tempfile.gettempdir())
    if folder is None:
        folder = temporary if temporary.stat().st_dev == REPOSITORY.stat().st_dev else REPOSITORY
    with (
        tempfile.TemporaryDirectory(prefix=".benchmark-", dir=folder) as disk,
        tempfile.TemporaryDirectory(prefix=".benchmark-", dir=_TMPFS if _TMPFS.is_dir() else folder) as memory,
    ):
        yield {"disk": Path(disk), "tmpfs": Path(memory)} if _TMPFS.is_dir() else {"disk": Path(disk)}


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print figures, a line each."""
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    sys.stdout.flush()


def report(title: str, lines: Sequence[Line]) -> None:
    """Print comparisons as a table of Markdown."""
    print(f"\n{title}\n\n| figure | product | control | ratio | goal |\n|---|---|---|---|---|")
    for line in lines:
        print(f"| {line.figure} | {line.product} | {line.control} | {line.ratio} | {line.goal} |")
    sys.stdout.flush()


def arguments(description: str | None, *, items: int, rounds: int) -> argparse.Namespace:
    """Parse ``--items``, ``--rounds`` and ``--folder``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--items", type=int, default=items, help=f"items in the brand (default {items:,})")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds; medians are shown (default {rounds})")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (default: the repository's disk)")
    return parser.parse_args()
