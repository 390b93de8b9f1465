"""``storage_sync`` as a client calls it, and ``dm-memory storage-sync`` as a shell does."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer

from dm_memory.api import Memory
from dm_memory.cache.results import StorageSyncRequest, StorageSyncResult
from dm_memory.report import status_report
from dm_memory.report.storage import STORAGE_SECTIONS
from dm_memory_server.app import build_server
from dm_memory_server.background import storage_syncs
from dm_memory_tools.answer import REPORT_KEY
from dm_memory_tools.runtime import Runtime, load_settings
from tests.cache.memory_db import MemoryDb
from tests.server.server_homes import COMMAND

CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def filled(home: Path) -> Path:
    """A home whose brand has twelve entries and a pattern in memory."""
    folder = home / "brands" / "acme" / "memory"
    folder.mkdir()
    memory = MemoryDb(folder, "acme")
    memory.put(*range(12), vectors=0)
    memory.patterns("Reels on Tuesday")
    memory.close()
    return home


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    path = Path(__file__).parents[2] / "docs" / "report.schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def cache_file(home: Path) -> Path:
    """Return the cache itself, whichever engine made it, among the files it has beside it."""
    files = (home / "brands" / "acme" / "memory" / "cache").iterdir()
    (path,) = (file for file in files if re.fullmatch(r"cache\.v\d+\.(sqlite|redb)", file.name))
    return path


def call(server: MCPServer[Runtime], **arguments: Any) -> tuple[str, dict[str, Any]]:
    async def ask() -> Any:
        async with Client(server) as client:
            return await client.call_tool("storage_sync", arguments)

    answer = asyncio.run(ask())
    assert not answer.is_error, answer.content
    return answer.content[0].text, answer.meta[REPORT_KEY]


def run(environment: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "storage-sync", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment | more, check=False, timeout=120)


def test_a_client_brings_the_cache_up_to_the_store(
    serving: Callable[[Path], MCPServer[Runtime]], filled: Path, schema: Draft202012Validator
) -> None:
    text, data = call(serving(filled), max_episodes_cache=10)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [*STORAGE_SECTIONS]
    assert "New or changed, and written to the cache: 10 episodes, 1 pattern." in text
    assert "The cache agrees with the durable store." in text
    schema.validate(data)
    assert (data["status"], data["cache"]["counts"]["episodes"], data["behind"]) == ("synced", 10, 0)
    text, data = call(serving(filled), max_episodes_cache=10)
    assert text.splitlines()[2].startswith("**Nothing changed in the durable store**")
    schema.validate(data)


def test_a_store_that_is_down_is_a_report_and_not_an_error(
    serving: Callable[[Path], MCPServer[Runtime]], filled: Path, schema: Draft202012Validator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    call(serving(filled))
    monkeypatch.setenv("TURSO_DATABASE_URL", CLOSED)
    text, data = call(serving(filled))
    assert "is still read" in text
    assert "Try again in 1 minute" in text
    schema.validate(data)
    assert (data["status"], data["cache"]["counts"]["episodes"]) == ("skipped", 12)
    assert data["store"]["error"]["class"] == "unavailable"


def test_every_way_to_run_it_prints_data_that_fits_the_schema(
    environment: dict[str, str], filled: Path, schema: Draft202012Validator
) -> None:
    for options, status in [
        (("--dry-run",), "planned"),
        (("--validate-only",), "checked"),
        (("--batch-size", "3", "--no-embeddings"), "synced"),
        (("--no-patterns",), "unchanged"),
        (("--full",), "synced"),
        (("--validate-only",), "checked"),
        (("--repair",), "synced"),
        ((), "unchanged"),
    ]:
        done = run(environment, "--home", str(filled), "--json", *options)
        assert (done.returncode, done.stderr) == (0, ""), options
        data = json.loads(done.stdout)
        schema.validate(data)
        assert data["status"] == status, options


def test_a_shell_learns_from_the_exit_code_that_the_store_is_down(environment: dict[str, str], filled: Path) -> None:
    done = run(environment, "--home", str(filled), TURSO_DATABASE_URL=CLOSED, TURSO_AUTH_TOKEN="t-4242")  # noqa: S106  # made up
    assert done.returncode == 1
    assert "Skipped" in done.stdout
    assert "4242" not in done.stdout + done.stderr


def test_watching_runs_again_until_it_is_interrupted(environment: dict[str, str], filled: Path) -> None:
    command = [*COMMAND, "storage-sync", "--home", str(filled), "--watch", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for _ in range(2):
            while not process.stdout.readline().startswith("# Storage sync"):
                assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 130


class Watched(Memory):
    """A memory that says when the second storage sync has ended, and lets no pause pass."""

    def __init__(self, home: Path, storage_interval: float = 0.0, retry_after: float | None = 0.0) -> None:
        super().__init__(load_settings(home=home).model_copy(update={"storage_interval": storage_interval}))
        self.retry_after = retry_after
        self.results: list[StorageSyncResult] = []
        self.begun = asyncio.Event()
        self.enough = asyncio.Event()

    async def storage_sync(self, request: StorageSyncRequest, *_: Any) -> StorageSyncResult:
        result = await super().storage_sync(request)
        self.results.append(replace(result, retry_after=self.retry_after))
        self.begun.set()
        if len(self.results) == 2:
            self.enough.set()
        return self.results[-1]


def test_a_server_with_a_remote_store_syncs_by_itself_and_outlives_its_troubles(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURSO_DATABASE_URL", CLOSED)

    async def act() -> list[str]:
        memory = Watched(filled)
        runtime = Runtime(lambda: memory)
        async with storage_syncs(runtime, first_after=0.0):
            await asyncio.wait_for(memory.enough.wait(), 60)
        await runtime.close()
        return [result.status.value for result in memory.results[:2]]

    assert asyncio.run(act()) == ["skipped", "skipped"]


def test_an_answer_of_a_server_that_syncs_by_itself_says_when_it_does_so_again(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURSO_DATABASE_URL", CLOSED)

    async def act() -> Any:
        memory = Watched(filled, storage_interval=3600.0, retry_after=3600.0)
        runtime = Runtime(lambda: memory)
        async with storage_syncs(runtime, first_after=0.0, rest=3600.0):
            await memory.begun.wait()
            async with Client(build_server(runtime)) as client:
                memory.retry_after = None
                answer = await client.call_tool("storage_sync", {"dry_run": True})
        await runtime.close()
        return answer

    answer = asyncio.run(act())
    assert answer.meta[REPORT_KEY]["next_run_seconds"] == 3600
    assert "The next run is in 1 hour." in answer.content[0].text


def test_a_full_run_says_that_everything_was_read(serving: Callable[[Path], MCPServer[Runtime]], filled: Path) -> None:
    call(serving(filled))
    for way in ("full", "repair"):
        assert "Everything was read again. Nothing differed." in call(serving(filled), **{way: True})[0]


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300", "0"])
def test_a_pause_that_can_not_be_waited_for_is_refused(environment: dict[str, str], filled: Path, seconds: str) -> None:
    done = run(environment, "--home", str(filled), "--watch", seconds)
    assert done.returncode == 2
    assert "--watch" in done.stderr
    assert not (filled / "brands" / "acme" / "memory" / "cache").exists()


def test_a_number_that_is_too_small_is_told_what_is_enough(
    serving: Callable[[Path], MCPServer[Runtime]], filled: Path
) -> None:
    async def ask() -> Any:
        async with Client(serving(filled)) as client:
            return await client.call_tool("storage_sync", {"max_episodes_cache": 0})

    assert "`max_episodes_cache` must be a whole number of 1 or more." in asyncio.run(ask()).content[0].text


def test_a_reader_that_finds_the_cache_stale_wakes_the_next_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer alone would not: it has an hour to go, and the first run's store did not answer."""
    monkeypatch.setenv("TURSO_DATABASE_URL", CLOSED)

    async def act() -> int:
        memory = Watched(home, storage_interval=3600.0, retry_after=3600.0)
        runtime = Runtime(lambda: memory)
        async with storage_syncs(runtime, first_after=0.0, rest=0.0):
            await memory.begun.wait()
            async with Client(build_server(runtime)) as client:
                answer = await client.call_tool("get_memory_status", {})
            assert answer.meta is not None
            assert answer.meta[REPORT_KEY]["cache"] is None or answer.meta[REPORT_KEY]["cache_is_stale"]
            await asyncio.wait_for(memory.enough.wait(), 60)
        await runtime.close()
        return len(memory.results)

    assert asyncio.run(act()) == 2


