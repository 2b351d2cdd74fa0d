"""What an office document states about itself: title, author, date, subject, language."""

from __future__ import annotations

import re
from typing import Any

from ragwright.ingest.archive import read_member

_MEMBERS = {"docProps/core.xml": "office", "meta.xml": "odt"}
_KEYS = {
    "title": "title",
    "creator": "author",
    "initial-creator": "author",
    "created": "date",
    "creation-date": "date",
    "date": "date",
    "modified": "modified",
    "subject": "subject",
    "description": "description",
    "language": "language",
    "keywords": "keywords",
    "publisher": "publisher",
}
_MAX_VALUE = 1_000


def read_properties(data: bytes) -> dict[str, str]:
    """The facts in a DOCX, PPTX, XLSX, EPUB or ODT file.

    Returns:
        `title`, `author`, `date`, `modified`, `subject`, `description`, `language`, `keywords` and
        `publisher` as far as stated, and nothing from a damaged part.
    """
    for member in (*_MEMBERS, _package_of_epub(data)):
        if member and (content := read_member(data, member)):
            return _facts(content)
    return {}


def parse_xml(content: bytes) -> Any:
    """The root element; entities are not resolved and nothing is fetched. None when it is not XML."""
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(content, parser)
    except (etree.LxmlError, ValueError):
        return None


def _package_of_epub(data: bytes) -> str:
    """The path of an EPUB's package file, or ""."""
    match = re.search(rb'full-path\s*=\s*["\']([^"\']+)', read_member(data, "META-INF/container.xml"))
    return match.group(1).decode("utf-8", "replace") if match else ""


def _facts(content: bytes) -> dict[str, str]:
    root = parse_xml(content)
    facts: dict[str, str] = {}
    for element in root.iter() if root is not None else ():
        key = _KEYS.get(str(element.tag).rsplit("}", 1)[-1])
        value = " ".join((element.text or "").split()) if key else ""
        if key and value:
            facts.setdefault(key, value[:_MAX_VALUE])
    return facts
