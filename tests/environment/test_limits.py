"""A limit of the operating system is called that: nothing is wrong with the memory, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.calls import Calls

_LIMITED = """
import resource, sys
limit = getattr(resource, sys.argv[1])
resource.setrlimit(limit, (int(sys.argv[2]),) * 2)
import os
os.execv(sys.executable, [sys.executable, "-m", "dm_memory_server.main", *sys.argv[3:]])
"""
_POSIX = pytest.mark.mounts  # Windows has no such limits, and what may be tried on macOS differs


def limited(limit: str, value: int, *arguments: str) -> processes.Finished:
    """Run a command under a limit of the system; its output goes through pipes, which none of them concerns."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, limit, str(value), *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=processes.command_environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        cwd=processes.REPOSITORY,
    )
    return processes.Finished(done.returncode, done.stdout, done.stderr)


@_POSIX
@pytest.mark.parametrize("kilobytes", [16, 128, *(pytest.param(size, marks=pytest.mark.slow) for size in (4, 64, 256))])
def test_the_limit_on_the_size_of_files_is_named(root: Path, kilobytes: int) -> None:
    for memory in root.glob("brands/*/memory"):
        for path in memory.iterdir():
            path.unlink()
    finished = limited("RLIMIT_FSIZE", kilobytes * 1024, "sync", "--home", str(root))
    told = finished.err + finished.out
    assert "the system's limit on the size of a file is reached" in told, told
    assert "damaged" not in told
    assert processes.run("sync", "--home", str(root)).code == 0


@_POSIX
@pytest.mark.parametrize(
    "limits", [(8, 10, 12), pytest.param(range(6, 16), marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_the_limit_on_open_files_is_named(root: Path, limits: Sequence[int]) -> None:
    named = 0
    for files in limits:
        finished = limited("RLIMIT_NOFILE", files, "sync", "--force", "--home", str(root))
        told = finished.err + finished.out
        assert "damaged" not in told
        assert finished.code == 0 or "limit on open files" in told or "Traceback" in told, (files, told)
        named += "limit on open files" in told
    assert named >= len(limits) // 3
    assert processes.run("status", "--home", str(root)).code == 0


def test_a_path_that_is_too_long_for_sqlite_is_named(calls: Calls, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 200) / ("b" * 200) / ("c" * 120)
    folder.mkdir(parents=True)
    home = str(root.rename(folder / "home"))
    for command in (["sync"], ["status"], ["search", "posts"], ["verify"]):
        finished = calls(*command, "--home", home)
        assert finished.code == 2
        assert "too long" in finished.err
        assert "CLAUDE_MARKETING_HOME" in finished.err
        assert "damaged" not in finished.err


@pytest.mark.parametrize("path", ["n" * 300, "/".join(["deep" * 20] * 80)], ids=["name", "path"])
def test_a_home_that_no_system_can_have_is_named(calls: Calls, tmp_path: Path, path: str) -> None:
    for command in (["sync"], ["status"], ["doctor"]):
        finished = calls(*command, "--home", str(tmp_path / path))
        assert finished.code in {1, 2}
        assert "too long" in finished.err + finished.out


def test_a_home_that_begins_with_two_slashes_is_one(calls: Calls, root: Path) -> None:
    assert calls("sync", "--home", f"/{root}").code == 0


@pytest.mark.mounts
@pytest.mark.parametrize("step", [600, pytest.param(200, marks=pytest.mark.slow)])
def test_a_full_disk_is_said_at_every_step_and_nothing_is_lost(tmp_path: Path, step: int) -> None:
    """Each size lets the sync come a little further; with more room the next one finishes what was begun."""
    folder = tmp_path / "disk"
    folder.mkdir()
    sizes = [*range(400, 2_000, step), 4_000]
    script = Path(__file__).with_name("small_disk.py")
    command = ["unshare", "--mount", sys.executable, str(script), str(folder), *map(str, sizes)]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        encoding="utf-8",
        env=processes.command_environment(),
        cwd=processes.REPOSITORY,
    )
    *full, last = done.stdout.split("\0")
    for told in full:
        assert "full" in told or told.startswith("0 "), told
        assert "damaged" not in told
        assert "Something went wrong" not in told
    assert any(not told.startswith("0 ") for told in full)
    assert last.startswith("0 ")


@pytest.mark.mounts
def test_a_home_on_a_read_only_disk_is_read(root: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    commands = {"status": "0", "search posts": "0", "sync --dry-run": "0", "sync": "2", "verify": "2"}
    lines = "\n".join(
        f"{sys.executable} -m dm_memory_server.main {command} --home {place} > {tmp_path}/out 2>&1;"
        f' echo "$? $(cat {tmp_path}/out)"; printf "\\0"'
        for command in commands
    )
    script = f"mount --bind {root} {place} && mount -o remount,bind,ro {place} || exit 9\n{lines}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env=processes.command_environment(),
        cwd=processes.REPOSITORY,
    )
    for (command, code), told in zip(commands.items(), done.stdout.split("\0"), strict=False):
        assert told.startswith(f"{code} "), (command, told)
        assert code == "0" or "read-only" in told
