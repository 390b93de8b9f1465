"""The embedded engine's own words never reach a user; what they mean does."""

from __future__ import annotations

import errno

import pytest

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.layers.edge_errors import translated


@pytest.mark.parametrize(
    ("words", "error_class", "code"),
    [
        ("Service runtime error: No space left on device (os error 28)", ErrorClass.QUOTA, "ENOSPC"),
        ("failed to open WAL /secret: Permission denied (os error 13)", ErrorClass.UNAVAILABLE, "EACCES"),
        ("failed to open WAL /secret: Can't init WAL: Kind(WouldBlock)", ErrorClass.UNAVAILABLE, "EWOULDBLOCK"),
        ("cannot load edge shard: directory /secret does not exist", ErrorClass.UNAVAILABLE, "damaged-collection"),
        ("Failed to decode value: Failed to decompress LZ4 value", ErrorClass.UNAVAILABLE, "damaged-collection"),
        ("Vector dimension error: expected dim: 256, got 1", ErrorClass.UNAVAILABLE, "damaged-collection"),
    ],
)
def test_what_the_engine_says_becomes_a_class_and_a_remedy(words: str, error_class: ErrorClass, code: str) -> None:
    with pytest.raises(LayerError) as caught, translated():
        raise Exception(words)  # noqa: TRY002  # as the engine does
    assert (caught.value.error_class, caught.value.code) == (error_class, code)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bug", [Exception("Shard is not initialized"), KeyError("x"), ValueError("cannot load")])
def test_what_nobody_foresaw_is_a_bug_and_stays_one(bug: Exception) -> None:
    with pytest.raises(type(bug)) as caught, translated():
        raise bug
    assert caught.value is bug


def test_whatever_goes_wrong_on_opening_is_damage() -> None:
    with pytest.raises(LayerError) as caught, translated(loading=True):
        raise Exception("something new")  # noqa: TRY002  # as the engine does
    assert caught.value.code == "damaged-collection"


def test_a_panic_of_the_engine_is_damage_and_an_interrupt_is_not() -> None:
    class PanicException(BaseException):  # the name PyO3 gives it
        pass

    with pytest.raises(LayerError) as caught, translated():
        raise PanicException
    assert caught.value.code == "damaged-collection"
    with pytest.raises(KeyboardInterrupt), translated(loading=True):
        raise KeyboardInterrupt


def test_the_operating_systems_errors_keep_their_short_name() -> None:
    with pytest.raises(LayerError) as caught, translated():
        raise OSError(errno.EIO, "raw words")
    assert (caught.value.error_class, caught.value.code) == (ErrorClass.UNAVAILABLE, "EIO")
