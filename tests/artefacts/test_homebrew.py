"""The Homebrew formula of a release: rendered, and its installing commands run (Homebrew itself is not needed)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dm_memory import __version__
from tests.support.installing import brands_folder, empty_environment, run_in, script, uv
from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.artefact


def test_the_formulas_commands_install_the_release(sdist: Path, tmp_path: Path) -> None:
    made = tmp_path / "dm-memory.rb"
    render = [sys.executable, str(REPOSITORY / "packaging" / "homebrew" / "render.py"), str(sdist), str(made)]
    subprocess.run(render, check=True)
    text = made.read_text("utf-8")
    assert "@" not in re.sub(r'"python@3\.13"', "", text)
    assert hashlib.sha256(sdist.read_bytes()).hexdigest() in text
    assert f"/releases/download/v{__version__}/{sdist.name}" in text

    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    values = {"python": sys.executable, "libexec": str(tmp_path / "libexec")}
    environment = empty_environment(tmp_path)
    commands = re.findall(r"^    system (.+)$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        run_in(environment, *_words(command, values), cwd=next((tmp_path / "unpacked").iterdir()))
    command = script(tmp_path / "libexec", "dm-memory")
    assert "## Synced" in run_in(environment, command, "sync", "--home", brands_folder(tmp_path), cwd=tmp_path)


def _words(command: str, values: dict[str, str]) -> list[str]:
    """Return a command of the formula as arguments: Ruby's texts, names and paths joined with a slash."""
    words = []
    for part in command.split(", "):
        pieces = [
            piece.strip('"') if piece.startswith('"') else values[piece] for piece in re.findall(r'"[^"]*"|\w+', part)
        ]
        words.append("/".join(pieces))
    return [uv() if word == "uv" else word for word in words]
