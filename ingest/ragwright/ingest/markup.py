"""HTML made ready for the partitioner: free of what no reader sees, its data tables taken out.

The partitioner drops forms, figures, `<details>` and the `<th>` of tables, and takes every layout table for
data; so the tree is rewritten before it gets there. A data table leaves a numbered mark behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ragwright.core.errors import InputError
from ragwright.ingest.tables import Grid, cell_text, grid_of

TABLE_MARK = re.compile("\ue000(\\d+)\ue001")  # private use characters, taken out of the source first
CAPTION_MARK = "\ue002"
_MARKS = re.compile("[\ue000-\ue002]")

_DROPPED = ("script", "style", "noscript", "template", "svg", "select", "datalist", "ix:header")
_RENAMED = {"form": "div", "fieldset": "div", "figure": "div", "details": "div", "summary": "p"}
_INLINED = ("label", "button", "legend", "output", "font", "object")
_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?<![\w-])opacity\s*:\s*0?\.?0*\s*(;|$)"
    r"|font-size\s*:\s*[01](\.\d+)?\s*(px|pt)?\s*(!important)?\s*(;|$)",
    re.IGNORECASE,
)
_BOLD_STYLE = re.compile(r"font-weight\s*:\s*(bold|[6-9]00)", re.IGNORECASE)
_BULLET = re.compile(
    r"[•·●▪◦‣⁃∙○■□☐☑☒–—*-]|\(?[0-9ivxlc]{1,4}[.)]|\(?[A-Za-z][.)]|\(\w{1,4}\)", re.IGNORECASE
)
_INLINE = frozenset(["span", "i", "b", "em", "strong", "u", "a", "small", "big", "tt", "code", "s", "center"])
_RUNNING = frozenset(["p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th"])
_BLOCKS = ("p", "div", "ul", "ol", "dl", "table", "pre", "blockquote")
_MAX_HEADING = 150
_PROSE_CELL = 250
_MAX_DEPTH = 150  # the partitioner's parser stops at 256
_MAX_NESTING = 2_000  # and this one, set to read huge trees, at 2,048


@dataclass(frozen=True, slots=True)
class Markup:
    """A page without its data tables.

    Attributes:
        html: What is left; `TABLE_MARK` stands where a table was.
        tables: By the number in their mark.
        title: Of the page's head, or "".
        metadata: `author`, `description`, `date`, `subject` and `language`, as far as stated.
    """

    html: str
    tables: list[Grid]
    title: str
    metadata: dict[str, str]


def prepare_markup(source: str) -> Markup:
    """Rewrite a page for the partitioner.

    Raises:
        InputError: There is no element in it at all.
    """
    root = _tree(_MARKS.sub("", source))
    title, metadata = _facts(root)
    _drop_unseen(root)
    _limit_depth(root)
    _rename(root)
    _join_definitions(root)
    _unwrap_items(root)
    _put_images_into_words(root)
    _part_paragraphs(root)
    _mark_captions(root)
    tables = _take_tables(root)
    _promote_headings(root)
    from lxml import etree  # type: ignore[import-untyped]

    return Markup(etree.tostring(root, encoding="unicode", method="html"), tables, title, metadata)


def _tree(source: str) -> Any:
    from lxml import etree, html

    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True
    )
    try:
        root = html.document_fromstring(source.encode("utf-8", "replace"), parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise InputError(f"the page holds no readable HTML: {error}") from error
    return root


def _facts(root: Any) -> tuple[str, dict[str, str]]:
    """The title and the facts of a page's head."""
    title = next((" ".join(found.text_content().split()) for found in root.iter("title")), "")
    facts: dict[str, str] = {}
    wanted = {"author": "author", "description": "description", "date": "date", "keywords": "subject"}
    wanted |= {"article:published_time": "date", "dcterms.date": "date", "dc.creator": "author"}
    for meta in root.iter("meta"):
        key = wanted.get((meta.get("name") or meta.get("property") or "").lower())
        value = " ".join((meta.get("content") or "").split())
        if key and value:
            facts.setdefault(key, value)
    if language := (root.get("lang") or "").strip():
        facts["language"] = language
    return title, facts


def _drop_unseen(root: Any) -> None:
    """Take out scripts, styles and hidden elements; their tails stay."""
    for element in list(root.iter()):
        if element.getparent() is None or not isinstance(element.tag, str):
            continue
        hidden = element.get("hidden") is not None and element.get("hidden") != "until-found"
        hidden = hidden or _HIDING_STYLE.search(element.get("style") or "") is not None
        if (hidden and element.tag not in ("body", "head")) or element.tag in _DROPPED:
            element.drop_tree()


def _limit_depth(root: Any) -> None:
    """Lift the text of what lies too deep for the partitioner, which would drop it.

    Raises:
        InputError: The page nests deeper than the parser reads.
    """
    depths = {root: 0}
    for element in root.iterdescendants():
        depths[element] = depths[element.getparent()] + 1
    if max(depths.values()) >= _MAX_NESTING:
        raise InputError(f"its elements nest {_MAX_NESTING:,} deep or deeper; simplify the page")
    for element, depth in depths.items():
        if depth == _MAX_DEPTH:
            _become(element, "p", cell_text(element))


def _rename(root: Any) -> None:
    for element in root.iter(*_RENAMED):
        element.tag = _RENAMED[element.tag]
    for element in list(root.iter(*_INLINED)):
        if element.getparent() is not None:
            element.tag = "span"


def _join_definitions(root: Any) -> None:
    """Make a term and its definition one list item, `Term: definition`: neither says much alone."""
    for definition in list(root.iter("dd")):
        term, inner = definition.getprevious(), next(definition.iterdescendants(*_BLOCKS), None)
        if term is not None and term.tag == "dt" and inner is None:
            text = f"{cell_text(term).rstrip(':')}: {cell_text(definition)}"
            term.drop_tree()
            _become(definition, "li", text)
    for element in list(root.iter("dl", "dd", "dt")):
        element.tag = "ul" if element.tag == "dl" else "li"


