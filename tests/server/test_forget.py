"""Forgetting, correcting and moving a memory, through tools and commands, over the core with its real engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.server.server_homes import INSIGHTS
from tests.server.test_tools import Serving, call, data, text
from tests.support.calls import Calls

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY = "insight/2026-10-01T09:00:00.000001"


@pytest.fixture
def run(commands: Calls, home: Path) -> Run:
    """Run a command over a home that was synced."""

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = commands(*arguments, "--home", str(home))
        return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)

    assert start("sync").returncode == 0
    return start


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    path = Path(__file__).parents[2] / "docs" / "report.schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def loaded(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_model_forgets_in_two_calls_and_gets_a_proof(serving: Serving, home: Path) -> None:
    server = serving(home)
    call(server, "legacy", "sync_memory", session_learnings=["Customer Mara Kovac asked for a refund."])
    preview = call(server, "legacy", "forget_memory", query='"mara kovac"')
    assert data(preview)["status"] == "preview"
    assert "`dry_run=false`" in text(preview)
    gone = call(server, "legacy", "forget_memory", query='"mara kovac"', dry_run=False, token=data(preview)["token"])
    assert data(gone)["status"] == "forgotten"
    assert data(gone)["proof"]["complete"] is True
    assert "none contains the text any more" in text(gone)
    assert "This computer and the services that are connected to it" in text(gone)
    found = call(server, "legacy", "search_memory", query="Mara Kovac", mode="exact")
    assert data(found)["hits"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "It is not said what is to be forgotten."),
        ({"retired": True}, "do not stand alone"),
        ({"query": "refills", "dry_run": False}, "Forgetting needs the token of a preview."),
        ({"query": "refills", "before": "someday"}, "'someday' is no date."),
    ],
)
def test_forgetting_needs_a_reason_and_a_preview(
    serving: Serving, home: Path, arguments: dict[str, Any], expected: str
) -> None:
    server = serving(home)
    call(server, "legacy", "sync_memory")
    result = call(server, "legacy", "forget_memory", **arguments)
    assert result.is_error
    assert expected in text(result)


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": "refill", "keys": None, "campaign": "", "tag": "null", "before": "", "token": "", "restore": []},
        {"keys": KEY},
        {"keys": [KEY], "before": "2026-12-31T00:00:00Z", "dry_run": "true"},
    ],
)
def test_what_assistants_send_to_forget_is_understood(serving: Serving, home: Path, arguments: dict[str, Any]) -> None:
    server = serving(home)
    call(server, "legacy", "sync_memory")
    result = call(server, "legacy", "forget_memory", **arguments)
    assert not result.is_error, text(result)
    assert len(data(result)["items"]) == 1


def test_the_command_shows_deletes_and_allows_again(run: Run, schema: Draft202012Validator) -> None:
    shown = loaded(run("forget", "carousel", "--json"))
    schema.validate(shown)
    assert (shown["status"], [item["key"] for item in shown["items"]]) == ("preview", [KEY])
    assert shown["returning"] == {"insights.json": [KEY]}
    done = run("forget", "carousel", "--delete", "--token", shown["token"])
    assert done.returncode == 0
    assert done.stdout.split("\n\n")[1].startswith("**Forgotten: 1 entry deleted for good**")
    assert loaded(run("sync", "--force", "--json"))["counts"]["forgotten"] == 1
    again = loaded(run("forget", "--restore", KEY, "--json"))
    schema.validate(again)
    assert again["status"] == "restored"
    assert loaded(run("sync", "--force", "--json"))["store"]["entries"] == len(INSIGHTS)


def test_a_token_of_another_set_deletes_nothing(run: Run) -> None:
    other = loaded(run("forget", "carousel", "--json"))["token"]
    done = run("forget", "refill", "--delete", "--token", other)
    assert done.returncode == 2
    assert "**Nothing was deleted: memory has changed" in done.stdout
    assert loaded(run("status", "--json"))["store"]["entries"] == len(INSIGHTS)


def test_a_correction_is_kept_with_its_history(run: Run, schema: Draft202012Validator) -> None:
    corrected = loaded(run("correct", KEY, "Carousel ads brought sign-ups at a third of the price.", "--json"))
    schema.validate(corrected)
    assert corrected["status"] == "corrected"
    told = loaded(run("history", KEY, "--json"))
    schema.validate(told)
    assert [version["content"].split(" at ")[1].split(".")[0] for version in told["versions"]] == [
        "half the price of single images",
        "a third of the price",
    ]
    assert "(it was corrected)" in run("history", KEY).stdout
    assert "a third of the price" in run("search", "--history-of", KEY).stdout


def test_a_purged_correction_proves_that_the_old_text_is_gone(run: Run) -> None:
    done = run("correct", KEY, "Carousel ads are cheaper.", "--purge")
    assert done.returncode == 0
    assert "The old text was forgotten." in done.stdout
    assert "read byte by byte" in done.stdout
    assert len(loaded(run("history", KEY, "--json"))["versions"]) == 1


def test_an_entry_that_is_not_there_has_no_history(run: Run) -> None:
    done = run("history", "insight/none")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 2


def test_a_memory_is_exported_and_imported_without_storing_anything_twice(
    run: Run, tmp_path: Path, schema: Draft202012Validator
) -> None:
    for name, kind in (("acme.jsonl", "jsonl"), ("acme.md", "markdown")):
        file = tmp_path / name
        exported = loaded(run("export", str(file), "--json"))
        schema.validate(exported)
        assert (exported["format"], exported["entries"]) == (kind, {"acme": len(INSIGHTS)})
        imported = loaded(run("import", str(file), "--json"))
        schema.validate(imported)
        assert (imported["new"], imported["unchanged"]) == (0, len(INSIGHTS))
    assert loaded(run("export", str(tmp_path / "all"), "--all", "--dry-run", "--json"))["dry_run"] is True
    assert not (tmp_path / "all").exists()


def test_a_backup_is_put_back(run: Run, tmp_path: Path, schema: Draft202012Validator) -> None:
    folder = tmp_path / "backup"
    made = loaded(run("backup", str(folder), "--json"))
    schema.validate(made)
    assert made["entries"] == len(INSIGHTS)
    assert run("prepare", "Zed cut its prices.").returncode == 0
    back = loaded(run("restore", str(folder), "--json"))
    schema.validate(back)
    assert back["entries"] == len(INSIGHTS)
    assert Path(back["aside"]).is_dir()
    assert run("restore", str(tmp_path / "none")).returncode == 2


def test_patterns_are_shown_by_the_command_and_by_the_status(
    run: Run, home: Path, schema: Draft202012Validator
) -> None:
    campaigns = home / "brands" / "acme" / "campaigns"
    campaigns.mkdir()
    for name, side in (("spring", "what_worked"), ("summer", "what_worked"), ("autumn", "what_failed")):
        campaign = {
            "campaign_id": f"{name}-2026",
            "campaign_name": f"{name.title()} 2026",
            "status": "completed",
            "retrospective": {side: ["A gift with the second bag."]},
        }
        (campaigns / f"{name}-2026.json").write_text(json.dumps(campaign), encoding="utf-8")
    assert run("sync").returncode == 0
    found = loaded(run("patterns", "--json"))
    schema.validate(found)
    assert [(each["worked"], each["failed"]) for each in found["patterns"]] == [(2, 1)]
    assert len(found["contradictions"]) == 1
    status = run("status").stdout
    assert "worked in 2 campaigns, failed in 1 campaign" in status
    assert "What contradicts itself" in status
