"""Office documents, web pages, e-mail and data files to canonical text.

The only file that imports `unstructured`: it partitions HTML, DOCX and PPTX. Pandoc turns EPUB, ODT, RTF, RST
and Org into HTML first, in its sandbox, so that no directive can include a file.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from types import ModuleType
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812 - it is an exception class

from ragwright.core.errors import InputError
from ragwright.core.types import Parsed
from ragwright.ingest.archive import check_archive, check_encryption
from ragwright.ingest.canonical import TextBuilder
from ragwright.ingest.charset import decode_markup
from ragwright.ingest.elements import add_elements
from ragwright.ingest.markup import Markup, prepare_markup
from ragwright.ingest.messages import Message, paragraphs, read_eml, read_msg
from ragwright.ingest.properties import read_properties
from ragwright.ingest.records import add_records
from ragwright.ingest.sniff import (
    CSV,
    DOCX,
    EML,
    EPUB,
    HTML,
    MSG,
    ODT,
    ORG,
    PPTX,
    RST,
    RTF,
    TSV,
    XLSX,
    XML,
)  # fmt: skip
from ragwright.ingest.speakernotes import speaker_notes
from ragwright.ingest.spreadsheets import add_delimited, add_workbook
from ragwright.ingest.wordheads import bold_headings
from ragwright.ingest.wordparts import add_side_texts, without_hidden_runs

_NAMES = {
    HTML: "HTML",
    "application/xhtml+xml": "HTML",
    DOCX: "DOCX",
    PPTX: "PPTX",
    XLSX: "XLSX",
    EPUB: "EPUB",
}
_NAMES |= {
    ODT: "ODT",
    RTF: "RTF",
    "text/rtf": "RTF",
    RST: "RST",
    "text/prs.fallenstein.rst": "RST",
    ORG: "Org",
}
_NAMES |= {"text/org": "Org", CSV: "CSV", TSV: "TSV", XML: "XML", "text/xml": "XML", EML: "EML", MSG: "MSG"}
OFFICE_TYPES = frozenset(_NAMES)
"""Media types that `parse_office` reads."""

_ARCHIVES = ("DOCX", "PPTX", "XLSX", "EPUB", "ODT")
_PANDOC = {"EPUB": "epub", "ODT": "odt", "RTF": "rtf", "RST": "rst", "Org": "org"}
# What programs write when the author wrote nothing: generic names and file names.
_NO_TITLE = re.compile(
    r"power ?point presentation|untitled.*|(microsoft )?word document|document\d*"
    r"|\S+\.(html?|docx?|pptx?|xlsx?|odt)",
    re.IGNORECASE,
)
_DAMAGED = "its contents are damaged"
_QUIET = {"DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "1", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
# What zip, XML and office libraries raise for bytes they cannot make sense of.
_DAMAGE: tuple[type[Exception], ...] = (
    BadZipFile,
    ZlibError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    SyntaxError,  # what ElementTree raises for damaged XML
)
# What their authors did not expect; the message is about their code.
_UNEXPECTED = (AttributeError, TypeError, IndexError, ArithmeticError, AssertionError)
_PANDOC_SAYS = re.compile(r"unexpected|expecting|No entry on path|Could not", re.IGNORECASE)


def parse_office(data: bytes, media_type: str) -> Parsed:
    """Parse one file of any of `OFFICE_TYPES`.

    Args:
        data: The whole file.
        media_type: What it is, found by content.

    Returns:
        Its canonical text and blocks; the title is "" when the file states none.

    Raises:
        InputError: It is encrypted, unsafe to unpack, damaged, or of another type.
    """
    kind = _NAMES.get(media_type)
    if kind is None:
        raise InputError(f"is of type {media_type}, which is not read; convert it to DOCX, HTML or PDF")
    if kind in _ARCHIVES:
        check_encryption(data, name="it")
        check_archive(data, name="it")
    with _one_sentence(f"is not a readable {kind}"):
        builder = TextBuilder()
        title, facts = _fill(builder, data, kind)
    shown = "" if _NO_TITLE.fullmatch(title.strip()) else title
    return builder.build(media_type=media_type, title=shown, metadata=facts)


def _fill(builder: TextBuilder, data: bytes, kind: str) -> tuple[str, dict[str, str]]:
    """Append a file's blocks.

    Returns:
        Its title and its metadata.
    """
    if kind == "HTML" or (kind == "XML" and re.search(rb"<html[\s>]", data[:2000], re.IGNORECASE)):
        return _add_markup(builder, prepare_markup(decode_markup(data)))
    if kind in ("EML", "MSG"):
        return _add_message(builder, read_eml(data) if kind == "EML" else read_msg(data))
    if kind in ("CSV", "TSV"):
        add_delimited(builder, data, delimiter="\t" if kind == "TSV" else "")
        return "", {}
    if kind == "XML":
        return add_records(builder, data), {}
    facts = read_properties(data) if kind in _ARCHIVES else {}
    title = facts.pop("title", "")
    if kind == "XLSX":
        add_workbook(builder, data)
    elif kind in _PANDOC:
        found, more = _add_markup(builder, prepare_markup(_pandoc(data, _PANDOC[kind])))
        title, facts = title or found, more | facts
    else:
        title = _add_paged(builder, data, kind, title)
    return title, facts


def _add_markup(builder: TextBuilder, markup: Markup) -> tuple[str, dict[str, str]]:
    partition = unstructured_part("html").partition_html
    elements = partition(text=markup.html, languages=[""]) if markup.html.strip() else []
    add_elements(builder, elements, tables=markup.tables)
    return markup.title, markup.metadata


def _add_message(builder: TextBuilder, message: Message) -> tuple[str, dict[str, str]]:
    """Subject as title, one paragraph of headers, so that "who wrote" finds an answer, then the body."""
    builder.add("title", message.subject, level=1)
    builder.add("paragraph", message.summary)
    if message.html.strip():
        _add_markup(builder, prepare_markup(message.html))
    for paragraph in paragraphs(message.text):
        builder.add("paragraph", paragraph)
    return message.subject, message.metadata


def _add_paged(builder: TextBuilder, data: bytes, kind: str, title: str) -> str:
    """Append a DOCX or PPTX; a title at its top stands in for a missing one."""
    if kind == "DOCX":
        data = without_hidden_runs(data)
        elements = unstructured_part("docx").partition_docx(file=BytesIO(data), languages=[""])
        first = add_elements(builder, elements, headings=bold_headings(data))
        add_side_texts(builder, data)
    else:
        elements = unstructured_part("pptx").partition_pptx(file=BytesIO(data), languages=[""])
        first = add_elements(builder, elements, slides=True, notes=speaker_notes(data))
    return first if not title or _NO_TITLE.fullmatch(title.strip()) else title


def _pandoc(data: bytes, source_format: str) -> str:
    """Convert to HTML; the sandbox keeps includes, raw files and the network out."""
    try:
        import pypandoc  # type: ignore[import-untyped]

        program = pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:
        raise InputError(
            f"needs pandoc ({error}); run: pip install --force-reinstall pypandoc-binary"
        ) from None
    if source_format in ("rst", "org"):
        data = decode_markup(data).encode()
    if source_format == "rst":
        # The sandbox would refuse the whole document for a table that lies in another file.
        data = re.sub(rb"(?m)^([ \t]+):(file|url):.*$", b"", data)
    command = [program, "--sandbox", f"--from={source_format}", "--to=html5", "--wrap=none"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        reason = next((line.strip() for line in said if _PANDOC_SAYS.match(line.strip())), _DAMAGED)
        raise ValueError(reason)
    return done.stdout.decode("utf-8", "replace")


@cache
def unstructured_part(part: str) -> ModuleType:
    """The partitioner of one format, made silent: no telemetry, no notices, no model download."""
    os.environ.update(_QUIET)
    tokenize: Any = importlib.import_module("unstructured.nlp.tokenize")
    tokenize._load_spacy_model = _blank_language
    return importlib.import_module(f"unstructured.partition.{part}")


def _blank_language() -> Any:
    """A sentence splitter without weights; the partitioner's own model would be downloaded."""
    import spacy

    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    language.max_length = 10**9
    return language


@contextmanager
def _one_sentence(failure: str) -> Iterator[None]:
    """Turn what parsers raise for damaged files into one plain sentence."""
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        reads_alone = str(error).startswith(("is ", "needs "))
        raise InputError(str(error) if reads_alone else f"{failure}: {error}") from error
    except (LxmlError, *_DAMAGE, *_package_errors()) as error:
        raise InputError(f"{failure}: {_plain(error)}") from error


def _package_errors() -> Iterable[type[Exception]]:
    """The exceptions of python-docx and python-pptx that derive from nothing more special."""
    from docx.exceptions import PythonDocxError
    from docx.opc.exceptions import OpcError
    from pptx.exc import PythonPptxError

    return (PythonDocxError, OpcError, PythonPptxError)


def _plain(error: BaseException) -> str:
    """An error's first line, without the addresses of objects and the places in code."""
    if isinstance(error, _UNEXPECTED):
        return _DAMAGED
    if isinstance(error, ZlibError):
        return "its compressed data is damaged"
    lines = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip().splitlines()
    text = re.sub(r" \(<string>, line \d+\)$", "", lines[0]) if lines else ""
    text = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>|<_io\.\w+[^>]*>", "the file", text)
    return text[:200] or _DAMAGED
