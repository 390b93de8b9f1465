"""``dm-memory`` in a shell: exit codes, data for programs, and no traceback whatever happens."""

from __future__ import annotations

import inspect
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dm_memory import __version__
from dm_memory_tools.catalog import OPERATIONS
from tests.server.server_homes import COMMAND, many

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def start(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        own = environment | more
        return subprocess.run(
            [*COMMAND, *arguments], input=stdin, capture_output=True, text=True, env=own, check=False, timeout=120
        )

    return start


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    path = Path(__file__).parents[2] / "docs" / "report.schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def test_every_command_prints_data_that_fits_the_schema(run: Run, home: Path, schema: Draft202012Validator) -> None:
    commands = [
        ("sync", "--learning", "Refills sell in spring.", "--tag", "spring", "--exclude", "*carousel*"),
        ("status",),
        ("prepare", "Zed cut its prices.", "--content-type", "competitive-intel"),
        ("search", "what sells in spring?"),
        ("doctor",),
    ]
    for command in commands:
        done = run(*command, "--home", str(home), "--json")
        assert (done.returncode, done.stderr) == (0, ""), command
        schema.validate(json.loads(done.stdout))


def test_options_reach_the_core(run: Run, home: Path) -> None:
    done = run(
        "sync", "--home", str(home), "--json", "--exclude", "*carousel*", "--learning", "-", stdin="One.\nTwo.\n"
    )
    counts = json.loads(done.stdout)["counts"]
    assert (counts["new"], counts["excluded"], counts["stored"]) == (4, 1, 4)


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (b"caf\xe9 d\xe9j\xe0 vu ads\n", "café déjà vu ads"),
        ("Reels won\n".encode("utf-16"), "Reels won"),
        (b"\xef\xbb\xbfReels won\n", "Reels won"),
    ],
)
def test_standard_input_is_read_as_files_are(environment: dict[str, str], home: Path, data: bytes, stored: str) -> None:
    for command in (("prepare", "-", "--content-type", "guideline"), ("sync", "--learning", "-")):
        done = subprocess.run(
            [*COMMAND, *command, "--home", str(home)], input=data, capture_output=True, env=environment, check=False
        )
        assert f"“{stored}”" in done.stdout.decode(), done.stderr


def test_json_is_cut_unless_more_is_asked_for(run: Run, home: Path, schema: Draft202012Validator) -> None:
    many(home, 1500)
    cut = run("sync", "--home", str(home), "--dry-run", "--json")
    assert len(cut.stdout.encode()) <= 60_000
    report = json.loads(cut.stdout)
    schema.validate(report)
    assert report["cut"]["items"] == {"shown": len(report["items"]), "of": 1000}
    assert "--report-items 1500" in report["rest"]
    whole = json.loads(run("sync", "--home", str(home), "--dry-run", "--json", "--limit", "1500").stdout)
    assert len(whole["items"]) == 1500


def test_commands_take_the_arguments_of_their_tools() -> None:
    from dm_memory_server.cli import app as commands  # noqa: PLC0415  # beside its only use

    registered = {command.name: command.callback for command in commands.registered_commands}
    for operation, name in zip(
        OPERATIONS, ("sync", "status", "prepare", "search", "storage-sync", "forget"), strict=True
    ):
        options = set(inspect.signature(registered[name]).parameters)  # type: ignore[arg-type]
        assert set(operation.arguments.model_fields) - {"response_format"} <= options


def test_a_dry_run_writes_nothing(run: Run, home: Path) -> None:
    done = run("sync", "--home", str(home), "--dry-run")
    assert done.returncode == 0
    assert not (home / "brands" / "acme" / "memory").exists()


def test_a_report_goes_out_as_plain_markdown(run: Run, home: Path) -> None:
    done = run("status", "--home", str(home))
    assert done.returncode == 0
    assert done.stdout.startswith("#")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "--brand", "nobody"),
        ("sync", "--brand", "../../etc"),
        ("search", "x", "--from-date", "someday"),
        ("prepare", " ", "--content-type", "guideline"),
    ],
)
def test_what_cannot_be_done_is_said_in_two_sentences_with_code_2(
    run: Run, home: Path, arguments: tuple[str, ...]
) -> None:
    done = run(*arguments, "--home", str(home))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 2
    assert "Traceback" not in done.stderr


