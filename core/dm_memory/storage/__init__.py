"""The durable store and its local cache."""
