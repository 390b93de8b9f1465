"""The plugin's hooks as processes: they end with code 0 whatever happens, and what they start ends as well.

Times are bounds on "ends at all": a loaded machine is slow, and ``benchmarks/hooks.py`` measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from dm_memory.settings import Settings
from dm_memory_server.hooks.detached import _lock
from dm_memory_server.hooks.events import EVENTS, _claim
from tests.support import processes
from tests.support.brands import BrandHome, make_home

HANDING_OVER = ("pre-compact", "session-end")
DEADLINE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> BrandHome:
    return make_home(tmp_path / "home", insights=6, campaigns=1, lessons_per_campaign=3)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A service that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def start(root: Path, event: str, *prefix: str, **more: Any) -> subprocess.Popen[str]:
    """Start a hook."""
    env = processes.command_environment({"CLAUDE_MARKETING_HOME": str(root), **more.pop("env", {})})
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    command = [*prefix, sys.executable, "-m", "dm_memory_server.main", "hook", event]
    return subprocess.Popen(command, encoding="utf-8", env=env, cwd=processes.REPOSITORY, **streams)


def run(root: Path, event: str, *prefix: str, **more: Any) -> str:
    """Run a hook to its end, which is code 0 and nothing on standard error; return what it printed."""
    out, err = (process := start(root, event, *prefix, **more)).communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (0, "")
    return str(out)


def recalled(root: Path, *prefix: str, **more: Any) -> str:
    """Return what a session starts with. A machine that is too busy costs a session that: then the next one counts."""
    for _ in range(20):
        if out := run(root, "session-start", *prefix, **more):
            break
    return context(out)


def context(out: str) -> str:
    output = json.loads(out)["hookSpecificOutput"]
    assert output["hookEventName"] == "SessionStart"
    return str(output["additionalContext"])


def log(root: Path) -> list[str]:
    path = root / "dm-memory" / "logs" / "hooks.log"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def wait_for_end(root: Path) -> None:
    """Wait until every run that was started has written how it ended, and nothing of it lives."""
    wait_for(lambda: (lines := log(root)) and len(lines) >= 2 * sum("started" in line for line in lines))
    wait_for(lambda: not living(root))


def living(root: Path) -> list[str]:
    """Return the processes that were handed a sync of this home."""
    listed = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "dm_memory_server.hooks.detached" in line and str(root) in line]


def files_below(root: Path) -> set[Path]:
    return set(root.rglob("*"))


# What they do --------------------------------------------------------------------------------------------------------


def test_a_session_starts_with_what_matters(home: BrandHome) -> None:
    processes.run_json("sync", "--home", str(home.root))
    said = recalled(home.root)
    assert home.slug in said
    assert "## Latest learnings" in said
    assert "search_memory(" in said


@pytest.mark.parametrize("event", HANDING_OVER)
def test_a_sync_is_handed_over_and_its_log_says_how_it_ended(home: BrandHome, event: str) -> None:
    assert run(home.root, event) == ""
    wait_for_end(home.root)
    first, last = log(home.root)
    assert f"{home.slug} {event}: started, process " in first
    assert f"{home.slug} {event}: complete: " in last
    assert (home.memory / "memory.db").exists()
    shown = processes.run("logs", "--home", str(home.root), "--lines", "1").out
    assert last in shown
    assert first not in shown


def test_only_its_owner_can_read_what_is_written(home: BrandHome) -> None:
    run(home.root, "session-end")
    wait_for_end(home.root)
    for path in (home.root / "dm-memory", *(home.root / "dm-memory").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("event", EVENTS)
def test_each_is_turned_off_by_a_setting(home: BrandHome, event: str) -> None:
    before = files_below(home.root)
    others = ",".join(each for each in EVENTS if each != event)
    for value in ("none", others):
        assert run(home.root, event, env={"DM_MEMORY_HOOKS": value}) == ""
    assert files_below(home.root) == before


@pytest.mark.parametrize("event", EVENTS)
def test_without_a_brand_nothing_is_said_and_nothing_is_made(tmp_path: Path, home: BrandHome, event: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    undecided = tmp_path / "undecided"
    for name in ("a", "b"):
        (undecided / "brands" / name).mkdir(parents=True)
    for root in (tmp_path / "missing", empty, undecided):
        before = files_below(root)
        assert run(root, event) == ""
        assert files_below(root) == before
    before = files_below(home.root)
    for name in ("DM_MEMORY_ONLY_BRAND", "DM_MEMORY_BRAND"):
        assert run(home.root, event, env={name: "nobody"}) == ""
    assert files_below(home.root) == before
    assert not (tmp_path / "missing").exists()


def test_an_event_that_does_not_exist_is_no_failure(home: BrandHome) -> None:
    process = start(home.root, "session-middle")
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert "session-start, pre-compact, session-end" in err


def test_a_long_log_is_put_aside_and_one_older_one_is_kept(home: BrandHome) -> None:
    path = home.root / "dm-memory" / "logs" / "hooks.log"
    path.parent.mkdir(parents=True, mode=0o700)
    for _ in range(2):
        path.write_text("x" * 1_100_000 + "\n")
        run(home.root, "session-end")
        wait_for(lambda: any("complete" in line for line in log(home.root)))
        wait_for(lambda: not living(home.root))
    assert sorted(each.name for each in path.parent.iterdir()) == ["hooks.log", "hooks.log.1"]
    assert path.stat().st_size < 10_000


# What happens to them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("data", ["", "{", "\0\xff" * 1000, json.dumps({"session_id": "s", "cwd": "/"}), "x" * 300_000])
def test_whatever_stands_on_standard_input_is_no_matter(tmp_path: Path, event: str, data: str) -> None:
    process = start(tmp_path / "missing", event, stdin=subprocess.PIPE)
    assert process.communicate(data, timeout=DEADLINE) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("event", EVENTS)
def test_input_that_never_ends_is_not_waited_for(home: BrandHome, event: str) -> None:
    process = start(home.root, event, stdin=subprocess.PIPE)
    assert process.wait(DEADLINE) == 0
    process.communicate()
    if event != "session-start":
        wait_for_end(home.root)


def test_a_reader_that_never_reads_is_not_waited_for(home: BrandHome) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    process = start(home.root, "session-start", stdout=writing)
    assert process.wait(DEADLINE) == 0
    process.communicate()
    os.close(reading)
    os.close(writing)


def test_a_reader_that_is_gone_is_no_failure(home: BrandHome) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(home.root, "session-start", stdout=writing)
    os.close(writing)
    assert process.wait(DEADLINE) == 0
    assert process.communicate()[1] == ""


def test_a_brand_that_somebody_syncs_is_waited_for_by_the_run_and_by_no_hook(home: BrandHome) -> None:
    processes.run_json("sync", "--home", str(home.root))
    with filelock.FileLock(home.memory / ".sync.lock"):
        assert "## Latest learnings" in recalled(home.root)
        run(home.root, "session-end", env={"DM_MEMORY_LOCK_TIMEOUT": "1"})
        wait_for_end(home.root)
    assert "nothing was done." in log(home.root)[-1]
    assert "has been syncing this brand for longer than 1 seconds" in log(home.root)[-1]


def test_a_service_that_never_answers_is_not_asked_when_a_session_starts(
    home: BrandHome, silent: socket.socket
) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    env = {"QDRANT_URL": address, "TURSO_DATABASE_URL": address}
    assert home.slug in recalled(home.root, env=env)
    silent.settimeout(0)
    with pytest.raises(BlockingIOError):
        silent.accept()


@pytest.mark.slow
def test_a_run_over_a_service_that_never_answers_ends_at_its_time(home: BrandHome, silent: socket.socket) -> None:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    env = processes.command_environment({"TURSO_DATABASE_URL": address, "DM_MEMORY_STORAGE_TIMEOUT": "600"})
    (home.root / "dm-memory" / "logs").mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "dm_memory_server.hooks.detached",
        str(home.root),
        "session-end",
        str(home.root / "claim"),
        "6",
    ]
    done = subprocess.run(command, env=env, cwd=processes.REPOSITORY, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert "stopped after 6 s" in log(home.root)[-1]


def test_without_a_network_everything_ends_and_the_log_says_what_waits(home: BrandHome) -> None:
    env = {"QDRANT_URL": "http://127.0.0.1:9", "DM_MEMORY_LAYER_ATTEMPTS": "1"}
    assert home.slug in recalled(home.root, env=env)
    run(home.root, "session-end", env=env)
    wait_for_end(home.root)
    assert "partial: " in log(home.root)[-1]


def test_of_fifty_sessions_that_end_at_once_one_run_waits_and_the_others_leave(home: BrandHome) -> None:
    """A run of another session has its turn all the while, so that those that are started could pile up."""
    with _lock(home.root, home.slug, "running"):
        hooks = [start(home.root, "session-end") for _ in range(50)]
        for each in hooks:
            assert each.communicate(timeout=DEADLINE) == ("", "")
            assert each.returncode == 0
        wait_for(lambda: len(living(home.root)) <= 1)
        assert log(home.root) == []
    wait_for_end(home.root)
    assert sum("started" in line for line in log(home.root)) == 1
    assert "complete: " in log(home.root)[-1]


@pytest.mark.slow
def test_fifty_sessions_that_start_at_once_all_begin(home: BrandHome) -> None:
    hooks = [start(home.root, "session-start") for _ in range(50)]
    for each in hooks:
        each.communicate(timeout=DEADLINE)
    assert {each.returncode for each in hooks} == {0}


def test_a_run_that_is_killed_keeps_nobody_out(home: BrandHome) -> None:
    with filelock.FileLock(_made(home.memory) / ".sync.lock"):
        run(home.root, "session-end")
        wait_for(lambda: any("started" in line for line in log(home.root)))
        os.kill(int(log(home.root)[0].rpartition(" ")[2]), signal.SIGKILL)
        wait_for(lambda: not living(home.root))
    run(home.root, "session-end")
    wait_for(lambda: "complete: " in log(home.root)[-1])
    assert sum("started" in line for line in log(home.root)) == 2


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_claim_of_a_process_that_never_came_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "one.claim"
    assert _claim(path)
    assert not _claim(path)
    for moment in (time.time() - 60, time.time() + 3600):  # a clock that was put back
        os.utime(path, (moment, moment))
        assert _claim(path)


def test_a_hook_that_is_killed_leaves_nothing_that_keeps_others_out(home: BrandHome) -> None:
    for _ in range(5):
        process = start(home.root, "session-end")
        time.sleep(0.1)
        process.kill()
        process.communicate()
    for each in home.root.rglob("*.claim"):
        os.utime(each, (time.time() - 60, time.time() - 60))
    run(home.root, "session-end")
    wait_for(lambda: any("complete: " in line for line in log(home.root)))
    wait_for(lambda: not living(home.root))


def test_a_home_that_may_not_be_written_is_read(home: BrandHome) -> None:
    processes.run_json("sync", "--home", str(home.root))
    before = files_below(home.root)
    folders = [home.root, *(path for path in before if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    try:
        said = recalled(home.root, *processes.UNPRIVILEGED)
        for event in HANDING_OVER:
            assert run(home.root, event, *processes.UNPRIVILEGED) == ""
    finally:
        for path in folders:
            path.chmod(0o700)
    assert "## Latest learnings" in said
    assert files_below(home.root) == before
    assert living(home.root) == []


@pytest.mark.parametrize("damage", ["emptied", "overwritten", "cut", "folder", "gone"])
def test_a_damaged_memory_is_a_sentence_and_no_failure(home: BrandHome, damage: str) -> None:
    processes.run_json("sync", "--home", str(home.root))
    database = home.memory / "memory.db"
    data = database.read_bytes()
    database.unlink()
    if damage == "folder":
        database.mkdir()
    elif damage != "gone":
        database.write_bytes({"emptied": b"", "overwritten": b"x" * len(data), "cut": data[: len(data) // 2]}[damage])
    said = recalled(home.root)
    assert home.slug in said
    assert ("can't be" in said or "The memory" in said) == (damage in {"overwritten", "folder", "cut"})


@pytest.mark.mounts
def test_a_full_disk_is_no_failure(tmp_path: Path, home: BrandHome) -> None:
    processes.run_json("sync", "--home", str(home.root))
    disk = tmp_path / "disk"
    disk.mkdir()
    hook = shlex.join([sys.executable, "-m", "dm_memory_server.main", "hook"])
    script = f"""
        mount -t tmpfs -o size=8m none {disk} && cp -r {home.root} {disk}/home && rm -rf {disk}/home/dm-memory
        cat /dev/zero > {disk}/full 2> {tmp_path}/cat
        for event in {" ".join(EVENTS)}; do
            CLAUDE_MARKETING_HOME={disk}/home {hook} $event < /dev/null > {tmp_path}/said.$event || exit 3
        done
        for _ in 1 2 3 4 5 6 7 8 9; do
            test -s {tmp_path}/said.session-start && break # see recalled
            CLAUDE_MARKETING_HOME={disk}/home {hook} session-start < /dev/null > {tmp_path}/said.session-start || exit 3
        done
        cat {tmp_path}/said.*
        sleep 3
    """
    env = processes.command_environment()
    command = ["unshare", "--mount", "sh", "-c", script]
    done = subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=processes.REPOSITORY, timeout=DEADLINE, check=False
    )
    assert "No space left" in (tmp_path / "cat").read_text()
    assert (done.returncode, done.stderr) == (0, "")
    assert home.slug in context(done.stdout)
    wait_for(lambda: not living(disk))


# What the plugin says ------------------------------------------------------------------------------------------------


def plugin(path: str) -> Any:
    return json.loads((processes.REPOSITORY / path).read_text(encoding="utf-8"))


def test_the_plugin_starts_its_hooks_by_the_file_that_starts_its_server() -> None:
    """A hook has no environment of its own to name, as the server's entry has: the launcher finds it."""
    server = plugin(".claude-plugin/plugin.json")["mcpServers"]["dm-memory"]
    launcher, command = server["args"][-2:]
    assert command == "serve"
    hooks = plugin("hooks/hooks.json")["hooks"]
    assert list(hooks) == ["SessionStart", "PreCompact", "SessionEnd"]
    run = f'{server["command"]} run --quiet --no-project --no-python-downloads --directory "${{CLAUDE_PLUGIN_ROOT}}"'
    for event, groups in zip(EVENTS, hooks.values(), strict=True):
        (only,) = groups[0]["hooks"]
        command = f'{run} "{launcher}" --if-installed hook {event}; exit 0'
        assert only == {"type": "command", "command": command, "timeout": 5}


