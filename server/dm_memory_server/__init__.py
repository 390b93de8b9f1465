"""Speaks MCP and the command line; everything else is the core's."""
