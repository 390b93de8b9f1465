"""The tools an assistant sees and the commands a person types: one file an operation, with its arguments and one call.

``operation`` and ``arguments`` say what they have in common, ``catalog`` lists them, ``tool`` makes MCP tools of them;
the command line is made of them in the server.
"""
