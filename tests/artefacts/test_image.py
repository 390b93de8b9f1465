"""The Dockerfile's steps, in a folder instead of a container: what is copied, what is installed, what is started.

No daemon is needed, and none is used: CI's job ``image`` builds and runs the real image. Here the context is filtered
by .dockerignore, the build stage's command is run, and the final stage's instructions are read.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.installing import brands_folder, empty_environment, run_in, script, uv
from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.artefact


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines]


def context(source: Path, target: Path) -> None:
    """Copy what .dockerignore lets into the build: everything is left out that a line with ! does not name."""
    rules = (REPOSITORY / ".dockerignore").read_text("utf-8").split()
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    dropped = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        wanted = any(name == rule or name.startswith(f"{rule}/") for rule in kept)
        unwanted = any(fnmatch(part, rule) for part in name.split("/") for rule in dropped)
        if wanted and not unwanted and path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(path.read_bytes())


def test_the_images_steps_install_a_command_that_syncs(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    context(source, folder)
    assert not (folder / "tests").exists()
    steps = instructions()
    sync = next(text for name, text in steps if name == "RUN" and text.startswith("uv sync"))
    extras = next(text for name, text in steps if name == "ARG" and text.startswith("EXTRAS="))
    command = shlex.split(sync.replace("${EXTRAS}", extras.partition("=")[2].strip('"')))
    environment = empty_environment(tmp_path) | {
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "opt"),
        "UV_PYTHON": sys.executable,
    }
    command.remove("--no-cache")  # it keeps the layer small; here the packages need not be fetched again
    run_in(environment, uv(), *command[1:], cwd=folder)
    home = brands_folder(tmp_path)
    here = {"HOME": str(home), "CLAUDE_MARKETING_HOME": str(home), "PATH": "/usr/bin:/bin"}
    assert "## Synced" in run_in(here, script(tmp_path / "opt", "dm-memory"), "sync", cwd=tmp_path)
    run_in(here, script(tmp_path / "opt", "python"), "-c", "import neo4j, pinecone, qdrant_client, supermemory")


def test_the_image_serves_over_http_as_a_user_without_rights_and_reports_its_health() -> None:
    steps = instructions()
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    final = dict(steps[last:])
    assert json.loads(final["CMD"]) == ["serve", "--http", "0.0.0.0:8000"]
    assert json.loads(final["ENTRYPOINT"]) == ["dm-memory"]
    assert json.loads(final["VOLUME"]) == ["/data"]
    assert (final["USER"], final["EXPOSE"]) == ("memory", "8000")
    health = json.loads(final["HEALTHCHECK"].partition("CMD ")[2])
    assert "/healthz" in health[-1]
    dead = subprocess.run(
        [sys.executable, *health[1:-1], health[-1].replace("8000", "1")], check=False, capture_output=True
    )
    assert dead.returncode == 1
    assert not any("gcc" in text or "build-essential" in text for _, text in steps[last:])
    assert all("latest" not in text for name, text in steps if name == "FROM")
