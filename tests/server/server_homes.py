"""Homes with brands in them, and the commands that work on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SERVE = (sys.executable, "-m", "dm_memory_server")
COMMAND = (sys.executable, "-m", "dm_memory_server.main")

INSIGHTS = (
    "Carousel ads brought sign-ups at half the price of single images.",
    "Subject lines with a number were opened by 31 % instead of 22 %.",
    "Buyers of the refill pack come back within six weeks.",
)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_brand(home: Path, slug: str, insights: tuple[str, ...] = INSIGHTS) -> Path:
    folder = home / "brands" / slug
    write_json(folder / "profile.json", {"brand_name": slug.title(), "brand_slug": slug})
    entries = [
        {
            "recorded_at": f"2026-10-{day:02d}T09:00:00.000001",
            "type": "performance_discovery",
            "source": "session",
            "insight": text,
            "context": "",
            "actionable": True,
        }
        for day, text in enumerate(insights, start=1)
    ]
    write_json(folder / "insights.json", entries)
    return folder


def many(home: Path, count: int) -> None:
    entries = [
        {
            "recorded_at": f"2026-09-{1 + n // 1440 % 28:02d}T{n // 60 % 24:02d}:{n % 60:02d}:00.{n:06d}",
            "type": "benchmark",
            "source": "session",
            "insight": f"Variant {n} of the spring banner was clicked by {n % 97} visitors in a thousand.",
            "context": "",
            "actionable": False,
        }
        for n in range(count)
    ]
    (home / "brands" / "acme" / "insights.json").write_text(json.dumps(entries), encoding="utf-8")
