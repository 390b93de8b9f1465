"""Settings files as people keep them: one entry comes and goes, every other character stays."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory_server.connect import jsonc, toml_table

PLACE = ("mcpServers", "dm-memory")
ENTRY = {"command": "/opt/dm memory/bin/dm-memory", "args": ["serve", "--home", 'C:\\b "q" ü']}

COMMENTED = """{
	// My servers. Don't touch.
	"mcpServers": {
		"other": { "command": "x", "env": { "KEY": "a//b, /* c */" } }, // keep
		/* and this */
		"last": {
			"command": "y", // trailing
		},
	},
	"theme": "dark",
}
"""


def test_an_entry_is_added_between_comments_and_nothing_else_changes() -> None:
    after = jsonc.assign(COMMENTED, PLACE, ENTRY)
    value = jsonc.load(after, comments=True)
    assert value == {**plain(COMMENTED), "mcpServers": {**plain(COMMENTED)["mcpServers"], "dm-memory": ENTRY}}
    assert '\t\t"dm-memory": {\n\t\t\t"command"' in after
    assert jsonc.discard(after, PLACE) == COMMENTED


def plain(text: str) -> dict[str, dict[str, object]]:
    value = jsonc.load(text, comments=True)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{ }\n",
        '{"mcpServers":{}}',
        '{"mcpServers": {"a": {"command": "x"}}, "b": 1}',
        '{\r\n    "mcpServers": {\r\n        "a": {"command": "x"} // note\r\n    }\r\n}\r\n',
        "{\n  // nothing yet\n}\n",
        '{"mcpServers": {\n  "a": 1 }}',
    ],
)
def test_an_entry_comes_and_goes_in_files_of_every_shape(text: str) -> None:
    after = jsonc.assign(text, PLACE, ENTRY)
    assert plain(after)["mcpServers"]["dm-memory"] == ENTRY
    assert ("\r\n" in after) == ("\r\n" in text)
    assert not [line for line in after.split("\r\n") if "\n" in line] or "\r\n" not in text
    before = plain(text)
    assert plain(jsonc.discard(after, PLACE)) == {**before, "mcpServers": before.get("mcpServers", {})}


def test_one_value_is_replaced_where_it_stands() -> None:
    text = '{"mcpServers": {"dm-memory": {"command": "old", /* mine */ "env": {"A": "1"}}}}'
    after = jsonc.assign(text, (*PLACE, "command"), "new")
    assert after == text.replace('"old"', '"new"')


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1,, "b": 2}',
        '{"a" 1}',
        "{a: 1}",
        '{"a": 1} x',
        '{"a": 1',
        "[1 2]",
        '{"a": 1, "a": 2}',
        "{'a': 1}",
        "/*",
        "{" * 9000,
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jsonc.assign(text, PLACE, ENTRY)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
TOPS = st.dictionaries(st.text(max_size=6) | st.just("mcpServers"), VALUES, max_size=4)


@given(TOPS, st.sampled_from([None, 1, 2, "\t"]), st.booleans())
def test_any_settings_keep_everything_else(
    settings: dict[str, object], indent: int | str | None, ascii_only: bool
) -> None:
    if not isinstance(settings.get("mcpServers", {}), dict):
        settings["mcpServers"] = {}
    text = json.dumps(settings, indent=indent, ensure_ascii=ascii_only)
    after = jsonc.assign(text, PLACE, ENTRY)
    assert json.loads(after) == {**settings, "mcpServers": {**settings.get("mcpServers", {}), "dm-memory": ENTRY}}  # type: ignore[dict-item]
    left = json.loads(jsonc.discard(after, PLACE))
    assert left == {
        **settings,
        "mcpServers": {k: v for k, v in settings.get("mcpServers", {}).items() if k != "dm-memory"},
    }  # type: ignore[attr-defined]


# TOML ----------------------------------------------------------------------------------------------------------------

TABLE = {"command": "C:\\x\\dm-memory.exe", "args": ["serve"], "required": True, "startup_timeout_sec": 60}
TOML = '''model = "o9" # mine
notes = """
[mcp_servers.dm-memory]
command = "not this one"
"""

[mcp_servers.other]
command = "x"

# About the profile
[profiles.a]
model = "b"
'''


def test_a_table_is_added_at_the_end_and_taken_out_again() -> None:
    after = toml_table.assign(TOML, ("mcp_servers", "dm-memory"), TABLE)
    assert after.startswith(TOML)
    assert tomllib.loads(after)["mcp_servers"] == {"other": {"command": "x"}, "dm-memory": TABLE}


def test_a_settings_file_with_thousands_of_tables_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codex writes a table for each folder that is trusted."""
    read: list[int] = []
    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: read.append(len(text)) or loads(text))
    text = "".join(f'[t{number}]\na = """\n[x]\n"""\n' for number in range(3000))
    added = toml_table.assign(text, ("servers", "dm"), {"command": "x"})
    assert toml_table.discard(added, ("servers", "dm")) == text
    assert sum(read) < 10 * len(text)


def test_a_table_in_the_middle_is_changed_line_by_line() -> None:
    text = (
        '[mcp_servers."dm-memory"] # ours\nargs = [\n  "serve", # old\n]\ntool_timeout_sec = 900\n\n'
        '[mcp_servers.dm-memory.env]\nA = "1"\n\n# About b\n[b]\nx = 1\n'
    )
    after = toml_table.assign(text, ("mcp_servers", "dm-memory"), {"command": "new", "args": ["serve"]})
    assert tomllib.loads(after)["mcp_servers"]["dm-memory"] == {
        "command": "new",
        "args": ["serve"],
        "tool_timeout_sec": 900,
        "env": {"A": "1"},
    }
    gone = toml_table.discard(after, ("mcp_servers", "dm-memory"))
    assert gone == "\n# About b\n[b]\nx = 1\n"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_written_as_toml_reads_it(text: str) -> None:
    table = {"command": text, "args": [text]}
    assert tomllib.loads(toml_table.render(("mcp_servers", "dm-memory"), table))["mcp_servers"]["dm-memory"] == table
