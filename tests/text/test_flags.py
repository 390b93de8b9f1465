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


def test_words_to_avoid_are_found_with_what_to_write_instead(context: BrandContext) -> None:
    context = replace(
        context, banned_words=("cheap",), avoid_words=("luxury", "Cheap"), preferred=(("customers", "guests"),)
    )
    flags = Flags(context)
    text = "Cheap luxury for customers"
    found = flags.find(text, words_of(text))
    assert [(flag.code, flag.word, flag.better) for flag in found] == [
        ("avoided-word", "customers", "guests"),
        ("avoided-word", "luxury", ""),
        ("banned-word", "cheap", ""),
    ]
    assert 'Write "guests" instead' in flags.findings(found[:1], "k")[0].remedy


def test_a_regulated_brands_texts_are_flagged_where_they_touch_its_regulation(context: BrandContext) -> None:
    notes = 'Never say "cures hangovers" without approval.'
    context = replace(context, regulated=True, regulation_codes=("EU 1924/2006", "SEC"), compliance_notes=notes)
    assert found(context, "Clinically proven roast") == ["clinically proven"]
    assert found(context, "It cures hangovers") == ["cures", "cures hangovers"]
    assert found(context, "Guaranteed returns, says the SEC") == ["SEC", "Guaranteed returns".lower()]
    assert found(context, "a spot of 30 sec") == []
    assert found(replace(context, regulated=False, regulation_codes=()), "Clinically proven") == ["clinically proven"]


def test_the_compliance_line_names_regulations_and_notes(context: BrandContext) -> None:
    context = replace(
        context, target_markets=(), regulated=True, regulation_codes=("HWG",), compliance_notes="Ask legal"
    )
    assert compliance_note(context) == "The brand is regulated: HWG. Compliance notes: Ask legal."
    assert compliance_note(replace(context, regulation_codes=(), compliance_notes="")) == "The brand is regulated."
