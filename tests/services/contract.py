"""What every service must do. An adapter's test class derives from ``ServiceContract`` and says how to make one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from dm_memory.errors import ErrorClass
from dm_memory.services.protocol import SearchQuery, Service
from tests.services.payloads import payload

Scenario = Callable[[Any], Awaitable[None]]


class ServiceContract:
    """The contract of ``dm_memory.services.protocol``, as tests.

    A derived class has a fixture ``make_service``: a function that returns, at each call, another service object over
    the same storage, which is empty at first.
    """

    @pytest.fixture
    def play(self, make_service: Callable[[], Service]) -> Callable[[Scenario], None]:
        """Return a function that plays a scenario on a service in an event loop and closes the service."""

        async def act(scenario: Scenario) -> None:
            service = make_service()
            try:
                await scenario(service)
            finally:
                await service.close()

        return lambda scenario: asyncio.run(act(scenario))

    def test_it_answers_and_says_what_it_is(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            assert service.capabilities.batch_items >= 1
            assert (await service.health()).ok
            assert await service.fingerprint()
            assert (service.name.startswith(f"{service.role}@"), bool(service.engine)) == (True, True)

        play(scenario)

    def test_outcomes_come_in_the_order_of_the_payloads(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            payloads = [payload(number) for number in (7, 3, 9, 1)]
            outcomes = await service.upsert(payloads)
            assert [outcome.storage_id for outcome in outcomes] == [p.id for p in payloads]
            assert all(outcome.error is None for outcome in outcomes)

        play(scenario)

    def test_storing_the_same_again_changes_nothing(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            payloads = [payload(number) for number in range(5)]
            await service.upsert(payloads)
            before = await service.fetch([p.id for p in payloads])
            await service.upsert(payloads)
            assert await service.fetch([p.id for p in payloads]) == before
            assert (await service.capacity()).entries in {None, 5}
            assert await service.count() == (5 if service.capabilities.counts else None)

        play(scenario)

    def test_a_payload_twice_in_one_batch_is_one_entry(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            outcomes = await service.upsert([payload(1), payload(1, "The newer text of the two.")])
            stored = await service.fetch([payload(1).id])
            assert [outcome.error for outcome in outcomes] == [None, None]
            assert stored[payload(1).id].content_hash == payload(1, "The newer text of the two.").content_hash
            assert (await service.capacity()).entries in {None, 1}

        play(scenario)

    def test_fetch_answers_only_for_what_is_stored(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            assert dict(await service.fetch([payload(1).id])) == {}
            await service.upsert([payload(1)])
            stored = await service.fetch([payload(1).id, payload(2).id])
            assert set(stored) == {payload(1).id}
            record = stored[payload(1).id]
            assert (record.content_hash, record.metadata_hash) == (payload(1).content_hash, payload(1).metadata_hash)

        play(scenario)

    def test_a_changed_text_replaces_the_old_one(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(1)])
            changed = replace(payload(1, "Everything is different now."), version=2, updated_from="0" * 64)
            await service.upsert([changed])
            assert (await service.fetch([changed.id]))[changed.id].content_hash == changed.content_hash
            assert (await service.capacity()).entries in {None, 1}

        play(scenario)

    def test_metadata_changes_alone(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(1), payload(2)])
            changed = payload(1, tags=("email", "winter"), facts={"insight_type": "benchmark"})
            outcomes = await service.update_metadata([changed])
            assert [outcome.error for outcome in outcomes] == [None]
            stored = await service.fetch([payload(1).id, payload(2).id])
            assert stored[changed.id].metadata_hash == changed.metadata_hash
            assert stored[changed.id].content_hash == changed.content_hash
            assert stored[payload(2).id].metadata_hash == payload(2).metadata_hash

        play(scenario)

    def test_metadata_of_what_is_not_stored_is_refused_for_that_item(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(1)])
            outcomes = await service.update_metadata([payload(2), payload(1)])
            assert outcomes[0].error is not None
            assert outcomes[0].error.error_class is ErrorClass.VALIDATION
            assert outcomes[1].error is None
            assert payload(2).id not in await service.fetch([payload(2).id])

        play(scenario)

    def test_what_is_deleted_is_gone_and_the_rest_stays(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.delete([payload(1).id])
            await service.upsert([payload(1), payload(2)])
            await service.delete([payload(1).id, payload(3).id])
            assert set(await service.fetch([payload(1).id, payload(2).id])) == {payload(2).id}

        play(scenario)

    def test_one_bad_item_fails_alone(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            bad = payload(2, "Half a pair: \ud800.")
            outcomes = await service.upsert([payload(1), bad, payload(3)])
            assert [outcome.error is None for outcome in outcomes] == [True, False, True]
            assert set(await service.fetch([payload(1).id, bad.id, payload(3).id])) == {payload(1).id, payload(3).id}

        play(scenario)

    def test_a_bad_new_version_leaves_the_old_one(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(2)])
            await service.upsert([replace(payload(2, "Half a pair: \udfff."), version=2)])
            assert (await service.fetch([payload(2).id]))[payload(2).id].content_hash == payload(2).content_hash

        play(scenario)

    @pytest.mark.parametrize(
        "text", ["Größe zählt 漢字 🎉 עברית", "zero\x00byte", "<b>**not** markdown</b>", " \t ", "e\u0301"]
    )
    def test_any_text_can_be_stored(self, play: Callable[[Scenario], None], text: str) -> None:
        async def scenario(service: Service) -> None:
            outcomes = await service.upsert([payload(1, text)])
            assert outcomes[0].error is None
            assert payload(1).id in await service.fetch([payload(1).id])

        play(scenario)

    def test_a_full_batch_and_a_long_text_fit(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            payloads = [payload(number) for number in range(service.capabilities.batch_items - 1)]
            payloads.append(payload(9999, "A sentence about customers. " * 40_000))
            outcomes = await service.upsert(payloads)
            assert all(outcome.error is None for outcome in outcomes)
            assert len(await service.fetch([p.id for p in payloads])) == len(payloads)

        play(scenario)

    def test_an_empty_batch_is_no_error(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            assert await service.upsert([]) == []
            assert await service.update_metadata([]) == []
            assert dict(await service.fetch([])) == {}
            await service.delete([])

        play(scenario)

    def test_what_is_confirmed_is_there_for_the_next_process(
        self, make_service: Callable[[], Service], play: Callable[[Scenario], None]
    ) -> None:
        async def store(service: Service) -> None:
            await service.upsert([payload(1)])

        async def look(service: Service) -> None:
            assert payload(1).id in await service.fetch([payload(1).id])

        play(store)
        play(look)
        assert make_service() is not make_service()

    def test_closing_twice_is_no_error_and_calls_may_follow(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.close()
            await service.upsert([payload(1)])
            await service.close()
            await service.close()
            assert payload(1).id in await service.fetch([payload(1).id])

        play(scenario)

    def test_several_tasks_may_call_at_once(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            batches = [[payload(number) for number in range(start, start + 20)] for start in range(0, 200, 20)]
            await asyncio.gather(*(service.upsert(batch) for batch in batches), service.health(), service.capacity())
            assert len(await service.fetch([p.id for batch in batches for p in batch])) == 200

        play(scenario)


class ProposingContract(ServiceContract):
    """What every service that proposes must do besides."""

    def test_searching_nothing_finds_nothing(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            assert await service.search(SearchQuery("newsletter")) == []

        play(scenario)

    def test_what_was_stored_is_found_with_all_a_reader_needs(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            wanted = payload(1, "Podcast sponsorships brought the cheapest leads of the year.")
            await service.upsert([wanted, *(payload(number) for number in range(2, 30))])
            hit = (await service.search(SearchQuery("cheapest leads podcast", limit=3)))[0]
            assert (hit.id, hit.key, hit.content) == (wanted.id, wanted.key, wanted.content)
            assert (hit.content_type, hit.tags) == (wanted.content_type, wanted.tags)
            assert (hit.recorded_at, hit.brand) == (wanted.recorded_at, wanted.brand)

        play(scenario)

    def test_no_more_than_the_limit_best_first(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(number) for number in range(30)])
            hits = await service.search(SearchQuery("newsletters", limit=7))
            assert len(hits) == 7
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert await service.search(SearchQuery("newsletters", limit=0)) == []

        play(scenario)

    def test_filters_hold(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert(
                [
                    payload(1),
                    payload(2, content_type="guideline"),
                    payload(3, tags=("email", "q2")),
                    payload(4, recorded_at="2025-12-31T23:59:59Z"),
                    payload(5, recorded_at=""),
                ]
            )

            async def keys(**filters: Any) -> set[str]:
                return {hit.key for hit in await service.search(SearchQuery("newsletters", **filters))}

            assert await keys() == {f"insight/{number}" for number in range(1, 6)}
            assert await keys(content_type="guideline") == {"insight/2"}
            assert await keys(tags=("email", "q2")) == {"insight/3"}
            assert await keys(tags=("q1", "q2")) == set()
            assert await keys(from_date="2026-03-05") == {"insight/1", "insight/2", "insight/3"}
            assert await keys(to_date="2025-12-31") == {"insight/4"}
            assert await keys(from_date="2025-12-31", to_date="2026-03-05", content_type="guideline") == {"insight/2"}

        play(scenario)

    def test_an_expired_entry_is_not_found(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert(
                [
                    payload(1, expires_at="2020-01-01T00:00:00+00:00"),
                    payload(2, expires_at="2999-01-01T00:00:00+00:00"),
                    payload(3),
                ]
            )
            keys = {hit.key for hit in await service.search(SearchQuery("newsletters"))}
            assert keys == {"insight/2", "insight/3"}

        play(scenario)

    def test_the_found_part_of_a_long_text_is_shown_once(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            needle = "The zebra mascot tripled dwell time on the stand."
            text = "Plain words about budgets and plans. " * 300 + needle + " More words about goals." * 300
            await service.upsert([payload(1, text), *(payload(number) for number in range(2, 10))])
            hits = await service.search(SearchQuery("zebra mascot dwell time"))
            assert hits[0].key == "insight/1"
            assert needle in hits[0].content
            assert [hit.key for hit in hits].count("insight/1") == 1

        play(scenario)

    def test_what_is_stored_can_be_listed(self, play: Callable[[Scenario], None]) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(number) for number in range(7)])
            found, after = await service.entries(None, 4)
            while after is not None:
                page, after = await service.entries(after, 4)
                found += page
            assert {entry.id: entry for entry in found} == {payload(n).id: payload(n) for n in range(7)}

        play(scenario)

    @pytest.mark.parametrize("text", ["", "   ", "\x00", "the of and", "🎉", "\ud800", "x" * 100_000, "'\"(){}[]*?:-"])
    def test_any_question_gets_an_answer_or_a_clear_refusal(self, play: Callable[[Scenario], None], text: str) -> None:
        async def scenario(service: Service) -> None:
            await service.upsert([payload(1)])
            if "\ud800" in text:
                with pytest.raises(Exception, match="unpaired surrogate"):
                    await service.search(SearchQuery(text))
            else:
                assert len(await service.search(SearchQuery(text))) <= 1

        play(scenario)
