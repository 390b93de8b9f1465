"""The operations there are: the list that the manifest, the plugin and the README repeat (a test compares them)."""

from __future__ import annotations

from dm_memory_tools.forget_memory import FORGET_MEMORY
from dm_memory_tools.get_memory_status import GET_MEMORY_STATUS
from dm_memory_tools.prepare_store import PREPARE_STORE
from dm_memory_tools.search_memory import SEARCH_MEMORY
from dm_memory_tools.storage_sync import STORAGE_SYNC
from dm_memory_tools.sync_memory import SYNC_MEMORY

__all__ = ["OPERATIONS"]

OPERATIONS = (SYNC_MEMORY, GET_MEMORY_STATUS, PREPARE_STORE, SEARCH_MEMORY, STORAGE_SYNC, FORGET_MEMORY)
