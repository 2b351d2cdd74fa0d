"""Parts of a DOCX that the partitioner leaves out (notes, text boxes) or should not see (hidden runs)."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from ragwright.ingest.archive import read_member
from ragwright.ingest.canonical import TextBuilder
from ragwright.ingest.properties import parse_xml

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BODY = "word/document.xml"
_OFF = ("0", "false", "off")


def add_side_texts(builder: TextBuilder, data: bytes) -> None:
    """Append text boxes, footnotes and endnotes, each paragraph a paragraph, after the body."""
    body = read_member(data, _BODY)
    if b"txbxContent" in body and (root := parse_xml(body)) is not None:
        for box in root.iter(_W + "txbxContent"):
            # Word writes every box twice, once for old readers.
            if not any(str(up.tag).endswith("}Fallback") for up in box.iterancestors()):
                _add_paragraphs(builder, box)
    for member, note in (("word/footnotes.xml", "footnote"), ("word/endnotes.xml", "endnote")):
        root = parse_xml(content) if (content := read_member(data, member)) else None
        for element in root.iter(_W + note) if root is not None else ():
            if element.get(_W + "type") in (None, "normal"):
                _add_paragraphs(builder, element)


def without_hidden_runs(data: bytes) -> bytes:
    """The file without runs that Word does not show; the same bytes when it has none."""
    body = read_member(data, _BODY)
    root = parse_xml(body) if b"<w:vanish" in body else None
    runs = [run for run in root.iter(_W + "r") if _vanishes(run)] if root is not None else []
    if not runs:
        return data
    for run in runs:
        run.getparent().remove(run)
    from lxml import etree  # type: ignore[import-untyped]

    return _with_member(data, _BODY, etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _vanishes(run: Any) -> bool:
    mark = run.find(f"{_W}rPr/{_W}vanish")
    return mark is not None and mark.get(_W + "val") not in _OFF


def _with_member(data: bytes, name: str, content: bytes) -> bytes:
    buffer = BytesIO()
    with ZipFile(BytesIO(data)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, content if member.filename == name else old.read(member))
    return buffer.getvalue()


def _add_paragraphs(builder: TextBuilder, holder: Any) -> None:
    for paragraph in holder.iter(_W + "p"):
        builder.add("paragraph", "".join(text.text or "" for text in paragraph.iter(_W + "t")))
