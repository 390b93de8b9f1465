"""The memory of a marketing team: brand files in, persistent memory out.

This package knows nothing of MCP and nothing of a command line; ``dm_memory.api.Memory`` is its front door.
"""

__version__ = "0.3.0"
