"""HTML and JSX as Markdown: headings, lists, tables and alternative texts stay, the mark-up goes.

Stands on the standard library's parser (8 ms to import; markdownify with Beautiful Soup 220 ms, html2text is GPL).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from dm_memory.brand.formats.text import word_set

__all__ = ["has_markup", "html_to_markdown"]

_TAGS = (
    "a|abbr|article|aside|b|blockquote|body|br|button|caption|center|cite|code|col|colgroup|dd|del|details|div|dl|dt|em"
    "|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta"
    "|nav|ol|option|p|picture|pre|q|s|script|section|select|small|source|span|strike|strong|style|sub|summary|sup|svg|table"
    "|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|u|ul|var|video"
)
_MARKUP = re.compile(
    rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>|&(?:nbsp|amp|lt|gt|quot|mdash|ndash|euro|#\d+|#x[0-9a-f]+);", re.IGNORECASE
)
_COMPONENT = re.compile(r"</?[A-Z][a-zA-Z]*[a-z][\w.]*(?:\s[^<>]*)?/?>")
_KNOWN = re.compile(_TAGS)
_FENCED = re.compile(
    r"(^[ \t]*(?:`{3,}|~{3,}).*?(?:^[ \t]*(?:`{3,}|~{3,})[ \t]*$|\Z)|`[^`\n]*`)", re.DOTALL | re.MULTILINE
)
_JSX_CODE = re.compile(
    r"^(?:import|export)\s[^\n]*$|\{/\*.*?\*/\}|\{\s*[\"'`]([^\"'`{}]*)[\"'`]\s*\}", re.DOTALL | re.MULTILINE
)
_RETURN = re.compile(r"\breturn\s*\(")
_BLOCKS = word_set("""
    article aside blockquote body center dd details div dl dt figcaption figure footer form header main nav ol p pre
    section summary table tbody thead tfoot tr ul caption
""")
_SILENT = frozenset({"script", "style", "svg", "template", "head"})
_BLANK_LINES = re.compile(r"[ \t]*\n(?:[ \t]*\n)+")
_HEADING_LEVEL = re.compile(r"h([1-6])")


def has_markup(text: str) -> bool:
    """Return whether a Markdown text contains HTML or JSX that a reader should not see."""
    return ("<" in text or "&" in text) and (_MARKUP.search(text) is not None or _COMPONENT.search(text) is not None)


def html_to_markdown(text: str, *, page: bool = False, jsx: bool = False) -> str:
    """Return ``text`` without mark-up.

    Args:
        text: Markdown with HTML in it, or a whole page.
        page: It is HTML throughout: line ends mean nothing.
        jsx: Its code (imports, expressions in braces) goes as well.
    """
    if jsx:
        # What a component shows is the mark-up behind its last ``return (``.
        starts = list(_RETURN.finditer(text))
        end = text.rfind(")")
        if starts and end > starts[-1].end():
            text = text[starts[-1].end() : end]
        text = _JSX_CODE.sub(lambda match: match[1] or "", text)
    parts = [text] if page else _FENCED.split(text)
    found = []
    for position, part in enumerate(parts):
        if position % 2:
            found.append(part)  # code stays as it is written
            continue
        converter = _Converter(page=page, jsx=jsx)
        converter.feed(part)
        converter.close()
        found.append(converter.text())
    return _BLANK_LINES.sub("\n\n", "".join(found)).strip()


class _Converter(HTMLParser):
    """Collects the text of one piece."""

    def __init__(self, *, page: bool, jsx: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._page = page
        self._jsx = jsx
        self._out: list[str] = []
        self._heading: tuple[int, list[str]] | None = None
        self._rows: list[list[str]] | None = None
        self._cell: list[str] | None = None
        self._silent = 0

    def text(self) -> str:
        """Return the Markdown."""
        self._end_table()
        self._end_heading()
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        if tag in _SILENT:
            self._silent += 1
        elif self._is_verbatim(tag):
            self._write(self.get_starttag_text() or "")
        elif level := _HEADING_LEVEL.fullmatch(tag):
            self._end_heading()
            self._heading = (int(level[1]), [])
        elif tag == "img":
            self._write(dict(attrs).get("alt") or "")
        elif tag == "table" and self._rows is None:
            self._rows = []
        elif self._rows is not None:
            self._in_table(tag)
        elif tag == "li":
            self._write("\n- ")
        elif tag in {"br", "hr"}:
            self._write("\n")
        elif tag in _BLOCKS:
            self._write("\n\n" if self._page else "\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        if tag not in _SILENT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """See ``HTMLParser``."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif _HEADING_LEVEL.fullmatch(tag):
            self._end_heading()
        elif tag == "table":
            self._end_table()
        elif tag in {"td", "th"} and self._cell is not None:
            self._end_cell()
        elif tag in _BLOCKS and self._rows is None:
            self._write("\n\n" if self._page else "\n")

    def handle_data(self, data: str) -> None:
        """See ``HTMLParser``."""
        self._write(re.sub(r"\s+", " ", data) if self._page else data.replace("\u00a0", " "))

    def _is_verbatim(self, tag: str) -> bool:
        """Return whether what looks like a tag is text: "<client name>", an address in angle brackets."""
        raw = self.get_starttag_text() or ""
        if _KNOWN.fullmatch(tag) or self._page:
            return False
        return not (self._jsx or _COMPONENT.fullmatch(raw) or raw.endswith("/>") or "=" in raw)

    def _write(self, text: str) -> None:
        if self._silent:
            return
        if self._cell is not None:
            self._cell.append(text)
        elif self._heading is not None:
            self._heading[1].append(text)
        elif self._rows is None or text.strip():
            self._out.append(text)

    def _in_table(self, tag: str) -> None:
        if tag == "tr":
            self._end_cell()
            self._rows = [*(self._rows or []), []]
        elif tag in {"td", "th"}:
            self._end_cell()
            self._cell = []
        elif tag in {"br", "p", "li", "div"}:
            self._write(" ")

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        text = " ".join("".join(self._cell).split()).replace("|", "\\|")
        self._cell = None
        if self._rows is not None:
            if not self._rows:
                self._rows.append([])
            self._rows[-1].append(text)

    def _end_table(self) -> None:
        self._end_cell()
        rows, self._rows = [row for row in self._rows or [] if row], None
        if not rows:
            return
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        self._out.append("\n\n" + "\n".join(lines) + "\n\n")

    def _end_heading(self) -> None:
        if self._heading is None:
            return
        (level, parts), self._heading = self._heading, None
        if title := " ".join("".join(parts).split()):
            self._write(f"\n\n{'#' * level} {title}\n\n")