def _unwrap_items(root: Any) -> None:
    """Take the paragraph around a list item's first words away, which would make it no item."""
    for item in root.iter("li"):
        first = item[0] if len(item) else None
        if first is not None and first.tag == "p" and not (item.text or "").strip():
            first.drop_tag()


def _put_images_into_words(root: Any) -> None:
    """Let an image inside running text or a cell be read as its description; one that stands alone stays."""
    for image in list(root.iter("img")):
        described = " ".join((image.get("alt") or "").split())
        block = next(up for up in image.iterancestors() if up.tag not in _INLINE)
        alone = block.tag not in ("td", "th") and not block.text_content().strip()
        if described and block.tag in _RUNNING and not alone:
            _become(image, "span", f" {described} ")


def _part_paragraphs(root: Any) -> None:
    """Let two line breaks in a row end a paragraph, as they do on the screen."""
    for element in list(root.iter("br")):
        following = element.getnext()
        if following is None or following.tag != "br" or (element.tail or "").strip():
            continue
        _become(element, "p", "")
        for around in element.iterancestors():
            if around.tag not in _INLINE:
                break
            around.tag = "div"  # a block inside running text would not end it


def _mark_captions(root: Any) -> None:
    for caption in list(root.iter("figcaption")):
        _become(caption, "p", CAPTION_MARK + cell_text(caption))


def _become(element: Any, tag: str, text: str) -> None:
    """Replace an element's tag and content; its tail stays."""
    tail = element.tail
    element.clear()
    element.tag, element.text, element.tail = tag, text, tail


def _take_tables(root: Any) -> list[Grid]:
    """Put a mark in place of every data table and unwrap the tables that only arrange the page."""
    tables: list[Grid] = []
    for table in reversed(list(root.iter("table"))):  # inner tables before the ones around them
        if _is_layout(table):
            _unwrap(table)
            continue
        grid = grid_of(table)
        if len(grid.rows) > 1 or grid.header_rows:
            # Inner marks cannot be left inside a cell's text: a table with tables in it is layout.
            _become(table, "p", f"\ue000{len(tables)}\ue001")
            tables.append(grid)
        else:
            _flatten(table, grid)
    return tables


def _is_layout(table: Any) -> bool:
    """Whether a table arranges the page instead of holding data."""
    if table.get("role") in ("presentation", "none"):
        return True
    if next(table.iter("h1", "h2", "h3", "pre", "ul", "ol", "hr"), None) is not None or _holds_mark(table):
        return next(table.iter("th"), None) is None or _holds_mark(table)
    rows = [[cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr")]
    width = max(map(len, rows), default=0)
    if width <= 1:
        return True
    texts = [text for row in rows for cell in row if (text := cell_text(cell))]
    return width <= 3 and len(texts) > 0 and sum(map(len, texts)) / len(texts) > _PROSE_CELL


def _holds_mark(table: Any) -> bool:
    return any(element.text and TABLE_MARK.search(element.text) for element in table.iter("p"))


def _unwrap(table: Any) -> None:
    """Turn a table's cells into blocks; a row that starts with a bullet becomes a list item."""
    for row in list(table.iter("tr")):
        texts = [text for cell in row if (text := cell_text(cell))]
        if len(texts) > 1 and _BULLET.fullmatch(texts[0]) and not _holds_mark(row):
            _become(row, "p", " ".join(texts))
    for element in table.iter("table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption"):
        element.tag = "div"


def _flatten(table: Any, grid: Grid) -> None:
    """Replace a table of one row by a paragraph."""
    bold = _is_bold(table)
    _become(table, "p", " ".join(cell for row in grid.rows for cell in row if cell))
    if bold:
        table.set("style", "font-weight:bold")


def _promote_headings(root: Any) -> None:
    """Make short bold paragraphs headings on a page that uses no heading elements (SEC filings do not)."""
    if next(root.iter("h1", "h2", "h3", "h4"), None) is not None:
        return
    for element in list(root.iter("p", "div")):
        if next(element.iterdescendants("p", "div", "table", "li"), None) is None and _reads_as_heading(
            element
        ):
            text = cell_text(element)
            _become(element, _heading_tag(text), text)


def _reads_as_heading(element: Any) -> bool:
    """Whether a block is short, bold throughout, and no sentence."""
    text = cell_text(element)
    if not 2 < len(text) <= _MAX_HEADING or TABLE_MARK.search(text) or not re.search(r"[^\W\d]{2}", text):
        return False
    numbered = re.match(r"(item|part)\s+\w+", text, re.IGNORECASE) is not None
    return (numbered or not text.endswith((".", ",", ";"))) and _is_bold(element)


def _heading_tag(text: str) -> str:
    if re.match(r"part\s+[ivx\d]+\b", text, re.IGNORECASE):
        return "h1"
    return "h2" if re.match(r"(item|chapter|section|article)\s+\w+", text, re.IGNORECASE) else "h3"


def _is_bold(element: Any) -> bool:
    """Whether every visible word inside is bold."""
    seen = False
    for node in element.iter():
        inside = [(node.text, node)] + ([(node.tail, node.getparent())] if node is not element else [])
        for text, holder in inside:
            if text and text.strip():
                seen = True
                if not _bold_at(holder, element):
                    return False
    return seen


def _bold_at(node: Any, top: Any) -> bool:
    while node is not None:
        if node.tag in ("b", "strong") or _BOLD_STYLE.search(node.get("style") or ""):
            return True
        if node is top:
            return False
        node = node.getparent()
    return False
