"""Sync a home on disks of several sizes: ``unshare --mount python small_disk.py FOLDER KILOBYTES...``.

On each disk but the last the home is a new one; on the last one it is what the disk before left. Prints, each behind a
NUL, the exit code and everything a sync said.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import processes
from tests.support.brands import make_home

__all__: list[str] = []


def main(folder: str, *sizes: str) -> None:
    """Run all the steps."""
    told = []
    for number, size in enumerate(sizes):
        if number == len(sizes) - 1:
            subprocess.run(["mount", "-o", f"remount,size={size}k", folder], check=True)
        else:
            if number:
                subprocess.run(["umount", folder], check=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", folder], check=True)
            make_home(Path(folder) / "home", insights=20, campaigns=2)
        finished = processes.run("sync", "--home", f"{folder}/home")
        told.append(f"{finished.code} {finished.err} {finished.out}")
    sys.stdout.write("\0".join(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
