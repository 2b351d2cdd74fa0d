"""XML without a known vocabulary: text in document order, fields with the name of their element."""

from __future__ import annotations

from typing import Any

from ragwright.core.errors import InputError
from ragwright.ingest.canonical import TextBuilder

_TITLES = frozenset(["title", "head", "heading", "headline"])


def add_records(builder: TextBuilder, data: bytes) -> str:
    """Append an XML file's text.

    A leaf among other leaves is a field of a record and gets its element's name, for "Paris" alone says
    little; text mixed with elements is a paragraph. Entities are never resolved.

    Returns:
        The first title found, or "".

    Raises:
        InputError: It is not XML.
    """
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError) as error:
        raise InputError(str(error)) from error
    first = ""
    stack = [(root, 1)]
    while stack:
        element, level = stack.pop()
        if not isinstance(element.tag, str):
            continue
        if len(element) == 0 or _is_mixed(element):
            kind_title = _name(element).lower() in _TITLES
            text = " ".join(_text(element).split())
            if kind_title:
                first = first or text
                builder.add("title", text, level=min(level, 6))
            elif text:
                builder.add("paragraph", f"{_name(element)}: {text}" if _is_field(element) else text)
            continue
        stack.extend((child, level + 1 if element is not root else level) for child in reversed(element))
    return first


def _name(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _text(element: Any) -> str:
    return "".join(part for part in element.itertext() if isinstance(part, str))


def _is_mixed(element: Any) -> bool:
    """Whether an element holds text beside its children."""
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def _is_field(element: Any) -> bool:
    """Whether an element is one of several different leaves of its parent."""
    parent = element.getparent()
    if parent is None or len(element):
        return False
    return len({child.tag for child in parent}) > 1
