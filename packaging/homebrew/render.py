"""Write the Homebrew formula of a release: ``python packaging/homebrew/render.py dist/dm_memory-1.2.3.tar.gz FILE``.

The checksum is that of the file, the address the one that the release will have: both change with every release, so the
formula is made by the release and lives in the tap, not here.
"""

# ruff: noqa: INP001  # a script of the release
from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def formula(sdist: Path) -> str:
    """Return the formula that installs a source distribution from the project's page of releases."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    home = project["urls"]["Homepage"]
    values = {
        # Homebrew wants it short, without the article and without a full stop.
        "DESCRIPTION": "MCP server that keeps what a marketing team learns",
        "HOMEPAGE": home,
        "URL": f"{home}/releases/download/v{project['version']}/{sdist.name}",
        "SHA256": hashlib.sha256(sdist.read_bytes()).hexdigest(),
        "LICENSE": project["license"],
    }
    text = Path(__file__).with_name("dm-memory.rb.in").read_text("utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(formula(Path(sys.argv[1])), "utf-8")
