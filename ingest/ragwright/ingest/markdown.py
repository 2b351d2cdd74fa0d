"""Markdown to blocks: the canonical text is the decoded file itself, the blocks are ranges of its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragwright.core.types import Block, Parsed
from ragwright.ingest.hidden import remove_hidden
from ragwright.ingest.plain import decode, trimmed

_MAX_NESTING = 24  # a list counts as two levels, a quote as one; what lies deeper becomes paragraphs
_FRONT_MATTER_LINES = 200
_FIELD = re.compile(r"([A-Za-z_][\w -]*?)[ \t]*:(?:[ \t]+(.*))?$")
_TAG = re.compile(r"<[^<>]*>")
_MARKS = " \t\n>*+-.)0123456789"
_UNREAD = ("<script", "<style")


@dataclass(frozen=True, slots=True)
class _Lines:
    """A text with the offsets at which its lines start; one more than it has lines, the last its length."""

    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> _Lines:
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        return cls(text, (*starts, len(text)) if starts[-1] < len(text) else (*starts[:-1], len(text)))

    def span(self, first: int, end: int) -> tuple[int, int]:
        """Characters of the lines `[first, end)`."""
        last = len(self.starts) - 1
        return self.starts[min(first, last)], self.starts[min(end, last)]


def parse_markdown(data: bytes, name: str) -> Parsed:
    """CommonMark with tables to blocks. Markup stays in the text; a title's span leaves its marks out.

    Link definitions and quotes become paragraphs. Rules, HTML comments and HTML without visible text get no
    block, nor does front matter, whose plain `key: value` lines become metadata.

    Args:
        data: The file's bytes.
        name: Unused; every parser is called the same way.

    Raises:
        InputError: The bytes are no text.
    """
    text, hidden = remove_hidden(decode(data))
    lines = _Lines.of(text)
    metadata, body = _front_matter(text)
    blocks = tuple(_blocks(lines, body))
    titles = (text[block.start : block.end] for block in blocks if block.kind == "title" and block.level == 1)
    title = metadata.get("title") or " ".join(next(titles, "").split())
    return Parsed(text, blocks, title, "text/markdown", metadata, hidden)


def _front_matter(text: str) -> tuple[dict[str, str], int]:
    """The fields between two lines of dashes at the start, and the line on which the body begins."""
    if not text.startswith("---\n"):
        return {}, 0
    fields: dict[str, str] = {}
    position = 4
    for number in range(1, _FRONT_MATTER_LINES):
        end = text.find("\n", position)
        line = text[position : end if end >= 0 else len(text)].rstrip()
        if line in ("---", "..."):
            return fields, number + 1
        field = _FIELD.match(line)
        if end < 0 or (number == 1 and field is None and not line.startswith("#")):
            break
        if field and field[2] and field[2].strip() not in ("|", ">", "|-", ">-"):
            fields[field[1].strip().lower()] = field[2].strip().strip("\"'")
        position = end + 1
    return {}, 0


def _blocks(lines: _Lines, body: int) -> Iterator[Block]:
    """All blocks from line `body` on, in text order."""
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
    # Only the block structure is wanted. Without `reference`, link definitions stay visible as paragraphs.
    parser.disable(["inline", "text_join", "reference"])
    tokens = parser.parse(lines.text[lines.span(body, body)[0] :])
    done = body
    for leaf in _leaves(tokens, body):
        # Lines that the parser left out because they are nested too deeply.
        yield from _gap(lines, done, leaf.first)
        yield from _KINDS[leaf.tokens[0].type](lines, leaf)
        done = max(done, leaf.end)
    yield from _gap(lines, done, len(lines.starts) - 1)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A run of tokens that holds no further leaf, its lines `[first, end)`, and in how many lists it lies."""

    tokens: Sequence[Token]
    first: int
    end: int
    depth: int


def _leaves(tokens: Sequence[Token], body: int) -> Iterator[_Leaf]:
    depth, index = 0, 0
    while index < len(tokens):
        token, following = tokens[index], index + 1
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        elif token.type in _KINDS and token.map is not None:
            following = _after(tokens, index)
            yield _Leaf(tokens[index:following], token.map[0] + body, token.map[1] + body, depth)
        index = following


def _after(tokens: Sequence[Token], index: int) -> int:
    """Index after the token that closes the one at `index`."""
    level, nested = tokens[index].level, tokens[index].nesting == 1
    index += 1
    while nested and index < len(tokens):
        nested = tokens[index].level != level
        index += 1
    return index


def _paragraph(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    for span in trimmed(lines.text, *lines.span(leaf.first, leaf.end)):
        if leaf.depth:
            yield Block("list_item", *span, level=leaf.depth)
        else:
            yield Block("paragraph", *span)


def _title(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    """A heading without its number signs or its underline."""
    start, end = lines.span(leaf.first, leaf.end)
    opening, content = leaf.tokens[0], leaf.tokens[1].content
    if opening.markup.startswith("#"):
        # What may stand in front of the signs (quote and list marks) contains none of them.
        start = lines.text.index("#", start, end) + len(opening.markup)
        start += len(lines.text[start:end]) - len(lines.text[start:end].lstrip())
        end = start + len(content)
    else:
        end = lines.span(leaf.end - 1, leaf.end)[0]
    for span in trimmed(lines.text, start, end):
        yield Block("title", *span, level=int(opening.tag[1:]))


def _code(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    """A fence with both its ends, or an indented block with the indentation of its first line."""
    start, end = lines.span(leaf.first, leaf.end)
    for first, last in trimmed(lines.text, start, end):
        yield Block("code", lines.text.rfind("\n", 0, first) + 1, last)


def _table(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    """The table, then its rows; the delimiter line lies in the table only."""
    header = True
    for span in trimmed(lines.text, *lines.span(leaf.first, leaf.end)):
        yield Block("table", *span)
    for token in leaf.tokens:
        if token.type == "tr_open" and token.map is not None:
            offset = leaf.first - (leaf.tokens[0].map or [0])[0]
            for span in trimmed(lines.text, *lines.span(token.map[0] + offset, token.map[1] + offset)):
                yield Block("table_header" if header else "table_row", *span)
        header = header and token.type != "thead_close"


def _html(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    if _visible(leaf.tokens[0].content):
        yield from _paragraph(lines, leaf)


def _rule(lines: _Lines, leaf: _Leaf) -> Iterator[Block]:
    return iter(())


def _gap(lines: _Lines, first: int, end: int) -> Iterator[Block]:
    """Lines between leaves as a paragraph, when they hold more than the marks of lists and quotes."""
    for start, stop in trimmed(lines.text, *lines.span(first, max(first, end))):
        if lines.text[start:stop].strip(_MARKS):
            yield Block("paragraph", start, stop)


def _visible(html: str) -> bool:
    """Whether anything is left to read without tags, comments, scripts and styles."""
    if html.lstrip().lower().startswith(_UNREAD):
        return False
    opened, *rest = html.split("<!--")
    after_comments = (piece.partition("-->")[2] for piece in rest)
    return bool(_TAG.sub("", opened + "".join(after_comments)).strip())


_KINDS: dict[str, Callable[[_Lines, _Leaf], Iterator[Block]]] = {
    "paragraph_open": _paragraph,
    "heading_open": _title,
    "fence": _code,
    "code_block": _code,
    "table_open": _table,
    "html_block": _html,
    "hr": _rule,
}
