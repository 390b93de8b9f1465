"""A home of version 0.2: its files are read, and its memory becomes a memory.db of ours."""
