"""Reading bytes and JSON: whatever lies in a brand's folder ends in a value or in one clean error."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.files import BrandFileError, Limits, parse_json, read_brand_file


def refused(brand: Path, relative: str) -> str:
    with pytest.raises(BrandFileError) as caught:
        read_brand_file(brand, relative, Limits())
    assert caught.value.remedy
    return caught.value.finding.code


def test_a_file_is_read_whole(brand: Path) -> None:
    (brand / "insights.json").write_bytes(b"x" * 100_000)
    assert len(read_brand_file(brand, "insights.json", Limits())) == 100_000


def test_a_file_of_200_megabytes_is_refused_without_being_read(brand: Path) -> None:
    with (brand / "insights.json").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    assert refused(brand, "insights.json") == "file-too-large"


def test_links_inside_the_home_are_followed_and_links_out_of_it_refused(brand: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (brand / "real.json").write_text("[1]")
    (brand / "inside.json").symlink_to("real.json")
    (brand / "outside.json").symlink_to(tmp_path / "secret")
    (brand / "loop.json").symlink_to("loop.json")
    (brand / "campaigns").symlink_to(tmp_path)
    assert read_brand_file(brand, "inside.json", Limits()) == b"[1]"
    assert refused(brand, "outside.json") == "link-refused"
    assert refused(brand, "loop.json") == "link-refused"
    assert refused(brand, "campaigns/secret") == "link-refused"
    assert refused(brand, "../../../secret") == "link-refused"


def test_a_pipe_a_folder_and_a_missing_file_are_refused_without_waiting(brand: Path) -> None:
    os.mkfifo(brand / "pipe.json")
    (brand / "insights.json").mkdir()
    assert [refused(brand, name) for name in ("pipe.json", "insights.json", "gone.json", "a\0b")] == [
        "unreadable-file"
    ] * 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"\0\0\0",
        b'[{"insight": "half',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" + b"9" * 5_000 + b"]",
        b"not json",
        b"\xff\xfe[",
    ],
)
def test_what_is_no_json_is_one_clean_error(data: bytes) -> None:
    with pytest.raises(BrandFileError) as caught:
        parse_json(data, "insights.json")
    assert caught.value.finding.code == "broken-file"
    assert caught.value.finding.path == "insights.json"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'["a\\u0000b"]', ["ab"]),
        (b'["a\0b"]', ["ab"]),
        (b'["a\\\\u0000b"]', ["a\\u0000b"]),
        (b'["\\ud800"]', ["\ufffd"]),
        (b'["\\udc00\\ud83d\\ude00"]', ["\ufffd\U0001f600"]),
        (b'["\xed\xa0\x80"]', ["\ufffd"]),
        (b"\xef\xbb\xbf[1]", [1]),
        ('["é"]'.encode("utf-16"), ["é"]),
        ('["é"]'.encode("cp1252"), ["é"]),
        (b"[NaN, Infinity, 1]", [None, None, 1]),
        (b'["a\nb"]', ["a\nb"]),
    ],
)
def test_what_a_person_could_still_read_is_read(data: bytes, value: object) -> None:
    assert parse_json(data) == value


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_a_value_or_the_error(data: bytes) -> None:
    with contextlib.suppress(BrandFileError):
        json.dumps(parse_json(data), ensure_ascii=False).encode()
