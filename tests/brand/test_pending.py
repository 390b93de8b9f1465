"""Payloads that wait in memory/pending, as the plugin's script and our own prepare_store leave them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.pending import PendingFiles, parse_pending, pending_files
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
