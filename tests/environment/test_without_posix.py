"""Nothing that only POSIX has is needed: the main calls run without those names, as they do on Windows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.calls import Calls

_DRIVE = "C:\\Users\\Zoë\\My Brands & Co #1 100%"


@pytest.fixture(scope="module", params=["posix", "nt"])
def windows(request: pytest.FixtureRequest) -> Iterator[Calls]:
    made = Calls()
    made.do("without-posix", system=request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    "folder", ["home", "a home with spaces", _DRIVE.replace("\\", "_"), "ホーム-домой-🏠", "x?y=1&z"]
)
def test_the_main_calls_run_without_the_names_that_only_posix_has(
    windows: Calls, root: Path, tmp_path: Path, folder: str
) -> None:
    home = str(root.rename(tmp_path / folder))
    for command in (
        ["sync", "--force"],
        ["prepare", "--content-type", "campaign-learning", "Carousels with a question are saved most."],
        ["search", "carousels"],
        ["status"],
        ["verify"],
        ["verify", "--repair"],
        ["sync", "--dry-run"],
        ["sync"],
    ):
        finished = windows(*command, "--home", home)
        assert finished.code == 0, (command, finished)
    assert windows("doctor", "--home", home).code in {0, 1}


def test_the_stand_in_for_windows_takes_the_names_away() -> None:
    code = """
from tests.environment.without_posix import pretend
pretend("nt")
import dm_memory.brand.files as files
assert files._NOFOLLOW == 0 and files.os.name == "nt" and not hasattr(files.os, "getuid")
exec("import fcntl", {"__name__": "dm_memory.text.words"})
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=processes.command_environment(),
    )
    assert done.stderr.rstrip().endswith("ModuleNotFoundError: fcntl"), done.stderr


def test_the_demo_runs_without_the_names_that_only_posix_has(windows: Calls) -> None:
    finished = windows("demo")
    assert finished.code == 0, finished.err


def test_a_damaged_memory_that_another_program_has_open_is_named_and_not_lost(windows: Calls, root: Path) -> None:
    path = next(root.glob("brands/*/memory")) / "memory.db"
    path.write_bytes(b"no database at all" * 1000)
    with path.open("rb"):
        finished = windows("sync", "--home", str(root))
        assert finished.code == 2
        assert "another program has it open" in finished.err
        assert "Close that program" in finished.err
    assert windows("sync", "--home", str(root)).code == 0
    assert path.with_name("memory.db.damaged-1").exists()
