"""Dates as people write them are dates; what could be two or is none stays a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_memory.text.dates import dates_in_heading, read_date


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2026-06-14", "2026-06-14"),
        ("2026-06-14T10:00:00.123456", "2026-06-14T10:00:00.123456"),
        ("2026-06-14T10:00:00Z", "2026-06-14T10:00:00Z"),
        ("14.06.2026", "2026-06-14"),
        ("14. 6. 2026", "2026-06-14"),
        ("2026/06/14", "2026-06-14"),
        ("20260614", "2026-06-14"),
        ("20260614-101112", "2026-06-14"),
        ("13/06/2026", "2026-06-13"),
        ("06/13/2026", "2026-06-13"),
        ("June 14, 2026", "2026-06-14"),
        ("Sunday, June 14th, 2026", "2026-06-14"),
        ("14 June 2026", "2026-06-14"),
        ("14. Juni 2026", "2026-06-14"),
        ("14 juin 2026", "2026-06-14"),
        ("1er août 2026", "2026-08-01"),
        ("14 de junio de 2026", "2026-06-14"),
        ("14 giugno 2026", "2026-06-14"),
        ("14 czerwca 2026", "2026-06-14"),
        ("14 июня 2026", "2026-06-14"),
        ("2026年6月14日", "2026-06-14"),
        (1_780_000_000, "2026-05-28T20:26:40Z"),
        (1_780_000_000_123, "2026-05-28T20:26:40.123Z"),
        ("1780000000", "2026-05-28T20:26:40Z"),
    ],
)
def test_a_day_is_a_date(written: object, iso: str) -> None:
    found = read_date(written)
    assert found is not None
    assert (found.iso, found.exact) == (iso, True)


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("June 2026", "2026-06-01"),
        ("Juni 2026", "2026-06-01"),
        ("06/2026", "2026-06-01"),
        ("2026-06", "2026-06-01"),
        ("2026年6月", "2026-06-01"),
        ("Q2 2026", "2026-04-01"),
        ("2026-Q2", "2026-04-01"),
        ("T2 2026", "2026-04-01"),
        ("KW 23 2026", "2026-06-01"),
        ("2026-W23", "2026-06-01"),
    ],
)
def test_a_month_a_quarter_or_a_week_is_its_first_day_and_says_so(written: str, iso: str) -> None:
    found = read_date(written)
    assert found is not None
    assert (found.iso, found.exact) == (iso, False)


@pytest.mark.parametrize(
    "written",
    [
        *("", "2026", "H1 2026", "after the June review", "March", "03/04/2026", "2026-13-01", "31.02.2026", "Q5 2026"),
        *("1.2.3", "12.5 %", 5, -1, 0.5, float("inf"), float("nan"), True, None, [], 10**400, "9" * 13),
    ],
)
def test_what_could_be_two_dates_or_is_none_is_none(written: object) -> None:
    assert read_date(written if not isinstance(written, list) else None) is None


def test_the_order_of_day_and_month_decides_where_it_is_known() -> None:
    orders = {order: read_date("03/04/2026", order) for order in ("dmy", "mdy")}
    assert {order: found.iso for order, found in orders.items() if found} == {"dmy": "2026-04-03", "mdy": "2026-03-04"}


@pytest.mark.parametrize(
    ("heading", "iso"),
    [
        ("Retro 14.06.2026", "2026-06-14"),
        ("Learnings, June 2026", "2026-06-01"),
        ("2026-06-14 Weekly", "2026-06-14"),
        ("Weekly (2026-06-14)", "2026-06-14"),
        ("Q2 2026 review", "2026-04-01"),
        ("2026-q1-google-ads", "2026-01-01"),
        ("mowers-2026-06-14", "2026-06-14"),
    ],
)
def test_the_date_in_a_heading_or_a_files_name_is_found(heading: str, iso: str) -> None:
    found = dates_in_heading(heading)
    assert found is not None
    assert found.iso == iso


@pytest.mark.parametrize("heading", ["Budget 2026", "From 1.1.2026 to 2.2.2026", "May we?", "Version 2.0", ""])
def test_a_heading_with_no_date_or_several_has_none(heading: str) -> None:
    assert dates_in_heading(heading) is None


@given(st.text(max_size=70) | st.floats() | st.integers())
def test_no_value_breaks_the_reading(value: object) -> None:
    read_date(value)
