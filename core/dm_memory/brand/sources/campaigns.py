"""campaigns/* -> items, one per lesson: plan, figures, results, retrospective points, decisions, learnings.

A campaign file is whatever the assistant put into it: any key can be missing, any value a text, list or object. So a
section is walked by the shape it has, not by a schema, and keys nobody foresaw become items too. What means nothing
alone (an owner, a region) is a line of the plan; figures stand together with their currency and period.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, broken
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.markdown import points
from dm_memory.brand.formats.pages import Page
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    block,
    canonical,
    capitalised,
    fields_of,
    inline,
    is_empty,
    is_id,
    is_placeholder,
    label,
    label_of,
    labels,
    says_something,
    slug_of,
    stamp,
    title_of,
    word_set,
    words,
)
from dm_memory.brand.formats.units import is_metric, with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.findings import Severity
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.channels import channels_named
from dm_memory.text.dates import read_date

__all__ = ["add_campaign", "is_about_lessons", "page_path", "parse_campaign"]

# What a brand's own language calls the fields that mean something here; the text keeps the brand's word.
_ROLES = {
    name: role
    for role, names in {
        "name": """campaign kampagne kampagnenname nom nombre nome naam nazwa название キャンペーン名 名称 活动名称
            キャンペーン campaña campanha campagna campagne kampania кампания 캠페인 캠페인명""",
        "status": "statut estado stato stan статус ステータス 状態 状态 상태",
        "channels": "kanäle kanaele canaux canales canali canais kanalen kanały каналы チャネル チャンネル 渠道 채널",
        "budget": "presupuesto orçamento budżet бюджет 予算 预算 예산",
        "period": "zeitraum période periodo período periode okres период 期間 期间 기간",
        "goals": "ziele objectifs objetivos obiettivi doelen cele цели 目標 目标 목표",
        "tags": "schlagwörter étiquettes etiquetas etichette теги タグ 标签 태그",
        "date": "datum fecha data startdatum beginn début inizio início 日付 开始日期 開始日",
        "results": "ergebnisse résultats resultados risultati resultaten wyniki результаты 結果 结果 成果 결과",
    }.items()
    for name in names.split()
}
_PLAN = frozenset(
    {"status", "channels", "budget", "goals", "kpis", "timeline", "segments", "strategy_summary", "objective", "period"}
)
_LABEL_LISTS = frozenset(
    {"keywords", "hashtags", "urls", "links", "assets", "countries", "markets", "regions", "products", "team", "files"}
)
_LESSONS = word_set("""
    learnings learning key_learnings lessons lessons_learned key_lessons insights key_insights takeaways key_takeaways
    findings key_findings observations recommendations retrospective retro post_mortem postmortem what_worked
    what_failed worked failed what_didnt_work next_time notes strategy_decisions decisions results erkenntnisse lehren
    lernpunkte notizen entscheidungen ergebnisse enseignements leçons apprentissages constats notes décisions
    aprendizajes lecciones conclusiones decisiones notas lezioni apprendimenti decisioni note lições aprendizados
    decisões inzichten lessen beslissingen wnioski lekcje decyzje 学び 教訓 気づき 经验 教训 결론 выводы уроки
    résultats resultados risultati resultaten wyniki результаты 結果 结果 결과
""")
# What identifies or versions the file itself; the name stands in every text, the tags on every item.
_NOT_REMEMBERED = word_set("""
    campaign_id id name campaign_name created_at updated_at last_updated brand brand_slug brand_name schema_version
    version tags slug
""")
_LESSON_WORDS = word_set("""
    learned learning learnings lesson lessons worked failed insights takeaways findings decisions recommendations
    erkenntnisse gelernt lehren enseignements leçons aprendizajes lecciones lezioni lições lessen wnioski
    takeaway lernpunkte funktioniert funktionierte geklappt marché appris constats funcionó aprendido aprendimos
    conclusiones funzionato imparato apprendimenti funcionou aprendemos aprendizados werkte gewerkt geleerd inzichten
    zadziałało lekcje decyzje сработало выводы уроки
