"""The tests. Contracts are shared by several folders, so their assertions are rewritten from here."""

import pytest

pytest.register_assert_rewrite("tests.layers.contract")