def test_an_error_is_data_too(run: Run, two_brands: Path, schema: Draft202012Validator) -> None:
    done = run("sync", "--home", str(two_brands), "--json")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    schema.validate(report)
    assert report["error"]["brands"] == ["acme", "bolt"]


def test_the_only_brand_needs_no_naming(run: Run, home: Path) -> None:
    (home / "brands" / "_active-brand.json").unlink()
    assert run("sync", "--home", str(home)).returncode == 0


@pytest.mark.parametrize(
    "arguments", [("sync", "--bogus"), ("sync", "--scope", "x"), ("bogus",), (), ("serve", "--transport", "pigeon")]
)
def test_a_mistyped_command_exits_with_2_and_shows_the_usage(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage" in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_named_without_its_value(run: Run, home: Path) -> None:
    done = run("sync", "--home", str(home), DM_MEMORY_BATCH_SIZE="many-4242")
    assert done.returncode == 2
    assert "DM_MEMORY_BATCH_SIZE" in done.stderr
    assert "4242" not in done.stderr


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout.strip() == f"dm-memory {__version__}"


def test_a_reader_that_goes_away_is_no_error(environment: dict[str, str], home: Path) -> None:
    command = [*COMMAND, "sync", "--home", str(home)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command whose standard error is a terminal; return it and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    return process, ours


def read_terminal(terminal: int) -> bytes:
    """Return the next piece of what was shown, or nothing at the end (Linux reports that as an error)."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_progress_is_shown_on_a_terminal_and_stays_out_of_the_report(environment: dict[str, str], home: Path) -> None:
    process, terminal = on_a_terminal(["sync", "--home", str(home)], environment)
    shown = b"".join(iter(lambda: read_terminal(terminal), b""))
    os.close(terminal)
    with process:
        report = process.communicate()[0].decode()
    assert process.returncode == 0
    assert "━".encode() in shown
    assert report.startswith("#")
    assert "━" not in report


def test_ctrl_c_stops_a_sync_with_code_130_and_keeps_what_was_stored(
    environment: dict[str, str], home: Path, run: Run
) -> None:
    many(home, 3000)
    process, terminal = on_a_terminal(["sync", "--home", str(home)], environment)
    assert read_terminal(terminal)  # the progress bar is there: the sync runs
    process.send_signal(signal.SIGINT)
    rest = b"".join(iter(lambda: read_terminal(terminal), b"")).decode()
    os.close(terminal)
    with process:
        assert process.communicate()[0] == b""
    assert process.returncode == 130
    assert "the next sync resumes there" in rest
    assert "Traceback" not in rest
    again: dict[str, Any] = json.loads(run("sync", "--home", str(home), "--json").stdout)
    assert again["counts"]["failed"] == 0
    assert json.loads(run("sync", "--home", str(home), "--json").stdout)["counts"]["unchanged"] == 3000


def test_the_command_is_installed_under_its_name(environment: dict[str, str]) -> None:
    script = Path(sys.executable).with_name("dm-memory")
    done = subprocess.run([str(script), "--version"], capture_output=True, text=True, env=environment, check=True)
    assert __version__ in done.stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_process_started_without_a_stream_does_its_work(environment: dict[str, str], home: Path, closed: str) -> None:
    command = f'"$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, "sync", "--home", str(home)],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / "brands" / "acme" / "memory" / "sync-state.json").exists()


def test_standard_output_that_is_full_is_said_in_words(environment: dict[str, str], home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "status", "--home", str(home)],
            stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False, timeout=120,
        )  # fmt: skip
    assert "could not be written to standard output" in done.stderr
    assert "Something went wrong" not in done.stderr


@pytest.mark.graphiti
def test_a_drivers_own_words_stay_out_of_standard_error(run: Run, home: Path) -> None:
    done = run("doctor", "--home", str(home), NEO4J_URI="neo4j://127.0.0.1:9", DM_MEMORY_LAYER_ATTEMPTS="1")
    assert "can't be reached" in done.stdout
    assert "neo4j" not in done.stderr
