"""Facts of campaigns and performance snapshots, from their metadata and the layout of their texts.

The layouts are those of ``brand/sources/campaigns.py`` and ``performance.py``: a heading that names campaign and
section, then lines ``Name: value``. A text that was laid out otherwise states itself and nothing more.

Figures stand on a line of their own (``Open rate: 51 percent``), in one line (``signups: 438, spend: 7,900 euros``) or
nested one level (``email (signups: 251), podcast (signups: 53)``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dm_memory.facts.draft import Draft, section_of, text_of
from dm_memory.facts.model import Entity, EntityType, GraphPiece, Relation, make_entity, normal_name, utc_moment
from dm_memory.items import Payload

__all__ = [
    "Figure",
    "figures_in",
    "metrics_named",
    "more_is_better",
    "quantity",
    "read_campaign",
    "read_performance",
]

_MAX_AUDIENCES = 20
_MAX_AUDIENCE = 80
_SINGULAR = {"learnings": "learning", "strategy_decisions": "strategy decision"}
_LESSONS = frozenset({"retrospective", "learnings"})
_AFTERWARDS = frozenset({"results", "retrospective"})
_AUDIENCES = ("Segments", "Audiences", "Audience", "Target audience")
_AUDIENCE_SECTIONS = frozenset({"segments", "audiences", "target_audience"})
_NAMED_PARTS = frozenset({"name", "segment", "audience", "title"})


def read_campaign(payload: Payload) -> GraphPiece:
    """Return the piece of one section of a campaign file."""
    campaign = _campaign(payload)
    draft = Draft.of(payload, campaign)
    section = text_of(payload, "section")
    text = payload.content
    body = text[len(campaign.name) :].partition(":")[2].strip() if text.startswith(campaign.name) else text
    if section in _AFTERWARDS:
        # Their date is the campaign's beginning, when nobody could know them.
        draft.moment = max(draft.moment, utc_moment(payload.created_at))
    if section == "plan":
        _read_plan(draft, campaign, body)
    elif section == "results":
        _read_results(draft, campaign, body)
    elif section in _AUDIENCE_SECTIONS and (name := _lines_of(body).get("Name")):
        draft.state(Relation.TARGETED, draft.entity(EntityType.AUDIENCE, name))
    else:
        _read_point(draft, section, body)
    return draft.piece()


def read_performance(payload: Payload) -> GraphPiece:
    """Return the piece of a snapshot: what was achieved, by channel and against the targets, until a newer one says."""
    campaign = _campaign(payload) if text_of(payload, "campaign_id") else None
    draft = Draft.of(payload, campaign)
    subject, period = draft.subject, text_of(payload, "period")
    draft.state(Relation.ACHIEVED, draft.entity(EntityType.TOPIC, "performance"))
    lines = _lines_of(payload.content)
    _achieved(draft, subject, figures_in(lines.get("Metrics", "")), period)
    _by_channel(draft, subject, lines.get("By channel", ""), period)
    for name, value in figures_in(lines.get("Against the targets", "")):
        metric = draft.entity(EntityType.METRIC, name)
        text = f"{subject.name} against its target for {name}: {value}{_in_brackets(period)}."
        draft.add(subject, Relation.ACHIEVED, metric, text, f"{normal_name(name)}|target")
    draft.mention(*draft.tags.channels)
    return draft.piece()


def _campaign(payload: Payload) -> Entity:
    """Return the campaign's entity: known by its id, shown by its name if the entry has it."""
    key = text_of(payload, "campaign_id") or payload.key
    return make_entity(payload.brand, EntityType.CAMPAIGN, text_of(payload, "campaign_name") or key, key)


# Plans ---------------------------------------------------------------------------------------------------------------