@pytest.mark.parametrize("uv", ["missing", "failing"])
@pytest.mark.parametrize("place", range(len(EVENTS)))
def test_a_uv_that_fails_is_no_failure_of_a_hook(tmp_path: Path, uv: str, place: int) -> None:
    """Errors of uv itself end with code 2, by which a hook tells Claude Code not to compact."""
    groups = list(plugin("hooks/hooks.json")["hooks"].values())
    if uv == "failing":
        (tmp_path / "uv").write_text("#!/bin/sh\necho no cache >&2\nexit 2\n")
        (tmp_path / "uv").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", groups[place][0]["hooks"][0]["command"]],
        env={"PATH": str(tmp_path), "CLAUDE_PLUGIN_ROOT": str(processes.REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr  # it did fail


def test_a_relative_home_is_below_the_folder_of_the_session(home: BrandHome) -> None:
    """The plugin's hooks run in the plugin's folder."""
    said = context(run(Path(home.root.name), "session-start", env={"CLAUDE_PROJECT_DIR": str(home.root.parent)}))
    assert home.slug in said


def test_the_hooks_read_the_settings_that_everything_else_reads() -> None:
    fields = Settings.model_fields
    assert fields["hooks"].default == ",".join(EVENTS)
    assert {"brand", "only_brand", "hooks"} <= set(fields)
    home = fields["home"].validation_alias
    assert getattr(home, "choices", None) == ["CLAUDE_MARKETING_HOME", "DM_MEMORY_HOME"]
