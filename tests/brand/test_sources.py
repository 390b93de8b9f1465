"""Items out of the brand's files: keys, texts, facts, and what happens to entries that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext, load_context
from dm_memory.brand.files import BrandFileError, Limits, read_brand_file
from dm_memory.brand.home import Home
from dm_memory.brand.sources import ParsedFile, SourceFile, SourceKind, parse_source, source_files
from dm_memory.items import ContentType

CONTEXT = BrandContext("kopi", "Kopi")
SAMPLE = Home(Path(__file__).parents[2] / "examples" / "home")
FILES = {
    SourceKind.INSIGHTS: SourceFile("insights.json", SourceKind.INSIGHTS),
    SourceKind.CAMPAIGN: SourceFile("campaigns/spring.json", SourceKind.CAMPAIGN),
    SourceKind.PERFORMANCE: SourceFile("performance/snap.json", SourceKind.PERFORMANCE),
    SourceKind.GUIDELINE: SourceFile("guidelines/voice.md", SourceKind.GUIDELINE),
}


def parse(kind: SourceKind, value: object, limits: Limits | None = None) -> ParsedFile:
    data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return parse_source(FILES[kind], data, CONTEXT, limits or Limits())


def texts(parsed: ParsedFile) -> dict[str, str]:
    return {item.key: item.content for item in parsed.items}


def test_an_insight_keeps_its_context_and_its_action() -> None:
    entry = {"recorded_at": " 2026-01-05T10:00:00 ", "type": "benchmark", "source": "agent", "insight": " Opens rose. "}
    [item] = parse(SourceKind.INSIGHTS, [entry | {"context": {"list": "B"}, "actionable": "Repeat it"}]).items
    assert item.key == "insight/2026-01-05T10:00:00"
    assert item.content == "Opens rose.\n\nContext: List: B\nAction: Repeat it"
    assert item.content_type is ContentType.PERFORMANCE_INSIGHT
    assert item.facts == {"insight_type": "benchmark", "insight_source": "agent"}


def test_insights_of_one_moment_share_a_key_and_undated_ones_never_do() -> None:
    dated = [{"recorded_at": "2026-01-05", "insight": text} for text in ("a", "b")]
    undated = [{"insight": "same"}, {"insight": "same", "recorded_at": " "}]
    keys = [item.key for item in parse(SourceKind.INSIGHTS, dated + undated).items]
    assert keys[:2] == ["insight/2026-01-05"] * 2
    assert keys[2].startswith("insight/undated-")
    assert keys[3] == f"{keys[2]}~2"


def test_one_malformed_insight_stops_only_itself() -> None:
    deep: object = "x"
    for _ in range(100):
        deep = [deep]
    parsed = parse(SourceKind.INSIGHTS, [5, {"insight": ""}, {"insight": "kept"}, {"insight": "d", "context": deep}])
    assert [item.content for item in parsed.items] == ["kept"]
    assert [finding.code for finding in parsed.findings] == ["malformed-entry", "empty-text", "malformed-entry"]
    assert parsed.entries == 4


def test_a_text_beyond_the_limit_is_reported_and_the_rest_kept() -> None:
    parsed = parse(SourceKind.INSIGHTS, [{"insight": "x" * 11}, {"insight": "y"}], Limits(max_content_chars=10))
    assert [item.content for item in parsed.items] == ["y"]
    assert [finding.code for finding in parsed.findings] == ["text-too-long"]


@pytest.mark.parametrize("kind", [SourceKind.INSIGHTS, SourceKind.CAMPAIGN])
def test_a_file_of_the_wrong_shape_is_broken_as_a_whole(kind: SourceKind) -> None:
    with pytest.raises(BrandFileError):
        parse(kind, "5")


def test_a_campaign_gives_an_item_per_lesson() -> None:
    campaign = {
        "campaign_id": "c1",
        "created_at": "2026-01-01",
        "updated_at": "2026-02-02",
        "name": "Spring",
        "status": "active",
        "channels": ["email"],
        "results": {"revenue": 5, "email": {"opens": 3}},
        "retrospective": {
            "what_worked": ["Short videos", {"point": "Sundays", "evidence": "opens"}],
            "next_time": "Earlier",
        },
        "strategy_decisions": [{"date": "2026-01-09", "decision": "Move budget", "rationale": "cost"}, "Stop ads"],
        "learnings": "Trust the data",
        "mood": "calm",
        "roi": 3.2,
    }
    parsed = parse(SourceKind.CAMPAIGN, campaign)
    assert texts(parsed) == {
        "campaign/c1#plan": "Spring, plan:\nStatus: active\nChannels: email\nROI: 3.2",
        "campaign/c1#results/email": "Spring, results, email: Opens: 3",
        "campaign/c1#results": "Spring, results: Revenue: 5",
        "campaign/c1#retrospective/what_worked/0": "Spring, what worked: Short videos",
        "campaign/c1#retrospective/what_worked/1": "Spring, what worked:\nSundays\nEvidence: opens",
        "campaign/c1#retrospective/next_time": "Spring, next time: Earlier",
        "campaign/c1#strategy_decisions/0": "Spring, strategy decision:\nMove budget\nRationale: cost",
        "campaign/c1#strategy_decisions/1": "Spring, strategy decision: Stop ads",
        "campaign/c1#learnings": "Spring, learning: Trust the data",
        "campaign/c1#mood": "Spring, mood: calm",
    }
    dates = {item.key: item.recorded_at for item in parsed.items}
    assert dates["campaign/c1#strategy_decisions/0"] == "2026-01-09"
    assert set(dates.values()) == {"2026-01-01", "2026-01-09"}
    assert parsed.items[0].facts["channels"] == ["email"]


def test_a_save_that_only_moves_updated_at_changes_no_item() -> None:
    campaign = {"name": "Spring", "learnings": ["a"], "updated_at": "1"}
    assert (
        parse(SourceKind.CAMPAIGN, campaign).items == parse(SourceKind.CAMPAIGN, campaign | {"updated_at": "2"}).items
    )


def test_a_campaign_without_an_id_is_known_by_its_file() -> None:
    assert [*texts(parse(SourceKind.CAMPAIGN, {"learnings": ["a"]}))] == ["campaign/spring#learnings/0"]


def test_a_snapshot_reads_as_text() -> None:
    snapshot = {"campaign_id": "c1", "period": "May", "metrics": {"opens": 3}, "vs_kpi": {"opens": "on target"}}
    assert texts(parse(SourceKind.PERFORMANCE, snapshot)) == {
        "performance/snap": "Performance of c1, May\nMetrics: opens: 3\nAgainst the targets: opens: on target"
    }


def test_a_guideline_is_cut_at_its_headings_but_not_inside_code() -> None:
    markdown = "Hello\n\n# A\n\n## Empty\n\n## B\nb\n```\n# no heading\n```\n\n## B\nagain\n"
    assert texts(parse(SourceKind.GUIDELINE, markdown)) == {
        "guideline/voice.md#intro": "Hello",
        "guideline/voice.md#A/B": "A > B\n\nb\n```\n# no heading\n```",
        "guideline/voice.md#A/B~2": "A > B\n\nagain",
    }


def test_long_keys_are_shortened_and_stay_distinct() -> None:
    keys = [*texts(parse(SourceKind.CAMPAIGN, {"x" * 600 + "a": "1", "x" * 600 + "b": "2"}))]
    assert len(set(keys)) == 2
    assert all(len(key) == 512 for key in keys)


def test_each_scope_lists_its_files_in_order_and_no_strangers(home: Home, brand: Path) -> None:
    for name in ("campaigns", "performance", "guidelines/custom"):
        (brand / name).mkdir(parents=True)
    wanted = ["insights.json", "campaigns/a.json", "campaigns/b.json", "performance/p.json", "guidelines/g.md"]
    wanted.append("guidelines/custom/c.md")
    strangers = [
        "notes.txt",
        "_index.json",
        ".DS_Store",
        ".#a.json",
        "a.json~",
        "a.json.swp",
        "#a.json#",
        "_manifest.json",
    ]
    for name in [*wanted, *(f"campaigns/{stranger}" for stranger in strangers), "guidelines/_manifest.json"]:
        (brand / name).write_text("")
    assert [file.path for file in source_files(home, "kopi", "all")] == wanted
    assert [file.path for file in source_files(home, "kopi", "insights-only")] == wanted[:1]
    assert [file.path for file in source_files(home, "kopi", "campaigns-only")] == wanted[1:4]


def test_a_folder_that_leads_out_of_the_home_is_reported_when_read(home: Home, brand: Path, tmp_path: Path) -> None:
    (brand / "campaigns").symlink_to(tmp_path)
    [file] = source_files(home, "kopi", "all")
    with pytest.raises(BrandFileError) as caught:
        read_brand_file(brand, file.path, Limits())
    assert caught.value.finding.code == "link-refused"


def test_the_sample_brand_reads_without_a_finding() -> None:
    slug = SAMPLE.resolve(None)
    context = load_context(SAMPLE, slug, Limits())
    folder = SAMPLE.brand_dir(slug)
    files = source_files(SAMPLE, slug, "all")
    parsed = [parse_source(file, read_brand_file(folder, file.path, Limits()), context, Limits()) for file in files]
    contents = [item.content for result in parsed for item in result.items]
    assert not context.findings
    assert not [finding for result in parsed for finding in result.findings]
    assert len(contents) - len(set(contents)) == 1, "one insight is there twice, for the demo to find"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    "insight",
    "recorded_at",
    "type",
    "source",
    "context",
    "actionable",
    "campaign_id",
    "name",
    "status",
    "channels",
]
NAMES += ["results", "retrospective", "strategy_decisions", "learnings", "created_at", "tags", "notes", "snapshot_id"]
NAMES += ["period", "metrics", "decision", "date", "what_worked"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8)


@given(kind=st.sampled_from(SourceKind), value=JSON | OBJECTS | st.lists(OBJECTS, max_size=3))
def test_no_value_in_any_place_breaks_a_parser_or_gives_an_item_that_cannot_be_stored(
    kind: SourceKind, value: object
) -> None:
    try:
        parsed = parse(kind, json.dumps(value))
    except BrandFileError:
        return
    for item in parsed.items:
        assert item.content.strip()
        assert len(item.key) <= 512
        json.dumps([item.key, item.content, item.recorded_at, dict(item.facts), item.tags], ensure_ascii=False).encode()
    if kind is not SourceKind.INSIGHTS:
        assert len(texts(parsed)) == len(parsed.items)
