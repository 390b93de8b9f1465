"""What the tests of the layers share: payloads, and the rewriting of the contract's assertions."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.layers.contract")
