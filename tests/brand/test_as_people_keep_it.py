"""Files as people and assistants really keep them: one test for each thing that used to be lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dm_memory.brand.context import load_context
from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import SourceKind
from dm_memory.brand.sources import list_sources, parse_source, read_source
from dm_memory.brand.sources.insights import content_type_of, statement_of, with_contexts
from dm_memory.items import ContentType
from tests.brand.reading import CONTEXT, by_key, campaign, guideline, insights, parse, read_all, texts, write

# Nothing is passed over in silence ------------------------------------------------------------------------------------


def test_campaigns_are_read_as_markdown_yaml_lists_and_by_their_ids(home: Home, brand: Path) -> None:
    one = {"name": "A", "learnings": ["Leaf photos won"]}
    write(
        brand / "campaigns",
        {
            "retro.md": "---\ncampaign: Mulch\nbudget: 8.400 €\ntags: [club]\n---\n"
            "## Learnings\n\n- Reminders won\n- Ads did not\n",
            "spring.yaml": "name: Spring\nlearnings:\n  - Frost sells fleece\n",
            "list.json": [one | {"campaign_id": "a"}, {"id": "b", "name": "B", "learnings": ["Salt sells shovels"]}],
            "byid.json": {"campaigns": {"c": {"name": "C", "learnings": ["Barrels halve returns"]}}},
            "bare.json": {"d": {"name": "D", "learnings": ["Frost alerts sell"]}},
            "lines.jsonl": '{"campaign_id": "e", "learnings": ["Two of three"]}\n\n'
            '{"campaign_id": "f", "notes": "Call first"}\n',
        },
    )
    items = {item.key: item for parsed in read_all(home).values() for item in parsed.items}
    by_list = {(item.list_key or item.key): item.content for item in items.values()}
    assert by_list["campaign/a#learnings"] == "A, learning: Leaf photos won"
    assert by_list["campaign/b#learnings"] == "B, learning: Salt sells shovels"
    assert by_list["campaign/c#learnings"] == "C, learning: Barrels halve returns"
    assert by_list["campaign/d#learnings"] == "D, learning: Frost alerts sell"
    assert by_list["campaign/e#learnings"] == "e, learning: Two of three"
    assert by_list["campaign/f#notes"] == "f, note: Call first"
    assert by_list["campaign/spring#learnings"] == "Spring, learning: Frost sells fleece"
    mulch = [item for item in items.values() if item.origin == "campaigns/retro.md"]
    assert {item.content for item in mulch} == {
        "Mulch, plan: Budget: 8.400 €",
        "Mulch, Learnings: Reminders won",
        "Mulch, Learnings: Ads did not",
    }
    assert {item.tags for item in mulch} == {("club",)}


def test_guidelines_are_read_in_subfolders_in_capitals_and_as_data(home: Home, brand: Path) -> None:
    write(
        brand / "guidelines",
        {
            "email/welcome.md": "# Welcome mail\n\nThree sentences.\n",
            "SIGNATURE.MD": "# Signature\n\nFirst names only.\n",
            "voice.yaml": "tone: dry\nnever:\n  - shout at people\n",
            "terms.csv": "Term;Meaning\nSlow;Never rushed\n",
            "notes.txt": "Say hello first.\n",
        },
    )
    found = {item.content for parsed in read_all(home).values() for item in parsed.items}
    assert found == {
        "Email > Welcome mail\n\nThree sentences.",
        "Signature\n\nFirst names only.",
        "Voice\n\ntone: dry",
        "Voice > never\n\nshout at people",
        "Terms\n\n- Term: Slow, Meaning: Never rushed",
        "Say hello first.",
    }


def test_an_export_with_lines_before_its_header_is_read_with_its_columns_and_its_dates() -> None:
    text = '"Ad report (January 01, 2026 - March 31, 2026)"\n\nCampaign,CTR,Spend\nFleece,3.2%,"1.234,56"\nHose,,9\n'
    [item] = parse("performance/q1-ads.csv", SourceKind.PERFORMANCE, text).items
    assert item.content.startswith("Performance report Q1 ads, Ad report (January 01, 2026 - March 31, 2026)\n")
    assert "- Campaign: Fleece, CTR: 3.2%, Spend: 1.234,56" in item.content
    assert "- Campaign: Hose, Spend: 9" in item.content
    assert item.content_type is ContentType.PERFORMANCE_INSIGHT
    assert item.key.startswith("performance/q1-ads.csv#rows/")


@pytest.mark.parametrize(
    "value",
    [
        {"insights": [{"insight": "Photos sell better"}]},
        {"2026-03-01": {"text": "Photos sell better"}},
        {"insight": "Photos sell better"},
        "insight: Photos sell better\n",
        '{"insight": "Photos sell better"}\n{"insight": "Photos sell better"}\n',
    ],
)
def test_insights_are_read_in_every_shape(value: object) -> None:
    path = "insights.yaml" if isinstance(value, str) and value.startswith("insight:") else "insights.json"
    found = insights(value, path)
    assert {item.content for item in found} == {"Photos sell better"}
    if isinstance(value, dict) and "2026-03-01" in value:
        assert found[0].recorded_at == "2026-03-01"


def test_what_is_not_read_is_named_with_the_reason_and_what_to_do(home: Home, brand: Path) -> None:
    write(
        brand,
        {
            "notes.txt": "x",
            "campaigns/brief.docx": b"PK",
            "campaigns/_draft.json": "{}",
            "research/survey.md": "# Survey",
            "guidelines/logo.png": b"",
            "guidelines/plan.gdoc": "{}",
            "performance/raw.parquet": b"",
            **{f"guidelines/logos/{number}.svg": "" for number in range(30)},
        },
    )
    unread = {finding.path: finding for finding in list_sources(home, "kopi", "all").unread}
    assert set(unread) == {
        "notes.txt",
        "campaigns/brief.docx",
        "campaigns/_draft.json",
        "research/survey.md",
        "guidelines/logo.png",
        "guidelines/plan.gdoc",
        "performance/raw.parquet",
        "guidelines/logos/",
    }
    assert all(finding.remedy for finding in unread.values())
    assert "30 files" in unread["guidelines/logos/"].message
    assert not list_sources(home, "kopi", "insights-only").unread


def test_litter_is_nothing(home: Home, brand: Path) -> None:
    names = [".DS_Store", "._a.json", "a.json~", ".a.json.swp", "#a.json#", "~$brief.docx", "Thumbs.db", "a.json.bak"]
    write(brand / "campaigns", dict.fromkeys([*names, ".git/config", ".obsidian/app.json"], ""))
    listing = list_sources(home, "kopi", "all")
    assert not listing.files
    assert not listing.unread


def test_what_stands_for_a_file_in_the_cloud_protects_its_entries(home: Home, brand: Path) -> None:
    write(
        brand, {".insights.json.icloud": b"", "campaigns/spring (Jo's conflicted copy 2026-01-02).json": {"name": "S"}}
    )
    listing = list_sources(home, "kopi", "all")
    assert listing.protected == {"insights.json", "campaigns/spring.json"}
    assert [finding.path for finding in listing.unread] == [".insights.json.icloud"]
    assert [file.conflict_copy for file in listing.files] == [True]


@pytest.mark.parametrize(
    "name",
    [
        "spring (Jo's conflicted copy 2026-01-02).json",
        "spring.sync-conflict-20260102-101010-ABCDEFG.json",
        "spring (in Konflikt stehende Kopie von Jo).json",
        "spring (1).json",
        "spring-DESKTOP-AB12345.json",
    ],
)
def test_a_conflict_copy_states_the_same_keys_as_older_words(home: Home, brand: Path, name: str) -> None:
    write(brand / "campaigns", {"spring.json": {"updated_at": "2026-02-02", "learnings": ["New and true"]}})
    write(brand / "campaigns", {name: {"updated_at": "2026-03-03", "learnings": ["Old draft of it"]}})
    parsed = read_all(home)
    assert list(parsed) == ["campaigns/spring.json", f"campaigns/{name}"]
    [copy] = parsed[f"campaigns/{name}"].items
    assert copy.list_key == "campaign/spring#learnings"
    assert copy.source_updated_at == ""


def test_a_number_at_the_end_of_a_name_is_no_copy_where_nothing_lies_beside_it(home: Home, brand: Path) -> None:
    names = ["spring 2.json", "spring-sale-20260101.json", "spring.json", "summer (1).json"]
    write(brand / "campaigns", {name: {"learnings": ["One of two"]} for name in names})
    files = list_sources(home, "kopi", "all").files
    assert not any(file.conflict_copy for file in files)
    assert [file.stem for file in files] == [name.removesuffix(".json") for name in names]


def test_a_folder_that_can_not_be_listed_is_reported_and_protected(home: Home, brand: Path, tmp_path: Path) -> None:
    (brand / "campaigns").symlink_to(tmp_path)
    listing = list_sources(home, "kopi", "all")
    assert listing.protected == {"campaigns/"}
    assert [file.path for file in listing.files] == ["campaigns/"]


# JSON as assistants write it ------------------------------------------------------------------------------------------


def test_json_that_is_unambiguous_is_repaired_and_said() -> None:
    parsed = parse(
        "campaigns/r.json", SourceKind.CAMPAIGN, '```json\n{"name": "R", // x\n "learnings": ["It sold out",],}\n```'
    )
    assert [item.content for item in parsed.items] == ["R, learning: It sold out"]
    [finding] = parsed.findings
    assert finding.code == "repaired-file"
    assert "a code fence, comments, commas" in finding.message
    assert parsed.whole


def test_what_can_not_be_understood_names_line_and_column_and_everything_around_it_is_taken() -> None:
    text = '[{"insight": "First and true"},\n {"insight": !!! ???},\n {"insight": "Third and true"}]'
    parsed = parse("insights.json", SourceKind.INSIGHTS, text)
    assert [item.content for item in parsed.items] == ["First and true", "Third and true"]
    assert "line 2, column 14" in parsed.findings[0].message
    assert not parsed.whole


def test_a_file_that_was_cut_off_gives_its_whole_entries_and_retires_nothing() -> None:
    parsed = parse("insights.json", SourceKind.INSIGHTS, '[{"insight": "Whole one"}, {"insight": "Half of')
    assert [item.content for item in parsed.items] == ["Whole one"]
    assert not parsed.whole
    assert any("ends in the middle" in finding.message for finding in parsed.findings)


# The text of an insight -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["insight", "finding", "learning", "text", "note", "Insight", "erkenntnis"])
def test_the_text_of_an_insight_is_found_under_other_names(name: str) -> None:
    assert [item.content for item in insights([{name: "Ads tire after nine days"}])] == ["Ads tire after nine days"]


def test_a_bare_string_is_an_insight() -> None:
    assert [item.content for item in insights(["Podcasts brought demos", "yes", "5"])] == ["Podcasts brought demos"]


def test_what_stands_beside_an_insight_goes_into_text_tags_and_facts() -> None:
    entry = {
        "recordedAt": "2026-03-02T10:00:00",
        "insight": "Plain mails win",
        "confidence": "high",
        "evidence": "4,212 recipients",
        "channel": "email",
        "campaignId": "trial",
        "tags": ["lifecycle"],
        "metrics": {"replyRate": {"before": "2.1%", "after": "2.5%"}},
    }
    [item] = insights([entry])
    assert item.recorded_at == "2026-03-02T10:00:00"
    assert "Evidence: 4,212 recipients" in item.content
    assert "Metrics: reply rate (before: 2.1%, after: 2.5%)" in item.content
    assert item.facts == {"confidence": "high", "channels": ["email"], "campaign_id": "trial"}
    assert item.tags == ("lifecycle",)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("", ContentType.PERFORMANCE_INSIGHT),
        ("session_learning", ContentType.PERFORMANCE_INSIGHT),
        ("benchmark", ContentType.PERFORMANCE_INSIGHT),
        ("competitor_insight", ContentType.COMPETITIVE_INTEL),
        ("Competitive Alert", ContentType.COMPETITIVE_INTEL),
        ("strategy_adjustment", ContentType.CAMPAIGN_LEARNING),
        ("decision", ContentType.CAMPAIGN_LEARNING),
    ],
)
def test_an_insight_has_the_content_type_of_its_own_type(kind: str, wanted: ContentType) -> None:
    assert content_type_of(kind) is wanted


def test_a_sentence_with_and_without_a_context_has_one_statement_and_keeps_every_context() -> None:
    [one] = insights([{"insight": "Demos sell", "context": "spring"}])
    assert statement_of(one.content) == "Demos sell"
    assert with_contexts(one.content, ["Demos sell", "Demos sell\n\nContext: autumn"]) == (
        "Demos sell\n\nContext: spring\n\nContext: autumn"
    )


# Lists of lessons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["key_learnings", "lessonsLearned", "Erkenntnisse", "takeaways", "what surprised us", "notes"]
)
def test_a_list_of_lessons_is_one_entry_each_under_any_name(name: str) -> None:
    items = campaign({"name": "T", name: ["Order bags early", "Never ship in frost", "yes", "5", "[TBD]"]})
    assert [item.content.partition(": ")[2] for item in items.values()] == ["Order bags early", "Never ship in frost"]
    assert all(item.list_key and item.key.startswith(f"{item.list_key}/") for item in items.values())


def test_a_key_of_a_list_does_not_depend_on_the_position() -> None:
    before = campaign({"learnings": ["Bees like blue", "Wasps like red"]})
    after = campaign({"learnings": ["New at the front", "Wasps like red", "Bees like blue", "Bees like blue"]})
    assert set(before) < set(after)
    assert len(after) == 3


def test_a_retrospective_by_channel_keeps_channel_and_outcome() -> None:
    retrospective = {"email": {"worked": ["Calendars were forwarded"], "failed": ["Emoji were filtered"]}}
    items = campaign({"name": "T", "channels": ["email", "sms"], "retrospective": retrospective})
    found = {item.list_key: item for item in items.values() if item.list_key}
    worked = found["campaign/c#retrospective/email/worked"]
    assert worked.content == "T, email, worked: Calendars were forwarded"
    assert worked.facts["channels"] == ["email"]
    assert "campaign/c#retrospective/email/failed" in found


def test_learnings_below_a_channel_carry_that_channel_alone() -> None:
    channels = {
        "email": {"ctr": "3.2%", "learnings": ["Runtime lifted clicks"]},
        "paid_social": {"cpa": "$31", "learnings": ["Neighbours were cheap"]},
    }
    items = campaign({"name": "H", "channels": channels, "notes": ["Never show hedges in winter"]})
    by_text = {item.content: item for item in items.values()}
    assert by_text["H, paid social, learning: Neighbours were cheap"].facts["channels"] == ["paid social"]
    assert by_text["H, email: CTR: 3.2%"].content_type is ContentType.PERFORMANCE_INSIGHT
    assert by_text["H, note: Never show hedges in winter"].facts["channels"] == ["email", "paid_social"]
    assert "Channels: email, paid_social" in items["campaign/c#plan"].content


def test_segments_with_facts_are_entries_and_their_names_stay_in_the_plan() -> None:
    items = campaign(
        {"name": "S", "segments": [{"name": "Anglers", "responds_to": "tide heights"}, {"name": "Families"}]}
    )
    assert items["campaign/c#plan"].content == "S, plan: Segments: Anglers, Families"
    assert any("Anglers" in text and "Responds to: tide heights" in text for text in texts(items))


def test_one_test_is_one_entry() -> None:
    one = {"hypothesis": "Faces win", "variant_a": {"ctr": 1.9}, "variant_b": {"ctr": 2.4}, "winner": "b"}
    items = campaign({"name": "T", "ab_tests": {"headline": one}, "experiments": [one, one | {"winner": "a"}]})
    assert len(items) == 3
    assert all("Variant a" in item.content and "Winner" in item.content for item in items.values())


# Numbers keep their unit and their label ------------------------------------------------------------------------------


def test_an_amount_keeps_its_currency_and_its_period_and_single_facts_stand_together() -> None:
    flat = {"name": "Pumps", "owner": "Maria", "region": "DACH", "budget": 15000, "spend": 14210.5, "currency": "EUR"}
    items = campaign(flat | {"period": "Q2 2026", "ctr": 3.2, "cpa": "41,20 €", "type": "always-on"})
    assert len(items) == 2
    assert "Budget: 15000 EUR" in items["campaign/c#plan"].content
    figures = items["campaign/c#figures"]
    assert figures.content == "Pumps, results, Q2 2026:\nSpend: 14210.5 EUR\nCTR: 3.2\nCPA: 41,20 €"
    assert figures.content_type is ContentType.PERFORMANCE_INSIGHT


def test_micros_become_money_percent_keeps_its_sign_and_long_floats_are_rounded() -> None:
    metrics = {"costMicros": "12345678", "share_pct": 12, "ctr": 0.031234567, "roas": 3.3333333333, "big": 1e6}
    [item] = parse("performance/p.json", SourceKind.PERFORMANCE, {"currencyCode": "EUR", "metrics": metrics}).items
    assert "cost: 12.35 EUR, share: 12 %, ctr: 0.03123, roas: 3.33, big: 1000000" in item.content


def test_a_matrix_keeps_its_row_and_column_names() -> None:
    results = {"email": {"open_rate": "40 %"}, "sms": {"open_rate": "90 %"}}
    assert texts(campaign({"name": "M", "results": results})) == {
        "M, results, email: Open rate: 40 %",
        "M, results, sms: Open rate: 90 %",
    }


def test_the_header_of_a_long_table_travels_with_each_piece() -> None:
    rows = "".join(f"| Campaign number {number} | {number}.5 % | {number * 100} EUR |\n" for number in range(120))
    items = guideline(f"# Results\n\nAll of 2026.\n\n| Campaign | CTR | Spend |\n|---|---|---|\n{rows}")
    assert len(items) > 3
    pieces = [item.content for item in items.values() if "number" in item.content]
    assert all(piece.startswith("Voice > Results\n\n- Campaign: Campaign number") for piece in pieces)
    assert sum(piece.count("Spend:") for piece in pieces) == 120
    assert "Voice > Results\n\nAll of 2026." in texts(items)


def test_sentences_inside_a_snapshot_are_entries_of_their_own() -> None:
    snapshot = {
        "snapshot_id": "s",
        "campaign_id": "c",
        "metrics": {"orders": 3},
        "observations": ["Orders came late in the evening", "Nobody used the second code"],
        "comment": "The sale began two days late",
    }
    items = by_key(parse("performance/s.json", SourceKind.PERFORMANCE, snapshot))
    assert texts(items) == {
        "Performance of c\nMetrics: orders: 3",
        "Performance of c, observations: Orders came late in the evening",
        "Performance of c, observations: Nobody used the second code",
        "Performance of c, comment: The sale began two days late",
    }


def test_the_period_is_part_of_a_snapshots_identity() -> None:
    june, july = ({"period": period, "metrics": {"orders": 3}} for period in ("June 2026", "July 2026"))
    items = by_key(parse("performance/monthly.json", SourceKind.PERFORMANCE, [june, july]))
    assert set(items) == {"performance/monthly@June 2026", "performance/monthly@July 2026"}
    assert [item.recorded_at for item in items.values()] == ["2026-06-01", "2026-07-01"]
    own = by_key(parse("performance/x.json", SourceKind.PERFORMANCE, june | {"snapshot_id": "s-1"}))
    assert set(own) == {"performance/s-1"}


# Context is kept ------------------------------------------------------------------------------------------------------


def test_front_matter_is_an_entry_and_part_of_every_section() -> None:
    text = "---\ntitle: Retro, Mulch Club\ncampaign: Mulch Club\nchannel: [email]\nowner: Tomasz\ndate: 15.03.2026\n"
    items = guideline(f"{text}tags: [subscription]\n---\n## Learnings\n\n- Reminders won.\n", "guidelines/custom/r.md")
    front = items["guideline/custom/r.md#front-matter"]
    assert "Owner: Tomasz" in front.content
    section = items["guideline/custom/r.md#Learnings"]
    assert section.content == "Retro, Mulch Club > Learnings\n\n- Reminders won."
    assert section.recorded_at == "2026-03-15"
    assert section.tags == ("subscription",)
    assert section.facts["channels"] == ["email"]


def test_front_matter_that_is_no_yaml_is_read_line_by_line() -> None:
    items = guideline("---\ntitle: A: b: c\nowner: [Ola\n---\nText of it.\n")
    assert items["guideline/voice.md#front-matter"].content == "A: b: c\n\nOwner: [Ola"


def test_a_rule_between_lines_is_no_front_matter() -> None:
    assert texts(guideline("---\n\nA paragraph of text.\n\n---\n")) == {"Voice\n\n---\n\nA paragraph of text.\n\n---"}


def test_equal_rules_of_two_channels_are_two_texts() -> None:
    one, other = (guideline("# Length\n\nShort.\n", f"guidelines/{name}.md") for name in ("email", "sms"))
    assert texts(one) == {"Email > Length\n\nShort."}
    assert texts(other) == {"SMS > Length\n\nShort."}


def test_a_date_in_a_heading_is_the_sections_date() -> None:
    items = guideline("# Weekly, 14 June 2026\n\nNo news.\n\n# Rules\n\nStay calm.\n", "guidelines/log.md")
    assert [item.recorded_at for item in items.values()] == ["2026-06-14", ""]


def test_dates_as_people_write_them_are_dates_and_what_is_none_stays_in_the_text() -> None:
    learnings = [
        {"finding": "Rain kills demand", "date": "14.06.2026"},
        {"finding": "Sun sells sprinklers", "date": "Q2 2026"},
        {"finding": "Fog changes nothing", "date": "June 2026"},
        {"finding": "Hail breaks glass", "date": 1780000000},
        {"finding": "Move the budget", "date": "after the June review"},
        {"finding": "Wind is loud", "date": "03/04/2026"},
    ]
    found = {item.content.split("\n", 1)[-1]: item.recorded_at for item in campaign({"learnings": learnings}).values()}
    assert found == {
        "c, learning: Rain kills demand": "2026-06-14",
        "Sun sells sprinklers\nDate: Q2 2026": "2026-04-01",
        "Fog changes nothing\nDate: June 2026": "2026-06-01",
        "c, learning: Hail breaks glass": "2026-05-28T20:26:40Z",
        "Move the budget\nDate: after the June review": "",
        "Wind is loud\nDate: 03/04/2026": "",
    }


def test_a_day_before_a_month_is_read_where_the_brand_says_so() -> None:
    context = replace(CONTEXT, date_order="dmy")
    [item] = parse("insights.json", SourceKind.INSIGHTS, [{"insight": "a b", "date": "03/04/2026"}], context).items
    assert item.recorded_at == "2026-04-03"


# The profile can be asked ---------------------------------------------------------------------------------------------


def test_the_profile_gives_an_entry_a_subject_with_its_date(home: Home, brand: Path) -> None:
    profile = {
        "brand_name": "Zed",
        "updated_at": "2026-05-05T10:00:00",
        "identity": {"usp": "peat-free since 1998", "tagline": "[TBD]"},
        "goals": {"2026": {"repeat_purchase_rate": "35 %"}},
        "target_markets": [{"market": "DACH", "segment": "allotment owners"}],
        "brand_voice": {
            "avoid_words": ["dirt cheap"],
            "this_not_that": [{"this": "witty", "not": "silly"}],
            "humor": 3,
        },
        "competitors": [{"name": "Peaty"}],
    }
    write(brand, {"profile.json": profile})
    items = {item.key: item for item in read_all(home)["profile.json"].items}
    assert items["profile/identity"].content == (
        "Zed, identity and positioning\nUSP (unique selling proposition): peat-free since 1998"
    )
    assert "repeat purchase rate: 35 %" in items["profile/goals"].content
    assert "segment: allotment owners" in items["profile/target_markets"].content
    assert "Words to avoid: dirt cheap" in items["profile/words"].content
    assert "witty, not silly" in items["profile/words"].content
    assert items["profile/competitors"].content_type is ContentType.COMPETITIVE_INTEL
    assert {item.recorded_at for item in items.values()} == {"2026-05-05T10:00:00"}
    assert "profile/brand_voice" not in items


def test_a_marketing_context_elsewhere_is_read_where_a_setting_points(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "project" / ".agents" / "product-marketing-context.md"
    write(
        tmp_path, {"project/.agents/product-marketing-context.md": "# Context\n\n## Positioning\n\nPeat-free soil.\n"}
    )
    [file] = list_sources(home, "kopi", "all", context_file=path).files
    data = read_source(home, "kopi", file, Limits(), context_file=path)
    [item] = parse_source(file, data, CONTEXT, Limits()).items
    assert item.key == "context/product-marketing-context.md#Context/Positioning"
    assert item.content == "Product marketing context > Context > Positioning\n\nPeat-free soil."
    assert str(tmp_path) not in item.origin


# Templates, mark-up, encodings, numbers -------------------------------------------------------------------------------


def test_unfilled_templates_are_no_memories_and_are_counted() -> None:
    text = (
        "# Voice\n\n## Tone\n\n<!-- describe the tone -->\n\n## Goals\n**Primary**: [TBD]\n**ROAS**: [TBD]\n\n"
        "## Pillars\n\n- \n- \n\n## Audience\n\n| Persona | Pain |\n|---|---|\n| | |\n\n## Motto\n\n{{TAGLINE}}\n\n"
        "## Humour\n\nDry, never loud.\n"
    )
    parsed = parse("guidelines/voice.md", SourceKind.GUIDELINE, text)
    assert [item.content for item in parsed.items] == ["Voice > Humour\n\nDry, never loud."]
    assert "4 sections" in parsed.findings[0].message


def test_html_becomes_text_with_its_headings() -> None:
    text = (
        '<h1 align="center"><img src="a.png" alt="Zed logo"/> Zed</h1>\n<h2>Colours</h2>\n'
        "<table><tr><th>Do</th><th>Not</th></tr><tr><td>Green</td><td>Red</td></tr></table>\n<h2>Type</h2>\n<p>Karla&nbsp;Bold.</p>\n\n"
        "Keep `<b>` & <client name>.\n"
    )
    items = guideline(text, "guidelines/look.md")
    assert "Look > Zed logo Zed > Colours\n\n| Do | Not |\n|---|---|\n| Green | Red |" in texts(items)
    assert "Look > Zed logo Zed > Type\n\nKarla Bold.\n\nKeep `<b>` & <client name>." in texts(items)


def test_a_component_becomes_text_with_its_headings() -> None:
    text = (
        "import A from 'a'\nexport default function Hero() { return (<section><h2>Hero</h2>"
        "<p className='x'>{'Hear'} the water{/* c */}</p></section>); }"
    )
    [item] = parse("content-library/hero.jsx", SourceKind.ASSET, text).items
    assert item.content == "Approved copy: Hero\n\nHear the water"


def test_text_that_was_encoded_twice_is_repaired_and_said() -> None:
    twice = "Der Käufer mag Größe \u2013 und “Ruhe”".encode().decode("cp1252", "replace")
    parsed = parse("insights.json", SourceKind.INSIGHTS, [{"insight": twice}])
    assert "Käufer mag Größe" in parsed.items[0].content
    assert parsed.findings[0].code == "repaired-file"
    page = guideline(f"# Ton\n\n{'Wir grüßen höflich.'.encode().decode('latin-1')}\n", "guidelines/ton.md")
    assert texts(page) == {"Ton\n\nWir grüßen höflich."}
    fine = parse("insights.json", SourceKind.INSIGHTS, [{"insight": "NÃO é ruim, São Paulo"}])
    assert fine.items[0].content == "NÃO é ruim, São Paulo"
    assert not fine.findings


def test_numbers_beyond_every_number_and_invisible_texts_are_nothing() -> None:
    [item] = parse("performance/p.json", SourceKind.PERFORMANCE, '{"metrics": {"a": 1e999, "b": NaN, "c": 2}}').items
    assert item.content == "Performance of p\nMetrics: c: 2"
    parsed = parse("insights.json", SourceKind.INSIGHTS, [{"insight": "\u200b\u200d\ufeff"}])
    assert not parsed.items
    assert parsed.findings[0].code == "empty-text"


def test_dates_in_seconds_and_milliseconds_are_dates() -> None:
    found = insights([{"insight": "a b", "timestamp": 1780000000}, {"insight": "c d", "timestamp": 1780000000123}])
    assert [item.recorded_at for item in found] == ["2026-05-28T20:26:40Z", "2026-05-28T20:26:40.123Z"]


def test_yaml_that_would_fill_the_memory_is_refused(home: Home, brand: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    write(brand / "guidelines", {"bomb.yaml": "\n".join(lines), "itself.yaml": "a: &a\n  b: *a\n"})
    context = load_context(home, "kopi", Limits())
    for file in list_sources(home, "kopi", "all").files:
        with pytest.raises(BrandFileError):
            parse_source(file, read_source(home, "kopi", file, Limits()), context, Limits())


def test_a_lesson_of_one_word_is_not_passed_over_in_silence() -> None:
    value = {"campaign_id": "y", "name": "Y", "learnings": ["Retargeting", "Send on Tuesdays", "[TBD]", ""]}
    parsed = parse("campaigns/y.json", SourceKind.CAMPAIGN, value)
    assert [item.content for item in parsed.items] == ["Y, learning: Send on Tuesdays"]
    (finding,) = parsed.findings
    assert (finding.code, finding.severity, "'Retargeting'" in finding.message) == ("empty-text", "info", True)
