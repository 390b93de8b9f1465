"""Draw icon.png beside this file: ``uv run --with pillow python assets/icon.py``. Three entries, one with a spark."""

# ruff: noqa: INP001  # a script that was run once
from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIZE, SCALE = 512, 4
"""Drawn four times as large and scaled down, which smooths the edges."""

GROUND, PAPER, SPARK = (31, 41, 55), (243, 244, 246), (251, 146, 60)


def box(left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
    """Return the corners of a box in the large drawing."""
    return left * SCALE, top * SCALE, right * SCALE, bottom * SCALE


large = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE), (0, 0, 0, 0))
draw = ImageDraw.Draw(large)
draw.rounded_rectangle(box(16, 16, 496, 496), radius=104 * SCALE, fill=GROUND)
for top, right in ((148, 300), (236, 400), (324, 352)):
    draw.rounded_rectangle(box(112, top, right, top + 44), radius=22 * SCALE, fill=PAPER)
draw.ellipse(box(336, 124, 428, 216), fill=SPARK)
large.resize((SIZE, SIZE), Image.Resampling.LANCZOS).quantize(64).save(
    Path(__file__).with_name("icon.png"), optimize=True
)
