"""Processes that are killed without warning, in everything they do at the same time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.brands import BrandHome, make_home_of
from tests.support.killing import kill_round
from tests.support.stored import assert_everything_agrees, entries
from tests.sync.conftest import check_memory


def test_after_a_kill_one_more_run_leaves_every_item_stored_once_and_embeds_nothing_again(tmp_path: Path) -> None:
    kill_round(tmp_path, random.Random(0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 8))
def test_kills_at_random_instants_of_a_first_sync(tmp_path: Path, seed: int) -> None:
    kill_round(tmp_path, random.Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_kill_among_edits_leaves_the_old_or_the_new_version_and_one_more_run_the_new_one(
    tmp_path: Path, seed: int
) -> None:
    kill_round(tmp_path, random.Random(seed), changed=True)


def arguments(home: BrandHome) -> tuple[str, ...]:
    return ("--home", str(home.root), "--brand", home.slug, "--json")


def hand_in(home: BrandHome, text: str) -> tuple[str, ...]:
    return ("prepare", text, "--content-type", "guideline", *arguments(home))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_syncs_hand_ins_and_searches_that_are_killed_together_lose_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    home = make_home_of(tmp_path / "home", 500, seed=seed)
    if seed % 2:
        processes.run("sync", *arguments(home))
    home.add(30)
    said: list[str] = []
    for number in range(6):
        texts = [f"zebra payload {seed} {number} {each}" for each in range(2)]
        started = [
            processes.start("sync", *arguments(home)),
            *(processes.start(*hand_in(home, text)) for text in texts),
            processes.start("search", "zebra payload", *arguments(home)),
        ]
        time.sleep(rng.uniform(0.2, 1.6))
        for process, text in zip(started, (None, *texts, None), strict=True):
            if rng.random() < 0.7:
                killed = processes.kill(process)
                code = None if killed else process.returncode
            else:
                code = processes.finish(process).code
            if text and code == 0:
                said.append(text)
    report = processes.run_json("sync", *arguments(home)[:-1])
    check_memory(home.memory)
    stored = set(entries(home.memory).values())
    assert set(said) <= stored, "what was acknowledged is in memory"
    assert len(stored) >= home.count_items()
    assert report["status"] == "complete"
    assert_everything_agrees(home.memory, report, len(stored))
    again = processes.run_json("sync", *arguments(home)[:-1])
    assert again["counts"]["stored"] == 0