""")
_LESSON_SIGNS = (
    "学び",
    "教訓",
    "気づき",
    "うまくいった",
    "よかった",
    "反省",
    "经验",
    "教训",
    "心得",
    "배운",
    "교훈",
    "결론",
)
_LEADS = (
    *("learning", "lesson", "insight", "decision", "text", "point", "finding", "note", "observation", "takeaway"),
    *("recommendation", "erkenntnis", "hallazgo", "constat", "title", "description", "summary", "what"),
)
_ONE_POINT = frozenset(
    {"decision", "learning", "lesson", "insight", "finding", "takeaway", "observation", "erkenntnis"}
)
_TEST = frozenset(
    {"variants", "variant", "variant_a", "variant_b", "winner", "hypothesis", "control", "winning_variant"}
)
_DATES = ("date", "recorded_at", "decided_at", "created_at", "timestamp", "datum", "fecha")
_NAMES = {"kpis": "KPIs"}
_SINGULAR = {
    "strategy_decisions": "strategy decision",
    "decisions": "decision",
    "learnings": "learning",
    "key_learnings": "key learning",
    "lessons": "lesson",
    "lessons_learned": "lesson learned",
    "insights": "insight",
    "findings": "finding",
    "takeaways": "takeaway",
    "recommendations": "recommendation",
    "observations": "observation",
    "notes": "note",
    "segments": "segment",
}
_MAX_FIGURE = 60
_MAX_PLAN_LINE = 120
_SENTENCE_WORDS = 5
_POINT_WORDS = 3
_MAX_UNSPACED = 20


@dataclass(frozen=True, slots=True)
class _Campaign:
    """What every item of one campaign, or of one channel in it, carries."""

    collector: Collector
    campaign_id: str
    name: str
    created_at: str
    facts: dict[str, Value]
    tags: tuple[str, ...]
    order: str

    def key(self, path: str) -> str:
        """Return the key of a section."""
        return f"campaign/{self.campaign_id}#{path}"

    def content(self, name: str, text: str) -> str:
        """Name campaign and section before the text: an item must be understood alone."""
        return f"{self.name}, {name}:{chr(10) if chr(10) in text else ' '}{text}"

    def below(self, name: str) -> _Campaign:
        """Return the same for what stands below ``name``: a channel's learnings are tagged by that channel alone."""
        channels = channels_named(words(name))
        return replace(self, facts={**self.facts, "channels": [words(name)]}) if channels else self


