"""More forms in which people and assistants keep what they know: each was lost, cut, doubled or misread before."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from dm_memory.brand.context import load_context
from dm_memory.brand.files import BrandFileError, Limits
from dm_memory.brand.formats.markdown import points
from dm_memory.brand.home import Home
from dm_memory.brand.parsed import ParsedFile, SourceKind
from dm_memory.brand.sources import list_sources
from dm_memory.items import ContentType
from tests.brand.reading import by_key, campaign, guideline, insights, parse, read_all, texts, write

# One bad file costs only itself ---------------------------------------------------------------------------------------


def nested(levels: int, *, objects: bool = False) -> object:
    value: object = "x"
    for _ in range(levels):
        value = {"a": value} if objects else [value]
    return value


@pytest.mark.parametrize("objects", [False, True])
@pytest.mark.parametrize("levels", [30, 200])
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (SourceKind.INSIGHTS, "insights.json"),
        (SourceKind.INTELLIGENCE, "intelligence/active/lrn_1.json"),
        (SourceKind.CAMPAIGN, "campaigns/c.json"),
        (SourceKind.PERFORMANCE, "performance/p.json"),
        (SourceKind.COMPETITORS, "competitors.json"),
        (SourceKind.COMPETITORS, "competitors/a/pricing.json"),
        (SourceKind.AUDIENCES, "audiences.json"),
        (SourceKind.VIOLATIONS, "guideline-violations.json"),
        (SourceKind.APPROVALS, "approvals/a.json"),
        (SourceKind.SIGNALS, "signals/s.json"),
        (SourceKind.GEO, "narrative/landscape.json"),
        (SourceKind.GEO, "geo/audits/a.json"),
        (SourceKind.METRICS, "churn/c.json"),
        (SourceKind.METRICS, "journeys/j.json"),
        (SourceKind.PROFILE, "profile.json"),
    ],
)
def test_what_is_nested_too_deeply_is_named_and_ends_nothing(
    kind: SourceKind, path: str, levels: int, objects: bool
) -> None:
    deep = nested(levels, objects=objects)
    for value in (deep, [deep], {"segments": [deep]}, {"name": "A", "notes": deep, "gaps": deep, "plans": [deep]}):
        with contextlib.suppress(BrandFileError):  # the one error that a sync reports and goes on
            assert isinstance(parse(path, kind, value), ParsedFile)


def test_a_record_that_is_nested_too_deeply_leaves_the_others() -> None:
    parsed = parse("signals/s.json", SourceKind.SIGNALS, [{"signal": "One", "x": nested(60)}, {"signal": "Two words"}])
    assert [item.content for item in parsed.items] == ["Signal: Two words"]
    assert [finding.code for finding in parsed.findings] == ["malformed-entry"]
    assert not parsed.whole


# JSON and YAML --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '[{"insight": "First and true"}]\n[{"insight": "Second and true"}]\n',
        '{"insight": "First and true"}{"insight": "Second and true"}',
        '{"insight": "First and true"},\n{"insight": "Second and true"},\n',
        '```json\n{"insight": "First and true"}\n```\nand\n```json\n[{"insight": "Second and true",}]\n```\n',
        '{"status": "ok", "data": {"insights": [{"insight": "First and true"}, {"insight": "Second and true"}]}}',
        '"[{\\"insight\\": \\"First and true\\"}, {\\"insight\\": \\"Second and true\\"}]"',
        '{"insights": [{"insight": "First and true"}], "insights": [{"insight": "Second and true"}]}',
        '{"insights": ["First and true"], "Insights": ["Second and true"]}',
        "{'insights': ['First and true'], 'insights': ['Second and true'],}",
    ],
)
def test_every_value_of_a_file_is_read(text: str) -> None:
    assert [item.content for item in insights(text)] == ["First and true", "Second and true"]


def test_a_line_of_json_lines_may_contain_a_line_separator() -> None:
    text = '{"insight": "One\u2028line"}\n{"insight": "Two\u0085lines"}\n'
    assert len(insights(text, "insights.jsonl")) == 2


def test_keys_that_stand_twice_are_joined_and_said() -> None:
    parsed = parse(
        "campaigns/c.json", SourceKind.CAMPAIGN, '{"learnings": ["One of two"], "learnings": ["Two of two"]}'
    )
    assert [item.content for item in parsed.items] == ["c, learning: One of two", "c, learning: Two of two"]
    assert "“learnings” stands more than once" in parsed.findings[0].message
    yaml = parse("campaigns/c.yaml", SourceKind.CAMPAIGN, "learnings: [One of two]\nlearnings: [Two of two]\n")
    assert [item.content for item in yaml.items] == [item.content for item in parsed.items]
    assert "stands more than once" in yaml.findings[0].message


def test_a_key_of_yaml_that_overrides_a_merged_one_stands_once() -> None:
    parsed = parse("campaigns/c.yaml", SourceKind.CAMPAIGN, "base: &b {owner: A}\nplan:\n  <<: *b\n  owner: B C\n")
    assert "c, plan: Owner: B C" in {item.content for item in parsed.items}
    assert not parsed.findings


def test_yaml_keeps_postcodes_and_times_of_day_as_they_are_written() -> None:
    [item] = parse("campaigns/c.yaml", SourceKind.CAMPAIGN, "zip: 01234\ntime: 12:30\ncountry: NO\nseats: 40\n").items[
        :1
    ]
    assert "Zip: 01234\nTime: 12:30\nCountry: NO" in item.content


def test_yaml_with_a_colon_or_an_at_sign_in_a_text_is_read_and_said() -> None:
    text = (
        "name: Sale: the sequel\nquote: @handle\ntag: !custom x\nlearnings:\n  - Ads: they tire: fast\n  - Plain text\n"
    )
    parsed = parse("campaigns/c.yaml", SourceKind.CAMPAIGN, text)
    found = {item.content for item in parsed.items}
    assert "Sale: the sequel, learning: Plain text" in found
    assert "Sale: the sequel, plan:\nQuote: @handle\nTag: x" in found
    assert "line 1, 2, 5" in parsed.findings[0].message


def test_toml_is_read_as_a_file_and_as_front_matter(home: Home, brand: Path) -> None:
    write(
        brand / "guidelines",
        {
            "voice.toml": 'tone = "dry and calm"\n',
            "page.md": '+++\nowner = "Ola"\ntags = ["a"]\n+++\n# H\n\nBody text.\n',
        },
    )
    found = {item.content: item for parsed in read_all(home).values() for item in parsed.items}
    assert "Voice\n\ntone: dry and calm" in found
    assert found["H\n\nBody text."].tags == ("a",)
    assert "Owner: Ola" in found


# Insights -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"観察": "朝の配信は夜より読まれた", "日付": "2026-03-01"},
        {"key_insight": "朝の配信は夜より読まれた", "date": "2026-03-01"},
        {"title": "朝の配信は夜より読まれた", "date": "2026-03-01"},
        {"insight": {"text": "朝の配信は夜より読まれた"}, "date": "2026-03-01"},
        {"Learnings": ["朝の配信は夜より読まれた"], "date": "2026-03-01"},
        {"insight": ["朝の配信は夜より読まれた"], "date": "2026-03-01"},
    ],
)
def test_an_insight_is_read_under_any_name(entry: dict[str, object]) -> None:
    assert [(item.content, item.recorded_at) for item in insights([entry])] == [
        ("朝の配信は夜より読まれた", "2026-03-01")
    ]


def test_a_list_inside_an_insight_is_one_insight_each_with_what_stands_beside_it() -> None:
    found = insights(
        [{"learnings": ["One is true", "Two is true"], "channel": "email", "tags": ["x"]}, ["A third one"]]
    )
    assert [item.content.partition("\n")[0] for item in found] == ["One is true", "Two is true", "A third one"]
    assert [item.facts.get("channels") for item in found] == [["email"], ["email"], None]


@pytest.mark.parametrize("text", ["yes", "42 %", "https://x.example/a", "8f14e45f-ceea-467f-a2d8-1234567890ab", 42])
def test_an_insight_that_says_nothing_alone_is_none_and_is_said(text: object) -> None:
    parsed = parse("insights.json", SourceKind.INSIGHTS, [{"insight": text}])
    assert not parsed.items
    assert parsed.findings[0].code == "empty-text"


def test_figures_with_names_are_an_insight_without_a_sentence() -> None:
    assert insights([{"metric": "open_rate", "value": "42 %"}])[0].content == "Metric: open_rate\nValue: 42 %"


# Campaigns ------------------------------------------------------------------------------------------------------------


def test_a_campaign_in_the_brands_language_has_its_name_its_channels_and_its_results() -> None:
    items = campaign(
        {"Kampagne": "Herbst", "Kanäle": ["E-Mail", "SMS"], "Ergebnisse": {"Rückläufer": 3}, "Status": "aktiv"}
    )
    assert items["campaign/c#plan"].content == "Herbst, plan:\nKanäle: E-Mail, SMS\nStatus: aktiv"
    assert items["campaign/c#plan"].facts["channels"] == ["E-Mail", "SMS"]
    assert items["campaign/c#ergebnisse"].content_type is ContentType.PERFORMANCE_INSIGHT
    japanese = campaign({"キャンペーン名": "秋のセール", "予算": 50000, "学び": ["朝の配信がよく読まれた"]})
    assert texts(japanese) == {"秋のセール, plan: 予算: 50000", "秋のセール, 学び: 朝の配信がよく読まれた"}


def test_lessons_inside_the_phases_of_a_campaign_are_entries_of_their_own() -> None:
    phases = [{"name": "Launch", "owner": "Ola", "learnings": ["Mails came late", "Calls came early"]}]
    assert texts(campaign({"name": "N", "phases": phases})) == {
        "N, phases, Launch, learning: Mails came late",
        "N, phases, Launch, learning: Calls came early",
        "N, phases:\nName: Launch\nOwner: Ola",
    }


def test_short_lists_are_lines_of_the_plan_and_ids_are_no_memories() -> None:
    items = campaign({"name": "N", "steps": ["yes", "no"], "notes": [{"id": 1, "text": "Call them first"}, {"id": 2}]})
    assert texts(items) == {"N, plan: Steps: yes, no", "N, note: Call them first"}


def test_campaigns_of_a_table_are_known_by_their_names_wherever_their_rows_stand() -> None:
    rows = "Pine,active,Pine lesson is long\nOak,active,Oak lesson is long\n"
    header = "Campaign,Status,Learning\n"
    before = by_key(parse("campaigns/all.csv", SourceKind.CAMPAIGN, header + rows))
    after = by_key(parse("campaigns/all.csv", SourceKind.CAMPAIGN, f"{header}Elm,active,Elm lesson is long\n{rows}"))
    assert set(before) < set(after)
    assert before["campaign/all-pine#learning"].content == "Pine, learning: Pine lesson is long"


def test_a_page_and_a_data_file_of_one_campaign_both_keep_their_plans(home: Home, brand: Path) -> None:
    page = "---\nbudget: 6000 EUR\nlearnings:\n  - Learned in the front\n---\n\n## Results\n\nNine orders came in.\n"
    write(brand / "campaigns", {"s.json": {"name": "S", "budget": "5000 EUR", "results": {"orders": 8}}, "s.md": page})
    items = [item for parsed in read_all(home).values() for item in parsed.items]
    assert len({item.key for item in items}) == len(items) == 5
    assert {item.facts["campaign_id"] for item in items} == {"s"}
    assert "S, learning: Learned in the front" in {item.content for item in items}


def test_campaigns_of_one_name_in_two_folders_are_two(home: Home, brand: Path) -> None:
    names = ["spring.json", "2025/spring.json", "2024/spring.json"]
    write(brand / "campaigns", {name: {"budget": f"{number} EUR"} for number, name in enumerate(names)})
    keys = {item.key for parsed in read_all(home).values() for item in parsed.items}
    assert keys == {"campaign/spring#plan", "campaign/2025-spring#plan", "campaign/2024-spring#plan"}


def test_snapshots_of_one_file_are_known_by_their_dates() -> None:
    values = [{"date": f"2026-0{month}-01", "orders": month} for month in (1, 2)]
    before = by_key(parse("performance/p.json", SourceKind.PERFORMANCE, values))
    after = by_key(parse("performance/p.json", SourceKind.PERFORMANCE, [{"date": "2026-03-01", "orders": 3}, *values]))
    assert all(after[key].content == item.content for key, item in before.items())


# Pages ----------------------------------------------------------------------------------------------------------------


def test_a_point_of_a_list_keeps_what_stands_below_it() -> None:
    listed = "1. Short videos won\n   in May\n   - above all on Sundays\n2. Mails\nlost\n\n• Next one\n・朝がよい"
    body = f"Before it.\n\n{listed}\n\nAfter it."
    entries, rest = points(body)
    assert entries == ["Short videos won\nin May\n- above all on Sundays", "Mails\nlost", "Next one", "朝がよい"]
    assert rest == "Before it.\n\nAfter it."


def test_nothing_of_a_retrospective_on_a_page_is_lost() -> None:
    long = "so " * 300
    page = (
        "# Spring\n\nStatus: done\nChannels: Email, SMS\n\nIt rained.\n\n## Was funktioniert hat\n\n"
        f"- [x] Videos won {long}end\n  - on Sundays\n\nBut only in May.\n\n"
        "| Lesson | Evidence |\n|---|---|\n| Plain mails win | 4,212 |\n"
    )
    parsed = parse("campaigns/s.md", SourceKind.CAMPAIGN, page)
    assert {item.content.replace(long, "") for item in parsed.items} == {
        "Spring, plan:\nStatus: done\nChannels: Email, SMS",
        "Spring:\nIt rained.",
        "Spring, Was funktioniert hat: Videos won end\n- on Sundays",
        "Spring, Was funktioniert hat:\nBut only in May.",
        "Spring, Was funktioniert hat: Lesson: Plain mails win, Evidence: 4,212",
    }
    assert parsed.items[0].facts["channels"] == ["Email", "SMS"]


def test_a_heading_about_lessons_is_no_campaigns_name() -> None:
    [item] = parse("campaigns/hedge.md", SourceKind.CAMPAIGN, "## Learnings\n\n- Prices came too early\n").items
    assert item.content == "Hedge, Learnings: Prices came too early"


def test_the_id_that_notion_adds_to_a_name_is_no_title() -> None:
    assert texts(guideline("Be kind to them.\n", f"guidelines/Tone of voice {'3f' * 16}.md")) == {
        "Tone of voice\n\nBe kind to them."
    }


def test_notes_of_obsidian_keep_their_tags_and_the_texts_of_their_links() -> None:
    text = (
        "# Voice\n\nBe calm #tone/dry, see [[Brand book|the book]].\n![[logo.png]]\n%% later %%\n\n"
        "```dataview\nTABLE x\n```\n\n# Colours\n\nGreen is `#nothing` and #0fa, see https://x.example/a#b.\n"
    )
    items = guideline(text)
    assert items["guideline/voice.md#Voice"].content == "Voice\n\nBe calm #tone/dry, see the book."
    assert [item.tags for item in items.values()] == [("tone/dry",), ()]


def test_the_records_of_a_data_file_are_an_entry_each() -> None:
    posts = [{"id": 1, "title": "Hello", "body": "First post"}, {"id": 2, "title": "Bye", "body": "Second post"}]
    found = by_key(parse("content-library/posts.json", SourceKind.ASSET, posts))
    assert texts(found) == {
        "Approved copy: Posts > Hello\n\nBody: First post",
        "Approved copy: Posts > Bye\n\nBody: Second post",
    }
    rules = {"rules": [{"rule": "Never shout", "why": "It scares"}, {"rule": "Always thank"}]}
    assert texts(by_key(parse("guidelines/r.json", SourceKind.GUIDELINE, rules))) == {
        "R > rules\n\nRule: Never shout\nWhy: It scares",
        "R > rules\n\nRule: Always thank",
    }


@pytest.mark.parametrize("name", ["empty.md", "headings.md", "comment.md", "header.csv"])
def test_a_page_that_says_nothing_is_named(name: str) -> None:
    data = {"empty.md": "", "headings.md": "# A\n## B\n", "comment.md": "<!-- later -->", "header.csv": "A,B\n"}[name]
    parsed = parse(f"guidelines/{name}", SourceKind.GUIDELINE, data)
    assert not parsed.items
    assert [(finding.code, finding.path) for finding in parsed.findings] == [("empty-text", f"guidelines/{name}")]


def test_marks_without_a_width_do_not_cut_words() -> None:
    assert (
        insights([{"insight": "Pea\u00adgravel and zero\u200bwidth\u00a0sell"}])[0].content
        == "Peagravel and zerowidth\u00a0sell"
    )
    assert texts(guideline("# Tone\n\nBe\ufeff calm\u2060ly.\n")) == {"Voice > Tone\n\nBe calmly."}


# Tables ---------------------------------------------------------------------------------------------------------------


def test_an_export_with_several_tables_has_the_names_of_each() -> None:
    text = "# ----\n# Google Analytics\n\nChannel,Sessions\nEmail,100\nSMS,50\n\nDay,Users\n1/1/26,5\n1/2/26,6\n"
    found = [item.content for item in parse("performance/ga.csv", SourceKind.PERFORMANCE, text).items]
    assert found == [
        "Performance report Ga, Google Analytics\n- Channel: Email, Sessions: 100\n- Channel: SMS, Sessions: 50",
        "Performance report Ga\n- Day: 1/1/26, Users: 5\n- Day: 1/2/26, Users: 6",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nCampaign;Note\nA;x, y\nB;z\n",
        'Campaign,Note\rA,"x, y"\rB,z\r',
        'Campaign\tNote\nA\t"x,\ny"\nB\tz\n',
        "\ufeffCampaign|Note\nA|x, y\nB|z\n",
    ],
)
def test_a_table_is_read_however_it_was_saved(text: str) -> None:
    [item] = parse("performance/t.csv", SourceKind.PERFORMANCE, text).items
    assert item.content == "Performance report T\n- Campaign: A, Note: x, y\n- Campaign: B, Note: z"


def test_of_two_columns_with_one_name_both_are_read() -> None:
    [item] = insights("Insight,Value,Value\nMails won again,3,4\n", "insights.csv")
    assert item.content == "Mails won again\n\nValue: 3\nValue 2: 4"


# Records --------------------------------------------------------------------------------------------------------------


def test_audiences_without_a_name_are_kept_and_known_by_what_they_say() -> None:
    one, other = {"pain": "No storage at home"}, {"pain": "No car for it"}
    before = by_key(parse("audiences.json", SourceKind.AUDIENCES, {"segments": [one]}))
    after = by_key(parse("audiences.json", SourceKind.AUDIENCES, {"segments": [other, one]}))
    assert (len(before), len(after)) == (1, 2)
    assert set(before) < set(after)
    assert len(parse("audiences.json", SourceKind.AUDIENCES, [one, other]).items) == 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("signals/s.json", SourceKind.SIGNALS),
        ("intelligence/active/l.json", SourceKind.INTELLIGENCE),
        ("competitors/a/mentions/m.json", SourceKind.COMPETITORS),
        ("competitors/a/ads/m.json", SourceKind.COMPETITORS),
    ],
)
def test_a_record_is_read_whatever_its_text_is_called(path: str, kind: SourceKind) -> None:
    [item] = parse(path, kind, {"headline": "Free returns until May", "seen": "2026-03-01"}).items
    assert "Free returns until May" in item.content


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("signals/all.json", SourceKind.SIGNALS, "signal"),
        ("intelligence/active/all.json", SourceKind.INTELLIGENCE, "insight"),
        ("geo/audits/all.json", SourceKind.GEO, "query"),
    ],
)
def test_a_record_of_a_list_is_not_known_by_its_place(path: str, kind: SourceKind, name: str) -> None:
    records = [{name: "Prices went up", "result": "Third"}, {name: "Prices went down", "result": "Second"}]
    before = by_key(parse(path, kind, records))
    after = by_key(parse(path, kind, [{name: "Prices stayed", "result": "First"}, *records]))
    assert len(after) == 3
    assert all(after[key].content == item.content for key, item in before.items())


@pytest.mark.parametrize(
    ("path", "kind"), [("competitors.json", SourceKind.COMPETITORS), ("geo/audits/a.json", SourceKind.GEO)]
)
def test_a_record_that_says_nothing_is_named(path: str, kind: SourceKind) -> None:
    parsed = parse(
        path, kind, [{"name": "Redfin", "query": "kayaks"}] if kind is SourceKind.GEO else [{"name": "Redfin"}]
    )
    assert [finding.code for finding in parsed.findings] == ["empty-text"] * (not parsed.items)


def test_a_rejection_is_one_in_every_word_for_it_and_keeps_its_reason() -> None:
    records = [
        {"status": "declined", "feedback": "Off brand"},
        {"status": "changes_requested", "content": "BUY NOW", "comments": ["Too loud"]},
        {"status": "approved", "comments": ["Lovely text"]},
    ]
    found = [item.content for item in parse("approvals/all.json", SourceKind.APPROVALS, records).items]
    assert found == ["Rejected: Off brand", "Rejected: BUY NOW\nReason: Too loud"]


def test_a_violation_is_read_whatever_its_fields_are_called() -> None:
    records = [{"rule_violated": "Never shout", "excerpt": "BUY NOW"}, {"message": "Said cheap in a mail"}]
    assert [item.content for item in parse("guideline-violations.json", SourceKind.VIOLATIONS, records).items] == [
        "Guideline violated: Never shout\nText: BUY NOW",
        "Guideline violated: Said cheap in a mail",
    ]


def test_recommendations_beside_figures_are_an_entry_each_if_one_is_short() -> None:
    snapshot = {"orders": 3, "recommendations": ["Send more of them on Sundays", "Call first", "ok"]}
    assert texts(by_key(parse("performance/p.json", SourceKind.PERFORMANCE, snapshot))) == {
        "Performance of p\nOrders: 3",
        "Performance of p, recommendations: Send more of them on Sundays",
        "Performance of p, recommendations: Call first",
    }


def test_audiences_of_a_panel_that_are_mere_names_are_kept_together() -> None:
    panel = {"panel_id": "p1", "segments": ["Anglers", {"name": "Families", "pain": "No space"}, "Clubs"]}
    assert texts(by_key(parse("panels/p1/panel.json", SourceKind.AUDIENCES, panel))) == {
        "Audience Families (P1)\nPain: No space",
        "Panel P1\nAudiences: Anglers, Clubs",
    }


def test_keys_that_differ_in_case_alone_are_both_read() -> None:
    assert texts(campaign({"learnings": ["One of two"], "Learnings": ["Two of two"]})) == {
        "c, learning: One of two",
        "c, learnings 2: Two of two",
    }


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "spring - Kopie.json",
        "spring - Copie (2).json",
        "Copy of spring.json",
        "Copia de spring.json",
        "spring copy 2.json",
        "spring のコピー.json",
        "spring - 副本.json",
        "spring_conflict-20260102-101010.json",
        "spring (نسخة متعارضة).json",
    ],
)
def test_a_copy_is_one_in_every_language_if_its_original_lies_beside_it(home: Home, brand: Path, name: str) -> None:
    write(brand / "campaigns", {"spring.json": {"budget": "1 EUR"}, name: {"budget": "2 EUR"}})
    assert [file.conflict_copy for file in list_sources(home, "kopi", "all").files] == [False, True]
    (brand / "campaigns" / "spring.json").unlink()
    alone = "conflict" in name or "متعارض" in name
    assert [file.conflict_copy for file in list_sources(home, "kopi", "all").files] == [alone]


def test_a_copywriters_text_is_no_copy(home: Home, brand: Path) -> None:
    write(brand / "guidelines", {"landing page.md": "Short.", "landing page copy.md": "Buy it."})
    assert not any(file.conflict_copy for file in list_sources(home, "kopi", "all").files)


def test_a_name_that_begins_with_a_number_sign_is_a_name(home: Home, brand: Path) -> None:
    write(
        brand / "guidelines", {"#1 rule.md": "Be kind.", "~ideas.md": "Be bold.", "#rule.md#": "x", "~$rule.docx": "x"}
    )
    write(brand / "campaigns", {"$RECYCLE.BIN/old.json": {"budget": 1}, "__MACOSX/x.json": {"budget": 1}})
    listing = list_sources(home, "kopi", "all")
    assert [file.path for file in listing.files] == ["guidelines/#1 rule.md", "guidelines/~ideas.md"]
    assert not listing.unread


# What must not be said -----------------------------------------------------------------------------------------------

PAIR = {"word": "cheap", "use_instead": "affordable", "reason": "it sounds low"}


@pytest.mark.parametrize(
    ("name", "value", "banned", "preferred"),
    [
        ("restrictions.csv", "Banned word,Use instead\ncheap,affordable\nmiracle,\n", ("cheap", "miracle"), True),
        ("restrictions.csv", "cheap\nmiracle\n", ("cheap", "miracle"), False),
        ("legal/restrictions.md", "# Banned words\n\n- cheap\n", ("cheap",), False),
        ("restrictions.html", "<h1>Banned words</h1><ul><li>cheap</li></ul>", ("cheap",), False),
        ("restrictions.txt", "Banned words:\ncheap, miracle\n", ("cheap", "miracle"), False),
        ("restrictions.md", "Never use: cheap, miracle\n", ("cheap", "miracle"), False),
        ("restrictions.md", "**Banned words**\n\n- [x] cheap\n• miracle\n", ("cheap", "miracle"), False),
        ("restrictions.md", "---\nbanned_words: [cheap]\n---\n", ("cheap",), False),
        ("restrictions.md", "# 使ってはいけない言葉\n\n・激安\n", ("激安",), False),
        ("restrictions.md", "| ❌ | ✅ |\n|---|---|\n| cheap | affordable |\n", ("cheap",), True),
        ("restrictions.md", '# Banned words\n\n"cheap" / "miracle"\n', ("cheap", "miracle"), False),
        ("restrictions.md", "# Mots interdits\n\n- « cheap » : préférer « affordable »\n", ("cheap",), True),
        ("restrictions.md", "# Banned words\n\n- *any* miracle\n", ("any* miracle",), False),
        ("restrictions.json", [PAIR, {"word": "miracle"}], ("cheap", "miracle"), True),
        ("restrictions.json", {"banned_words": [PAIR]}, ("cheap",), True),
        ("restrictions.json", {"banned_words": {"price": "cheap, budget"}}, ("cheap", "budget"), False),
        ("restrictions.yaml", "banned:\n  - cheap: use affordable\n  - miracle\n", ("cheap", "miracle"), True),
        ("restrictions.yaml", "banned_words:\n  cheap: affordable\n  miracle:\n", ("cheap", "miracle"), True),
        ("verbotene-wörter.md", "- cheap\n- miracle\n", ("cheap", "miracle"), False),
    ],
)
def test_words_that_are_banned_are_understood_and_nothing_else_is(
    home: Home, brand: Path, name: str, value: object, banned: tuple[str, ...], preferred: bool
) -> None:
    write(brand / "guidelines", {name: value})
    context = load_context(home, "kopi", Limits())
    assert context.banned_words == banned
    assert context.preferred == ((("cheap", "affordable"),) if preferred else ())
    assert [finding.code for finding in context.findings] == ["profile-defaults"]
