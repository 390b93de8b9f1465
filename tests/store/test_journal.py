"""The journal: nothing that was acknowledged is lost, whoever appends at the same time and wherever the power fails."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dm_memory.errors import StoreError
from dm_memory.store.journal import JOURNAL, Journal
from tests.support.processes import REPOSITORY, command_environment


@pytest.fixture
def journal(memory_dir: Path) -> Journal:
    return Journal(memory_dir)


def names(journal: Journal, start: int = 0) -> list[str]:
    return [str(record["key"]) for record in journal.read(start).records if record["op"] == "entry"]


def entry(name: str) -> dict[str, str]:
    return {"op": "entry", "key": name}


def test_what_is_appended_is_read_back_in_order(journal: Journal, memory_dir: Path) -> None:
    assert (journal.size(), journal.read().identity) == (0, "")
    identity, _, end = journal.append([entry("one"), entry("two")])
    assert journal.append([entry("thrée")])[:2] == (identity, end)
    assert names(journal) == ["one", "two", "thrée"]
    assert names(journal, end) == ["thrée"]
    tail = journal.read()
    assert (tail.identity, tail.end) == (identity, journal.size())
    assert stat.S_IMODE((memory_dir / JOURNAL).stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b'{"v":1,"op":"entry","key":"to', b"\0\0\0\0", b"\xff\xfe", b"{}", b'"text"'])
def test_a_torn_last_line_costs_nobody_elses_record(journal: Journal, torn: bytes) -> None:
    journal.append([entry("before")])
    with journal.path.open("ab") as file:
        file.write(torn)
    assert names(journal) == ["before"]
    journal.append([entry("after")])
    assert names(journal) == ["before", "after"]


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_a_journal_cut_anywhere_keeps_what_stands_before_the_cut(journal: Journal, at: int) -> None:
    journal.append([entry(str(number)) for number in range(5)])
    os.truncate(journal.path, min(at, journal.size()))
    kept = names(journal)
    assert kept == [str(number) for number in range(len(kept))]
    journal.append([entry("after")])
    assert names(journal) == [*kept, "after"]


def test_what_was_appended_or_written_again_is_on_the_disk_when_the_call_returns(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, status.st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    journal.append([entry("one"), entry("two")])
    status = journal.path.stat()
    assert (status.st_ino, status.st_size) in synced
    journal.rewrite([entry("two")])
    status = journal.path.stat()
    assert (status.st_ino, status.st_size) in synced


def test_a_damaged_line_in_the_middle_is_left_out_and_the_others_are_read(journal: Journal) -> None:
    journal.append([entry("one"), entry("two"), entry("three")])
    journal.path.write_bytes(journal.path.read_bytes().replace(b'"two"', b'"tw'))
    assert names(journal) == ["one", "three"]


def test_a_journal_whose_first_line_is_lost_gets_an_id_again(journal: Journal) -> None:
    first = journal.append([entry("one")]).identity
    lines = journal.path.read_bytes().split(b"\n")
    journal.path.write_bytes(b"\n".join(lines[1:]))
    second = journal.append([entry("two")]).identity
    assert (second != first, names(journal)) == (True, ["one", "two"])


def test_several_threads_append_at_once(journal: Journal) -> None:
    def work(name: int) -> None:
        for number in range(20):
            journal.append([entry(f"{name}-{number}-a"), entry(f"{name}-{number}-b")])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = names(journal)
    assert len(found) == len(set(found)) == 240
    assert [name[:-1] for name in found[::2]] == [name[:-1] for name in found[1::2]], "one append stays together"


def test_several_processes_append_at_once_and_one_is_killed(journal: Journal, memory_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dm_memory.store.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(1000):\n"
        "    journal.append([{'op': 'entry', 'key': f'{sys.argv[2]}-{number}'}])\n"
        "    print(number, flush=True)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(memory_dir), str(name)],
            stdout=subprocess.PIPE,
            text=True,
            env=command_environment(),
            cwd=REPOSITORY,
        )
        for name in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
    said = []
    for process in started:
        process.kill()
        out, _ = process.communicate()
        said.append(9 + len(out.split()))
    journal.append([entry("after")])
    found = names(journal)
    assert len(found) == len(set(found))
    assert found[-1] == "after"
    for name, last in enumerate(said):
        assert {f"{name}-{number}" for number in range(last + 1)} <= set(found), "what was acknowledged is there"


def test_rewriting_is_all_or_nothing(journal: Journal) -> None:
    first = journal.append([entry("one"), entry("secret")]).identity

    def torn() -> Any:
        yield entry("one")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match="disk is full"), journal.exclusively():
        journal.rewrite(torn())
    assert names(journal) == ["one", "secret"]
    with journal.exclusively():
        second, end = journal.rewrite([entry("one")])
    assert (names(journal), second != first, end) == (["one"], True, journal.size())
    assert not list(journal.path.parent.glob(".dm-memory-*"))


def test_who_appends_waits_while_the_journal_is_rewritten(journal: Journal) -> None:
    journal.append([entry("one")])
    with journal.exclusively():
        thread = threading.Thread(target=journal.append, args=([entry("two")],))
        thread.start()
        journal.rewrite([entry("rewritten")])
    thread.join()
    assert names(journal) == ["rewritten", "two"]


def test_a_full_disk_is_told_and_leaves_no_half_record(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append([entry("one")])
    before = journal.path.read_bytes()
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data[: len(data) // 2]))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(StoreError, match="disk is full") as caught:
            journal.append([entry("two")])
    assert "Free some space" in caught.value.remedy
    assert journal.path.read_bytes() == before
    journal.append([entry("three")])
    assert names(journal) == ["one", "three"]


def make_link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text("not ours\n")
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, make_link], ids=["folder", "pipe", "link"])
def test_what_is_no_file_is_refused_at_once_and_not_followed(journal: Journal, make: Callable[[Path], None]) -> None:
    make(journal.path)
    for attempt in (lambda: journal.append([entry("one")]), journal.read):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert str(journal.path) in caught.value.problem
    if journal.path.is_symlink():
        assert journal.path.read_text() == "not ours\n"


def test_numbers_and_characters_that_json_refuses_are_kept_all_the_same(journal: Journal) -> None:
    journal.append([{"op": "entry", "key": "one", "facts": {"views": 10**30, "name": "half \ud800"}}])
    (record,) = [record for record in journal.read().records if record["op"] == "entry"]
    assert (float(record["facts"]["views"]), record["facts"]["name"]) == (1e30, "half \ud800")
