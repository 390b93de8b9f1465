"""The values in a brand's data files, whatever they are written in: JSON, JSON Lines, YAML, CSV.

The fast path is ``orjson`` over the bytes. Everything else is imported and tried only for a file that needs it: what it
costs is in docs/decisions/0002.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from dm_memory.brand.files import BrandFileError, broken, clean_json_text, decode_text, no_number
from dm_memory.brand.formats.lenient import both, read_leniently
from dm_memory.brand.formats.text import canonical, lines_in, word_set
from dm_memory.brand.parsed import SourceFile
from dm_memory.findings import Finding, Severity

__all__ = ["Document", "looks_encoded_twice", "read_document"]

_MAX_LENIENT = 8 * 1024 * 1024
_MAX_NODES = 1_000_000
_LINES = frozenset({".jsonl", ".ndjson"})
_YAML = frozenset({".yaml", ".yml"})
_TABLES = frozenset({".csv", ".tsv"})

_KEYS = re.compile(rb'"\s*:')
_NEXT_VALUE = re.compile(r"[^\s,]")
_ENVELOPES = word_set("data response result payload output content body json document answer")
_ABOUT_ENVELOPES = word_set("""
    success ok error errors message meta metadata timestamp generated_at generated created_at version schema_version
    schema model usage request_id count total page per_page next previous
""")
_MAX_ENVELOPES = 20
_FINE = word_set("ok success 200 done true")

# UTF-8, or the escapes of it, that only text encoded twice begins with ("Ã", "Â", "â€"); a first look, which
# ftfy confirms or refuses.
_TWICE = re.compile(
    rb"\xc3[\x82\x83\x90\x91][\xc2-\xe2]|\xc3\xa2\xe2\x82\xac|\xc3\xb0\xc5\xb8"
    rb"|\\u00[cC][23]\\u|\\u00[eE]2\\u20[aA][cC]|\\u00[fF]0\\u0178"
)


@dataclass(slots=True)
class Document:
    """A file's value.

    Attributes:
        findings: What was repaired, and what could not be read.
        whole: False if a part could not be read.
    """

    value: object
    findings: list[Finding] = field(default_factory=list)
    whole: bool = True


def read_document(file: SourceFile, data: bytes) -> Document:
    """Return the value in ``data``, the bytes of ``file``.

    Raises:
        BrandFileError: ``broken-file``: nothing of it can be read.
    """
    if file.suffix in _YAML:
        document = _yaml(decode_text(data), file.path)
    elif file.suffix == ".toml":
        document = _toml(decode_text(data), file.path)
    elif file.suffix in _TABLES:
        from dm_memory.brand.formats.tables import read_rows  # noqa: PLC0415  # only for such a file

        document = Document(read_rows(decode_text(data)))
    elif file.suffix in _LINES:
        document = _json_lines(decode_text(data), file.path)
    else:
        document = _json(data, file.path)
    document.value = _unwrapped(document.value)
    if looks_encoded_twice(data):
        _repair_encoding(document, file.path)
    return document


def looks_encoded_twice(data: bytes) -> bool:
    """Return whether ``data`` may contain text that was encoded twice."""
    return (b"\xc3" in data or b"\\u00" in data) and _TWICE.search(data) is not None


def _json(data: bytes, path: str) -> Document:
    if b"\\u0000" not in data:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # the careful reading below decides
        else:
            return _with_repeated(value, data, path)
    text = clean_json_text(data)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _json_by_hand(text, path)
    return _with_repeated(value, text.encode("utf-8"), path)


def _with_repeated(value: object, data: bytes, path: str) -> Document:
    """Return a document whose keys that stand twice are joined: a parser keeps the last of them without a word."""
    if len(data) > _MAX_LENIENT:
        return Document(value)
    try:
        # A look at the number of keys is all that a file without such keys costs.
        if len(_KEYS.findall(data)) <= len(_KEYS.findall(orjson.dumps(value))):
            return Document(value)
    except orjson.JSONEncodeError:  # nested more deeply than it writes
        return Document(value)
    repeated: list[str] = []

    def joined(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, entry in pairs:
            if name in found:
                repeated.append(name)
            found[name] = both(found[name], entry) if name in found else entry
        return found

    return Document(json.loads(clean_json_text(data), object_pairs_hook=joined), _repeated(repeated, path))


def _repeated(names: list[str], path: str) -> list[Finding]:
    if not names:
        return []
    shown = ", ".join(f"“{name[:60]}”" for name in dict.fromkeys(names[:5]))
    message = f"{path}: {shown} stands more than once in one object; what each says was joined."
    return [Finding("repaired-file", Severity.INFO, message, "Keep one of them.", path)]


def _unwrapped(value: object) -> object:
    """Return what an interface's answer is about: ``{"status": "ok", "data": {...}}``, JSON inside a text."""
    for _ in range(_MAX_ENVELOPES):
        inner = _inside(value)
        if inner is value:
            break
        value = inner
    return value


