"""HTML from values: every text is escaped unless it was built here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import quote

# What HTML forbids, halves of surrogate pairs, which no encoding can write, and signs that turn the direction
# of writing: in a file's name they would turn round the numbers that stand after it.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_VOID = frozenset({"meta", "wbr"})

Attribute = str | int | float | bool | None


class Markup(str):
    """Text that is HTML already, as only the functions of this file make it from anything else."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """The text as it must stand in HTML, in an element or between quotes.

    >>> print(escape('<a href="x">&' + chr(0)))
    &lt;a href=&quot;x&quot;&gt;&amp;\ufffd
    """
    return Markup(html.escape(clean(text), quote=True))


def clean(text: str) -> str:
    """The text, as long as before, with U+FFFD for each character that a page must not hold."""
    return _FORBIDDEN.sub("\ufffd", text)


def element(tag: str, *children: str | None, **attributes: Attribute) -> Markup:
    """An element.

    Args:
        tag: Its name.
        children: Texts, which are escaped, and markup, which is not; None is left out.
        attributes: `class_` and `aria_label` give `class` and `aria-label`; False and None are left out,
            True gives the bare name. The names come from code, never from data.

    >>> print(element("p", "a < b", element("b", "c"), class_="note", hidden=True))
    <p class="note" hidden>a &lt; b<b>c</b></p>
    """
    opening = f"<{tag}{''.join(_attribute(*each) for each in attributes.items())}>"
    return Markup(opening if tag in _VOID else f"{opening}{joined(children)}</{tag}>")


def joined(parts: Iterable[str | None]) -> Markup:
    """The parts one after another, texts escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts if part))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def anchor(question_id: str) -> str:
    """The name of a question's row in the page's address, as the page's script makes it as well.

    >>> anchor("a b/ü")
    'q-a%20b%2F%C3%BC'
    """
    return "q-" + quote(clean(question_id), safe="!*'()")


def question_link(question_id: str, text: str) -> Markup:
    """A link to a question's row."""
    return element("a", text, href="#" + anchor(question_id))


def table(
    head: Iterable[str],
    rows: Iterable[str | None],
    *,
    caption: str,
    classes: str = "",
    hide_caption: bool = True,
) -> Markup:
    """A table inside a box of its own that scrolls where the page is too narrow.

    Args:
        head: Cells of the head, from `th`.
        rows: From `row`, or whole bodies.
        caption: Says what the table shows; read aloud, and seen where `hide_caption` is false.
        classes: Of the table.
        hide_caption: Whether a heading nearby says the same.
    """
    content = element(
        "table",
        element("caption", caption, class_="unseen" if hide_caption else None),
        element("thead", element("tr", *head)),
        *rows,
        class_=classes or None,
    )
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=caption)


def head(text: str, *, number: bool = False, title: str | None = None) -> Markup:
    """A cell of a table's head; numbers stand at the right."""
    return element("th", text, scope="col", class_="number" if number else None, title=title)


def row(first: str, *cells: str, class_: str | None = None) -> Markup:
    """A row whose first cell names it; the others are cells already."""
    return element("tr", element("th", first, scope="row"), *cells, class_=class_)


def number(text: str, *, title: str | None = None) -> Markup:
    """A cell with a number."""
    return element("td", text, class_="number", title=title)


def section(name: str, title: str, *content: str | None) -> Markup:
    """A part of the page with its heading; `name` is its place in the page's address."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *content, id=name, aria_labelledby=f"{name}-title")
