"""The Pinecone service: its index, its limits, and what it costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.items import Payload
from dm_memory.services.pinecone.service import PineconeService
from dm_memory.services.protocol import SearchQuery
from tests.services.payloads import BRAND, payload
from tests.services.pinecone.fake_pinecone import KEY, Index, Record
from tests.services.pinecone.fake_server import FakeServer, reply

Make = Callable[..., PineconeService]
Play = Callable[..., Any]

LONG = " ".join(f"Sentence {number} is about customers, budgets and plans." for number in range(400))


def stored(fake: FakeServer) -> dict[str, Record]:
    return fake.pinecone.indexes["dm-memory"].space(BRAND)


def test_the_module_and_an_unused_service_do_not_load_the_sdk() -> None:
    code = (
        "import sys; from pydantic import SecretStr; from dm_memory.services.pinecone.service import PineconeService;"
        "PineconeService(SecretStr('k'), 'i', 'b', model='m', cloud='aws', region='r', limit=1);"
        "print([m for m in ('pinecone', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_says_where_it_is_and_never_with_what_key(fake: FakeServer, make: Make) -> None:
    service = make(host=None)
    assert service.name == "vector@pinecone:api.pinecone.io/dm-memory"
    assert make().name == f"vector@pinecone:{fake.url.removeprefix('http://')}/dm-memory"
    assert service.engine == "Pinecone (dm-memory)"
    assert KEY not in repr(vars(service))


@pytest.mark.parametrize("host", ["http://pinecone.example", "http://10.0.0.1:80"])
def test_a_key_does_not_go_over_a_network_in_clear_text(host: str, make: Make) -> None:
    with pytest.raises(ConfigurationError, match="clear text"):
        make(host=host)


@pytest.mark.parametrize("host", ["https://", "not a url", "https://[::1", "https://host:99999", "https://\x00"])
def test_what_is_no_address_is_told_as_such(host: str, make: Make) -> None:
    with pytest.raises(ConfigurationError, match="is not an address"):
        make(host=host)


def test_a_password_in_the_address_is_not_in_the_name(make: Make) -> None:
    assert make(host="https://user:secret@gate.example:8443/pinecone/").name == (
        "vector@pinecone:gate.example:8443/pinecone/dm-memory"
    )


@pytest.mark.parametrize("key", ["wrong", "line\nbreak", " "])
def test_a_bad_key_is_told_as_one(make: Make, play: Play, key: str) -> None:
    health = play(make(key=key), lambda service: service.health())
    assert not health.ok
    assert health.error.error_class is ErrorClass.AUTH
    assert "PINECONE_API_KEY" in health.error.remedy


# The index -----------------------------------------------------------------------------------------------------------


def test_reading_makes_no_index(fake: FakeServer, make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        assert (await service.health()).ok
        assert await service.fingerprint() == "multilingual-e5-large in 'text', chunking 1"
        assert (await service.capacity()).used == 0
        assert (await service.capacity()).entries == 0
        assert await service.search(SearchQuery("newsletters")) == []
        assert dict(await service.fetch([payload(1).id])) == {}
        assert await service.entries(None, 10) == ([], None)
        assert (await service.update_metadata([payload(1)]))[0].error is not None
        await service.delete([payload(1).id])

    play(make(), scenario)
    assert fake.pinecone.indexes == {}


def test_the_first_entry_makes_the_index_as_the_settings_say(fake: FakeServer, make: Make, play: Play) -> None:
    before = play(
        make(model="llama-text-embed-v2", cloud="gcp", region="us-central1"), lambda service: service.fingerprint()
    )
    service = make(model="llama-text-embed-v2", cloud="gcp", region="us-central1")
    play(service, lambda service: service.upsert([payload(1)]))
    index = fake.pinecone.indexes["dm-memory"]
    assert (index.model, index.text, index.cloud, index.region) == ("llama-text-embed-v2", "text", "gcp", "us-central1")
    assert play(make(), lambda service: service.fingerprint()) == before


def test_an_index_that_is_there_says_its_model_and_its_text_field(fake: FakeServer, make: Make, play: Play) -> None:
    fake.pinecone.indexes["dm-memory"] = Index("dm-memory", "llama-text-embed-v2", "chunk_text", state="Ready")

    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        assert await service.fingerprint() == "llama-text-embed-v2 in 'chunk_text', chunking 1"
        assert (await service.search(SearchQuery("newsletters")))[0].content == payload(1).content
        (entry,), _ = await service.entries(None, 10)
        assert entry.content == payload(1).content

    play(make(model="multilingual-e5-large"), scenario)
    assert stored(fake)[payload(1).id].metadata["chunk_text"] == payload(1).content


def test_an_index_that_does_not_embed_is_a_clear_error(fake: FakeServer, make: Make, play: Play) -> None:
    fake.pinecone.indexes["dm-memory"] = Index("dm-memory", "", "", state="Ready")

    async def scenario(service: PineconeService) -> None:
        health = await service.health()
        assert not health.ok
        assert "PINECONE_INDEX" in health.error.remedy if health.error else False
        for call in (service.fingerprint(), service.upsert([payload(1)]), service.search(SearchQuery("newsletters"))):
            with pytest.raises(ServiceError, match="does not embed texts"):
                await call

    play(make(), scenario)


def test_a_new_index_is_waited_for(fake: FakeServer, make: Make, play: Play) -> None:
    fake.pinecone.looks_until_ready = 3
    outcomes = play(make(), lambda service: service.upsert([payload(1)]))
    assert outcomes[0].error is None
    assert fake.count("GET /indexes/*") == 5


@pytest.mark.parametrize("state", ["InitializationFailed", "Terminating", "Initializing"])
def test_an_index_that_does_not_become_ready_is_not_waited_for_for_ever(
    fake: FakeServer, make: Make, play: Play, state: str
) -> None:
    fake.pinecone.looks_until_ready = 1_000_000 if state == "Initializing" else 1
    fake.pinecone.final_state = state

    async def scenario(service: PineconeService) -> None:
        with pytest.raises(ServiceError, match="not ready") as caught:
            await service.upsert([payload(1)])
        assert (caught.value.error_class, caught.value.code) == (ErrorClass.UNAVAILABLE, state)
        assert not (await service.health()).ok
        with pytest.raises(ServiceError, match="not ready"):
            await service.fetch([payload(1).id])

    play(make(timeout=0.1), scenario)


@pytest.mark.parametrize("wrong", [{"model": "no-such-model"}, {"index": "Upper Case"}])
def test_an_index_that_can_not_be_made_names_the_settings(make: Make, play: Play, wrong: dict[str, str]) -> None:
    async def scenario(service: PineconeService) -> None:
        with pytest.raises(ServiceError, match="DM_MEMORY_PINECONE_MODEL") as caught:
            await service.upsert([payload(1)])
        assert caught.value.concerns_whole_service

    play(make(**wrong), scenario)


def test_brands_that_start_at_once_make_one_index(fake: FakeServer, make: Make) -> None:
    fake.pinecone.looks_until_ready = 4

    async def scenario() -> None:
        services = [make(brand=brand) for brand in ("one", "two", "three")]
        try:
            outcomes = await asyncio.gather(*(service.upsert([payload(1)]) for service in services for _ in range(2)))
            assert all(outcome.error is None for (outcome,) in outcomes)
        finally:
            await asyncio.gather(*(service.close() for service in services))

    asyncio.run(scenario())
    assert set(fake.pinecone.indexes["dm-memory"].spaces) == {"one", "two", "three"}


def test_closing_closes_both_planes(fake: FakeServer, make: Make) -> None:
    async def scenario() -> None:
        service = make()
        await service.upsert([payload(1)])
        assert service._index is not None
        target, control = service._index._target, service._index._client
        assert target is not None
        await service.close()
        assert target.index._http._client is not None
        assert target.index._http._client.is_closed
        assert control._http._client is not None
        assert control._http._client.is_closed

    asyncio.run(scenario())
    assert stored(fake)


# Records -------------------------------------------------------------------------------------------------------------


def test_brands_do_not_see_each_other(fake: FakeServer, make: Make, play: Play) -> None:
    play(make(brand="one"), lambda service: service.upsert([payload(1)]))

    async def scenario(service: PineconeService) -> None:
        assert await service.search(SearchQuery("newsletters")) == []
        assert dict(await service.fetch([payload(1).id])) == {}
        await service.delete([payload(1).id])

    play(make(brand="two"), scenario)
    assert set(fake.pinecone.indexes["dm-memory"].space("one")) == {payload(1).id}


def test_a_first_sync_of_short_texts_fills_requests_and_asks_once_for_long_ones(
    fake: FakeServer, make: Make, play: Play
) -> None:
    play(make(), lambda service: service.upsert([payload(number) for number in range(200)]))
    assert len(stored(fake)) == 200
    assert fake.count("POST /records/upsert") == 3
    assert fake.count("POST /vectors/update") == 1
    assert fake.count("GET /vectors/fetch") + fake.count("POST /vectors/delete") == 0


@pytest.mark.parametrize("version", [1, 2])
def test_another_process_finds_the_chunks_of_the_text_before(
    fake: FakeServer, make: Make, play: Play, version: int
) -> None:
    """With a memory that knows the entry (version 2), and with a new one, which takes everything for new."""
    play(make(), lambda service: service.upsert([payload(1, LONG)]))
    play(make(), lambda service: service.upsert([payload(1, "Short.", version=version)]))
    assert set(stored(fake)) == {payload(1).id}


def test_a_changed_text_is_looked_for_even_where_nothing_long_is_known(
    fake: FakeServer, make: Make, play: Play
) -> None:
    """Counts are late: the long text may have been stored a second ago."""
    fake.faults["POST /vectors/update"] = reply(200, {"matchedRecords": 0})
    play(make(), lambda service: service.upsert([payload(1, LONG)]))
    play(make(), lambda service: service.upsert([payload(1, "Short.", version=2)]))
    assert set(stored(fake)) == {payload(1).id}


def test_requests_stay_below_two_megabytes(fake: FakeServer, make: Make, play: Play) -> None:
    heavy = [payload(number, related=("x" * 500,) * 70) for number in range(96)]
    outcomes = play(make(), lambda service: service.upsert(heavy))
    assert all(outcome.error is None for outcome in outcomes)
    assert fake.count("POST /records/upsert") == 2


def test_metadata_that_does_not_fit_fails_alone(make: Make, play: Play) -> None:
    fat = payload(2, related=("x" * 500,) * 90)

    async def scenario(service: PineconeService) -> None:
        outcomes = await service.upsert([payload(1), fat, payload(3)])
        assert [outcome.error is None for outcome in outcomes] == [True, False, True]
        assert outcomes[1].error is not None
        assert (outcomes[1].error.error_class, outcomes[1].error.code) == (ErrorClass.VALIDATION, "metadata-size")
        await service.upsert([payload(2)])
        (outcome,) = await service.update_metadata([fat])
        assert outcome.error is not None
        assert outcome.error.code == "metadata-size"

    play(make(), scenario)


@pytest.mark.parametrize("fact", [float("nan"), float("inf"), None, {"a": 1}, [1, 2]])
def test_a_fact_pinecone_can_not_keep_fails_alone(fake: FakeServer, make: Make, play: Play, fact: Any) -> None:
    outcomes = play(make(), lambda service: service.upsert([payload(1, facts={"odd": fact}), payload(2)]))
    assert outcomes[0].error is not None
    assert "'odd'" in outcomes[0].error.problem
    assert outcomes[1].error is None
    assert set(stored(fake)) == {payload(2).id}


def test_a_shorter_text_leaves_no_chunks_behind(fake: FakeServer, make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1, LONG), payload(2, LONG)])
        assert len(stored(fake)) > 20
        await service.upsert([payload(1, "Short."), payload(2, LONG)])
        assert len([found for found in stored(fake) if found.startswith(payload(1).id)]) == 1
        assert (await service.fetch([payload(2).id]))[payload(2).id].content_hash == payload(2, LONG).content_hash
        assert (await service.capacity()).entries == 2
        await service.delete([payload(2).id])

    play(make(), scenario)
    assert set(stored(fake)) == {payload(1).id}


def test_left_over_chunks_of_a_killed_update_go_with_the_next(fake: FakeServer, make: Make, play: Play) -> None:
    """Killed between the write and the removal: shrunk twice, grown in between, then deleted."""
    half = LONG[: len(LONG) // 2]

    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1, LONG)])
        fake.faults["POST /vectors/delete"] = reply(500, b"", "text/plain")
        for text in ("Short.", half):
            with pytest.raises(ServiceError):
                await service.upsert([payload(1, text)])
        fake.faults.clear()
        assert (await service.fetch([payload(1).id]))[payload(1).id].content_hash == payload(1, half).content_hash
        await service.upsert([payload(1, half)])
        (entry,), _ = await service.entries(None, 100)
        assert entry.content == half
        fake.faults["POST /vectors/delete"] = reply(500, b"", "text/plain")
        with pytest.raises(ServiceError):
            await service.upsert([payload(1, "Short.")])
        fake.faults.clear()
        await service.delete([payload(1).id])

    play(make(), scenario)
    assert stored(fake) == {}


def test_an_entry_of_two_texts_is_not_stored(fake: FakeServer, make: Make, play: Play) -> None:
    """An update that was killed half-way: some chunks are of the new text."""

    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1, LONG), payload(2)])
        stored(fake)[f"{payload(1).id}#3"].metadata["hash"] = "0" * 64
        assert set(await service.fetch([payload(1).id, payload(2).id])) == {payload(2).id}
        (outcome,) = await service.update_metadata([payload(1, LONG, tags=("new",))])
        assert outcome.error is not None
        assert [entry.id for entry in (await service.entries(None, 100))[0]] == [payload(2).id]
        await service.upsert([payload(1, LONG)])
        assert len(await service.fetch([payload(1).id, payload(2).id])) == 2

    play(make(), scenario)


def test_new_metadata_embeds_nothing_and_takes_away_what_is_gone(fake: FakeServer, make: Make, play: Play) -> None:
    old = payload(1, LONG, tags=("a", "b"), facts={"lift": 2.5, "channel": "email"}, expires_at="2999-01-01T00:00:00Z")
    new = payload(1, LONG, tags=("c",), facts={"lift": 3})

    async def scenario(service: PineconeService) -> None:
        await service.upsert([old])
        embedded = len(fake.pinecone.embedded)
        vectors = {found: record.values for found, record in stored(fake).items()}
        (outcome,) = await service.update_metadata([new])
        assert outcome.error is None
        assert len(fake.pinecone.embedded) == embedded
        assert {found: record.values for found, record in stored(fake).items()} == vectors
        for record in stored(fake).values():
            assert record.metadata["tags"] == ["c"]
            assert record.metadata["lift"] == 3.0
            assert not {"channel", "expires_at", "expires_ts"} & record.metadata.keys()
        (entry,), _ = await service.entries(None, 100)
        assert entry == new

    play(make(), scenario)


def test_metadata_is_not_put_on_another_text(fake: FakeServer, make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1, "The old text.")])
        (outcome,) = await service.update_metadata([payload(1, "The new text.")])
        assert outcome.error is not None
        assert outcome.error.error_class is ErrorClass.VALIDATION
        assert stored(fake)[payload(1).id].metadata["text"] == "The old text."

    play(make(), scenario)


def test_records_of_other_programs_are_let_be(fake: FakeServer, make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        foreign = Record(fake.pinecone.embed("newsletters of somebody else"), {"text": "newsletters", "category": "x"})
        stored(fake).update({"rec1": foreign, payload(9).id: foreign})
        assert [hit.key for hit in await service.search(SearchQuery("newsletters of somebody else"))] == ["insight/1"]
        assert set(await service.fetch(["rec1", payload(9).id, payload(1).id])) == {payload(1).id}
        entries, _ = await service.entries(None, 100)
        assert [entry.id for entry in entries] == [payload(1).id]
        assert (await service.capacity()).entries == 1
        await service.delete(["rec1", payload(1).id])

    play(make(), scenario)
    assert set(stored(fake)) == {"rec1", payload(9).id}


# Searching, telling, counting ----------------------------------------------------------------------------------------


def test_it_tells_every_entry_as_it_was_stored(make: Make, play: Play) -> None:
    odd = payload(
        1,
        LONG,
        facts=dict.fromkeys(("id", "_private", "$dollar", "fact_x", "text", "hash", "chunks", "tags", ""), "own")
        | {"lift": 1.5, "count": 12, "won": True, "none": [], "channels": ["a", "b"]},
        tags=(),
        recorded_at="",
        related=("insight/2",),
        expires_at="2999-01-01T00:00:00+00:00",
        version=3,
        updated_from="f" * 64,
        priority="high",
    )
    given = {p.id: p for p in [odd, *(payload(number) for number in range(2, 250))]}

    async def scenario(service: PineconeService) -> None:
        payloads = list(given.values())
        for start in range(0, len(payloads), 96):
            assert all(o.error is None for o in await service.upsert(payloads[start : start + 96]))
        found: dict[str, Payload] = {}
        after: str | None = None
        while True:
            entries, after = await service.entries(after, 30)
            assert len(entries) <= 30
            found |= {entry.id: entry for entry in entries}
            if after is None:
                break
        assert found == given

    play(make(), scenario)


def test_numbers_too_large_to_be_exact_are_kept_digit_by_digit(fake: FakeServer, make: Make, play: Play) -> None:
    play(make(), lambda service: service.upsert([payload(1, facts={"ad": 23850000000000123, "spend": 2**80})]))
    metadata = stored(fake)[payload(1).id].metadata
    assert (metadata["ad"], metadata["spend"]) == ("23850000000000123", str(2**80))


def test_a_listing_that_does_not_move_on_ends(fake: FakeServer, make: Make, play: Play) -> None:
    page = {"vectors": [{"id": "rec1"}], "namespace": BRAND, "pagination": {"next": "static"}}

    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        fake.faults["GET /vectors/list"] = reply(200, page)
        with pytest.raises(ServiceError) as caught:
            await service.entries(None, 100)
        assert caught.value.error_class is ErrorClass.MALFORMED_REPLY
        fake.faults["GET /namespaces"] = reply(200, {"namespaces": [], "pagination": {"next": "static"}})
        with pytest.raises(ServiceError) as caught:
            await service.capacity()
        assert caught.value.error_class is ErrorClass.MALFORMED_REPLY

    play(make(), scenario)


@pytest.mark.parametrize("reported", [True, False])
def test_capacity_is_the_bytes_of_all_brands_and_the_entries_of_one(
    fake: FakeServer, make: Make, play: Play, reported: bool
) -> None:
    play(make(brand="other"), lambda service: service.upsert([payload(number) for number in range(50)]))
    fake.pinecone.counts_bytes = reported

    async def scenario(service: PineconeService) -> None:
        alone = (await service.capacity()).used
        await service.upsert([payload(1), payload(2, LONG)])
        capacity = await service.capacity()
        assert capacity.used > alone > 50 * 1024
        assert (capacity.limit, capacity.unit, capacity.entries) == (2_000_000_000, "bytes", 2)

    play(make(), scenario)


def test_the_size_of_an_entry_is_about_what_is_then_used(fake: FakeServer, make: Make, play: Play) -> None:
    """The fake's vectors are shorter than those of the models that are on offer."""
    payloads = [payload(1), payload(2, LONG)]
    service = make()
    assumed = sum(service.size_of(entry) for entry in payloads)
    play(service, lambda service: service.upsert(payloads))
    used = play(service, lambda service: service.capacity()).used
    assert sum(service.size_of(entry) for entry in payloads) == pytest.approx(used, rel=0.1)
    assert assumed == pytest.approx(used + len(stored(fake)) * 4 * (1024 - 256), rel=0.1)
    assert service.size_of(payload(3, "Half a pair: \ud800.")) == 0


def test_a_cancelled_write_leaves_a_service_that_works(make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        cancelled = 0
        for steps in range(1, 60, 2):
            task = asyncio.create_task(service.upsert([payload(number) for number in range(10)]))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            cancelled += task.cancelled()
        assert cancelled > 5
        await service.upsert([payload(number) for number in range(10)])
        assert len(await service.fetch([payload(number).id for number in range(10)])) == 10

    play(make(), scenario)


def test_a_changed_version_is_told_apart(make: Make, play: Play) -> None:
    async def scenario(service: PineconeService) -> None:
        await service.upsert([payload(1)])
        changed = replace(payload(1, "Another text."), version=2, updated_from=payload(1).content_hash)
        await service.upsert([changed])
        (entry,), _ = await service.entries(None, 10)
        assert entry == changed

    play(make(), scenario)
