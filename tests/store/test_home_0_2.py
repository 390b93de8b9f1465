"""What version 0.2 left is found, whole or damaged. The homes were made by that version: ``make_home_0_2.py``."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dm_memory.store.from_0_2.home import OldHome, read_home_0_2

_HOMES = Path(__file__).parents[1] / "fixtures" / "home-0.2"
_MEMORY = Path("brands") / "ember-and-oak" / "memory"
_WHOLE = ("typical", "interrupted", "team")
_FILES = ("registry.db", "memory.db", "graph.db")


def _unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(_HOMES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / _MEMORY


def _expected(name: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((_HOMES / f"{name}.json").read_bytes())
    return expected


def _read(memory: Path) -> OldHome:
    home = read_home_0_2(memory)
    assert home is not None
    return home


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", _WHOLE)
def test_every_entry_is_found_as_it_was_wanted_last(tmp_path: Path, name: str) -> None:
    home = _read(_unpacked(name, tmp_path))
    found = [
        {
            "key": entry.key,
            "content": entry.content,
            "content_hash": entry.content_hash,
            "metadata_hash": entry.metadata_hash,
            "content_type": entry.content_type,
            "kind": entry.kind,
            "source": entry.source,
            "tags": [tag.name for tag in entry.tags],
            "facts": dict(entry.details),
            "recorded_at": entry.recorded_at,
            "created_at": entry.created_at,
            "priority": entry.priority,
            "expires_at": entry.expires_at,
            "related": list(entry.related),
            "version": entry.version,
            "updated_from": entry.updated_from,
            "origin": entry.origin,
            "prepared_hash": entry.prepared_hash,
            "duplicate_of": entry.duplicate_of,
        }
        for entry in home.entries
    ]
    expected = _expected(name)["entries"]
    assert found == [{field: entry[field] for field in found[0]} for entry in expected]
    assert [entry.content_type_origin == "user" for entry in home.entries] == [
        bool(entry["sticky_type"]) for entry in expected
    ]
    assert not home.damaged


@pytest.mark.parametrize("name", _WHOLE)
def test_graph_services_and_checkpoint_are_found(tmp_path: Path, name: str) -> None:
    home, expected = _read(_unpacked(name, tmp_path)), _expected(name)
    meta = expected["meta"]
    assert len(home.entities) == expected["graph"]["entities"]
    assert len(home.facts) == expected["graph"]["facts"]
    assert sum(bool(fact.invalid_at) for fact in home.facts) == expected["graph"]["ended"]
    assert home.checkpoint is not None
    assert home.checkpoint.at == meta["last-complete-sync"]
    assert home.checkpoint.items == json.loads(meta["checkpoint"])["items"]
    assert {f"generation:{part}": made for part, made in home.fingerprints.items()}.items() <= meta.items()
    assert {
        service.name: {
            each.key: [each.state, each.content_hash, each.metadata_hash, each.stored_at] for each in service.deliveries
        }
        for service in home.services
    } == expected["deliveries"]


def test_vectors_are_those_of_the_very_text(tmp_path: Path) -> None:
    home, expected = _read(_unpacked("typical", tmp_path)), _expected("typical")
    assert [len(entry.vectors) for entry in home.entries] == [entry["vectors"] for entry in expected["entries"]]
    assert {vector.model for entry in home.entries for vector in entry.vectors} == set(expected["models"])
    assert max(len(entry.vectors) for entry in home.entries) > 1
    assert {len(vector.data) for entry in home.entries for vector in entry.vectors} == {4 * 256}


def test_what_a_user_asked_for_is_told_from_what_was_detected(tmp_path: Path) -> None:
    entries = {entry.key: entry for entry in _read(_unpacked("typical", tmp_path)).entries}
    asked = entries["insight/2026-08-11T08:30:00.450117"]
    assert [tag.name for tag in asked.tags if tag.origin == "user"] == ["board-review"]
    assert (asked.content_type, asked.content_type_origin) == ("performance-insight", "user")
    standing = {tag.name: tag.origin for tag in entries["insight/2026-09-17T08:12:00"].tags}
    assert standing["type:competitor-insight"] == "duplicate"
    assert standing["voice-of-customer"] == "user"
    assert standing["source:session"] == ""


def test_what_another_machine_stored_has_no_origin_and_no_tags_of_a_user(tmp_path: Path) -> None:
    entries = _read(_unpacked("team", tmp_path)).entries
    learned = [entry for entry in entries if not entry.origin]
    assert len(learned) == 4
    assert not any(tag.origin for entry in learned for tag in entry.tags)


def test_the_turso_service_says_up_to_where_it_was_read(tmp_path: Path) -> None:
    (service,) = _read(_unpacked("team", tmp_path)).services
    assert service.name == "durable@turso:127.0.0.1:18734"
    assert service.seen is not None


def test_an_interrupted_sync_is_read_out_of_the_log_beside_the_registry(tmp_path: Path) -> None:
    memory = _unpacked("interrupted", tmp_path)
    assert (memory / "registry.db-wal").stat().st_size
    home = _read(memory)
    assert any(entry.kind == "session" for entry in home.entries)
    changed = next(entry for entry in home.entries if entry.key.endswith("#learnings/0"))
    assert (changed.version, changed.vectors) == (2, ())
    assert changed.previous.endswith("reason to open the next e-mail.")


@pytest.mark.parametrize("name", _WHOLE)
def test_reading_changes_nothing(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    before = _digests(tmp_path)
    _read(memory)
    assert _digests(tmp_path) == before


@pytest.mark.parametrize("gone", _FILES)
def test_what_one_file_lacks_the_others_give(tmp_path: Path, gone: str) -> None:
    memory = _unpacked("typical", tmp_path)
    whole = _read(memory)
    (memory / gone).unlink()
    home = _read(memory)
    known = {entry.key: entry.content for entry in home.entries}
    for entry in whole.entries:
        only_there = entry.duplicate_of or not entry.vectors
        assert known.get(entry.key) == entry.content or (gone == "registry.db" and only_there)


def test_the_graph_alone_still_gives_every_text_that_was_delivered(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    (memory / "registry.db").unlink()
    (memory / "memory.db").unlink()
    assert len(_read(memory).entries) == _expected("typical")["graph"]["entries"]


@pytest.mark.parametrize("name", ["registry.db", "memory.db"])
def test_a_file_that_was_cut_yields_what_is_left_of_it(tmp_path: Path, name: str) -> None:
    home = _read(_unpacked("damaged", tmp_path).parents[2] / name / _MEMORY)
    expected = {entry["key"]: entry for entry in _expected("typical")["entries"]}
    assert home.damaged == (name,)
    assert all(entry.content_hash == expected[entry.key]["content_hash"] for entry in home.entries)
    assert {entry.key for entry in home.entries} >= {key for key, entry in expected.items() if entry["durable_hash"]}
    if name == "registry.db":
        assert any(entry.origin for entry in home.entries), "its own rows were read as far as they go"
        assert all(entry.vectors for entry in home.entries if expected[entry.key]["vectors"])
    else:
        assert len(home.entries) == len(expected)
        assert any(entry.vectors for entry in home.entries)


@pytest.mark.parametrize("name", _FILES)
def test_whatever_becomes_of_a_file_reading_ends_and_gives_no_wrong_text(tmp_path: Path, name: str) -> None:
    memory = _unpacked("typical", tmp_path)
    contents = {entry["key"]: entry["content"] for entry in _expected("typical")["entries"]}
    whole = (memory / name).read_bytes()
    rng = random.Random(name)
    for _ in range(40):
        data = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.randrange(60)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        (memory / name).write_bytes(data)
        for entry in _read(memory).entries:
            # The registry has no second word on a key; a text under a wrong one is better than none.
            words = entry.content.split()  # the hash does not tell white space apart
            assert contents.get(entry.key, "").split() == words or (
                name == "registry.db" and entry.key not in contents and entry.content in contents.values()
            )


def test_a_folder_without_files_of_0_2_is_none(tmp_path: Path) -> None:
    assert read_home_0_2(tmp_path) is None
    assert read_home_0_2(tmp_path / "missing") is None


def test_what_a_newer_version_left_is_none(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "registry.db")) as registry:
        registry.executescript("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT); PRAGMA user_version = 2")
    with closing(sqlite3.connect(tmp_path / "memory.db")) as memory:
        memory.executescript("CREATE TABLE entries (id TEXT); PRAGMA application_id = 1684892013")
    assert read_home_0_2(tmp_path) is None
    os.truncate(tmp_path / "memory.db", 50)
    assert read_home_0_2(tmp_path) is None


def test_links_and_folders_are_not_followed(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path / "there")
    here = tmp_path / "here"
    here.mkdir()
    (here / "registry.db").symlink_to(memory / "registry.db")
    (here / "memory.db").mkdir()
    assert read_home_0_2(here) is None


def test_a_file_that_may_not_be_read_is_no_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _unpacked("typical", tmp_path)

    def refuse(path: Path, *_: object) -> None:  # to root everything is readable
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        read_home_0_2(memory)


def test_a_copy_in_a_folder_with_odd_characters_is_read(tmp_path: Path) -> None:
    memory = _unpacked("interrupted", tmp_path)
    odd = tmp_path / "50% off? #1 ü"
    shutil.copytree(memory, odd)
    assert _read(odd).entries == _read(memory).entries
