"""What every memory layer must do. An adapter's test class derives from ``LayerContract`` and says how to make one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from dm_memory.errors import ErrorClass
from dm_memory.services.protocol import Layer, SearchableLayer, SearchQuery
from tests.services.payloads import payload

Scenario = Callable[[Any], Awaitable[None]]


class LayerContract:
    """The contract of ``dm_memory.services.protocol``, as tests.

    A derived class has a fixture ``make_layer``: a function that returns, at each call, another layer object over the
    same storage, which is empty at first.
    """

    @pytest.fixture
    def play(self, make_layer: Callable[[], Layer]) -> Callable[[Scenario], None]:
        """Return a function that plays a scenario on a layer in an event loop and closes the layer."""

        async def act(scenario: Scenario) -> None:
            layer = make_layer()
            try:
                await scenario(layer)
            finally:
                await layer.close()

        return lambda scenario: asyncio.run(act(scenario))

    def test_it_is_a_layer_and_says_so(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            assert isinstance(layer, Layer)
            assert layer.capabilities.batch_items >= 1
            assert (await layer.health()).ok
            assert await layer.fingerprint()

        play(scenario)

    def test_outcomes_come_in_the_order_of_the_payloads(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            payloads = [payload(number) for number in (7, 3, 9, 1)]
            outcomes = await layer.upsert(payloads)
            assert [outcome.storage_id for outcome in outcomes] == [p.id for p in payloads]
            assert all(outcome.error is None for outcome in outcomes)

        play(scenario)

    def test_storing_the_same_again_changes_nothing(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            payloads = [payload(number) for number in range(5)]
            await layer.upsert(payloads)
            before = await layer.fetch([p.id for p in payloads])
            await layer.upsert(payloads)
            assert await layer.fetch([p.id for p in payloads]) == before
            assert (await layer.capacity()).entries in {None, 5}

        play(scenario)

    def test_a_payload_twice_in_one_batch_is_one_entry(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            outcomes = await layer.upsert([payload(1), payload(1, "The newer text of the two.")])
            held = await layer.fetch([payload(1).id])
            assert [outcome.error for outcome in outcomes] == [None, None]
            assert held[payload(1).id].content_hash == payload(1, "The newer text of the two.").content_hash
            assert (await layer.capacity()).entries in {None, 1}

        play(scenario)

    def test_fetch_tells_only_of_what_is_held(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            assert dict(await layer.fetch([payload(1).id])) == {}
            await layer.upsert([payload(1)])
            held = await layer.fetch([payload(1).id, payload(2).id])
            assert set(held) == {payload(1).id}
            record = held[payload(1).id]
            assert (record.content_hash, record.metadata_hash) == (payload(1).content_hash, payload(1).metadata_hash)

        play(scenario)

    def test_a_changed_text_replaces_the_old_one(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.upsert([payload(1)])
            changed = replace(payload(1, "Everything is different now."), version=2, updated_from="0" * 64)
            await layer.upsert([changed])
            assert (await layer.fetch([changed.id]))[changed.id].content_hash == changed.content_hash
            assert (await layer.capacity()).entries in {None, 1}

        play(scenario)

    def test_metadata_changes_alone(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.upsert([payload(1), payload(2)])
            changed = payload(1, tags=("email", "winter"), facts={"insight_type": "benchmark"})
            outcomes = await layer.update_metadata([changed])
            assert [outcome.error for outcome in outcomes] == [None]
            held = await layer.fetch([payload(1).id, payload(2).id])
            assert held[changed.id].metadata_hash == changed.metadata_hash
            assert held[changed.id].content_hash == changed.content_hash
            assert held[payload(2).id].metadata_hash == payload(2).metadata_hash

        play(scenario)

    def test_metadata_of_what_is_not_held_is_refused_for_that_item(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.upsert([payload(1)])
            outcomes = await layer.update_metadata([payload(2), payload(1)])
            assert outcomes[0].error is not None
            assert outcomes[0].error.error_class is ErrorClass.VALIDATION
            assert outcomes[1].error is None
            assert payload(2).id not in await layer.fetch([payload(2).id])

        play(scenario)

    def test_what_is_deleted_is_gone_and_the_rest_stays(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.delete([payload(1).id])
            await layer.upsert([payload(1), payload(2)])
            await layer.delete([payload(1).id, payload(3).id])
            assert set(await layer.fetch([payload(1).id, payload(2).id])) == {payload(2).id}

        play(scenario)

    def test_one_bad_item_fails_alone(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            bad = payload(2, "Half a pair: \ud800.")
            outcomes = await layer.upsert([payload(1), bad, payload(3)])
            assert [outcome.error is None for outcome in outcomes] == [True, False, True]
            assert set(await layer.fetch([payload(1).id, bad.id, payload(3).id])) == {payload(1).id, payload(3).id}

        play(scenario)

    def test_a_bad_new_version_leaves_the_old_one(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.upsert([payload(2)])
            await layer.upsert([replace(payload(2, "Half a pair: \udfff."), version=2)])
            assert (await layer.fetch([payload(2).id]))[payload(2).id].content_hash == payload(2).content_hash

        play(scenario)

    @pytest.mark.parametrize(
        "text", ["Größe zählt 漢字 🎉 עברית", "zero\x00byte", "<b>**not** markdown</b>", " \t ", "e\u0301"]
    )
    def test_any_text_can_be_stored(self, play: Callable[[Scenario], None], text: str) -> None:
        async def scenario(layer: Layer) -> None:
            outcomes = await layer.upsert([payload(1, text)])
            assert outcomes[0].error is None
            assert payload(1).id in await layer.fetch([payload(1).id])

        play(scenario)

    def test_a_full_batch_and_a_long_text_fit(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            payloads = [payload(number) for number in range(layer.capabilities.batch_items - 1)]
            payloads.append(payload(9999, "A sentence about customers. " * 40_000))
            outcomes = await layer.upsert(payloads)
            assert all(outcome.error is None for outcome in outcomes)
            assert len(await layer.fetch([p.id for p in payloads])) == len(payloads)

        play(scenario)

    def test_an_empty_batch_is_no_error(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            assert await layer.upsert([]) == []
            assert await layer.update_metadata([]) == []
            assert dict(await layer.fetch([])) == {}
            await layer.delete([])

        play(scenario)

    def test_what_is_confirmed_is_there_for_the_next_process(
        self, make_layer: Callable[[], Layer], play: Callable[[Scenario], None]
    ) -> None:
        async def store(layer: Layer) -> None:
            await layer.upsert([payload(1)])

        async def look(layer: Layer) -> None:
            assert payload(1).id in await layer.fetch([payload(1).id])

        play(store)
        play(look)
        assert make_layer() is not make_layer()

    def test_closing_twice_is_no_error_and_calls_may_follow(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            await layer.close()
            await layer.upsert([payload(1)])
            await layer.close()
            await layer.close()
            assert payload(1).id in await layer.fetch([payload(1).id])

        play(scenario)

    def test_several_tasks_may_call_at_once(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: Layer) -> None:
            batches = [[payload(number) for number in range(start, start + 20)] for start in range(0, 200, 20)]
            await asyncio.gather(*(layer.upsert(batch) for batch in batches), layer.health(), layer.capacity())
            assert len(await layer.fetch([p.id for batch in batches for p in batch])) == 200

        play(scenario)


class SearchableLayerContract(LayerContract):
    """What every layer that can be searched must do besides."""

    def test_searching_nothing_finds_nothing(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            assert isinstance(layer, SearchableLayer)
            assert await layer.search(SearchQuery("newsletter")) == []

        play(scenario)

    def test_what_was_stored_is_found_with_all_a_reader_needs(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            wanted = payload(1, "Podcast sponsorships brought the cheapest leads of the year.")
            await layer.upsert([wanted, *(payload(number) for number in range(2, 30))])
            hit = (await layer.search(SearchQuery("cheapest leads podcast", limit=3)))[0]
            assert (hit.id, hit.key, hit.content) == (wanted.id, wanted.key, wanted.content)
            assert (hit.content_type, hit.source, hit.tags) == (wanted.content_type, wanted.source, wanted.tags)
            assert hit.recorded_at == wanted.recorded_at

        play(scenario)

    def test_no_more_than_the_limit_best_first(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            await layer.upsert([payload(number) for number in range(30)])
            hits = await layer.search(SearchQuery("newsletters", limit=7))
            assert len(hits) == 7
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert await layer.search(SearchQuery("newsletters", limit=0)) == []

        play(scenario)

    def test_filters_hold(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            await layer.upsert(
                [
                    payload(1),
                    payload(2, content_type="guideline"),
                    payload(3, tags=("email", "q2")),
                    payload(4, recorded_at="2025-12-31T23:59:59Z"),
                    payload(5, recorded_at=""),
                ]
            )

            async def keys(**filters: Any) -> set[str]:
                return {hit.key for hit in await layer.search(SearchQuery("newsletters", **filters))}

            assert await keys() == {f"insight/{number}" for number in range(1, 6)}
            assert await keys(content_type="guideline") == {"insight/2"}
            assert await keys(tags=("email", "q2")) == {"insight/3"}
            assert await keys(tags=("q1", "q2")) == set()
            assert await keys(from_date="2026-03-05") == {"insight/1", "insight/2", "insight/3"}
            assert await keys(to_date="2025-12-31") == {"insight/4"}
            assert await keys(from_date="2025-12-31", to_date="2026-03-05", content_type="guideline") == {"insight/2"}

        play(scenario)

    def test_an_expired_entry_is_not_found(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            await layer.upsert(
                [
                    payload(1, expires_at="2020-01-01T00:00:00+00:00"),
                    payload(2, expires_at="2999-01-01T00:00:00+00:00"),
                    payload(3),
                ]
            )
            keys = {hit.key for hit in await layer.search(SearchQuery("newsletters"))}
            assert keys == {"insight/2", "insight/3"}

        play(scenario)

    def test_the_found_part_of_a_long_text_is_shown_once(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            needle = "The zebra mascot tripled dwell time on the stand."
            text = "Plain words about budgets and plans. " * 300 + needle + " More words about goals." * 300
            await layer.upsert([payload(1, text), *(payload(number) for number in range(2, 10))])
            hits = await layer.search(SearchQuery("zebra mascot dwell time"))
            assert hits[0].key == "insight/1"
            assert needle in hits[0].content
            assert [hit.key for hit in hits].count("insight/1") == 1

        play(scenario)

    @pytest.mark.parametrize("text", ["", "   ", "\x00", "the of and", "🎉", "\ud800", "x" * 100_000, "'\"(){}[]*?:-"])
    def test_any_question_gets_an_answer_or_a_clear_refusal(self, play: Callable[[Scenario], None], text: str) -> None:
        async def scenario(layer: SearchableLayer) -> None:
            await layer.upsert([payload(1)])
            if "\ud800" in text:
                with pytest.raises(Exception, match="half a character pair"):
                    await layer.search(SearchQuery(text))
            else:
                assert len(await layer.search(SearchQuery(text))) <= 1

        play(scenario)
