"""Preparing an item: what leaves for the layers is guarded, flagged, tagged and hashed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext
from dm_memory.items import Facts, Kind
from dm_memory.sync.payloads import Preparer
from dm_memory.text.hashing import content_hash
from tests.support.sample_items import make_item
from tests.text.conftest import context, preparer

__all__ = ["context", "preparer"]  # fixtures


def test_a_harmless_item_keeps_its_text_and_facts(preparer: Preparer) -> None:
    item = make_item("LinkedIn works in the US.", {"insight_type": "benchmark"}, recorded_at="2026-02-01T08:00:00")
    prepared = preparer.prepare(item)
    assert prepared.content == item.content
    assert prepared.content_hash == content_hash(item.content)
    assert prepared.facts == {"insight_type": "benchmark"}
    assert {"channel:linkedin", "market:us", "quarter:2026-q1", "type:benchmark"} <= set(prepared.detected)
    assert prepared.given == ()
    assert (prepared.guard_hits, prepared.findings, prepared.refused) == ((), (), "")


def test_personal_data_is_masked_in_text_and_facts_and_counted_together(preparer: Preparer) -> None:
    facts: Facts = {"name": "jane@example.com", "channels": ["sms", "bob@example.com"], "budget": 12}
    prepared = preparer.prepare(make_item("Ask jane@example.com or (555) 123-4567", facts))
    assert prepared.content == "Ask [e-mail] or [phone]"
    assert prepared.facts == {"name": "[e-mail]", "channels": ["sms", "[e-mail]"], "budget": 12}
    assert dict(prepared.guard_hits) == {"e-mail address": 3, "phone number": 1}
    assert prepared.content_hash == content_hash("Ask [e-mail] or [phone]")


def test_personal_data_reaches_no_tag(preparer: Preparer) -> None:
    facts: Facts = {"insight_source": "jane@example.com", "channels": ["bob@example.com"], "campaign_id": "x"}
    prepared = preparer.prepare(make_item("Fine.", facts, tags=("eve@example.com", "launch")))
    assert not [tag for tag in (*prepared.detected, *prepared.given) if "example" in tag]
    assert prepared.given == ("launch",)
    assert dict(prepared.guard_hits) == {"e-mail address": 3}


def test_a_masked_address_does_not_make_a_text_about_email(preparer: Preparer) -> None:
    assert "channel:email" not in preparer.prepare(make_item("Ask jane@example.com")).detected
    assert "channel:email" in preparer.prepare(make_item("Ask jane@example.com by email")).detected


def test_a_credential_in_a_text_refuses_the_item_and_leaves_nothing_of_it(preparer: Preparer) -> None:
    secret = "Summer2024!"  # noqa: S105  # invented
    item = make_item(f"password: {secret}")
    prepared = preparer.prepare(item)
    assert "password" in prepared.refused
    assert (prepared.content, prepared.facts, prepared.detected, prepared.given) == ("", {}, (), ())
    assert secret not in repr(replace(prepared, item=make_item()))
    assert prepared.guard_hits == (("password", 1),)
    assert prepared.content_hash == content_hash(item.content)


def test_a_credential_in_a_detail_leaves_the_detail_out(preparer: Preparer) -> None:
    prepared = preparer.prepare(make_item("Fine.", {"notes": "password: Summer2024!", "budget": 12}))
    assert (prepared.refused, prepared.content, prepared.facts) == ("", "Fine.", {"budget": 12})
    assert prepared.guard_hits == (("password", 1),)
    assert "Summer" not in repr(replace(prepared, item=make_item()))


def test_a_given_tag_with_a_credential_is_left_out_and_counted(preparer: Preparer) -> None:
    prepared = preparer.prepare(make_item(tags=("launch", "password=Summer2024!")))
    assert prepared.given == ("launch",)
    assert prepared.guard_hits == (("password", 1),)


def test_a_flagged_text_is_stored_with_its_flags_and_findings(preparer: Preparer) -> None:
    prepared = preparer.prepare(make_item("A cheap, clinically proven roast", key="insight/7"))
    assert prepared.content == "A cheap, clinically proven roast"
    assert prepared.facts["flags"] == ["banned-word:cheap", "restricted-claim:clinically proven"]
    assert [(finding.code, finding.key) for finding in prepared.findings] == [
        ("banned-word", "insight/7"),
        ("restricted-claim", "insight/7"),
    ]


def test_the_guideline_that_lists_the_banned_words_is_not_flagged_for_them(preparer: Preparer) -> None:
    prepared = preparer.prepare(make_item("Banned words: cheap", kind=Kind.GUIDELINE))
    assert prepared.findings == ()
    assert "flags" not in prepared.facts


def test_given_tags_have_one_spelling(preparer: Preparer) -> None:
    prepared = preparer.prepare(make_item(tags=("Spring Launch", "Launch", "spring_launch")))
    assert prepared.given == ("launch", "spring-launch")
    assert "type:insight" in prepared.detected


def test_the_fingerprint_tells_when_unchanged_files_must_be_read_again(context: BrandContext) -> None:
    one = Preparer.of("ember", context, "mask").fingerprint
    assert Preparer.of("ember", context, "mask").fingerprint == one
    assert Preparer.of("ember", context, "keep").fingerprint != one
    assert Preparer.of("ember", replace(context, fingerprint="other"), "mask").fingerprint != one


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(min_size=1, max_size=300),
    facts=st.dictionaries(
        st.text(max_size=10), st.one_of(st.text(), st.integers(), st.booleans(), st.lists(st.text()))
    ),
    kind=st.sampled_from(Kind),
    tags=st.lists(st.text(max_size=30), max_size=5).map(tuple),
)
def test_any_item_is_prepared_or_refused(
    preparer: Preparer, text: str, facts: dict[str, str | int | bool | list[str]], kind: Kind, tags: tuple[str, ...]
) -> None:
    prepared = preparer.prepare(make_item(text, facts, kind=kind, tags=tags))
    assert prepared.refused or prepared.content
    assert len(prepared.content_hash) == 64
    assert preparer.prepare(make_item(text, facts, kind=kind, tags=tags)) == prepared
