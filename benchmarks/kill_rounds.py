"""Kill a sync of 2,000 items at random moments, run once more, check everything; as many rounds as asked for.

Every second round kills a sync of edits to a brand that is in memory already. Ends at the first round that fails.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.killing import kill_round


def main() -> None:
    """Run the rounds and print what they met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    killed = midway = 0
    for number in range(options.rounds):
        rng = random.Random(options.seed * 100_000 + number)
        with tempfile.TemporaryDirectory() as folder:
            met = kill_round(Path(folder), rng, items=options.items, changed=number % 2 == 1)
        killed += met.killed
        midway += met.embedded_afterwards > 0
        print(f"round {number + 1}: {met}", flush=True)
    print(f"{options.rounds} rounds: {killed} killed, {midway} of them with work left; nothing lost, nothing twice")


if __name__ == "__main__":
    main()
