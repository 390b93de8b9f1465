"""What a user hands in beside the brand's files: learnings, prepared payloads, corrections. Journaled before stored."""
