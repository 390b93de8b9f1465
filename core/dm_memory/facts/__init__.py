"""From entries to entities, facts and patterns: pure functions, without a model and without a clock."""
