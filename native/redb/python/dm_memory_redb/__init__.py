"""Python bindings for redb: an embedded, ACID key-value store in one file, written in Rust.

    with Database.open("notes.redb") as database:
        with database.write() as transaction:
            transaction.put("notes", b"2026-01-05", b"hello")
        database.get("notes", b"2026-01-05")

Tables are named, keys and values are bytes, keys are kept in order. See the README for processes, threads and forks.
"""

from dm_memory_redb._native import (
    Busy,
    Closed,
    Corrupted,
    Database,
    Error,
    Locked,
    UpgradeRequired,
    WriteTransaction,
    __version__,
)

__all__ = [
    "Busy",
    "Closed",
    "Corrupted",
    "Database",
    "Error",
    "Locked",
    "UpgradeRequired",
    "WriteTransaction",
    "__version__",
]
