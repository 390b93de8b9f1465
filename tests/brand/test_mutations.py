"""The plugin's own files with values replaced, keys dropped and renamed: nothing ends in anything but entries."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.parsed import SourceFile
from dm_memory.brand.sources import kind_of, parse_source
from dm_memory.items import Item
from tests.brand.plugin_home import FILES
from tests.brand.reading import CONTEXT

DOCUMENTS = {path: value for path, value in FILES.items() if not isinstance(value, str | bytes) and kind_of(path)}


def nested(levels: int) -> object:
    return [nested(levels - 1)] if levels else "x"


VALUES = [
    None,
    True,
    -1,
    1e300,
    10**40,
    "",
    "yes",
    "x" * 5000,
    "[TBD]",
    "\ud800\0",
    "\u200b",
    "2026-01-01",
    "a b c d e f",
]
VALUES += [
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": ""},
    {"a": None},
    ["a b c", {"x": 1}, None],
    [{"name": "x y"} for _ in range(8)],
]
VALUES += [
    {"1": "a b c", "2": "d e f"},
    {"text": "a b c"},
    {"name": "n", "learnings": ["a b c"]},
    nested(30),
    nested(200),
]
RENAMED = [str.upper, str.title, lambda name: f"{name}_2", lambda name: f"é{name}", lambda name: name.replace("_", " ")]
WRAPPED = ["data", "segments", "campaigns", "insights", "results", "learnings", "snapshots", "signals", "1"]


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in members:
        yield from places(entry, (*path, name))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    path = draw(st.sampled_from(sorted(DOCUMENTS)))
    whole: dict[str, Any] = {"it": copy.deepcopy(DOCUMENTS[path])}
    for _ in range(draw(st.integers(1, 3))):
        *above, name = draw(st.sampled_from(sorted(set(places(whole)) - {()}, key=repr)))
        parent: Any = whole
        for step in above:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "replace", "drop", "rename", "wrap"]))
        if change == "drop" and above:
            del parent[name]
        elif change == "rename" and isinstance(name, str) and above:
            parent[draw(st.sampled_from(RENAMED))(name)] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif change == "wrap":
            parent[name] = {draw(st.sampled_from(WRAPPED)): parent[name]}
        else:
            parent[name] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    data = json.dumps(whole["it"]).encode()
    return path, data[: draw(st.sampled_from([len(data), len(data), len(data) // 2]))]


@settings(max_examples=400)
@given(mutated())
def test_a_mutated_file_ends_in_entries_that_can_be_stored_or_in_the_one_error(file: tuple[str, bytes]) -> None:
    path, data = file
    kind = kind_of(path)
    assert kind is not None
    items: list[Item] = []
    with contextlib.suppress(BrandFileError):  # the one error that a sync reports and goes on
        items = parse_source(SourceFile(path, kind), data, CONTEXT, Limits()).items
    for item in items:
        assert item.content.strip()
        json.dumps([item.key, item.content, item.recorded_at, dict(item.facts), item.tags], ensure_ascii=False).encode()