def parse_campaign(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of a campaign file: one campaign, a list of them, or several by their ids.

    Raises:
        BrandFileError: The file can't be read, or contains no campaign.
    """
    document = read_document(file, data)
    collector = Collector(file, Kind.CAMPAIGN, limits, findings=document.findings, whole=document.whole)
    if not isinstance(document.value, dict | list):
        raise broken(file.path, "is not a campaign: an object is expected")
    entries = 0
    for campaign_id, value in _campaigns(document.value, file.id):
        if not isinstance(value, dict):
            collector.malformed(campaign_id, "is not a campaign")
            continue
        entries += len(value)
        before = len(collector.items)
        try:
            units = with_units(value)
            assert isinstance(units, dict)  # noqa: S101  # an object stays one
            add_campaign(collector, fields_of(units), campaign_id, context.date_order)
        except NestedTooDeeplyError:
            collector.malformed(campaign_id, "is nested too deeply")
        if len(collector.items) == before:
            # One of several campaigns that is empty is an error in the list; a file may have just been begun.
            severity = Severity.ERROR if isinstance(document.value, list) else Severity.WARNING
            collector.nothing(f"the campaign {campaign_id}", severity)
    return collector.result(entries)


def _campaigns(value: object, stem: str) -> Iterator[tuple[str, object]]:
    """Yield (id, campaign) of a document; a campaign inside says its own id."""
    if isinstance(value, list):
        for position, entry in enumerate(value):
            name = _name_of(fields_of(entry)) if isinstance(entry, dict) else ""
            place = slug_of(name) if name else str(position + 1)
            yield from _campaigns(entry, f"{stem}-{place}" if name or len(value) > 1 else stem)
        return
    if not isinstance(value, dict):
        yield stem, value
        return
    fields = fields_of(value)
    inner = fields.get("campaigns", fields.get("campaign"))
    beside = {name: entry for name, entry in fields.items() if name not in {"campaigns", "campaign"}}
    if isinstance(inner, dict) and "campaigns" not in fields and not isinstance(fields.get("name"), str):
        yield from _campaigns(beside | fields_of(inner), stem)
    elif isinstance(inner, list) or (isinstance(inner, dict) and not isinstance(fields.get("name"), str)):
        yield from _campaigns(inner, stem) if isinstance(inner, list) else _by_id(inner)
        # What stands beside several campaigns is about all of them.
        if any(isinstance(entry, list | dict) and entry for entry in beside.values()):
            yield label(fields.get("campaign_id")) or stem, {"name": title_of(stem), **beside}
    elif value and all(isinstance(entry, dict) and _is_campaign(entry) for entry in value.values()):
        yield from _by_id(value)
    else:
        yield label(fields.get("campaign_id")) or label(fields.get("id")) or stem, value


def _by_id(value: dict[str, object]) -> Iterator[tuple[str, object]]:
    for name, entry in value.items():
        own = fields_of(entry) if isinstance(entry, dict) else {}
        yield label(own.get("campaign_id")) or label(own.get("id")) or name, entry


def _is_campaign(entry: dict[str, object]) -> bool:
    return not {"campaign_id", "learnings", "status", "strategy_summary"}.isdisjoint(fields_of(entry))


def _name_of(fields: dict[str, object]) -> str:
    known = next((fields[name] for name in fields if _ROLES.get(name) == "name" and label(fields[name])), None)
    return next(
        (text for name in ("name", "campaign_name", "title") if (text := label(fields.get(name)))), label(known)
    )


def add_campaign(
    collector: Collector, fields: dict[str, object], campaign_id: str, order: str, page: Page | None = None
) -> None:
    """Add what a campaign's fields say, each with its own place; ``page`` is the one whose front matter they are.

    Raises:
        NestedTooDeeplyError: A field is; what stands in sections of its own is reported instead.
    """
    known = {_role(name): value for name, value in reversed(fields.items()) if not is_empty(value)}
    created = next(
        (date for name in ("created_at", "date", "start_date", "start") if (date := stamp(known.get(name), order))),
        page.recorded_at if page else "",
    )
    updated = next((date for name in ("updated_at", "last_updated") if (date := stamp(known.get(name), order))), "")
    collector.updated_at = updated or created
    name = _name_of(fields) or campaign_id
    facts: dict[str, Value] = {"campaign_id": campaign_id, "campaign_name": name}
    if status := label(known.get("status")):
        facts["campaign_status"] = status
    if channels := labels(known.get("channels")) or labels(known.get("channel")):
        facts["channels"] = channels
    tags = tuple(labels(known.get("tags")))
    # Not updated_at: it moves with every save and would make each item of the campaign look changed.
    campaign = _Campaign(collector, campaign_id, name, created, facts, tags, order)
    plan, figures, sections = _divided({key: value for key, value in fields.items() if not _is_name(key, value, name)})
    if plan:
        _add(campaign, _path(page, campaign, "plan"), "plan", "\n".join(plan), "plan")
    if figures:
        period = inline(known.get("period"))
        title = f"results, {period}" if period else "results"
        _add(campaign, _path(page, campaign, "figures"), title, "\n".join(figures), "results")
    for section, value in sections:
        try:
            _walk(campaign, section, section, _SINGULAR.get(section) or words(section), value)
        except NestedTooDeeplyError:
            collector.malformed(section, "is nested too deeply")


def _path(page: Page | None, campaign: _Campaign, path: str) -> str:
    return page_path(campaign.collector.file, campaign.campaign_id, path) if page else path


def page_path(file: SourceFile, campaign_id: str, path: str) -> str:
    """Return the place of a page's section among a campaign's: several pages can be about one campaign."""
    return f"page/{path}" if campaign_id == file.id else f"page/{slug_of(PurePosixPath(file.name).stem)}/{path}"


def _is_name(field: str, value: object, name: str) -> bool:
    return _role(field) == "name" and label(value) == name


def _divided(fields: dict[str, object]) -> tuple[list[str], list[str], list[tuple[str, object]]]:
    """Return the lines of the plan, the lines of figures, and the sections to walk."""
    plan: list[str] = []
    figures: list[str] = []
    sections: list[tuple[str, object]] = []
    for name, value in fields.items():
        if _role(name) == "tags" or name in _NOT_REMEMBERED or is_empty(value) or is_placeholder(value):
            continue
        text = _line(name, value)
        if text is None:
            sections.append((name, value))
        elif text and _is_figure(name, value):
            figures.append(text)
        elif text:
            plan.append(text)
        if _role(name) in {"channels", "segments"} and text and _says_more(value):
            sections.append((name, value))
    return plan, figures, sections


def _line(name: str, value: object) -> str | None:
    """Return a key's line in the plan or among the figures, or None if its value is a section of its own."""
    title = _NAMES.get(name) or capitalised(name)
    if _role(name) in {"channels", "segments"}:
        names = labels(value) if isinstance(value, dict) or _says_more(value) else []
        text = ", ".join(names) or inline(value)
    elif _role(name) in _PLAN or not isinstance(value, str | list | dict):
        text = inline(value)
    elif name in _LABEL_LISTS and isinstance(value, list):
        text = ", ".join(labels(value))
    elif isinstance(value, list) and not _says_more(value) and not _is_list_of_points(name, name, value):
        text = inline([] if name in _LESSONS else value)
    elif isinstance(value, str) and name not in _LESSONS and len(value) <= _MAX_PLAN_LINE and not _is_sentence(value):
        text = value.strip()
    else:
        return None
    return f"{title}: {text}" if text else ""


def _says_more(value: object) -> bool:
    """Return whether a list of channels or segments has more to it than names."""
    entries = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(isinstance(entry, dict | list) and entry for entry in entries)


def _is_figure(name: str, value: object) -> bool:
    if _role(name) in _PLAN or isinstance(value, bool) or "budget" in name or "target" in name or "goal" in name:
        return False
    if isinstance(value, int | float):
        return True
    return isinstance(value, str) and is_metric(name) and len(value) <= _MAX_FIGURE and any(map(str.isdigit, value))


def _is_sentence(text: str) -> bool:
    """Return whether a text is more than a name: several words, several lines, or many signs without a space."""
    unspaced = " " not in text and len(text) > _MAX_UNSPACED and says_something(text)
    return len(text.split()) >= _SENTENCE_WORDS or "\n" in text.strip() or unspaced


def _as_list(path: str, value: object) -> object:
    """Return lessons that are the lines of one text, or the members ``1``, ``2`` ... of an object, as a list."""
    if isinstance(value, str) and "\n" in value and canonical(path.rpartition("/")[2]) in _LESSONS:
        entries, rest = points(value)
        return [*entries, *([rest] if rest else [])] if len(entries) > 1 else value
    if isinstance(value, dict) and len(value) > 1 and list(value) == [str(at) for at in range(1, len(value) + 1)]:
        return list(value.values())
    return value


def _walk(campaign: _Campaign, section: str, path: str, name: str, value: object) -> None:
    """Add what ``value``, at ``path``, says; ``name`` is its place in words."""
    value = _as_list(path, value)
    fields = fields_of(value) if isinstance(value, dict) else {}
    if any(isinstance(fields.get(lead), str) for lead in _ONE_POINT) or (_is_test(fields) and path != section):
        _add_point(campaign, section, path, name, value)
    elif isinstance(value, dict):
        _walk_members(campaign, section, path, name, value)
    elif isinstance(value, list) and _is_list_of_points(section, path, value):
        for entry in value:
            if isinstance(entry, str) and (is_empty(entry) or is_placeholder(entry)):
                continue
            if isinstance(entry, str) and not says_something(entry):
                campaign.collector.too_short(path, entry)  # "yes", "5" are no memories
                continue
            rest = _walk_lessons(campaign, section, path, name, entry) if isinstance(entry, dict) else entry
            _add_point(campaign, section, path, name, rest, in_list=True)
    else:
        _add_point(campaign, section, path, name, value)


def _walk_lessons(
    campaign: _Campaign, section: str, path: str, name: str, entry: dict[str, object]
) -> dict[str, object]:
    """Add the lists of lessons inside an entry (a phase, a market), each lesson alone; return what is left of it."""
    fields = fields_of(entry)
    if _is_test(fields) or any(isinstance(fields.get(lead), str) for lead in _ONE_POINT):
        return entry
    title = label_of(fields)
    channels = labels(fields.get("channels") or fields.get("channel")) or ([title] if channels_named(title) else [])
    own = replace(campaign, facts={**campaign.facts, "channels": channels}) if channels else campaign
    taken = set()
    for member, value in entry.items():
        known = canonical(member)
        if known in _LESSONS and isinstance(value, list) and not is_empty(value):
            taken.add(member)
            about = ", ".join(part for part in (name, title, _SINGULAR.get(known) or words(member)) if part)
            _walk(own, section, f"{path}/{slug_of(title)}/{member}", about, value)
    rest = {member: value for member, value in entry.items() if member not in taken}
    return {} if taken and fields_of(rest).keys() <= {"name", "title", "label"} else rest


def _walk_members(campaign: _Campaign, section: str, path: str, name: str, value: dict[str, object]) -> None:
    """Add the parts of an object: nested sets, lists and sentences alone, its bare values together."""
    together: dict[str, object] = {}
    for member, entry in value.items():
        if is_empty(entry) or (isinstance(entry, str) and is_placeholder(entry)):
            continue
        alone = isinstance(entry, dict | list) or (
            isinstance(entry, str) and (_is_sentence(entry) or canonical(member) in _LESSONS)
        )
        if not alone or (isinstance(entry, list) and not _is_list_of_points(section, member, entry)):
            together[member] = entry
            continue
        _walk(campaign.below(member), section, f"{path}/{member}", _member_name(section, path, name, member), entry)
    if together:
        figures = _role(section) == "results" or any(is_metric(member) for member in together)
        _add_point(campaign.below(path.rpartition("/")[2]), "results" if figures else section, path, name, together)


def _member_name(section: str, path: str, name: str, member: str) -> str:
    """Return the words for a member: outcomes of a retrospective by themselves, everything else below its set."""
    if path == section and _role(section) not in {"results", "channels"} and section in _LESSONS:
        return words(member)
    return (
        f"{words(member)}"
        if path == section and _role(section) == "channels"
        else f"{name}, {_SINGULAR.get(canonical(member)) or words(member)}"
    )


def _is_list_of_points(section: str, path: str, value: list[object]) -> bool:
    member = canonical(path.rpartition("/")[2])
    if any(isinstance(entry, dict) for entry in value):
        return True
    if member in _LABEL_LISTS:
        return False
    texts = [entry for entry in value if isinstance(entry, str)]
    if section in _LESSONS or member in _LESSONS:
        return bool(texts)
    return any(len(text.split()) >= _POINT_WORDS or (says_something(text) and " " not in text) for text in texts)


def _is_test(fields: dict[str, object]) -> bool:
    """Return whether an object is an A/B test: its variants and its winner mean nothing apart."""
    return len(_TEST & fields.keys()) > 0 or {"a", "b"} <= fields.keys()


def is_about_lessons(heading: str) -> bool:
    """Return whether a heading announces what was learned, decided, or worked and failed."""
    name = canonical(heading)
    if name in _LESSONS or not _LESSON_WORDS.isdisjoint(re.findall(r"\w+", name.replace("_", " "))):
        return _role(name) != "results"
    return not name.isascii() and any(sign in name for sign in _LESSON_SIGNS)


def _role(name: str) -> str:
    return _ROLES.get(name, name)


def _add_point(
    campaign: _Campaign, section: str, path: str, name: str, point: object, *, in_list: bool = False
) -> None:
    """Add one lesson, decision or set of figures, with its own date, channels and tags if it has them."""
    text, recorded_at, own, tags = _point_text(point, campaign.order)
    if is_empty(text) or is_placeholder(text):
        return
    facts = {**campaign.facts, "section": label(_role(section)), **own}
    content_type = ContentType.PERFORMANCE_INSIGHT if _role(section) == "results" else ContentType.CAMPAIGN_LEARNING
    add = campaign.collector.add_entry if in_list else campaign.collector.add
    add(
        campaign.key(path),
        campaign.content(name, text),
        content_type,
        recorded_at=recorded_at or campaign.created_at,
        facts=facts,
        tags=(*campaign.tags, *tags),
    )


def _add(campaign: _Campaign, path: str, name: str, text: str, section: str) -> None:
    content_type = ContentType.PERFORMANCE_INSIGHT if section == "results" else ContentType.CAMPAIGN_LEARNING
    campaign.collector.add(
        campaign.key(path),
        campaign.content(name, text),
        content_type,
        recorded_at=campaign.created_at,
        facts={**campaign.facts, "section": section},
        tags=campaign.tags,
    )


def _point_text(point: object, order: str) -> tuple[str, str, dict[str, Value], list[str]]:
    """Return a point's text, its own date or "", its facts and tags. An object leads with its statement.

    A date that names a day becomes the point's date; one that does not ("Q2 2026", "after the review") stays in the
    text as well.
    """
    if not isinstance(point, dict):
        return (point.strip() if isinstance(point, str) else block(point)), "", {}, []
    fields = fields_of(point)
    lead = next((name for name in _LEADS if isinstance(fields.get(name), str) and not is_empty(fields[name])), "")
    date = next((name for name in _DATES if not is_empty(fields.get(name))), "")
    value = fields.get(date)
    written = read_date(value, order) if isinstance(value, str | int | float) else None
    left_out = {lead, "tags"} | ({date} if written and written.exact else set())
    told = {name: entry for name, entry in fields.items() if name not in left_out and not is_id(name, entry)}
    rest = block({name: entry for name, entry in told.items() if not (is_empty(entry) or is_placeholder(entry))})
    text = "\n".join(part for part in (inline(fields[lead]) if lead else "", rest) if part)
    own: dict[str, Value] = {}
    if channels := labels(fields.get("channels") or fields.get("channel")):
        own["channels"] = channels
    return text, written.iso if written else "", own, labels(fields.get("tags"))
