"""Where settings come from: the environment, under the names the README lists, and options that win over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dm_memory.errors import BrandNotFoundError, ConfigurationError
from dm_memory.services.connect import connections
from dm_memory_tools.runtime import load_settings, open_memory, resolve_brand


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLAUDE_MARKETING_HOME", "DM_MEMORY_HOME", "DM_MEMORY_BRAND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_home_is_the_plugins_folder_and_not_the_users_own(tmp_path: Path) -> None:
    assert load_settings().home == tmp_path / ".claude-marketing"


@pytest.mark.parametrize("name", ["CLAUDE_MARKETING_HOME", "DM_MEMORY_HOME"])
def test_the_home_can_be_set_under_both_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, str(tmp_path / "brands"))
    assert load_settings().home == tmp_path / "brands"


def test_an_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_MARKETING_HOME", "/elsewhere")
    assert load_settings(home=tmp_path).home == tmp_path


def test_a_configured_brand_that_is_not_there_is_never_replaced_by_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "brands" / "acme").mkdir(parents=True)
    assert resolve_brand(open_memory(home=tmp_path), None) == "acme"
    with pytest.raises(BrandNotFoundError, match="acne"):
        resolve_brand(open_memory(home=tmp_path, brand="acne"), None)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_MARKETING_HOME", "")
    monkeypatch.setenv("DM_MEMORY_BRAND", "")
    settings = load_settings()
    assert settings.home == tmp_path / ".claude-marketing"
    assert settings.brand is None


def test_a_bundles_unfilled_placeholder_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_MARKETING_HOME", "${user_config.home}")
    monkeypatch.setenv("QDRANT_URL", "${user_config.qdrant_url}")
    monkeypatch.setenv("PINECONE_API_KEY", " ${user_config.pinecone_api_key} ")
    monkeypatch.setenv("NEO4J_PASSWORD", "${user_config.neo4j_password}")
    settings = load_settings()
    assert settings.home == tmp_path / ".claude-marketing"
    assert (settings.qdrant_url, settings.pinecone_api_key, settings.neo4j_password) == (None, None, None)
    assert not list(connections(settings))


def test_a_bad_value_is_reported_by_its_variable_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DM_MEMORY_LOCK_TIMEOUT", "-4242")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "DM_MEMORY_LOCK_TIMEOUT" in caught.value.problem
    assert "4242" not in str(caught.value)


def test_the_line_end_of_a_file_is_no_part_of_a_key_or_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "abc\n")
    monkeypatch.setenv("QDRANT_URL", " https://cloud.example:6333\n")
    settings = load_settings()
    assert settings.qdrant_api_key is not None
    assert (settings.qdrant_api_key.get_secret_value(), settings.qdrant_url) == ("abc", "https://cloud.example:6333")


@pytest.mark.parametrize("name", ["NEO4J_USER", "NEO4J_USERNAME"])
def test_neo4js_user_is_read_under_graphitis_name_and_under_auras(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "somebody")
    assert load_settings().neo4j_user == "somebody"
