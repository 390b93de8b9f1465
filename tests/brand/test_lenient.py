"""JSON in the spellings of people and assistants: repaired where it has one meaning, left out by position where not."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.formats.lenient import read_leniently


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('```json\n{"a": ["x"]}\n```\nHope this helps!', {"a": ["x"]}),
        ('Here is the file:\n\n{"a": 1}\n\nHope this helps!', {"a": 1}),
        ('{"a": ["x",],}', {"a": ["x"]}),
        ('{\n // one\n "a": "http://x", /* two */ "b": 1 # three\n}', {"a": "http://x", "b": 1}),
        ("{\u201ca\u201d: \u201cx\u201d, \u201eb\u201c: \u00aby\u00bb}", {"a": "x", "b": "y"}),
        ('{"a": "He said \u201cyes\u201d to it"}', {"a": "He said \u201cyes\u201d to it"}),
        (
            "{'a': True, 'b': None, 'c': 'it\\'s', 'd': (1, 2), 'e': 1_000}",
            {"a": True, "b": None, "c": "it's", "d": [1, 2], "e": 1000},
        ),
        ('{"a": "The "best" one", "b": 1}', {"a": 'The "best" one', "b": 1}),
        ('[{"a": 1}\n{"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"a": "x"\n "b": 2}', {"a": "x", "b": 2}),
        ("{a: 1, b: hello world, c: [x, y]}", {"a": 1, "b": "hello world", "c": ["x", "y"]}),
        ('{"a": +5, "b": .5, "c": 5%, "d": 1,234, "e": NaN}', {"a": 5, "b": 0.5, "c": "5%", "d": "1,234", "e": None}),
        ('{"a": "x\\u00e9\\n\\ud83d\\ude00",}', {"a": "x\u00e9\n\U0001f600"}),
    ],
)
def test_what_has_one_meaning_is_read_whole(text: str, value: object) -> None:
    found = read_leniently(text)
    assert found is not None
    assert found.value == value
    assert found.whole


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ('[{"a": 1}, {"b": !!! ???, "d": 4}, {"c": 3}]', [{"a": 1}, {"d": 4}, {"c": 3}], "line 1, column 18"),
        ('["He said "no", "yes" and left", "x"]', ["x"], "line 1, column 2"),
        ('{"a": ["x", ...], "b": 1}', {"a": ["x"], "b": 1}, "line 1, column 13"),
        ('{"a": 1,\n"b" 2,\n"c": 3}', {"a": 1, "c": 3}, "line 2, column 5"),
    ],
)
def test_what_has_none_is_left_out_by_line_and_column(text: str, value: object, place: str) -> None:
    found = read_leniently(text)
    assert found is not None
    assert found.value == value
    assert found.lost[0] == place
    assert not found.whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('[{"insight": "one"}, {"insight": "tw', [{"insight": "one"}]),
        ('{"learnings": ["a", "b', {"learnings": ["a"]}),
        ('{"name": "x", "results": {"a": 1, "b": ', {"name": "x", "results": {"a": 1}}),
    ],
)
def test_a_text_that_stops_in_the_middle_is_never_half_a_text(text: str, value: object) -> None:
    found = read_leniently(text)
    assert found is not None
    assert (found.value, found.cut) == (value, True)


@pytest.mark.parametrize("text", ["", "Just a note.", "{", "[", '{"a', "[" * 500, "5"])
def test_what_is_no_json_in_any_spelling_is_nothing(text: str) -> None:
    assert read_leniently(text) is None


@given(st.text(alphabet="{}[]()\",:'\u201c\u201d/*#\\ \nab1.-`", max_size=80))
def test_no_text_ends_in_anything_but_a_value_or_nothing(text: str) -> None:
    found = read_leniently("{" + text)
    if found is not None:
        json.dumps(found.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(alphabet="abc ,:{}[]'\u201c#/\n", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet="ab_", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, min_size=1, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), JSON, min_size=1))
def test_what_is_json_reads_as_json_does(value: object) -> None:
    found = read_leniently(json.dumps(value, indent=1))
    assert found is not None
    assert found.value == value
    assert found.whole
    assert not found.repairs


@pytest.mark.parametrize("piece", ["{", '"', "/*", "[1,", "'a' ", '{"a": "b" c ', "# \n", "\\"])
def test_no_text_takes_longer_than_its_length_allows(piece: str) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        read_leniently("[" + piece * times)
        return time.process_time() - start

    seconds(100)
    assert seconds(20_000) < 100 * max(seconds(2_000), 0.001)
