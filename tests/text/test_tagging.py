"""Tags: detected from facts and texts, normalised, limited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext
from dm_memory.errors import InputError
from dm_memory.items import Facts, Kind
from dm_memory.text.tags import MAX_TAG_CHARS, MAX_TAGS, Tagger, checked_tags, normalise_tag, normalise_tags
from tests.support.sample_items import make_item


def detected(context: BrandContext, text: str, **facts: str | list[str]) -> set[str]:
    return set(Tagger(context).tags(make_item(text, facts), text))


def test_an_insight_is_tagged_by_type_source_quarter_and_industry(context: BrandContext) -> None:
    item = make_item(
        facts={"insight_type": "competitor_insight", "insight_source": "Weekly Review"},
        recorded_at="2026-08-05T10:00:00",
    )
    assert Tagger(context).tags(item, item.content) == (
        "industry:food-beverage",
        "quarter:2026-q3",
        "source:weekly-review",
        "type:competitor-insight",
    )


def test_a_campaign_item_is_tagged_by_section_id_and_channels(context: BrandContext) -> None:
    facts: Facts = {
        "section": "retrospective/what_worked",
        "campaign_id": "Spring_2026",
        "channels": ["Google Ads", "E-Mail", "Zeppelin"],
    }
    item = make_item("It went well.", facts, kind=Kind.CAMPAIGN)
    tags = Tagger(context).tags(item, item.content)
    wanted = {
        "type:campaign-retrospective",
        "campaign:spring-2026",
        "channel:paid-search",
        "channel:email",
        "channel:zeppelin",
    }
    assert wanted <= set(tags)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("EMAIL works", "channel:email"),
        ("our e-mails,", "channel:email"),
        ("a newsletter/SMS mix", "channel:sms"),
        ("Paid\nsearch wins", "channel:paid-search"),
        ("PPC", "channel:paid-search"),
        ("Google Ads", "channel:paid-search"),
        ("better SEO.", "channel:seo"),
        ("(LinkedIn)", "channel:linkedin"),
        ("Instagram Reels", "channel:instagram"),
        ("TikTok", "channel:tiktok"),
        ("Facebook's reach", "channel:facebook"),
        ("YouTube", "channel:youtube"),
        ("a podcast", "channel:podcast"),
        ("two influencers", "channel:influencer"),
        ("the trade show", "channel:events"),
        ("affiliates", "channel:affiliate"),
        ("Good PR helps", "channel:pr"),
        ("display ads", "channel:display"),
        ("blog posts", "channel:blog"),
        ("content marketing", "channel:content"),
        ("the webinar", "channel:webinar"),
        ("direct-mail", "channel:direct-mail"),
        ("“LinkedIn”\u2013only", "channel:linkedin"),
        ("In the US we grow", "market:us"),
        ("The USA", "market:us"),
        ("German market: Germany", "market:germany"),
        ("Deutschland", "market:germany"),
        ("Better than Blue  Bottle\nCoffee", "competitor:blue-bottle-coffee"),
        ("atlas coffee club grows", "competitor:atlas-coffee-club"),
        ("Target opened cafés", "competitor:target"),
        ("Plan Q3 2026", "quarter:2026-q3"),
        ("q4/2025", "quarter:2025-q4"),
        ("Q1 '27 plan", "quarter:2027-q1"),
        ("2026-Q2", "quarter:2026-q2"),
        ("2026 Q2", "quarter:2026-q2"),
    ],
)
def test_what_a_text_names_becomes_a_tag(context: BrandContext, text: str, tag: str) -> None:
    assert tag in detected(context, text)


@pytest.mark.parametrize(
    "text",
    [
        "Tell us about the target audience",
        "A search for content: display it, print it, pr",
        "Blue cups and a bottle of coffee",
        "Q3 was good, FAQ3 2026, Q3 20% up, q5 2026",
        "semantic unblogged seoul",
        "The latin america of tomorrow",
    ],
)
def test_words_that_only_look_like_names_do_not(context: BrandContext, text: str) -> None:
    assert detected(context, text) == {"industry:food-beverage", "source:insight", "type:insight"}


def test_a_market_in_the_campaigns_name_counts(context: BrandContext) -> None:
    assert "market:germany" in detected(context, "It went well.", campaign_name="Spring Germany 2026")


def test_a_brand_with_one_market_stamps_it_and_one_with_two_does_not(context: BrandContext) -> None:
    assert "market:japan" in detected(replace(context, target_markets=("Japan",)), "It went well.")
    assert not [tag for tag in detected(context, "It went well.") if tag.startswith("market:")]


def test_names_in_scripts_without_spaces_are_found_inside_a_sentence(context: BrandContext) -> None:
    assert "market:日本" in detected(replace(context, target_markets=("日本", "US")), "来年は日本市場に注力する")


def test_an_empty_context_still_tags() -> None:
    item = make_item("Nothing to see.")
    assert Tagger(BrandContext("x", "X")).tags(item, item.content) == ("source:insight", "type:insight")


@pytest.mark.parametrize(
    "date",
    [
        "",
        "2026",
        "2026-13-01",
        "yesterday",
        "2026-00-01",
        "\u0662\u0660\u0662\u0666-\u0660\u0661-\u0660\u0661",
        "2026/01/01",
    ],
)
def test_a_date_that_is_none_gives_no_quarter(context: BrandContext, date: str) -> None:
    item = make_item(recorded_at=date)
    assert not [tag for tag in Tagger(context).tags(item, item.content) if tag.startswith("quarter:")]


@given(
    st.text(max_size=200),
    st.dictionaries(st.sampled_from(["insight_type", "campaign_id", "section"]), st.text(max_size=80)),
)
def test_any_text_and_facts_give_normalised_tags(text: str, facts: dict[str, str]) -> None:
    tags = Tagger(BrandContext("x", "X", industry="Retail")).tags(make_item(text or "x", facts), text)
    assert list(tags) == sorted(set(tags))
    assert all(normalise_tag(tag) == tag for tag in tags)


@pytest.mark.parametrize(
    ("given_tag", "tag"),
    [
        ("  My  Tag ", "my-tag"),
        ("#BlackFriday", "blackfriday"),
        ("channel:Email", "channel:email"),
        ("A/B test", "a/b-test"),
        ("snake_case", "snake-case"),
        ("CAFÉ", "café"),
        ("日本", "日本"),
        ("हिन्दी", "हिन्दी"),
        ("---", None),
        ("", None),
        ("x" * 80, "x" * MAX_TAG_CHARS),
    ],
)
def test_a_tag_has_one_spelling(given_tag: str, tag: str | None) -> None:
    assert normalise_tag(given_tag) == tag


@given(st.text(max_size=100))
def test_a_normalised_tag_stays_as_it_is(text: str) -> None:
    tag = normalise_tag(text)
    assert tag is None or (normalise_tag(tag) == tag and len(tag) <= MAX_TAG_CHARS and tag.encode())


def test_lists_of_tags_are_sorted_unique_and_limited() -> None:
    assert normalise_tags(["b", "A", "a", "!"]) == ("a", "b")
    assert len(normalise_tags(str(number) for number in range(80))) == MAX_TAGS


def test_tags_in_a_call_that_break_a_limit_are_an_error_with_a_way_out() -> None:
    assert checked_tags(["Launch", "launch"]) == ("launch",)
    for tags in ([str(number) for number in range(51)], ["x" * 65], ["!!"]):
        with pytest.raises(InputError) as caught:
            checked_tags(tags)
        assert caught.value.remedy


@pytest.mark.parametrize(
    ("languages", "text", "tag"),
    [
        (("de",), "Die Außenwerbung zog am besten", "channel:out-of-home"),
        (("de",), "Auf der Messe kamen die Händler", "channel:events"),
        (("fr",), "Le courriel du matin", "channel:email"),
        (("es",), "Las redes sociales venden", "channel:social"),
        (("ja",), "メルマガの開封率が上がった", "channel:email"),
        (("nl",), "De nieuwsbrief werkt", "channel:email"),
    ],
)
def test_channels_are_known_in_the_languages_of_the_brand(
    context: BrandContext, languages: tuple[str, ...], text: str, tag: str
) -> None:
    assert tag in detected(replace(context, languages=languages), text)


def test_a_word_of_another_language_is_no_channel(context: BrandContext) -> None:
    assert "channel:events" not in detected(context, "A messe of pottage")


def test_a_channel_that_a_campaign_names_is_known_in_any_language(context: BrandContext) -> None:
    assert "channel:events" in detected(context, "It went well.", channels=["événements"])
