"""The demo does the main job, and the README shows what it really prints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from server_homes import COMMAND

ROOT = Path(__file__).parents[2]
HEADINGS = (
    "# First sync: everything is new",
    "# A week later: one insight added, one edited, a campaign completed, and something learned in the session",
    "# Once more, nothing changed",
    "# A question to memory: ",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run the demo with nothing but a temporary folder to write to; return its parts, one per heading."""
    scratch = tmp_path_factory.mktemp("demo")
    environment = {"HOME": str(scratch / "user"), "TMPDIR": str(scratch), "QDRANT_URL": "https://127.0.0.1:1"}
    done = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(scratch.iterdir()) == []
    positions = [done.stdout.index(heading) for heading in HEADINGS]
    assert positions == sorted(positions)
    return [done.stdout[a:b] for a, b in zip(positions, [*positions[1:], None], strict=True)]


def sections(report: str) -> list[str]:
    return re.findall(r"^## (.+)$", report, re.MULTILINE)


def figures(report: str) -> list[str]:
    """Return the report's numbers, apart from what differs from run to run: times, durations, ids and sizes."""
    summary = report.split("## ")[1]
    return re.findall(r"\*\*[^*]*\d[^*]*\*\*", summary)


def test_the_reports_have_eight_sections(shown: list[str]) -> None:
    for report in shown[:3]:
        assert len(sections(report)) == 8


def test_the_changes_of_a_week_are_all_seen(shown: list[str]) -> None:
    assert "Once more" not in shown[1]
    assert "| Changed |" in shown[1] or "hanged" in shown[1]
    assert "Every second support chat" in shown[1]


def test_the_third_sync_stores_nothing(shown: list[str]) -> None:
    assert "nothing" in shown[2].split("## ")[1].lower()


def test_the_question_is_answered_from_memory(shown: list[str]) -> None:
    assert len(shown[3].splitlines()) > 5


def test_the_readme_shows_the_demos_report(shown: list[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = readme.split("<!-- report:begin -->")[1].split("<!-- report:end -->")[0]
    quoted = "\n".join(line.removeprefix("> ").removeprefix(">") for line in example.splitlines())
    assert sections(quoted) == sections(shown[1])
    assert figures(quoted) == figures(shown[1])
