"""Graph statements that somebody prepared: read from their files, stored, and found as they were stated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.brand.context import BrandContext
from dm_memory.facts.extract import facts_of
from dm_memory.facts.model import EntityType, Relation
from dm_memory.facts.prepared import graph_payload
from dm_memory.sync.payloads import Preparer
from tests.facts.pieces import BRAND, Memory, entry
from tests.facts.sample import payload_of

NAME = "graph-0123456789ab.json"
PREPARER = Preparer.of(BRAND, BrandContext(BRAND, BRAND), "mask")


def document(*relationships: Any, **changes: Any) -> dict[str, Any]:
    made = {
        "brand": BRAND,
        "entity": "Spring Bake-Off",
        "entity_type": "campaign",
        "relationships": list(relationships),
        "created_at": "2026-03-01T10:00:00",
    }
    return made | changes


def related(target: str, relation: str, context: str = "") -> dict[str, str]:
    return {"target": target, "relation_type": relation, "temporal_context": context}


def test_a_prepared_graph_is_an_item_like_any_other_and_says_in_words_what_it_states() -> None:
    parsed = graph_payload(
        NAME, document(related("Gift givers", "TARGETED", "Q2 2026"), related("podcast", "uses_channel"))
    )
    assert parsed.findings == ()
    item = parsed.item
    assert item is not None
    assert item.key == "prepared/graph-0123456789ab"
    assert item.prepared_hash == "graph-0123456789ab"
    assert item.content == "Spring Bake-Off targeted Gift givers (Q2 2026).\nSpring Bake-Off uses channel podcast."
    assert item.origin == f"memory/pending/{NAME}"


def test_its_facts_are_the_ones_that_were_stated() -> None:
    item = graph_payload(
        NAME,
        document(
            related("Gift givers", "targets"),
            related("Podcast", "used", "since 2026-02-14"),
            related("signups", "achieved", "in 2026-04"),
            related("Winter Bake-Off", "replaced"),
            related("Northbean", "competes with"),
            related("Sourdough", "features"),
            related("acme", "run by"),
        ),
    ).item
    assert item is not None
    found = [
        (fact.relation, fact.object.type, fact.object.name, fact.valid_at[:7])
        for fact in facts_of(payload_of(BRAND, PREPARER, item)).facts
    ]
    assert found == [
        (Relation.TARGETED, EntityType.AUDIENCE, "Gift givers", "2026-03"),
        (Relation.USED, EntityType.CHANNEL, "Podcast", "2026-02"),
        (Relation.ACHIEVED, EntityType.METRIC, "signups", "2026-04"),
        (Relation.REPLACED, EntityType.CAMPAIGN, "Winter Bake-Off", "2026-03"),
        (Relation.RELATED, EntityType.COMPETITOR, "Northbean", "2026-03"),
        (Relation.RELATED, EntityType.TOPIC, "Sourdough", "2026-03"),
        (Relation.RELATED, EntityType.TOPIC, "acme", "2026-03"),
    ]


def test_a_stored_graph_is_found_by_its_ends() -> None:
    item = graph_payload(
        NAME, document(related("Gift givers", "targeted"), entity="Northbean", entity_type="competitor")
    ).item
    assert item is not None
    memory = Memory()
    memory.store([payload_of(BRAND, PREPARER, item)])
    for name in ("gift givers", "Northbean"):
        (fact,) = memory.facts(name)
        assert (fact.subject.type, fact.subject.name) == (EntityType.COMPETITOR, "Northbean")
        assert fact.text == "Northbean targeted Gift givers."


def test_personal_data_in_a_prepared_graph_is_masked_in_its_facts_as_well() -> None:
    item = graph_payload(NAME, document(related("jonas@example.com", "targeted"))).item
    assert item is not None
    made = payload_of(BRAND, PREPARER, item)
    assert "jonas" not in made.content + "".join(fact.text for fact in facts_of(made).facts)
    assert facts_of(made).facts[0].object.name == "[e-mail]"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "is not a graph payload"),
        ({"entity": "  "}, "is not a graph payload"),
        (document(), "states no relationship"),
        (document(related("", "used")), "has no target in relationship 1"),
        (document("text"), "has no target in relationship 1"),
        ({"entity": "x", "relationships": "y"}, "states no relationship"),
    ],
)
def test_a_file_that_states_nothing_is_a_finding_and_no_item(data: object, message: str) -> None:
    parsed = graph_payload(NAME, data)
    assert parsed.item is None
    assert message in parsed.findings[0].message
    assert parsed.findings[0].path == f"memory/pending/{NAME}"


def test_what_can_be_used_is_used_and_the_rest_is_reported() -> None:
    parsed = graph_payload(NAME, document(related("email", "used"), {"relation_type": "used"}, entity_type="spaceship"))
    assert parsed.item is not None
    assert [finding.message.partition(" ")[2] for finding in parsed.findings] == [
        "has no target in relationship 2, which was left out.",
        "has the unknown entity type 'spaceship'; it is treated as a topic.",
    ]


def test_a_file_of_endless_relationships_is_cut_and_says_so() -> None:
    parsed = graph_payload(NAME, document(*(related(f"target {number}", "used") for number in range(60))))
    assert parsed.item is not None
    assert parsed.item.content.count("\n") == 49
    assert "60 relationships; 50 were taken" in parsed.findings[0].message


def test_a_graph_whose_fields_the_guard_masked_beyond_reading_is_still_an_entry() -> None:
    broken = entry(
        "prepared/graph-1", "x targeted y.", kind="prepared", facts={"graph_relations": ["[e-mail]", '["a"]', "3"]}
    )
    assert [fact.text for fact in facts_of(broken).facts] == ["x targeted y."]
    assert facts_of(replace(broken, facts={"graph_relations": "x"})).facts


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["target", "relation_type", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.one_of(json_values, st.builds(document, json_values, json_values)))
def test_whatever_json_such_a_file_holds_it_gives_an_item_or_a_finding(data: object) -> None:
    parsed = graph_payload(NAME, data)
    assert parsed.item is not None or parsed.findings
