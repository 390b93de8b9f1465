"""The demo does the main job, and the README shows what it really prints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from dm_memory_server.demo import sample_home
from tests.server.readme_report import example, in_readme, parts, steady
from tests.server.server_homes import COMMAND


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run the demo with nothing but a temporary folder to write to; return its parts, one per heading."""
    scratch = tmp_path_factory.mktemp("demo")
    (scratch / "user").mkdir()
    environment = {"HOME": str(scratch / "user"), "TMPDIR": str(scratch), "DM_MEMORY_BRAND": "someone-elses"}
    done = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    return parts(done.stdout)


def test_the_first_sync_stores_the_whole_sample(shown: list[str]) -> None:
    assert re.search(r"^Memory now has \d+ new entries\.$", shown[0], re.MULTILINE)


def test_the_changes_of_a_week_are_all_seen(shown: list[str]) -> None:
    for words in ("Every second support chat", "Reminders sent on Sunday evening", "what worked: Asking on the day"):
        assert words in shown[1]
    assert "**Changed**" in shown[1]


def test_the_third_sync_stores_nothing(shown: list[str]) -> None:
    assert "Memory is up to date" in shown[2]
    assert "Nothing had to be stored." in shown[2]


def test_the_question_is_answered_from_memory(shown: list[str]) -> None:
    assert "Nothing found" not in shown[3]
    assert "gives people a reason to open the next e-mail" in shown[3]


def test_every_report_of_a_sync_has_the_same_eight_sections(shown: list[str]) -> None:
    sections = [re.findall(r"^## (.+)$", report, re.MULTILINE) for report in shown[:3]]
    assert sections[0] == sections[1] == sections[2]
    assert len(sections[0]) == 8


def test_the_readme_shows_what_the_demo_prints(shown: list[str]) -> None:
    """After a wanted change, ``uv run python tests/server/readme_report.py`` brings the README up to date."""
    assert steady(in_readme()) == steady(example(shown))


def test_the_sample_is_left_as_it_was(shown: list[str]) -> None:
    assert shown
    assert not list(Path(sample_home()).rglob("memory"))
