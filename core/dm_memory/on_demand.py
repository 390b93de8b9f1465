"""What single calls of the front door need, imported by the first call that needs it.

Starting the server, and a sync that finds nothing changed, import none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dm_memory.lazy import on_first_use

if TYPE_CHECKING:
    from dm_memory.cache.opening import cache_place
    from dm_memory.cache.sync import sync_storage
    from dm_memory.cache.view import view_cache
    from dm_memory.operations.allow import allow_value
    from dm_memory.operations.backup import backup_brand, restore_brand
    from dm_memory.operations.doctor import examine
    from dm_memory.operations.exporting import export_brands
    from dm_memory.operations.forget import forget_brand, forget_replaced
    from dm_memory.operations.history import history_of_key, patterns_of_brand
    from dm_memory.operations.importing_files import import_file
    from dm_memory.operations.init import init_brand
    from dm_memory.operations.migrate import migrate_brand
    from dm_memory.operations.recall import campaigns_of_brand, last_sync_of_brand, recall_of_brand, tags_of_brand
    from dm_memory.operations.status import brand_status
    from dm_memory.operations.verify import verify_brand
    from dm_memory.search.questions import questions_for
    from dm_memory.search.search import Searcher
    from dm_memory.search.waiting import BrandFiles
    from dm_memory.services.connect import configured_services, script_name, vector_service
    from dm_memory.services.turso.service import open_durable

_MODULES = {
    "cache.opening": ("cache_place",),
    "cache.sync": ("sync_storage",),
    "cache.view": ("view_cache",),
    "operations.allow": ("allow_value",),
    "operations.backup": ("backup_brand", "restore_brand"),
    "operations.doctor": ("examine",),
    "operations.exporting": ("export_brands",),
    "operations.forget": ("forget_brand", "forget_replaced"),
    "operations.history": ("history_of_key", "patterns_of_brand"),
    "operations.importing_files": ("import_file",),
    "operations.init": ("init_brand",),
    "operations.migrate": ("migrate_brand",),
    "operations.recall": ("campaigns_of_brand", "last_sync_of_brand", "recall_of_brand", "tags_of_brand"),
    "operations.status": ("brand_status",),
    "operations.verify": ("verify_brand",),
    "search.questions": ("questions_for",),
    "search.search": ("Searcher",),
    "search.waiting": ("BrandFiles",),
    "services.connect": ("configured_services", "script_name", "vector_service"),
    "services.turso.service": ("open_durable",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BrandFiles",
    "Searcher",
    "allow_value",
    "backup_brand",
    "brand_status",
    "cache_place",
    "campaigns_of_brand",
    "configured_services",
    "examine",
    "export_brands",
    "forget_brand",
    "forget_replaced",
    "history_of_key",
    "import_file",
    "init_brand",
    "last_sync_of_brand",
    "migrate_brand",
    "open_durable",
    "patterns_of_brand",
    "questions_for",
    "recall_of_brand",
    "restore_brand",
    "script_name",
    "sync_storage",
    "tags_of_brand",
    "vector_service",
    "verify_brand",
    "view_cache",
]

if not TYPE_CHECKING:
    __getattr__ = on_first_use(globals(), "dm_memory", _HOME)
