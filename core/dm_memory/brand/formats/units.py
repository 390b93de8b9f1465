"""Numbers keep their unit and their label: the currency beside or above them, percent in a name, Google's micros."""

from __future__ import annotations

import re

from dm_memory.brand.formats.text import MAX_DEPTH, NestedTooDeeplyError, canonical, label, word_set

__all__ = ["is_metric", "with_units"]

_CURRENCIES = frozenset(
    ("currency", "currency_code", "currency_symbol", "währung", "devise", "moneda", "moeda", "valuta", "waluta")
)
_MONEY = word_set("""
    budget spend spent cost costs revenue cpa cpc cpm cpl cac cpv aov arpu price pricing ltv clv profit margin fee
    income turnover gmv mrr arr amount payout savings bid
    umsatz kosten ausgaben preis gewinn erlös dépenses dépense coût coûts prix ingresos gasto gastos coste costo precio
    ricavi spesa prezzo costi receita custo preço omzet uitgaven prijs koszt przychód wydatki intäkter kostnad
""")
_NO_MONEY = word_set("""
    rate ratio share pct percent percentage count number id index change growth name note currency date micros
""")
_METRICS = word_set("""
    ctr cvr cpa cpc cpm cpl cac cpv roas roi aov ltv clv nps csat mrr arr gmv arpu spend spent cost costs revenue profit
    conversions conversion clicks impressions opens open_rate leads sales orders sessions visits users reach views
    engagement bookings signups subscribers downloads installs purchases transactions bounce unsubscribes churn
    followers likes shares comments saves rate turnover
    umsatz klicks impressionen kosten ausgaben verkäufe bestellungen anmeldungen öffnungsrate klickrate gewinn
    ventes dépenses clics ingresos ventas gasto conversiones ricavi vendite vendas cliques receita omzet kliks verkopen
    przychód kliknięcia sprzedaż
""")
_DIGIT = re.compile(r"\d")
_PERCENT = re.compile(r"_(?:pct|percent|percentage)$")
_MICRO = 1_000_000


def is_metric(name: str) -> bool:
    """Return whether a key names a figure that was measured: ``spend``, ``open_rate``, ``Umsatz``."""
    parts = canonical(name).split("_")
    return not _METRICS.isdisjoint(parts) or canonical(name) in _METRICS


def with_units(value: object, currency: str = "", *, money: bool = False, depth: int = 0) -> object:
    """Return ``value`` with each number's unit in its text; a currency that was written to the numbers goes.

    Args:
        value: Any JSON value.
        currency: The one that applies above.
        money: The name above says that bare numbers below are money (``budget: {total: 5000}``).
        depth: How deep ``value`` is nested.

    Raises:
        NestedTooDeeplyError: See there.
    """
    if depth > MAX_DEPTH:
        raise NestedTooDeeplyError
    if isinstance(value, list):
        return [with_units(entry, currency, money=money, depth=depth + 1) for entry in value]
    if not isinstance(value, dict):
        return value
    own = next((text for name, entry in value.items() if canonical(name) in _CURRENCIES and (text := label(entry))), "")
    currency = own or currency
    found: dict[str, object] = {}
    written = False
    for name, entry in value.items():
        title, with_unit = _entry(name, entry, currency, money=money, depth=depth)
        written |= with_unit is not entry and bool(currency)
        found[name if title in value and title != name else title] = with_unit
    if own and written:
        found = {name: entry for name, entry in found.items() if canonical(name) not in _CURRENCIES}
    return found


def _entry(name: str, entry: object, currency: str, *, money: bool, depth: int) -> tuple[str, object]:
    known = canonical(name)
    parts = known.split("_")
    is_money = (money or not _MONEY.isdisjoint(parts) or known in _MONEY) and _NO_MONEY.isdisjoint(parts)
    if isinstance(entry, dict | list):
        changed = with_units(entry, currency, money=is_money, depth=depth + 1)
        return name, entry if changed == entry else changed
    micros = _micros(known, entry)
    if micros is not None:
        amount = f"{micros:.2f}"
        return name[: -len("micros")].rstrip("_ -"), f"{amount} {currency}" if currency else amount
    if isinstance(entry, str):
        bare = bool(_DIGIT.search(entry)) and not entry.strip("0123456789.,' \u00a0-+")
        return name, f"{entry.strip()} {currency}" if bare and is_money and currency else entry
    text = "" if isinstance(entry, bool) else label(entry)
    if text and _PERCENT.search(known):
        return name[: name.lower().rindex("p")].rstrip("_ -") or name, f"{text} %"
    return name, f"{text} {currency}" if text and is_money and currency else entry


def _micros(name: str, entry: object) -> float | None:
    """Return the amount of a field in millionths, which Google's interfaces write as text."""
    if not name.endswith("_micros") or isinstance(entry, bool):
        return None
    try:
        return int(str(entry)) / _MICRO
    except (ValueError, OverflowError):
        return None