def _read_plan(draft: Draft, campaign: Entity, body: str) -> None:
    draft.state(Relation.DECIDED, campaign, draft.brand)
    lines = _lines_of(body)
    status = text_of(draft.payload, "campaign_status")
    text = f"The campaign {campaign.name} of {draft.brand.name} is {status}." if status else ""
    text = text or f"{draft.brand.name} ran the campaign {campaign.name}."
    draft.add(draft.brand, Relation.RAN, campaign, text, campaign.id)
    for channel in _channels_used(draft):
        draft.add(campaign, Relation.USED, channel, f"{campaign.name} used the channel {channel.name}.", channel.id)
    for audience in _audiences(draft, lines):
        text = f"{campaign.name} targeted the audience {audience.name}."
        draft.add(campaign, Relation.TARGETED, audience, text, audience.id)
    for market in draft.tags.markets:
        draft.add(campaign, Relation.TARGETED, market, f"{campaign.name} targeted the market {market.name}.", market.id)
    _read_targets(draft, campaign, lines.get("KPIs", ""))


def _channels_used(draft: Draft) -> Sequence[Entity]:
    """Return the channels of the plan's list under the names that tags give them.

    A name that is no tag itself (``google ads``) is one under another name; which one only the tagger knows, so then
    all channels count that the plan is tagged with.
    """
    listed = draft.payload.facts.get("channels")
    if not isinstance(listed, list):
        return ()
    names = {normal_name(name) for name in listed}
    tagged = {normal_name(channel.name) for channel in draft.tags.channels}
    if names <= tagged:
        return [channel for channel in draft.tags.channels if normal_name(channel.name) in names]
    return draft.tags.channels or [draft.entity(EntityType.CHANNEL, name) for name in listed]


def _audiences(draft: Draft, lines: dict[str, str]) -> list[Entity]:
    line = next((lines[name] for name in _AUDIENCES if name in lines), "")
    parts = line.split("; ") if "; " in line else line.split(", ")
    names = (_audience(part) for part in parts[:_MAX_AUDIENCES])
    return [draft.entity(EntityType.AUDIENCE, name) for name in names if name]


def _audience(part: str) -> str:
    """Return an audience's name; of one with details (``name: Gift givers, size: 2100``) the name alone."""
    for piece in part.split(", "):
        name, colon, value = piece.partition(": ")
        if not colon:
            return piece.strip() if len(piece) <= _MAX_AUDIENCE else ""
        if name.strip() in _NAMED_PARTS:
            return value.strip()
    return ""


def _read_targets(draft: Draft, campaign: Entity, line: str) -> None:
    for name, figures in _groups_in(line):
        by_name = dict(figures)
        if target := by_name.get("target"):
            baseline = f" (baseline {by_name['baseline']})" if "baseline" in by_name else ""
            _add_target(draft, campaign, name, target + baseline)
    for name, value in figures_in(line):
        _add_target(draft, campaign, name, value)


def _add_target(draft: Draft, campaign: Entity, name: str, target: str) -> None:
    metric = draft.entity(EntityType.METRIC, name)
    draft.add(
        campaign, Relation.TARGETED, metric, f"{campaign.name} targeted {name}: {target}.", f"{normal_name(name)}|value"
    )


# Results -------------------------------------------------------------------------------------------------------------


def _read_results(draft: Draft, campaign: Entity, body: str) -> None:
    draft.state(Relation.ACHIEVED, draft.entity(EntityType.TOPIC, "results"))
    channel = _result_set(draft)
    _achieved(draft, campaign, _measured(body), channel.name if channel else "", channel, "results")
    if channel is None:
        draft.mention(*_named(draft.tags.channels, body.casefold()))


def _result_set(draft: Draft) -> Entity | None:
    """Return what a nested set of results belongs to: ``results/email`` to a channel, as the key says."""
    _, _, path = section_of(draft.payload.key).partition("results/")
    name = path.partition("/")[0]
    if not name or name.isdecimal():
        return None
    return next(
        (channel for channel in draft.tags.channels if normal_name(channel.name) == normal_name(name)),
        draft.entity(EntityType.TOPIC, name.replace("_", " ")),
    )


def _achieved(  # what a figure is of, and where it stands
    draft: Draft,
    subject: Entity,
    figures: Sequence[Figure],
    remark: str,
    by: Entity | None = None,
    slot: str = "",
) -> None:
    """Add a fact per figure. A snapshot replaces the one before; what a campaign sums up itself stands beside it."""
    place = f"|{by.id if by else ''}|{slot}"
    for name, value in figures:
        metric = draft.entity(EntityType.METRIC, name)
        text = f"{subject.name} achieved {name}: {value}{_in_brackets(remark)}."
        draft.add(subject, Relation.ACHIEVED, metric, text, normal_name(name) + place)
    if by is not None:
        draft.mention(by)


