"""Results become Markdown for a marketer and plain data for an agent."""
