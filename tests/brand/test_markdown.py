"""Our scanner finds the headings that a complete CommonMark parser finds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dm_memory.brand.formats.markdown import sections

LINE = st.sampled_from(
    [
        "# A",
        "## B",
        "### C ##",
        "#no",
        "####### no",
        "text",
        "",
        "",
        "```",
        "~~~",
        "````",
        "    # code",
        "=====",
        "# ",
        "> quote",
    ]
)


@example(["    # code", "#no", "====="])
@given(st.lists(LINE, max_size=12))
def test_the_headings_are_those_of_a_complete_parser(lines: list[str]) -> None:
    text = "\n".join(lines)
    tokens = MarkdownIt("commonmark").parse(text)
    pairs = [pair for pair in pairwise(tokens) if pair[0].type == "heading_open"]
    # A heading underlined below several lines of text is left in the body: no guideline is written so.
    assume(not any("\n" in inline.content for _heading, inline in pairs))
    expected = [inline.content for heading, inline in pairs if heading.level == 0]
    assert [section.path[-1] for section in sections(text) if section.path] == expected
