"""A server over HTTP that is killed, runs out of disk, or loses its caller's token, in the middle of a call."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import httpx
import pytest

from dm_memory_server.http.tokens import TokenFile
from tests.http.serving import ERAS, LEGACY, MODERN, answer, call, served, text_of, token
from tests.server.server_homes import many, write_brand, write_json
from tests.support.stored import entries

pytestmark = pytest.mark.slow

ITEMS = 1500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with a brand of many insights."""
    home = tmp_path / "home"
    write_brand(home, "acme")
    write_json(home / "brands" / "_active-brand.json", {"active_slug": "acme", "updated_at": "2026-11-01T00:00:00"})
    many(home, ITEMS)
    return home


def waiting_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("era", ERAS)
def test_killed_during_a_sync_all_is_there_once_after_the_next(folder: Path, era: str) -> None:
    memory = folder / "brands" / "acme" / "memory"
    with httpx.Client(timeout=60, trust_env=False) as client:
        with served(folder) as server, ThreadPoolExecutor(1) as pool:
            learned = ["Kites sell in March."]
            running = pool.submit(call, client, server.url, "sync_memory", era=era, session_learnings=learned)
            waiting_until(lambda: (memory / "memory.db").is_file() and (memory / "journal.jsonl").is_file())
            server.process.kill()
            with pytest.raises(httpx.TransportError):
                running.result()
        with served(folder) as server:
            again = call(client, server.url, "sync_memory", era=era)
            assert not answer(again)["result"].get("isError"), again.text
            found = call(client, server.url, "search_memory", query="kites", era=era)
            assert "Kites sell in March" in text_of(found)
    assert len(entries(memory)) == ITEMS + 1


@pytest.mark.parametrize("era", ERAS)
def test_a_token_revoked_in_mid_call_ends_the_call_and_what_was_handed_in_stays(folder: Path, era: str) -> None:
    secret, other = token(folder, "ada", "acme"), token(folder, "eve", "acme")
    memory = folder / "brands" / "acme" / "memory"
    memory.mkdir(mode=0o700)
    with (
        served(folder, "--require-token") as server,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(timeout=90, trust_env=False) as client,
        httpx.Client(timeout=90, trust_env=False) as second,
    ):
        # The call waits for a brand that another process has locked, so it is running for certain.
        with filelock.FileLock(memory / ".sync.lock"):
            learned = ["Kites sell in March."]
            running = pool.submit(
                call, client, server.url, "sync_memory", secret=secret, era=era, session_learnings=learned
            )
            waiting_until((memory / "journal.jsonl").is_file)
            TokenFile(folder).revoke("ada")
            refused = call(second, server.url, "get_memory_status", secret=secret, era=era)
            assert refused.status_code == 401
            cut = running.result()
            assert (cut.status_code, cut.text) == (200, "") if era == LEGACY else cut.status_code == 401
        assert call(second, server.url, "search_memory", secret=secret, era=era, query="kites").status_code == 401
        done = call(second, server.url, "sync_memory", secret=other, era=era)
        assert not answer(done)["result"].get("isError"), done.text
        found = call(second, server.url, "search_memory", secret=other, query="kites", era=era)
        assert "Kites sell in March" in text_of(found)
        server.logged('token="ada" method=tools/call tool=sync_memory')


@pytest.mark.mounts
def test_a_full_disk_is_said_and_the_server_goes_on(folder: Path) -> None:
    memory = folder / "brands" / "acme" / "memory"
    memory.mkdir(mode=0o700)
    small = f'mount -t tmpfs -o size=700k,mode=0700 none "{memory}" && exec "$@"'
    with (
        served(folder, within=["unshare", "--mount", "sh", "-c", small, "sh"]) as server,
        httpx.Client(timeout=60, trust_env=False) as client,
    ):
        full = text_of(call(client, server.url, "sync_memory", era=MODERN))
        assert "space" in full, full
        assert "Traceback" not in server.log() + full
        assert call(client, server.url, "get_memory_status", era=MODERN).status_code == 200
        inside = ["nsenter", "--mount", "--target", str(server.process.pid)]
        subprocess.run([*inside, "mount", "-o", "remount,size=200m", str(memory)], check=True)
        roomy = text_of(call(client, server.url, "sync_memory", era=MODERN))
        assert "1,500 entries" in roomy, roomy
