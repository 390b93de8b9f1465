"""Sync a brand on a disk that is too small: ``unshare --mount python -m tests.support.full_disk FOLDER SIZE...``.

Mounts a memory disk of the first SIZE on FOLDER, where nobody else sees it, makes a home of 2,000 items and syncs it;
then, for each further SIZE, changes the disk's size and syncs again. Prints what each sync left, as JSON.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import orjson

from tests.support import processes
from tests.support.brands import make_home_of

__all__: list[str] = []


def main(folder: str, first: str, *further: str) -> None:
    """Run all the steps."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={first}", "none", folder], check=True)
    home = make_home_of(Path(folder) / "home", 2_000)
    command = ("sync", "--home", str(home.root), "--brand", home.slug, "--json")
    results = [asdict(processes.run(*command))]
    for size in further:
        subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
        results.append(asdict(processes.run(*command)))
    sys.stdout.buffer.write(orjson.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
