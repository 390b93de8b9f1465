from __future__ import annotations

import pytest

from dm_memory.brand.context import BrandContext
from dm_memory.sync.payloads import Preparer


@pytest.fixture
def context() -> BrandContext:
    return BrandContext(
        slug="ember",
        name="Ember Coffee",
        industry="Food & Beverage",
        target_markets=("US", "Germany"),
        competitors=("Blue Bottle Coffee", "Target", "Atlas Coffee Club, Inc."),
        banned_words=("cheap", "best-in-class", "günstig"),
        restricted_claims=("clinically proven", "#1 coffee"),
        fingerprint="abc",
    )


@pytest.fixture
def preparer(context: BrandContext) -> Preparer:
    return Preparer.of("ember", context, "mask")
