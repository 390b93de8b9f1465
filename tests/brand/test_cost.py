"""What a hostile or a very long file may cost: time that grows with its length, and never more than itself."""

from __future__ import annotations

import contextlib

import pytest

from dm_memory.brand.files import BrandFileError
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.lenient import both
from dm_memory.brand.formats.markdown import Section, front_matter
from dm_memory.brand.formats.pages import read_page
from dm_memory.brand.formats.tables import read_tables
from dm_memory.brand.formats.text import fields_of, title_of
from dm_memory.brand.formats.yaml_text import YamlTextError, read_yaml
from dm_memory.brand.parsed import SourceFile, SourceKind
from dm_memory.brand.restrictions import read_restrictions, restrictions_in_value

LONG = 100_000


def file(suffix: str) -> SourceFile:
    return SourceFile(f"guidelines/banned{suffix}", SourceKind.GUIDELINE)


@pytest.mark.parametrize("unit", [" ", "\t", "_ ", "* ", "\u3000", "**", ": ", "- "])
@pytest.mark.parametrize("start", ["x", "**x", "a: x"])
def test_long_runs_take_no_longer_than_their_length_allows(unit: str, start: str) -> None:
    """Every pattern is linear: a quadratic one would keep this test busy for minutes."""
    text = f'{start}{unit * (LONG // len(unit))}": x'
    assert read_restrictions([Section(("Banned words",), text)]) is not None
    assert restrictions_in_value({"banned": [text]}) is not None
    with contextlib.suppress(YamlTextError):  # what is no YAML may be refused, as long as that ends
        assert read_yaml(text).value
    assert title_of(text[:-1])


def test_queries_that_nobody_closed_end_with_their_page() -> None:
    text = "Rain sells boots.\n\n" + "```dataview\nLIST\n" * (LONG // 16)
    assert read_page(file(".md"), text.encode()).text.strip() == "Rain sells boots."


def test_a_label_that_is_a_heading_is_still_one() -> None:
    for line in ("**Banned words**", "Never use: cheap", "__Banned words:__ cheap", "*Banned words* : cheap"):
        body = f"{line}\n\ncheap\n"
        assert read_restrictions([Section((), body)]).banned_words == ("cheap",), line


def test_a_table_of_very_many_rows_is_read_in_one_go() -> None:
    [(_before, header, rows)] = read_tables("name,note\n" + "a,b\n" * LONG)
    assert (header, len(rows)) == (["name", "note"], LONG)


def test_lists_under_a_key_that_stands_twice_are_joined_without_comparing_each_with_each() -> None:
    joined = both([f"a{n}" for n in range(LONG)], [f"b{n}" for n in range(LONG)])
    assert isinstance(joined, list)
    assert joined[-1] == f"b{LONG - 1}"
    assert len(joined) == 2 * LONG


@pytest.mark.parametrize("number", ["99999999999999999999", "inf", "nan"])
def test_a_toml_file_with_a_number_that_json_has_not_is_read(number: str) -> None:
    assert read_document(file(".toml"), f'n = {number}\nrule = "Never shout"'.encode()).value["rule"] == "Never shout"  # type: ignore[index]


@pytest.mark.parametrize("text", [f"n = {'9' * 5000}", f"n = {'[' * 900}{']' * 900}"])
def test_a_toml_file_that_is_beyond_reading_is_a_finding_and_no_crash(text: str) -> None:
    with pytest.raises(BrandFileError):
        read_document(file(".toml"), text.encode())


def test_front_matter_with_such_a_number_counts_line_by_line() -> None:
    assert front_matter(f'+++\nowner = "Ola"\nn = {"9" * 5000}\n+++\nText')[0]["owner"] == "Ola"


def test_envelopes_within_envelopes_end() -> None:
    text = '{"data":' * 1000 + '{"x": 1}' + "}" * 1000
    assert isinstance(read_document(file(".json"), text.encode()).value, dict)


@pytest.mark.parametrize(
    "text",
    [
        '{"rule": "Never shout", "rule": "Always say thanks", "rule": "Be dry"}',
        "rule: Never shout\nrule: Always say thanks\nrule: Be dry\n",
    ],
)
def test_three_sentences_under_one_key_are_three(text: str) -> None:
    document = read_document(file(".json" if text[0] == "{" else ".yaml"), text.encode())
    assert document.value == {"rule": ["Never shout", "Always say thanks", "Be dry"]}


def test_very_many_spellings_of_one_key_are_numbered() -> None:
    names = [f"Key{'-' * (n % 200 + 1)}{'_' * (n // 200)}name" for n in range(20_000)]
    found = fields_of({name: f"Text {n}" for n, name in enumerate(names)})
    assert len(found) == len(names)
    assert found["key_name_3"] == "Text 2"


@pytest.mark.parametrize("text", ["[" * LONG, "{a: " * LONG, "- " * LONG, "? " * LONG, f"{'[' * LONG}{']' * LONG}"])
def test_yaml_that_is_nested_beyond_reading_is_refused_and_ends_no_process(text: str) -> None:
    with pytest.raises(YamlTextError):
        read_yaml(text)