def _by_channel(draft: Draft, subject: Entity, line: str, period: str) -> None:
    sets: dict[str, list[tuple[Entity, str]]] = {}
    for name, figures in _groups_in(line):
        channel = draft.entity(EntityType.CHANNEL, name)
        remark = f"{name}, {period}" if period else name
        _achieved(draft, subject, figures, remark, channel)
        for metric, value in figures:
            sets.setdefault(metric, []).append((channel, value))
    for metric, values in sets.items():
        if more_is_better(metric):
            _compare(draft, subject, metric, values, period)


def _compare(draft: Draft, subject: Entity, metric: str, values: Sequence[tuple[Entity, str]], period: str) -> None:
    """Add that the best channel outperformed each other one; figures of unlike units are not compared."""
    ranked = [(found, channel, value) for channel, value in values if (found := quantity(value)) is not None]
    if len({found[1] for found, _, _ in ranked}) != 1:
        return
    ranked.sort(key=lambda entry: (-entry[0][0], entry[1].id))
    (best, winner, top), *others = ranked
    for found, loser, value in others:
        if found[0] < best[0]:
            figures = f"{metric} {top} against {value}{_in_brackets(period)}"
            text = f"{winner.name} outperformed {loser.name} in {subject.name}: {figures}."
            pair = "|".join(sorted((winner.id, loser.id)))
            slot = f"{subject.id}|{normal_name(metric)}|{pair}"
            draft.add(winner, Relation.OUTPERFORMED, loser, text, slot)
    draft.mention(subject)


# Retrospectives, learnings, decisions --------------------------------------------------------------------------------

_REPLACING = re.compile(r"\b(?:replaced?|swap(?:ped)?|switch(?:ed)?)\b", re.IGNORECASE)
_INSTEAD = re.compile(r"\binstead of\b", re.IGNORECASE)


def _read_point(draft: Draft, section: str, body: str) -> None:
    folded = body.casefold()
    named = _named((*draft.tags.competitors, *draft.tags.channels, *draft.tags.markets), folded)
    topic = draft.entity(EntityType.TOPIC, _title(draft.payload.key, section))
    relation = Relation.LEARNED if section in _LESSONS else Relation.DECIDED
    draft.state(relation, named[0] if named and section in _SINGULAR else topic)
    draft.mention(*named)
    if section == "strategy_decisions":
        _read_replacement(draft, folded, body)


def _named(entities: Sequence[Entity], folded: str) -> list[Entity]:
    """Return the entities that a text names: the tags of a campaign's entry are those of the whole campaign."""
    return [entity for entity in entities if entity.name.casefold() in folded]


def _title(key: str, section: str) -> str:
    """Return the topic of a point: ``retrospective/what_worked`` -> ``what worked``."""
    path = [part for part in section_of(key).split("/") if not part.isdecimal()]
    name = path[-1] if path else section
    return _SINGULAR.get(name) or name.replace("_", " ").strip() or "campaign"


def _read_replacement(draft: Draft, folded: str, body: str) -> None:
    """Add what replaced what if a decision names two channels and says so: ``replace X by Y``, ``Y instead of X``.

    Moving a part of a budget from one to the other replaces neither.
    """
    channels = sorted(_named(draft.tags.channels, folded), key=lambda channel: folded.index(channel.name.casefold()))
    if len(channels) != 2:  # noqa: PLR2004  # one came, one went
        return
    if _REPLACING.search(folded):
        went, came = channels
    elif _INSTEAD.search(folded):
        came, went = channels
    else:
        return
    draft.add(came, Relation.REPLACED, went, body, f"{draft.subject.id}|{went.id}")


def _in_brackets(remark: str) -> str:
    return f" ({remark})" if remark else ""


# Figures -------------------------------------------------------------------------------------------------------------

_MAX_FIGURE_NAME = 60
_MAX_VALUE = 80
_MAX_MEASURE = 40
_DIGIT = re.compile(r"\d")

