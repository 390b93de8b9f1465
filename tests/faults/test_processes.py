"""Several processes on one home, and homes that can't be written."""

from __future__ import annotations

import json
import signal
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
    return processes.run(*arguments, prefix=processes.UNPRIVILEGED)


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
    said = [finding["message"] for finding in done.data["findings"] if finding["code"] == "read-only"]
    assert (done.data["status"], len(said)) == ("attention", 1)
    assert "can't be written" in said[0]
    found = run_without_privilege("search", home.read_insights()[0]["insight"], *arguments(home), "--json")
    assert found.code == 0
    assert home.read_insights()[0]["insight"] in found.out
    planned = run_without_privilege("sync", *arguments(home), "--dry-run", "--json")
    assert planned.data["counts"]["unchanged"] == ITEMS


# A process that stands still ------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(home: BrandHome) -> Iterator[BrandHome]:
    """Provide a home whose brand is locked by a process that is stopped while it has a transaction open."""
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from dm_memory.requests import no_progress; from dm_memory.text.timestamps import utc_now\n"
        "from dm_memory.store.locks import brand_lock; from dm_memory.store.database import open_store\n"
        "async def act():\n"
        "    folder = Path(sys.argv[1])\n"
        "    async with brand_lock(folder, 10, utc_now, no_progress):\n"
        "        store = open_store(folder, 'acme')\n"
        "        store.set_meta('note', 'written')\n"
        "        with store.snapshot() as connection:\n"
        "            connection.execute('SELECT count(*) FROM entries').fetchone()\n"
        "            print('ready', flush=True); sys.stdin.read()\n"
        "asyncio.run(act())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home.memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=processes.command_environment(),
        cwd=processes.REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGSTOP)
    yield home
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


def test_while_a_stopped_process_has_the_lock_others_read_and_hand_in_and_a_sync_says_who(
    home: BrandHome, product: Product, request: pytest.FixtureRequest
) -> None:
    """Nobody here may wait for the other process: it never goes on."""
    product.sync()
    request.getfixturevalue("stopped")
    assert product.status().active_run
    text = home.read_insights()[0]["insight"]
    assert any(text in hit.content for hit in product.search(text).hits)
    assert product.prepare("A zebra, handed in meanwhile").status == "prepared"
    assert any("zebra" in hit.content for hit in product.search("zebra").hits)
    assert product.sync(dry_run=True).counts.unchanged == ITEMS
    done = processes.run("sync", *arguments(home), env={"DM_MEMORY_LOCK_TIMEOUT": "0.3"})
    assert "has been syncing this brand" in refusal(done)


# Full disks ----------------------------------------------------------------------------------------------------------


def full_disk(folder: Path, *steps: str) -> list[processes.Finished]:
    """Run a sync of 2,000 items once for each size of the disk with the home; see ``tests.support.full_disk``."""
    command = ["unshare", "--mount", sys.executable, "-m", "tests.support.full_disk", str(folder), *steps]
    done = subprocess.run(
        command, check=True, capture_output=True, env=processes.command_environment(), cwd=processes.REPOSITORY
    )
    return [processes.Finished(**step) for step in json.loads(done.stdout)]


SIZES = ("100k", "200k", "300k", "500k", "800k", "1200k", "1600k", "2m", "2500k", "3m", "4m", "5m")


@pytest.mark.mounts
@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_disk_that_is_full_anywhere_is_told_and_costs_nothing_that_was_stored(tmp_path: Path, size: str) -> None:
    full, again, roomy = full_disk(tmp_path, size, size, "400m")
    for done in (full, again):
        assert "Traceback" not in done.out + done.err
        if done.code == 2:
            assert "space" in done.out + done.err
    assert roomy.code == 0, roomy.out + roomy.err
    assert roomy.data["status"] == "complete"
    assert roomy.data["checkpoint"]["total_items"] == 2_000


@pytest.mark.mounts
def test_a_disk_that_fills_up_on_the_way_keeps_what_was_stored(tmp_path: Path) -> None:
    full, roomy = full_disk(tmp_path, "3m", "400m")
    assert full.code != 0
    assert "space" in full.out + full.err
    assert (roomy.code, roomy.data["checkpoint"]["total_items"]) == (0, 2_000)
