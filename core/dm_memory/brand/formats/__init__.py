"""From bytes as people write them to values and texts: JSON, YAML, tables, Markdown, HTML, numbers with their units."""
