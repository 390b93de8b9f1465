"""``dm-memory connect``: writes the entry of this server into the settings of a client, and nothing else."""
