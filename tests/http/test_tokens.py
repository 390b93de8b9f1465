"""Tokens: printed once, stored as hashes, one file that several processes change, revoked at once."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dm_memory.errors import HomeError, InputError
from dm_memory_server.http.tokens import TokenFile
from tests.server.server_homes import COMMAND


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "token", *arguments, "--home", str(home)], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_token_is_printed_once_listed_without_its_secret_and_revoked(home: Path) -> None:
    made = command(home, "add", "ada", "--brand", "acme", "--read-only")
    assert made.returncode == 0, made.stderr
    secret = re.findall(r"dmm_[\w-]{43}", made.stdout)[0]
    stored = (home / "dm-memory" / "tokens.json").read_text()
    assert secret not in stored
    assert secret[4:] not in stored
    listed = command(home, "list")
    assert "ada: acme, reads, made 20" in listed.stdout
    assert secret not in listed.stdout
    found = TokenFile(home).find(secret)
    assert found is not None
    assert (found.name, found.brand, found.read_only) == ("ada", "acme", True)
    assert command(home, "revoke", "ada").returncode == 0
    assert TokenFile(home).find(secret) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "ada"), "Pass --brand BRAND, or --all."),
        (("add", "ada", "--brand", "acme", "--all"), "Pass --brand BRAND, or --all."),
        (("add", "ada", "--brand", "nobody"), "nobody"),
        (("add", "a\nb", "--all"), "can't be the name of a token"),
        (("revoke", "nobody"), "There is no token “nobody”."),
    ],
)
def test_what_can_not_be_done_is_said_in_two_sentences(home: Path, arguments: tuple[str, ...], words: str) -> None:
    done = command(home, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_is_given_once(home: Path) -> None:
    tokens = TokenFile(home)
    tokens.add("ada", "acme", "")
    with pytest.raises(InputError):
        tokens.add("ada", "bolt", "")


def test_nobody_else_can_read_the_file(home: Path) -> None:
    TokenFile(home).add("ada", "acme", "")
    path = home / "dm-memory" / "tokens.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_many_processes_add_and_none_is_lost(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda number: TokenFile(home).add(f"agent {number}", "acme", ""), range(24)))
    tokens = TokenFile(home)
    assert [token.name for token in map(tokens.find, secrets) if token] == [f"agent {n}" for n in range(24)]


def test_a_reader_notices_a_change_at_once(home: Path) -> None:
    reader, writer = TokenFile(home), TokenFile(home)
    assert reader.find("nothing") is None
    secret = writer.add("ada", "acme", "")
    assert reader.find(secret) is not None
    writer.revoke("ada")
    assert reader.find(secret) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', b'{"tokens": [{"name": "x", "sha256": "short"}]}'])
def test_a_damaged_file_lets_nobody_in(home: Path, content: bytes) -> None:
    tokens = TokenFile(home)
    secret = tokens.add("ada", "acme", "")
    tokens.path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(HomeError):
            tokens.find(secret)


def test_odd_secrets_are_no_tokens(home: Path) -> None:
    tokens = TokenFile(home)
    tokens.add("ada", "acme", "")
    for secret in ("", "dmm_", "\ud800", "x" * 100_000, json.dumps({})):
        assert tokens.find(secret) is None


@pytest.mark.parametrize("change", [{"brand": None}, {"read_only": None}, {"brnad": "acme"}, {"expires_at": "2027"}])
def test_a_file_that_does_not_say_what_narrows_a_token_opens_nothing(home: Path, change: dict[str, str | None]) -> None:
    tokens = TokenFile(home)
    secret = tokens.add("ada", "acme", "2026-11-26T00:00:00Z", read_only=True)
    document = json.loads(tokens.path.read_text())
    document["tokens"][0] |= change
    document["tokens"][0] = {name: value for name, value in document["tokens"][0].items() if value is not None}
    tokens.path.write_text(json.dumps(document))
    with pytest.raises(HomeError, match="damaged, or of a newer version"):
        tokens.find(secret)


def test_a_change_in_place_that_keeps_size_and_moment_is_noticed(home: Path) -> None:
    tokens = TokenFile(home)
    secret = tokens.add("ada", "acme", "2026-11-26T00:00:00Z")
    assert tokens.find(secret) is not None
    before = tokens.path.stat()
    text = tokens.path.read_text()
    time.sleep(0.05)  # the file system's clock has a grain
    tokens.path.write_text(text.replace('"brand": "acme"', '"brand": "bolt"'))
    os.utime(tokens.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = tokens.find(secret)
    assert found is not None
    assert found.brand == "bolt"
