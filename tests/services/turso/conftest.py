"""Databases on every engine, as the cache's tests have them."""

from tests.cache.conftest import database, guarded_sqld, sqld

__all__ = ["database", "guarded_sqld", "sqld"]
