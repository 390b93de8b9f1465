"""Payloads that wait in memory/pending, as the plugin's script and our own prepare_store leave them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.sources.pending import PendingFiles, parse_pending, parse_stored, pending_files, stored_files
from dm_memory.items import ContentType, Priority, Source

NAME = "0123456789abcdef.json"


def test_payloads_and_graph_files_are_listed_and_strangers_left(tmp_path: Path) -> None:
    assert pending_files(tmp_path) == PendingFiles()
    (tmp_path / "pending").mkdir()
    for name in (NAME, "graph-0123456789ab.json", "notes.txt", "0123.json"):
        (tmp_path / "pending" / name).write_text("{}")
    assert pending_files(tmp_path) == PendingFiles((NAME,), ("graph-0123456789ab.json",))


def test_a_payload_keeps_what_it_was_prepared_with() -> None:
    payload = {
        "content": " a ",
        "content_type": "guideline",
        "tags": ["x"],
        "source": "agent",
        "created_at": "2026-01-01",
    }
    payload |= {"priority": "high", "expires_at": "2027-01-01", "related": ["k"]}
    [item] = parse_pending(NAME, json.dumps(payload).encode(), Limits()).items
    assert item.key == f"prepared/{hashlib.sha256(b' a ').hexdigest()}"
    assert (item.content, item.prepared_hash, item.tags) == ("a", "0123456789abcdef", ("x",))
    assert (item.content_type, item.source, item.priority) == (ContentType.GUIDELINE, Source.AGENT, Priority.HIGH)
    assert (item.created_at, item.expires_at, item.related) == ("2026-01-01", "2027-01-01", ("k",))


def test_a_payload_of_an_unknown_type_is_kept_as_a_brand_asset_and_reported() -> None:
    parsed = parse_pending(NAME, b'{"content": "a", "content_type": "poem"}', Limits())
    assert parsed.items[0].content_type is ContentType.BRAND_ASSET
    assert "poem" in parsed.findings[0].message


def test_a_payload_without_text_is_no_item_and_a_broken_one_an_error() -> None:
    assert [finding.code for finding in parse_pending(NAME, b'{"content": " "}', Limits()).findings] == ["empty-text"]
    for data in (b"{", b"[]", b'{"content": 5}'):
        with pytest.raises(BrandFileError):
            parse_pending(NAME, data, Limits())


def test_what_the_plugins_script_stored_is_taken_in_with_its_dates_its_hash_and_its_ids() -> None:
    document = {"content": "Fleets ask for a warranty.", "content_type": "competitive-intel", "tags": ["fleet"]}
    document |= {
        "created_at": "2026-11-25T19:22:18",
        "vector_db": "pinecone",
        "storage_id": "rec-1",
        "stored_at": "2026-11-26",
    }
    data = json.dumps(document | {"source": "session"}).encode()
    [item] = parse_stored(NAME, data, Limits(), lambda _id: False).items
    assert item.key == f"prepared/{hashlib.sha256(b'Fleets ask for a warranty.').hexdigest()}"
    assert (item.recorded_at, item.prepared_hash, item.tags) == ("2026-11-25T19:22:18", "0123456789abcdef", ("fleet",))
    assert item.facts == {"stored_in": "pinecone", "stored_id": "rec-1", "stored_at": "2026-11-26"}
    assert item.source is Source.SESSION


def test_our_own_export_is_no_source() -> None:
    data = b'{"content": "a", "storage_id": "ours"}'
    assert not parse_stored(NAME, data, Limits(), lambda stored_id: stored_id == "ours").items


def test_stored_files_are_listed_as_pending_ones_are(tmp_path: Path) -> None:
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored" / NAME).write_text("{}")
    assert stored_files(tmp_path) == PendingFiles((NAME,), ())
