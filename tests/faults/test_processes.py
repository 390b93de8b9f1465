"""Several processes on one home, and homes that can't be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.brands import BrandHome, make_home_of
from tests.support.product import ITEMS, Product
from tests.support.stored import assert_everything_agrees


def arguments(home: BrandHome) -> tuple[str, ...]:
    return ("--home", str(home.root), "--brand", home.slug)


@pytest.mark.slow
def test_four_processes_sync_one_brand_at_once_while_a_fifth_reads_status(tmp_path: Path) -> None:
    home = make_home_of(tmp_path / "home", 2_000)
    syncing = [processes.start("sync", *arguments(home), "--json") for _ in range(4)]
    statuses = [processes.run_json("status", *arguments(home)) for _ in range(3)]
    finished = [processes.finish(process) for process in syncing]
    assert [done.code for done in finished] == [0] * 4, [done.err for done in finished]
    reports = [done.data for done in finished]
    assert sum(report["counts"]["stored"] for report in reports) == 2_000
    assert sum(report["counts"]["embedded"] for report in reports) == 2_000
    assert {status["brand"] for status in statuses} == {home.slug}
    assert_everything_agrees(home.memory, processes.run_json("sync", *arguments(home)), 2_000)


@pytest.mark.slow
def test_a_process_that_waits_for_another_says_so_in_its_report(tmp_path: Path) -> None:
    home = make_home_of(tmp_path / "home", 2_000)
    syncing = [processes.start("sync", *arguments(home), "--json") for _ in range(3)]
    reports = [processes.finish(process).data for process in syncing]
    storing = next(report for report in reports if report["counts"]["stored"] == 2_000)
    others = [report for report in reports if report is not storing]
    assert all(report["counts"]["unchanged"] == 2_000 for report in others)
    assert any(report["waited"] > 0.05 for report in others)


def refusal(done: processes.Finished) -> str:
    """Return what a command that could do nothing told the user; it must be told, and not as a traceback."""
    assert done.code == 2, (done.out, done.err)
    told = done.out + done.err
    assert "Traceback" not in told
    return told


@pytest.fixture
def sealed(home: BrandHome) -> Iterator[BrandHome]:
    """Provide a home in which nothing can be written; root has to leave its privilege to do so anyway at the door."""
    folders = [path for path in (home.root, *home.root.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    yield home
    for folder in folders:
        folder.chmod(0o700)


def run_without_privilege(*arguments: str) -> processes.Finished:
    prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    return processes.run(*arguments, prefix=prefix)


def test_a_read_only_home_is_refused_in_plain_words_and_nothing_is_written(sealed: BrandHome) -> None:
    told = refusal(run_without_privilege("sync", *arguments(sealed)))
    assert "can't be written" in told
    assert "writable" in told
    assert not sealed.memory.exists()


def test_a_read_only_home_can_still_be_looked_at(
    home: BrandHome, product: Product, request: pytest.FixtureRequest
) -> None:
    product.sync()
    request.getfixturevalue("sealed")
    done = run_without_privilege("status", *arguments(home), "--json")
    assert "Traceback" not in done.err
    assert sum(done.data["counts"].values()) == ITEMS
    planned = run_without_privilege("sync", *arguments(home), "--dry-run", "--json")
    assert planned.data["counts"]["unchanged"] == ITEMS


def full_disk(folder: Path, *steps: str) -> list[processes.Finished]:
    """Run a sync of 2,000 items once for each size of the disk that holds the home; see ``tests.support.full_disk``."""
    command = ["unshare", "--mount", sys.executable, "-m", "tests.support.full_disk", str(folder), *steps]
    done = subprocess.run(
        command, check=True, capture_output=True, env=processes.command_environment(), cwd=processes.REPOSITORY
    )
    return [processes.Finished(**step) for step in json.loads(done.stdout)]


@pytest.mark.mounts
def test_a_disk_without_room_for_the_registry_is_said_and_damages_nothing(tmp_path: Path) -> None:
    full, roomy = full_disk(tmp_path, "2m", "400m")
    told = refusal(full)
    assert "space" in told
    assert roomy.code == 0
    assert roomy.data["counts"]["stored"] == 2_000


@pytest.mark.mounts
def test_a_disk_that_is_too_full_for_the_engine_queues_the_items_for_the_next_run(tmp_path: Path) -> None:
    full, roomy = full_disk(tmp_path, "40m", "400m")
    assert full.code != 0
    report = full.data
    assert (report["counts"]["stored"], report["counts"]["queued"]) == (0, 2_000)
    assert report["layers"][0]["error"]["class"] == "quota"
    assert "space" in report["layers"][0]["error"]["remedy"]
    assert roomy.code == 0
    assert (roomy.data["counts"]["resumed"], roomy.data["counts"]["stored"]) == (2_000, 2_000)


@pytest.mark.mounts
def test_a_disk_that_fills_up_on_the_way_keeps_what_was_stored(tmp_path: Path) -> None:
    full, roomy = full_disk(tmp_path, "72m", "400m")
    stored = full.data["counts"]["stored"]
    assert 0 < stored < 2_000
    assert full.data["counts"]["queued"] == 2_000 - stored
    assert roomy.data["counts"]["stored"] == 2_000 - stored
    assert roomy.data["counts"]["embedded"] == 2_000 - stored