def _inside(value: object) -> object:
    """Return what one envelope has inside, or ``value`` itself if it is none."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if not isinstance(value, dict):
        return value
    inner = [entry for name, entry in value.items() if canonical(name) in _ENVELOPES and isinstance(entry, dict | list)]
    others = [(name, entry) for name, entry in value.items() if not any(entry is found for found in inner)]
    alone = len(inner) == 1 and all(
        canonical(name) in _ABOUT_ENVELOPES or (canonical(name) == "status" and str(entry).lower() in _FINE)
        for name, entry in others
    )
    return inner[0] if alone else value


def _json_by_hand(text: str, path: str) -> Document:
    if not text.strip():
        raise broken(path, "is empty")
    try:
        return Document(json.loads(text, strict=False, parse_constant=no_number))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        several = error.msg == "Extra data"
    except RecursionError:
        raise broken(path, "is nested too deeply") from None
    except ValueError:
        raise broken(path, "contains a number that is too long") from None
    if several and (lines := _several_values(text)):
        return Document(lines)
    found = read_leniently(text) if len(text) <= _MAX_LENIENT else None
    if found is None:
        raise broken(path, f"is not valid JSON ({where})")
    document = Document(found.value, whole=found.whole)
    if found.repairs:
        message = f"{path} is not quite JSON ({', '.join(found.repairs)}); it was read as it is meant."
        remedy = "Save it as JSON to be sure."
        document.findings.append(Finding("repaired-file", Severity.INFO, message, remedy, path))
    document.findings += [_lost(path, f"what stands at {place} can't be understood") for place in found.lost]
    if found.cut:
        document.findings.append(_lost(path, "the file ends in the middle of an entry"))
    return document


def _lost(path: str, what: str) -> Finding:
    message = f"{path}: {what} and was left out; everything around it was read."
    return Finding("malformed-entry", Severity.WARNING, message, "Correct it there, then sync again.", path)


def _several_values(text: str) -> list[object]:
    """Return the values that stand one behind the other (JSON Lines that are called .json); [] if one is none."""
    decoder = json.JSONDecoder(strict=False, parse_constant=no_number)
    values: list[object] = []
    at = 0
    while match := _NEXT_VALUE.search(text, at):
        try:
            value, at = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            return []
        values += value if isinstance(value, list) else [value]
    return values


def _json_lines(text: str, path: str) -> Document:
    document = Document([])
    values: list[object] = []
    for position, line in enumerate(lines_in(text), 1):
        if not line.strip():
            continue
        try:
            one = _json(line.encode("utf-8", "surrogatepass"), path)
        except BrandFileError:
            document.whole = False
            document.findings.append(_lost(path, f"line {position} is not JSON"))
            continue
        values.append(one.value)
        document.findings += one.findings
        document.whole &= one.whole
    if not values and not document.whole:
        return _json(text.encode("utf-8", "surrogatepass"), path)  # one value over several lines, under another name
    document.value = values
    return document


def _toml(text: str, path: str) -> Document:
    import tomllib  # noqa: PLC0415  # only for such a file

    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise broken(path, f"is not valid TOML ({str(error)[:200]})") from None
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise broken(path, "is not valid TOML") from None
    try:
        return Document(json.loads(json.dumps(value, default=str), parse_constant=no_number))  # dates become texts
    except RecursionError:
        raise broken(path, "is nested too deeply") from None


def _yaml(text: str, path: str) -> Document:
    from dm_memory.brand.formats.yaml_text import YamlTextError, read_yaml  # noqa: PLC0415  # 50 ms, only for such a file

    try:
        found = read_yaml(text)
    except YamlTextError as error:
        raise broken(path, error.what) from None
    document = Document(found.value, _repeated(found.repeated, path))
    if found.repaired:
        lines = ", ".join(map(str, found.repaired[:10]))
        message = f"{path} is not quite YAML (line {lines}); it was read as it is meant."
        remedy = "Put quotes around such a text to be sure."
        document.findings.append(Finding("repaired-file", Severity.INFO, message, remedy, path))
    return document


def _repair_encoding(document: Document, path: str) -> None:
    """Repair texts that were encoded twice ("CafÃ©" for "Café")."""
    from ftfy import fix_encoding  # noqa: PLC0415  # 100 ms, only if the bytes look like it

    changed = 0

    def repaired(text: str) -> str:
        nonlocal changed
        fixed: str = fix_encoding(text)
        changed += fixed != text
        return fixed

    document.value = _mapped(document.value, repaired, 0)
    if changed:
        texts = "1 text was" if changed == 1 else f"{changed} texts were"
        message = f"{path}: {texts} encoded twice (as “Ã©” for “é”) and repaired."
        document.findings.append(Finding("repaired-file", Severity.INFO, message, path=path))


def _mapped(value: object, change: Callable[[str], str], depth: int) -> object:
    if isinstance(value, str):
        return value if value.isascii() else change(value)
    if depth > 100:  # noqa: PLR2004  # orjson's own limit is higher, nobody's text is
        return value
    if isinstance(value, list):
        return [_mapped(entry, change, depth + 1) for entry in value]
    if isinstance(value, dict):
        return {change(name): _mapped(entry, change, depth + 1) for name, entry in value.items()}
    return value
