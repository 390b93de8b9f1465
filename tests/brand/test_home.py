"""Which brand is meant, and that a slug is a name and never a path."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from dm_memory.brand.home import Home
from dm_memory.errors import BrandNotFoundError, HomeError


def test_a_named_brand_wins_over_the_default_and_the_default_over_the_active_one(home: Home) -> None:
    for name in ("north", "active"):
        (home.root / "brands" / name).mkdir()
    (home.root / "brands" / "_active-brand.json").write_text('{"active_slug": "active"}')
    assert home.resolve("kopi", "north") == "kopi"
    assert home.resolve(None, "north") == "north"
    assert home.resolve(" ", None) == "active"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"active_slug": 5}', '{"active_slug": null}', "[" * 10_000])
def test_a_broken_active_brand_file_means_that_no_brand_is_active(home: Home, content: str) -> None:
    (home.root / "brands" / "_active-brand.json").write_text(content)
    with pytest.raises(BrandNotFoundError, match="none is active") as caught:
        home.resolve(None)
    assert caught.value.brands == ("kopi",)


def test_of_a_home_with_a_lock_only_one_brand_exists(home: Home) -> None:
    for name in ("north", "south"):
        (home.root / "brands" / name).mkdir()
    (home.root / "brands" / "_active-brand.json").write_text('{"active_slug": "north"}')
    locked = Home(home.root, only="kopi")
    assert locked.brands() == ("kopi",)
    assert locked.resolve(None) == locked.resolve(None, "north") == "kopi"
    with pytest.raises(BrandNotFoundError) as hidden:
        locked.resolve("north")
    with pytest.raises(BrandNotFoundError) as absent:
        locked.resolve("norths")
    assert str(hidden.value).replace("north", "X") == str(absent.value).replace("norths", "X")
    assert hidden.value.brands == ("kopi",)
    with pytest.raises(BrandNotFoundError):
        locked.memory_dir("south")
    with pytest.raises(BrandNotFoundError, match="no brand"):
        Home(home.root, only="west").resolve(None)


@pytest.mark.parametrize(
    "slug",
    [
        "../../etc",
        "..",
        "/etc",
        "kopi/../kopi",
        "kopi\\x",
        ".kopi",
        "_kopi",
        "ko\0pi",
        "ko\npi",
        "\ud800",
        "x" * 101,
        "C:",
    ],
)
def test_a_slug_is_a_name_and_never_a_path(home: Home, slug: str) -> None:
    with pytest.raises(BrandNotFoundError):
        home.brand_dir(slug)
    with pytest.raises(BrandNotFoundError) as caught:
        home.resolve(slug)
    str(caught.value).encode()


def test_a_brand_must_be_spelled_exactly_and_a_close_name_is_suggested(home: Home) -> None:
    with pytest.raises(BrandNotFoundError, match="Did you mean kopi"):
        home.resolve("Kopi")


def test_a_brand_with_letters_of_another_script_is_found_in_either_normal_form(home: Home) -> None:
    (home.root / "brands" / unicodedata.normalize("NFD", "café-åre")).mkdir()
    composed = unicodedata.normalize("NFC", "café-åre")
    assert composed in home.brands()
    assert home.resolve(unicodedata.normalize("NFD", composed)) == composed
    assert home.brand_dir(composed).is_dir()


def test_a_brand_folder_linked_from_outside_the_home_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (home.root / "brands" / "away").symlink_to(tmp_path / "outside")
    (home.root / "brands" / "alias").symlink_to("kopi")
    with pytest.raises(HomeError, match="leaves the home"):
        home.brand_dir("away")
    assert home.brand_dir("alias").name == "alias"


def test_a_memory_folder_linked_from_outside_the_home_is_refused_and_none_is_created(
    home: Home, tmp_path: Path
) -> None:
    assert not home.memory_dir("kopi").exists()
    home.memory_dir("kopi").symlink_to(tmp_path)
    with pytest.raises(HomeError, match="leaves the home"):
        home.memory_dir("kopi")


def test_a_missing_home_says_which_setting_to_correct(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="CLAUDE_MARKETING_HOME"):
        Home(tmp_path / "none").brands()


def test_files_and_hidden_folders_beside_the_brands_are_no_brands(home: Home) -> None:
    (home.root / "brands" / "notes.txt").write_text("x")
    (home.root / "brands" / ".git").mkdir()
    assert home.brands() == ("kopi",)
