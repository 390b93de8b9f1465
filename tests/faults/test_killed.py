"""A sync that is killed without warning."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.killing import kill_round


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_after_a_kill_one_more_run_leaves_every_item_stored_once_and_embeds_nothing_again(
    tmp_path: Path, seed: int
) -> None:
    kill_round(tmp_path, random.Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_kill_among_edits_leaves_the_old_or_the_new_version_and_one_more_run_the_new_one(
    tmp_path: Path, seed: int
) -> None:
    kill_round(tmp_path, random.Random(seed), changed=True)
