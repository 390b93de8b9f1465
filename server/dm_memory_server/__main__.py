"""``python -m dm_memory_server``: serve over standard input and output; also the entry point of the desktop bundle."""

from __future__ import annotations

import sys

from dm_memory_server.serve import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
