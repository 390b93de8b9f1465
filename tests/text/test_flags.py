"""Banned words, restricted claims, and the markets' privacy laws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dm_memory.brand.context import BrandContext
from dm_memory.findings import Severity
from dm_memory.text.flags import Flags, compliance_note
from dm_memory.text.markets import laws_of
from dm_memory.text.terms import words_of


def found(context: BrandContext, text: str) -> list[str]:
    return [flag.word for flag in Flags(context).find(text, words_of(text))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A CHEAP bag", ["cheap"]),
        ("(cheap)!", ["cheap"]),
        ("best in class", ["best-in-class"]),
        ("Best-in-Class and cheap", ["best-in-class", "cheap"]),
        ("so GÜNSTIG wie nie", ["günstig"]),
        ("so gu\u0308nstig", ["günstig"]),
        ("clinically\nproven taste", ["clinically proven"]),
        ("the #1 coffee", ["#1 coffee"]),
        ("the 1 coffee", []),
        ("cheaper, cheapskate", []),
        ("proven clinically", []),
        ("best of its class", []),
        ("", []),
    ],
)
def test_whole_words_are_found_in_any_case(context: BrandContext, text: str, words: list[str]) -> None:
    assert found(context, text) == words


def test_a_banned_sign_is_found_wherever_it_stands(context: BrandContext) -> None:
    assert found(replace(context, banned_words=("!!!", " ")), "Sale!!!!") == ["!!!"]


def test_a_finding_names_the_word_and_the_item(context: BrandContext) -> None:
    flags = Flags(context)
    text = "cheap and clinically proven"
    findings = flags.findings(flags.find(text, words_of(text)), "insight/1")
    assert [(finding.code, finding.severity, finding.key) for finding in findings] == [
        ("banned-word", Severity.WARNING, "insight/1"),
        ("restricted-claim", Severity.WARNING, "insight/1"),
    ]
    assert '"cheap"' in findings[0].message
    assert all(finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("market", "laws"),
    [
        ("EU", ("GDPR",)),
        ("european union", ("GDPR",)),
        ("Germany", ("GDPR",)),
        ("de", ("GDPR",)),
        ("Deutschland", ("GDPR",)),
        ("Berlin, Germany", ("GDPR",)),
        ("Österreich", ("GDPR",)),
        ("UK", ("UK GDPR",)),
        ("Northern Ireland", ("UK GDPR",)),
        ("UK & Ireland", ("GDPR", "UK GDPR")),
        ("DACH", ("GDPR", "Swiss FADP")),
        ("California", ("CCPA/CPRA",)),
        ("US-CA", ("CCPA/CPRA",)),
        ("Virginia", ("Virginia VCDPA",)),
        ("West Virginia", ()),
        ("Brasil", ("LGPD",)),
        ("Canada", ("PIPEDA",)),
        ("Australia", ("Australian Privacy Act",)),
        ("JP", ("APPI",)),
        ("日本", ("APPI",)),
        ("South Korea", ("PIPA",)),
        ("India", ("DPDP Act",)),
        ("Mainland China", ("PIPL",)),
        ("South Africa", ("POPIA",)),
        ("Switzerland", ("Swiss FADP",)),
        ("Singapore", ("Singapore PDPA",)),
        ("Thailand", ("Thailand PDPA",)),
        ("New Mexico", ()),
        ("Atlantis", ()),
        ("", ()),
    ],
)
def test_markets_are_known_by_names_codes_and_spellings(market: str, laws: tuple[str, ...]) -> None:
    assert laws_of(market) == laws


def test_the_united_states_are_known_by_every_common_name() -> None:
    names = ("US", "us", "USA", "U.S.", "United States", "United States of America")
    assert len({laws_of(name) for name in names}) == 1
    assert "CCPA" in laws_of("US")[0]


def test_the_note_is_one_sentence_that_names_laws_and_markets(context: BrandContext) -> None:
    note = compliance_note(replace(context, target_markets=("Germany", "France", "Brazil")))
    assert "GDPR (Germany, France)" in note
    assert "LGPD (Brazil)" in note
    assert note.endswith(".")
    assert compliance_note(replace(context, target_markets=("Atlantis",))) == ""
    assert compliance_note(replace(context, target_markets=())) == ""