def test_the_status_tells_what_is_cached_and_what_worked(filled: Path) -> None:
    async def act() -> Any:
        memory = Memory(load_settings(home=filled))
        await memory.storage_sync(StorageSyncRequest())
        result = await memory.status()
        await memory.close()
        return result

    report = status_report(asyncio.run(act()))
    assert "12 episodes, 1 pattern and 0 embeddings of the durable store" in report.text
    assert "**Met most often across campaigns**" in report.text
    assert report.data["cache"]["counts"] == {"episodes": 12, "patterns": 1, "embeddings": 0}
    assert not report.data["cache_is_stale"]


def test_a_damaged_cache_is_told_of_and_left_where_it_is(filled: Path) -> None:
    async def act() -> Any:
        memory = Memory(load_settings(home=filled))
        await memory.storage_sync(StorageSyncRequest())
        path = cache_file(filled)
        path.write_bytes(b"no cache at all" * 1000)
        before = path.read_bytes()
        result = await memory.status()
        await memory.close()
        assert path.read_bytes() == before
        return result

    text = status_report(asyncio.run(act())).text
    assert "The local cache could not be read" in text
    assert "Run storage_sync" in text.replace("\\", "")


def test_a_check_of_a_damaged_cache_does_not_say_that_there_is_none(
    serving: Callable[[Path], MCPServer[Runtime]], filled: Path
) -> None:
    call(serving(filled))
    path = cache_file(filled)
    path.write_bytes(b"no cache at all" * 1000)
    assert "- Cache: damaged, and left where it is." in call(serving(filled), validate_only=True)[0]


def test_a_remedy_names_the_tool_to_a_model_and_the_command_in_a_terminal(
    serving: Callable[[Path], MCPServer[Runtime]], filled: Path, environment: dict[str, str]
) -> None:
    said = call(serving(filled), validate_only=True)[0]
    assert 'What to do: Run `storage_sync(brand="acme")`, which fills one.' in said
    shown = run(environment, "--home", str(filled), "--validate-only").stdout
    assert "What to do: Run `dm-memory storage-sync --brand acme`, which fills one." in shown


def test_a_server_without_one_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TURSO_DATABASE_URL", raising=False)

    async def act() -> int:
        async with storage_syncs(Runtime(), first_after=0.0):
            return len(asyncio.all_tasks())

    assert asyncio.run(act()) == 1
