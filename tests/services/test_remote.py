"""What is said of a connected service names only what its user has set."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from dm_memory.services.pinecone.errors import pinecone_service
from dm_memory.services.remote import Service
from dm_memory.services.supermemory.service import SupermemoryLayer


def services() -> list[Service]:
    return [pinecone_service(""), SupermemoryLayer(SecretStr("sm_key"), "acme").service]


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_a_service_at_its_public_address_is_not_blamed_on_a_setting_nobody_set(service: Service) -> None:
    for error in (service.unavailable(), service.malformed()):
        assert "_HOST" not in error.remedy
        assert "_URL" not in error.remedy
        assert "  " not in error.remedy


def test_a_service_somewhere_else_is_looked_for_where_the_setting_says() -> None:
    service = pinecone_service("pinecone.example")
    assert "PINECONE_CONTROLLER_HOST" in service.unavailable().remedy
    assert "PINECONE_CONTROLLER_HOST" in service.malformed().remedy


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "a minute"), (0.2, "a minute"), (1, "1 second:"), (40, "40 seconds:")]
)
def test_how_long_a_service_wants_to_be_left_alone_is_said_in_words(seconds: float | None, words: str) -> None:
    assert f"in {words}" in pinecone_service("").rate_limited(seconds).remedy
