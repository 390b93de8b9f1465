"""The control of the start-up benchmark: the SDK's server with one tool and nothing else."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("empty")


@server.tool()
def echo(text: str) -> str:
    """Return the text."""
    return text


server.run("stdio")
