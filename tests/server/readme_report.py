"""The report that the README shows: what the demo prints, without what differs from run to run.

Run as a script, this writes the demo's current report into the README.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- report:begin -->\n", "<!-- report:end -->"
HEADINGS = (
    "# First sync: everything is new",
    "# A week later: one insight added, one edited, a campaign completed, and something learned in the session",
    "# Once more, nothing changed",
    "# A question to memory: ",
)
_CHANGING = (
    (r"id `[0-9a-f]{8}`", "id `…`"),  # an insight's follows from when it was recorded
    (r"\b\d+(\.\d+)? (ms|s)\b", "… ms"),
    (r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d(:[\d.]+)?( UTC)?", "<time>"),
    (r"\b\d+(\.\d+)? ([kKM]i?)?B\b", "<size>"),
)


def parts(output: str) -> list[str]:
    """Split what the demo printed at its headings."""
    positions = [output.index(heading) for heading in HEADINGS]
    if positions != sorted(positions):
        raise ValueError("the demo's headings are out of order")
    return [output[a:b] for a, b in zip(positions, [*positions[1:], None], strict=True)]


def example(shown: list[str]) -> str:
    """Return the second sync's report."""
    return shown[1].removeprefix(HEADINGS[1]).strip()


def in_readme() -> str:
    """Return the report that the README shows."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = readme.split(BEGIN)[1].split(END)[0]
    return fenced.strip().removeprefix("````markdown").removesuffix("````").strip()


def steady(report: str) -> str:
    """Return a report with times, durations, sizes and run ids replaced."""
    for pattern, replacement in _CHANGING:
        report = re.sub(pattern, replacement, report)
    return report


def main() -> None:
    """Write the demo's report into the README."""
    command = [sys.executable, "-m", "dm_memory_server.main", "demo"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    fenced = f"````markdown\n{example(parts(output))}\n````\n"
    (ROOT / "README.md").write_text(f"{before}{BEGIN}{fenced}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
