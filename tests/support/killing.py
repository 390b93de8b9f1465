"""One round of killing a sync: SIGKILL at a random moment, one more run, and everything that must then be true."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import processes
from tests.support.brands import BrandHome, make_home_of
from tests.support.fault_embedders import LOG_VARIABLE
from tests.support.stored import assert_everything_agrees, embedded_digests

__all__ = ["KillRound", "kill_round"]

_CHANGED = 100


@dataclass(frozen=True, slots=True)
class KillRound:
    """What a round met: whether the kill came before the end, and how many texts were in memory at that moment."""

    killed: bool
    embedded_before: int
    embedded_afterwards: int


def kill_round(folder: Path, rng: random.Random, *, items: int = 2_000, changed: bool = False) -> KillRound:
    """Kill a sync of ``items`` new items (or, ``changed``, of edits to a synced brand), run once more, and check.

    Raises:
        AssertionError: Something was lost, stored twice, left half written or embedded again.
    """
    home = make_home_of(folder / "home", items, seed=rng.randrange(2**32))
    log = folder / "embedded.log"
    env = {"DM_MEMORY_EMBEDDER": "tests.support.fault_embedders:logging", LOG_VARIABLE: str(log)}
    if changed:
        _sync(home, env)
        home.modify(_CHANGED)
        home.add(_CHANGED)
        items += _CHANGED
    killed = _kill_somewhere(home, env, rng)
    before = embedded_digests(home.memory)
    log.write_bytes(b"")
    report = _sync(home, env)
    embedded = log.read_text().split()
    assert len(embedded) == len(set(embedded)), "a text was embedded twice in one run"
    assert not before.intersection(embedded), "a text was embedded again that was in memory"
    assert_everything_agrees(home.memory, report, items)
    return KillRound(killed, len(before), len(embedded))


def _sync(home: BrandHome, env: dict[str, str]) -> dict[str, object]:
    return processes.run_json("sync", "--home", str(home.root), "--brand", home.slug, env=env)


def _kill_somewhere(home: BrandHome, env: dict[str, str], rng: random.Random) -> bool:
    """Kill a sync a random while after it began to write; a kill that comes too late is a round as well."""
    process = processes.start("sync", "--home", str(home.root), "--brand", home.slug, "--json", env=env)
    note = home.memory / ".sync.holder.json"
    while process.poll() is None and not note.exists():
        time.sleep(0.001)
    try:
        process.wait(rng.uniform(0.0, 0.8))
    except subprocess.TimeoutExpired:
        return processes.kill(process)
    process.communicate()
    return False
