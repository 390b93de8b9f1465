"""memory.db and the journal: everything that is kept, and all SQL on it."""
