"""Search in whatever state a memory is: read-only, being written, left by a killed process, damaged, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dm_memory.embedding.models import WordLlamaEmbedder
from dm_memory.errors import DamagedStoreError, StoreError
from dm_memory.search.results import Mode, SearchRequest, SearchResult
from dm_memory.search.search import Searcher
from dm_memory.store.database import FILE_NAME, open_store
from tests.search.brands import BRAND, Text, store_texts
from tests.support.processes import REPOSITORY, UNPRIVILEGED, command_environment

MODEL = WordLlamaEmbedder()
_LOG = f"{FILE_NAME}-wal"


def _texts(count: int, word: str = "harbour") -> list[Text]:
    return [Text(f"session/{number}", f"Note {number} on the {word} posters") for number in range(count)]


def _search(memory_dir: Path, query: str, searcher: Searcher | None = None, **wanted: object) -> SearchResult:
    request = SearchRequest(query, **wanted)  # type: ignore[arg-type]  # fields of the request
    return asyncio.run((searcher or Searcher(MODEL)).search(memory_dir, BRAND, ["en"], request))


def _process(code: str, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=command_environment(),
        cwd=REPOSITORY,
    )


@contextlib.contextmanager
def _sealed(folder: Path) -> Iterator[None]:
    for path in (*folder.iterdir(), folder):
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        yield
    finally:
        folder.chmod(0o700)


_SEARCHING = (
    "import sys; from pathlib import Path; from tests.search.test_states import _search\n"
    "result = _search(Path(sys.argv[1]), 'harbour posters')\n"
    "print(len(result.hits), result.entries, bool(result.model))"
)


def _searched_without_privilege(folder: Path) -> str:
    out, err = _process(_SEARCHING, folder, prefix=UNPRIVILEGED).communicate(timeout=60)
    return out.strip() or err


def test_a_read_only_memory_is_searched(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(12), MODEL)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with _sealed(tmp_path):
        assert _searched_without_privilege(tmp_path) == "10 12 True"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_read_only_memory_is_searched_with_what_its_log_has(tmp_path: Path) -> None:
    origin, copy = tmp_path / "origin", tmp_path / "copy"
    store_texts(origin, _texts(5), MODEL)
    with closing(open_store(origin, BRAND)):  # keeps the log from being folded into the file
        store_texts(origin, _texts(12), MODEL)
        copy.mkdir()
        for name in (FILE_NAME, _LOG):
            shutil.copyfile(origin / name, copy / name)
    assert (copy / _LOG).stat().st_size
    with _sealed(copy):
        assert _searched_without_privilege(copy) == "10 12 True"
    assert sorted(path.name for path in copy.iterdir()) == [FILE_NAME, _LOG]


_WRITING = (
    "import sys; from pathlib import Path; from tests.search.brands import Text, store_texts\n"
    "from tests.search.test_states import MODEL\n"
    "print('ready', flush=True)\n"
    "for number in range(int(sys.argv[2])):\n"
    "    texts = [Text(f'pair/{number}/{side}', f'Pair {number} of lanterns, {side}') for side in ('left', 'right')]\n"
    "    texts += [Text('session/0', f'Edition {number} of the harbour posters')]\n"
    "    store_texts(Path(sys.argv[1]), texts, MODEL)\n"
)


def test_another_process_writes_while_this_one_searches(tmp_path: Path) -> None:
    """Every answer is one state of the memory: both texts of a transaction or none, and never an older one again."""
    store_texts(tmp_path, _texts(3), MODEL)
    searcher, seen = Searcher(MODEL), [0]
    rounds = 30
    with _process(_WRITING, tmp_path, rounds) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        while writer.poll() is None:
            hits = _search(tmp_path, "lanterns", searcher, mode=Mode.EXACT, limit=100).hits
            assert len(hits) % 2 == 0
            assert len(hits) >= seen[-1]
            seen.append(len(hits))
        assert writer.returncode == 0, writer.communicate()[1]
    assert len(_search(tmp_path, "lanterns", searcher, mode=Mode.EXACT, limit=100).hits) == 2 * rounds
    edited = _search(tmp_path, f"edition {rounds - 1}", searcher, mode=Mode.EXACT)
    assert [hit.key for hit in edited.hits] == ["session/0"]
    assert not _search(tmp_path, "Note 0", searcher, mode=Mode.EXACT).hits


def test_a_writer_that_is_killed_leaves_what_it_committed(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(3), MODEL)
    searcher, found = Searcher(MODEL), 0
    for _ in range(3):
        with _process(_WRITING, tmp_path, 10_000) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(5):
                hits = _search(tmp_path, "lanterns", searcher, mode=Mode.EXACT, limit=100).hits
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        after = _search(tmp_path, "lanterns", searcher, mode=Mode.EXACT, limit=100).hits
        assert len(after) >= len(hits) >= found
        assert len(after) % 2 == 0
        found = len(after)


def test_a_search_that_is_killed_harms_nothing(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(50), MODEL)
    code = _SEARCHING.replace("result =", "print('ready', flush=True)\nwhile True: result =")
    with _process(code, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    store_texts(tmp_path, _texts(60), MODEL)
    assert _search(tmp_path, "harbour posters").entries == 60


def _overwrite(file: Path, start: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(data)


def test_a_memory_that_becomes_garbage_is_a_typed_error_for_a_warm_search_too(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(50), MODEL)
    searcher = Searcher(MODEL)
    assert _search(tmp_path, "harbour posters", searcher).hits
    size = (tmp_path / FILE_NAME).stat().st_size
    _overwrite(tmp_path / FILE_NAME, 0, b"\xa5" * size)
    for query in ("harbour posters", "something else"):
        with pytest.raises(DamagedStoreError):
            _search(tmp_path, query, searcher)


@pytest.mark.parametrize("part", range(8))
def test_damage_anywhere_is_a_typed_error_or_a_sound_answer(tmp_path: Path, part: int) -> None:
    texts = _texts(400)
    store_texts(tmp_path, texts, MODEL)
    searcher = Searcher(MODEL) if part % 2 else None
    _search(tmp_path, "harbour posters", searcher)
    pages = (tmp_path / FILE_NAME).stat().st_size // 8192
    for page in range(part + 1, pages, 8):
        _overwrite(tmp_path / FILE_NAME, page * 8192, b"\x00\xff" * 4096)
    stored = {text.content for text in texts}
    for query in ("note 17 harbour", '"note 399 on"', "posters"):
        try:
            result = _search(tmp_path, query, searcher)
        except StoreError as error:
            assert error.remedy  # noqa: PT017  # either is right
        else:
            assert {hit.content for hit in result.hits} <= stored


def test_a_text_that_is_not_the_one_that_was_stored_is_left_out_and_named(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(5), MODEL)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE entries SET content = 'Note 3 on the harbour riots' WHERE key = 'session/3'")
    result = _search(tmp_path, "note 3 harbour")
    assert "session/3" not in [hit.key for hit in result.hits]
    assert [finding.code for finding in result.findings] == ["damaged-text"]
    assert "session/3" in result.findings[0].message


def test_a_memory_that_was_rebuilt_is_read_anew(tmp_path: Path) -> None:
    store_texts(tmp_path, _texts(5), MODEL)
    searcher = Searcher(MODEL)
    assert _search(tmp_path, "harbour", searcher).hits
    (tmp_path / FILE_NAME).rename(tmp_path / "aside.db")
    assert not _search(tmp_path, "harbour", searcher).hits
    store_texts(tmp_path, _texts(5, "meadow"), MODEL)
    assert not _search(tmp_path, "harbour", searcher, mode=Mode.EXACT).hits
    assert len(_search(tmp_path, "meadow", searcher, mode=Mode.EXACT).hits) == 5


def test_the_first_search_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    """Masked arrays, which numpy's functions for sets and medians import, take 80 ms: half of a first answer."""
    store_texts(tmp_path, [*_texts(5), Text("session/twice", "posters and posters")], MODEL)
    code = f"{_SEARCHING}\nprint([name for name in ('numpy.ma', 'httpx', 'mcp') if name in sys.modules])"
    out, err = _process(code, tmp_path).communicate(timeout=60)
    assert out.splitlines()[1:] == ["[]"], err
