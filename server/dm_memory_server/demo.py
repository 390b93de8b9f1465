"""``dm-memory demo``: the main job on the sample brand, in a temporary home, with no account and no network."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dm_memory.errors import HomeError
from dm_memory.requests import SessionLearning, SyncRequest
from dm_memory_server.execute import guarded
from dm_memory_server.terminal import print_text, progress_bar
from dm_memory_tools.runtime import load_settings, resolve_brand

if TYPE_CHECKING:
    from dm_memory.api import Memory
    from dm_memory.report.model import Report

__all__ = ["run_demo", "sample_home", "work_like_a_team"]

_LEARNING = "Every second support chat in November asks whether a subscription can be a gift; no page answers it yet."
_QUESTION = "what makes people open our newsletters?"
_RETROSPECTIVE = {
    "what_worked": ["Asking on the day of the second delivery brought three times as many invitations as at checkout."],
    "what_failed": [
        "The invitation page took five seconds to load on phones; most invited friends left before the form."
    ],
    "next_time": "Try the invitation page on a phone before the first card is printed.",
}
_LOCAL: dict[str, str | None] = {
    "qdrant_url": None,
    "pinecone_api_key": None,
    "turso_database_url": None,
    "supermemory_api_key": None,
    "falkordb_uri": None,
    "neo4j_uri": None,
    "brand": None,
    "vector_db": "auto",
    "graph_db": "auto",
}
"""Settings with which nothing leaves the temporary folder, whatever this computer's own are."""


def sample_home() -> Path:
    """Return the folder with the sample brand: inside an installed package, or in the checkout's ``examples``."""
    installed = Path(str(files("dm_memory_server"))) / "sample_home"
    checkout = Path(__file__).parents[2] / "examples" / "home"
    for folder in (installed, checkout):
        if (folder / "brands").is_dir():
            return folder
    raise HomeError("The sample brand is missing from this installation.", "Install dm-memory again.")


def run_demo(*, keep: bool) -> int:
    """Copy the sample, play a few days of a team's work over it, print the reports; return the exit code."""
    return guarded(lambda: _run(keep=keep))


def _run(*, keep: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="dm-memory-demo-"))
    try:
        home = folder / "home"
        shutil.copytree(sample_home(), home)
        code = asyncio.run(_play(home))
        if keep:
            print_text(f"\nThe demo's home was kept: {home}")
        return code
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Scene:
    heading: str
    change: Callable[[Path], None]
    request: SyncRequest


def _scenes(brand: str) -> tuple[_Scene, ...]:
    learned = SyncRequest(brand=brand, session_learnings=(SessionLearning(_LEARNING),))
    return (
        _Scene("First sync: everything is new", _nothing, SyncRequest(brand=brand)),
        _Scene(
            "A week later: one insight added, one edited, a campaign completed, and something learned in the session",
            work_like_a_team,
            learned,
        ),
        _Scene("Once more, nothing changed", _nothing, SyncRequest(brand=brand)),
    )


async def _play(home: Path) -> int:
    from dm_memory.api import Memory  # noqa: PLC0415  # the other commands open it where they need it
    from dm_memory.report import search_report  # noqa: PLC0415  # as above
    from dm_memory.search.results import SearchRequest  # noqa: PLC0415  # as above

    settings = load_settings(home=home).model_copy(update=_LOCAL)
    memory = Memory(settings)
    try:
        brand = resolve_brand(memory, None)
        codes = [await _show(memory, scene, home / "brands" / brand) for scene in _scenes(brand)]
        print_text(f"# A question to memory: {_QUESTION}\n")
        found = search_report(await memory.search(SearchRequest(query=_QUESTION, brand=brand, limit=5)))
        print_text(found.text)
    finally:
        await memory.close()
    return max(codes)


async def _show(memory: Memory, scene: _Scene, brand_folder: Path) -> int:
    from dm_memory.report import sync_report  # noqa: PLC0415  # as above

    scene.change(brand_folder)
    async with progress_bar() as progress:
        result = await memory.sync(scene.request, progress=progress)
    report: Report = sync_report(result, list_limit=12)
    print_text(f"# {scene.heading}\n")
    print_text(f"{report.text}\n")
    return report.exit_code


def _nothing(_: Path) -> None:
    """Change nothing."""


def work_like_a_team(brand_folder: Path) -> None:
    """Change a brand's files as a team does in a week: one insight more, one edited, one campaign completed."""
    insights = brand_folder / "insights.json"
    entries = _read(insights)
    entries[0]["insight"] += " Confirmed by a second test."
    entries.append(
        {
            "recorded_at": datetime.now().isoformat(),  # noqa: DTZ005  # the plugin writes naive local time
            "type": "session_learning",
            "source": "demo",
            "insight": "Reminders sent on Sunday evening were opened twice as often as those sent on Monday morning.",
            "context": "Four sends, same subject line",
            "actionable": True,
        }
    )
    _write(insights, entries)
    _complete_a_campaign(brand_folder / "campaigns")


def _complete_a_campaign(folder: Path) -> None:
    for path in sorted(folder.glob("[!_]*.json")):
        campaign = _read(path)
        if campaign.get("status") == "active":
            _write(path, campaign | {"status": "completed", "retrospective": _RETROSPECTIVE})
            return


def _read(path: Path) -> Any:  # noqa: ANN401  # brand files contain any JSON
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
