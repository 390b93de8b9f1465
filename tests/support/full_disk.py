"""Sync a brand on a disk that is too small: ``unshare --mount python -m tests.support.full_disk FOLDER SIZE...``.

Mounts a roomy memory disk on FOLDER, where nobody else sees it, and makes a home of 2,000 items there. For each SIZE,
which is what is left beside the home's own files, it changes the disk's size and syncs. Prints what each sync left, as
JSON.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import orjson

from tests.support import processes
from tests.support.brands import make_home_of

__all__: list[str] = []


def main(folder: str, *sizes: str) -> None:
    """Run all the steps."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", folder], check=True)
    home = make_home_of(Path(folder) / "home", 2_000)
    disk = os.statvfs(folder)
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    command = ("sync", "--home", str(home.root), "--brand", home.slug, "--json")
    results = []
    for size in sizes:
        room = int(size[:-1]) * _UNITS[size[-1]]
        subprocess.run(["mount", "-o", f"remount,size={used + room}", folder], check=True)
        results.append(asdict(processes.run(*command)))
    sys.stdout.buffer.write(orjson.dumps(results))


_UNITS = {"k": 1024, "m": 1024 * 1024}


if __name__ == "__main__":
    main(*sys.argv[1:])
