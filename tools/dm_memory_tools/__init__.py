"""The tools an assistant sees, one file each: arguments, progress, questions to the user, one call into the core.

``sync_memory``, ``get_memory_status``, ``prepare_store``, ``search_memory``. The place of ``storage_sync`` (durable
store to local cache) is beside them, in a file of its own.
"""