_NEXT_NAME = re.compile(r"[,;] (?=[^,;:()]{1,60}(?:: | \())")
"""A comma before another ``name: value``; commas inside a value (``7,900 euros``) have no name behind them."""

_BRACKETS = re.compile(r"[()]")
_GROUP = re.compile(r"(?:^|[,;] )([^,;:()]{1,60}) \(([^()]*)\)")
_NUMBER = re.compile(r"[^\w.,-]*(-?\d[\d,.]*)\s*(.*)", re.DOTALL)
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")


class Figure(NamedTuple):
    """A named value: ``("signups", "438")``."""

    name: str
    value: str


def _lines_of(text: str) -> dict[str, str]:
    """Return the lines ``Name: value`` of a text by their names; of two with one name the first."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(": ")
        if colon and len(name) <= _MAX_FIGURE_NAME:
            found.setdefault(name, value.strip())
    return found


def figures_in(line: str) -> list[Figure]:
    """Return the figures of a line ``name: value, name: value``; what is nested or wordy is left out."""
    parts = (part.partition(": ") for part in _NEXT_NAME.split(line))
    return [Figure(name.strip(), value.strip()) for name, _, value in parts if _is_figure(name, value)]


def _is_figure(name: str, value: str) -> bool:
    return 0 < len(value) <= _MAX_VALUE and ": " not in value and not _BRACKETS.search(name + value)


def _groups_in(line: str) -> Iterator[tuple[str, list[Figure]]]:
    """Yield (name, figures) of each group in a line ``name (name: value, ...), ...``."""
    for match in _GROUP.finditer(line):
        if figures := figures_in(match[2]):
            yield match[1].strip(), figures


def _measured(text: str) -> list[Figure]:
    """Return the figures in lines of their own, names in lower case; prose that happens to contain a colon is none."""
    return [
        Figure(name.lower(), value)
        for name, value in _lines_of(text).items()
        if len(value) <= _MAX_MEASURE and not _DIGIT.search(name) and quantity(value) is not None
    ]


def quantity(value: str) -> tuple[float, str] | None:
    """Return the number and the unit of ``7,900 euros`` or ``6.8 percent``; None if there is no plain number.

    A comma before exactly three digits separates thousands, any other one decimals.
    """
    match = _NUMBER.fullmatch(value)
    if match is None:
        return None
    digits = _THOUSANDS.sub("", match[1].rstrip(".,")).replace(",", ".")
    try:
        return float(digits), match[2].strip()
    except ValueError:  # several points: a date, a version
        return None


_GROWING = frozenset(
    {
        *("signup", "signups", "conversion", "conversions", "revenue", "sales", "orders", "clicks", "ctr", "opens"),
        *("roas", "roi", "leads", "subscribers", "saves", "downloads", "installs", "registrations", "bookings"),
        *("views", "shares", "replies", "purchases", "visits", "trials", "demos", "followers", "engagement"),
    }
)
_RATES = frozenset({"open", "click", "conversion", "engagement", "reply", "retention", "through", "completion"})


def more_is_better(metric: str) -> bool:
    """Return whether the larger figure is beyond doubt the better one: signups are, costs per signup are not."""
    words = metric.casefold().replace("-", " ").replace("_", " ").split()
    if not words or "per" in words:
        return False
    if words[-1] == "rate":
        return len(words) > 1 and words[-2] in _RATES
    return words[-1] in _GROWING and not words[0].startswith(("lost", "cost", "un"))


_METRICS: Sequence[str] = (
    *("open rate", "click rate", "click-through rate", "conversion rate", "bounce rate", "unsubscribe rate"),
    *("engagement rate", "retention rate", "churn", "cost per click", "cost per lead", "cost per acquisition"),
    *("cost per signup", "average order value", "lifetime value", "return on ad spend", "roas", "customer acquisition"),
)
_METRIC_PATTERNS = {name: re.compile(rf"(?<!\w){re.escape(name)}s?(?!\w)") for name in _METRICS}


def metrics_named(folded: str) -> list[str]:
    """Return the metrics a text names, in our order; ``folded`` is the text in lower case."""
    return [name for name in _METRICS if name in folded and _METRIC_PATTERNS[name].search(folded)]
