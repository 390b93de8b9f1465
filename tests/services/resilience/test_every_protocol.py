"""Whatever the product asks of a layer, a guarded one answers: a method that the guard forgot would never be called."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import dm_memory.sync
from dm_memory.services.protocol import Layer
from dm_memory.services.resilience import GuardPolicy, guard


def protocols() -> list[type]:
    """Return every protocol by which the product asks layers."""
    for module in pkgutil.walk_packages(dm_memory.sync.__path__, "dm_memory.sync."):
        importlib.import_module(module.name)
    return [Layer, *(found for found in Layer.__subclasses__() if getattr(found, "_is_protocol", False))]


def names(protocol: type) -> list[str]:
    return [name for name in dir(protocol) if not name.startswith("_")]


@pytest.mark.parametrize("protocol", protocols(), ids=lambda protocol: protocol.__name__)
def test_a_guarded_layer_has_what_the_layer_has(protocol: type) -> None:
    wanted = {*names(Layer), *names(protocol)}
    bare: Any = type("Bare", (), {name: lambda *_: None for name in wanted})()
    guarded = guard(bare, GuardPolicy())
    assert {name for name in wanted if not hasattr(guarded, name)} == set()
    assert isinstance(guarded, protocol)


def test_there_are_protocols_to_look_at() -> None:
    assert {protocol.__name__ for protocol in protocols()} >= {"Layer", "NewsLayer", "PatternLayer", "SearchableLayer"}
