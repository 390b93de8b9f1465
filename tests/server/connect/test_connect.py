"""``dm-memory connect``: the entry of this server in a client's settings, and nothing else changed there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from dm_memory_server.connect.clients import CLIENTS, Computer, client_named
from dm_memory_server.connect.launch import Launch
from dm_memory_server.connect.settings_file import Change, SettingsFile, UnusableFileError
from tests.server.server_homes import COMMAND

Run = Callable[..., subprocess.CompletedProcess[str]]

LAUNCH = Launch("/opt/dm-memory/bin/dm-memory", ("serve",))
ENTRY = {"command": "/opt/dm-memory/bin/dm-memory", "args": ["serve"]}


@pytest.fixture
def user(environment: dict[str, str]) -> Path:
    folder = Path(environment["HOME"])
    folder.mkdir()
    return folder


@pytest.fixture
def run(environment: dict[str, str], user: Path) -> Run:
    def start(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        own = environment | more
        command = [*COMMAND, "connect", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=own, check=False, timeout=300, cwd=user)

    return start


def computer(home: Path, system: str = "linux", **environment: str) -> Computer:
    return Computer(home, system, environment, home / "project")


def settings_of(name: str, home: Path) -> SettingsFile:
    client = client_named(name)
    assert client is not None
    return SettingsFile(client.path(computer(home)), client.dialect, (*client.table, "dm-memory"))


# The command ---------------------------------------------------------------------------------------------------------


def test_connecting_writes_an_entry_that_starts_the_server_without_a_path(run: Run, user: Path, home: Path) -> None:
    done = run("claude-code", "--home", str(home), "--only-brand", "acme")
    assert done.returncode == 0, done.stderr
    entry = json.loads((user / ".claude.json").read_text())["mcpServers"]["dm-memory"]
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-5:] == ["serve", "--home", str(home), "--only-brand", "acme"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    served = subprocess.run(
        [entry["command"], *entry["args"]], input=json.dumps(call) + "\n", capture_output=True, text=True,
        env={"HOME": str(user), "PATH": "/usr/bin:/bin"}, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(served.stdout.splitlines()[0])["result"]["serverInfo"]["name"] == "dm-memory"


INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def test_a_second_run_finds_the_client_connected_and_writes_nothing(run: Run, user: Path) -> None:
    assert "Codex is connected." in run("codex").stdout
    file = user / ".codex" / "config.toml"
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    done = run("codex")
    assert "Codex is already connected; nothing was written." in done.stdout
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert tomllib.loads(file.read_text())["mcp_servers"]["dm-memory"]["required"] is True
    assert not list(file.parent.glob("*.before-dm-memory"))
    assert "Codex is no longer connected." in run("codex", "--remove").stdout
    assert file.read_text().strip() == ""
    assert "is not connected" in run("codex", "--remove").stdout


def test_what_this_shell_chooses_goes_into_the_entry_and_keys_do_not(run: Run, user: Path, home: Path) -> None:
    done = run("codex", CLAUDE_MARKETING_HOME=str(home), DM_MEMORY_ONLY_BRAND="acme", QDRANT_API_KEY="secret-4242")
    text = (user / ".codex" / "config.toml").read_text()
    assert tomllib.loads(text)["mcp_servers"]["dm-memory"]["args"][-4:] == ["--home", str(home), "--only-brand", "acme"]
    assert "Set in this shell, and perhaps needed there: QDRANT_API_KEY." in done.stdout
    assert "env_vars" in done.stdout
    assert "secret-4242" not in done.stdout + done.stderr + text


def test_a_dry_run_shows_file_entry_and_change_without_what_others_keep_secret(run: Run, user: Path) -> None:
    file = user / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{\n  "mcpServers": {\n    "x": {"env": {"KEY": "hush-1"}} // hush-2\n  }\n}\n')
    done = run("cursor", "--dry-run")
    assert done.returncode == 0
    assert str(file) in done.stdout
    assert '+    "dm-memory": {' in done.stdout
    assert "hush" not in done.stdout
    assert "dm-memory" not in file.read_text()


def test_without_a_client_those_here_are_listed(run: Run, user: Path) -> None:
    (user / ".gemini").mkdir()
    run("amp")
    (user / ".codeium" / "windsurf").mkdir(parents=True)
    (user / ".codeium" / "windsurf" / "mcp_config.json").write_text("{")
    rows = {line.split("`")[1]: line for line in run().stdout.splitlines() if line.startswith("| `")}
    assert list(rows) == [client.name for client in CLIENTS]
    assert "| yes | no |" in rows["gemini"]
    assert "| yes | yes |" in rows["amp"]
    assert "| yes | the file can't be read |" in rows["windsurf"]
    assert "| no | no |" in rows["cline"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("emacs",), "No client is called 'emacs'."),
        (("windsurf", "--scope", "project"), "Windsurf has no settings for a project."),
        (("codex", "--name", "a.b"), "The name can't be used."),
    ],
)
def test_what_cannot_be_done_is_said_in_two_sentences(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(words)
    assert len(done.stderr.splitlines()) == 2


def test_a_file_that_is_broken_stays_as_it_is_and_the_entry_is_printed(run: Run, user: Path) -> None:
    (user / ".claude.json").write_text('{"mcpServers": {')
    done = run("claude-code")
    assert done.returncode == 2
    assert "it is no valid JSON" in done.stderr
    assert '"dm-memory": {' in done.stdout
    assert (user / ".claude.json").read_text() == '{"mcpServers": {'


def test_a_projects_entry_stands_in_the_projects_folder(run: Run, user: Path) -> None:
    done = run("vscode", "--scope", "project", "--name", "team")
    assert "paths of this computer" in done.stdout
    assert json.loads((user / ".vscode" / "mcp.json").read_text())["servers"]["team"]["type"] == "stdio"


# A file --------------------------------------------------------------------------------------------------------------


def test_an_entry_of_an_older_installation_is_renewed_and_keeps_what_the_user_added(tmp_path: Path) -> None:
    old = {"type": "stdio", "command": "/gone/uv", "args": ["run"], "env": {"A": "1"}, "disabled": True}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"dm-memory": old, "other": {"command": "x"}}}, indent=4))
    file = SettingsFile(path, "json", ("mcpServers", "dm-memory"))
    file.write(lambda: file.with_entry(ENTRY))
    servers = json.loads(path.read_text())["mcpServers"]
    assert servers == {"dm-memory": {**old, **ENTRY}, "other": {"command": "x"}}
    assert json.loads(file.backup.read_text())["mcpServers"]["dm-memory"] == old


def test_mode_links_and_byte_order_marks_stay(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "settings.json"
    real.parent.mkdir()
    real.write_bytes(b'\xef\xbb\xbf{"mcpServers": {}}')
    real.chmod(0o640)
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    file = SettingsFile(link, "json", ("mcpServers", "dm-memory"))
    file.write(lambda: file.with_entry(ENTRY))
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == stat.S_IMODE(file.backup.stat().st_mode) == 0o640
    assert json.loads(real.read_text("utf-8-sig"))["mcpServers"]["dm-memory"] == ENTRY
    assert real.read_bytes().startswith(b"\xef\xbb\xbf")
    assert sorted(path.name for path in real.parent.iterdir()) == ["settings.json", "settings.json.before-dm-memory"]


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-code", ""),
        ("claude-code", '{"a": 1.10}'),
        ("claude-code", '{\n  "mcpServers": {}\n}\n'),
        ("gemini", '{\n\t"mcpServers": {},\r\n}'),
        ("codex", "[a]\nb = 1"),
    ],
)
def test_taking_the_entry_out_gives_the_file_back_to_the_last_character(tmp_path: Path, client: str, text: str) -> None:
    file = settings_of(client, tmp_path)
    file.path.parent.mkdir(exist_ok=True)
    known = client_named(client)
    assert known is not None
    file.path.write_bytes(text.encode())
    file.write(lambda: file.with_entry(known.entry(LAUNCH)))
    file.write(file.without_entry)
    assert file.path.read_bytes() == text.encode()
    file.write(lambda: file.with_entry(known.entry(LAUNCH)))
    file.path.write_bytes(file.path.read_bytes().replace(b"1", b"2") + b"\n")  # another change stays
    file.write(file.without_entry)
    assert file.entry() is None
    assert file.path.read_bytes() != text.encode()


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "a" / "b" / "mcp.json", "jsonc", ("servers", "dm-memory"))
    file.write(lambda: file.with_entry(ENTRY))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_an_edit_of_another_program_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {}}')
    file = SettingsFile(path, "json", ("mcpServers", "dm-memory"))
    edits = iter(['{"mcpServers": {}, "theme": "dark"}'])

    def plan() -> Change:
        change = file.with_entry(ENTRY)
        for text in edits:
            path.write_text(text)
        return change

    file.write(plan)
    assert json.loads(path.read_text()) == {"mcpServers": {"dm-memory": ENTRY}, "theme": "dark"}


def test_a_file_that_keeps_changing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    file = SettingsFile(path, "json", ("mcpServers", "dm-memory"))

    def plan() -> Change:
        change = file.with_entry(ENTRY)
        path.write_text(path.read_text() + " ")
        return change

    with pytest.raises(UnusableFileError, match="keeps writing"):
        file.write(plan)
    assert "dm-memory" not in path.read_text()


def test_two_at_once_both_get_their_entry(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from dm_memory_server.connect.settings_file import SettingsFile\n"
        "file = SettingsFile(Path(sys.argv[1]), 'jsonc', ('servers', sys.argv[2]))\n"
        "file.write(lambda: file.with_entry({'command': 'x', 'args': []}))"
    )
    path = tmp_path / "mcp.json"
    started = [subprocess.Popen([sys.executable, "-c", script, str(path), f"n{number}"]) for number in range(6)]
    assert [process.wait(timeout=120) for process in started] == [0] * 6
    assert sorted(json.loads(path.read_text())["servers"]) == [f"n{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("content", "dialect", "reason"),
    [
        (b"{", "jsonc", "no valid JSON"),
        (b"// a\n{}", "json", "no valid JSON"),
        (b"a = ", "toml", "no valid TOML"),
        (b"\xff\xfe{\x00}\x00", "json", "no UTF-8"),
        (b"[]", "json", "another form"),
        (b'{"mcpServers": []}', "json", "another form"),
        (b'{"mcpServers": {"dm-memory": "x"}}', "json", "another form"),
        (b'{"mcpServers": {"dm-memory": {"url": "https://x"}}}', "json", "a server at an address"),
        (b'mcpServers = { other = { command = "x" } }', "toml", "without touching anything else"),
        (b'{"mcpServers": {"a": 1, "a": 2}}', "json", "without touching anything else"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused_with_its_reason(
    tmp_path: Path, content: bytes, dialect: str, reason: str
) -> None:
    path = tmp_path / "settings"
    path.write_bytes(content)
    file = SettingsFile(path, dialect, ("mcpServers", "dm-memory"))  # type: ignore[arg-type]
    with pytest.raises(UnusableFileError, match=reason):
        file.write(lambda: file.with_entry(ENTRY))
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["settings"]


def test_a_folder_or_a_pipe_in_the_files_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UnusableFileError, match="no regular file"):
            SettingsFile(path, "json", ("mcpServers", "dm-memory")).entry()


# The clients ---------------------------------------------------------------------------------------------------------

PLACES = {
    "claude-code": (".claude.json",) * 3,
    "claude-desktop": (
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
    ),
    "codex": (".codex/config.toml",) * 3,
    "gemini": (".gemini/settings.json",) * 3,
    "opencode": (".config/opencode/opencode.json",) * 3,
    "copilot": (".copilot/mcp-config.json",) * 3,
    "vscode": (
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
    ),
    "cursor": (".cursor/mcp.json",) * 3,
    "windsurf": (".codeium/windsurf/mcp_config.json",) * 3,
    "cline": (".cline/data/settings/cline_mcp_settings.json",) * 3,
    "amp": (".config/amp/settings.json",) * 3,
}


def test_each_client_has_its_file_on_each_system(tmp_path: Path) -> None:
    systems = ("linux", "darwin", "win32")
    found = {
        client.name: tuple(
            client.path(computer(tmp_path, system)).relative_to(tmp_path).as_posix() for system in systems
        )
        for client in CLIENTS
    }
    assert found == PLACES


@pytest.mark.parametrize(
    ("name", "variable", "rest"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("gemini", "GEMINI_CLI_HOME", ".gemini/settings.json"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
        ("opencode", "OPENCODE_CONFIG_DIR", "opencode.json"),
        ("opencode", "OPENCODE_CONFIG", ""),
        ("copilot", "COPILOT_HOME", "mcp-config.json"),
        ("claude-desktop", "XDG_CONFIG_HOME", "Claude/claude_desktop_config.json"),
        ("vscode", "VSCODE_PORTABLE", "user-data/User/mcp.json"),
        ("cline", "CLINE_DIR", "data/settings/cline_mcp_settings.json"),
        ("cline", "CLINE_MCP_SETTINGS_PATH", ""),
        ("amp", "AMP_SETTINGS_FILE", ""),
    ],
)
def test_variables_that_move_a_clients_settings_are_followed(
    tmp_path: Path, name: str, variable: str, rest: str
) -> None:
    client = client_named(name)
    assert client is not None
    elsewhere = tmp_path / "elsewhere"
    assert client.path(computer(tmp_path, **{variable: str(elsewhere)})) == elsewhere / rest


def test_files_that_are_there_already_are_preferred(tmp_path: Path) -> None:
    here = computer(tmp_path, "win32")
    packaged = tmp_path / "AppData/Local/Packages/Claude_abc/LocalCache/Roaming"
    packaged.mkdir(parents=True)
    assert path_of("claude-desktop", here) == packaged / "Claude" / "claude_desktop_config.json"
    insiders = tmp_path / "AppData/Roaming/Code - Insiders/User"
    extension = insiders / "globalStorage/saoudrizwan.claude-dev/settings"
    extension.mkdir(parents=True)
    assert path_of("vscode", here) == insiders / "mcp.json"
    assert path_of("cline", here) == extension / "cline_mcp_settings.json"
    commented = tmp_path / ".config/opencode/opencode.jsonc"
    commented.parent.mkdir(parents=True)
    commented.touch()
    assert path_of("opencode", here) == commented


def path_of(name: str, where: Computer) -> Path:
    client = client_named(name)
    assert client is not None
    return client.path(where)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_clients_entry_is_written_and_read_back(tmp_path: Path, client: object) -> None:
    name = client.name  # type: ignore[attr-defined]
    file = settings_of(name, tmp_path)
    entry = client.entry(LAUNCH)  # type: ignore[attr-defined]
    file.write(lambda: file.with_entry(entry))
    assert file.entry() == entry
    assert not file.with_entry(entry).is_needed
    file.write(file.without_entry)
    assert file.entry() is None
