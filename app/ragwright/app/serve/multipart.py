"""A form with one file, written to disk as it comes, never held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio.to_thread

from ragwright.app.serve.errors import HttpError

FILE_FIELD = "file"
_MOST_FIELDS = 50
_MOST_FIELD_BYTES = 1_000
_HEADER_BYTES = 32_768  # a name of 4,000 characters has up to 16,000 bytes
_AT_ONCE = 1 << 20


@dataclass(slots=True)
class Form:
    """What a form held beside the bytes of its file.

    Attributes:
        name: The file's, as the sender says; it is nothing that a path may be made of.
        digest: SHA-256 of the file, in hex.
        size: Of the file, in bytes.
        fields: Values by name, in the order in which they came.
    """

    name: str = ""
    digest: str = ""
    size: int = 0
    fields: dict[str, list[str]] = field(default_factory=dict)


async def read_form(
    body: AsyncIterator[bytes], content_type: str, *, file: BinaryIO, limit: int, fields: Collection[str]
) -> Form:
    """Read a form of type `multipart/form-data`, and write its file.

    Args:
        body: The request's body as it comes.
        content_type: The request's header, with the boundary.
        file: Gets the bytes of the field `file`.
        limit: Most bytes of the file; reading stops beyond.
        fields: What else the form may hold.

    Raises:
        HttpError: 413 where the file is larger; 400 where the form cannot be read; 422 without a file
            or with a field that is not known.
    """
    from python_multipart.exceptions import FormParserError

    try:
        reader = _Reader(content_type, limit=limit, fields=fields)
        async for part in body:
            reader.feed(part)
            if len(reader.waiting) >= _AT_ONCE:
                await anyio.to_thread.run_sync(reader.write, file)
        await anyio.to_thread.run_sync(reader.write, file)
        return reader.end()
    except FormParserError as error:
        raise _unreadable(str(error)) from None


class _Reader:
    """Takes the parts of a form apart; what the file's bytes are written to comes with each call."""

    def __init__(self, content_type: str, *, limit: int, fields: Collection[str]) -> None:
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise _unreadable("wanted Content-Type: multipart/form-data with a boundary")
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end",
                 "headers_finished", "end")  # fmt: skip
        callbacks = {f"on_{name}": getattr(self, f"_{name}") for name in names}
        self._parser = MultipartParser(
            options[b"boundary"],
            callbacks,  # type: ignore[arg-type]
            max_header_size=_HEADER_BYTES,
        )
        self._options_of = parse_options_header
        self._limit = limit
        self._fields = (FILE_FIELD, *fields)
        self._form = Form()
        self._hash = hashlib.sha256()
        self._header = [b"", b""]  # name, value
        self._disposition = b""
        self._field: str | None = None  # None: the file
        self._value = b""
        self._count = 0
        self._has_file = self._ended = False
        self.waiting = bytearray()
        """Bytes of the file that are not written yet."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._parser.write(data)

    def write(self, file: BinaryIO) -> None:
        """Write what waits."""
        file.write(self.waiting)
        self._hash.update(self.waiting)
        self.waiting.clear()

    def end(self) -> Form:
        """The form, once its body has ended and everything is written."""
        if not self._ended:
            raise _unreadable("it ends in the middle")
        if not self._has_file:
            raise HttpError(422, f"{FILE_FIELD}: there is no such field in the form", param=FILE_FIELD)
        self._form.digest = self._hash.hexdigest()
        return self._form

    # Called by the parser

    def _part_begin(self) -> None:
        self._disposition = self._value = b""
        self._count += 1
        if self._count > _MOST_FIELDS:
            raise _unreadable(f"it has more than {_MOST_FIELDS} fields")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _headers_finished(self) -> None:
        _, options = self._options_of(self._disposition)
        name = _decoded(options.get(b"name", b""))
        if name and name not in self._fields:
            told = f"{name[:50]!a}: no such field; wanted: {', '.join(self._fields)}"
            raise HttpError(422, told, param=name[:50])
        if name == FILE_FIELD:
            if self._has_file:
                raise _unreadable("it has two files; send each in a request of its own")
            self._field, self._has_file = None, True
            self._form.name = _decoded(options.get(b"filename", b""))
        elif name and b"filename" not in options:
            self._field = name
        else:
            raise _unreadable(f"a part has no name, or is a file that is not called {FILE_FIELD}")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._form.size += end - start
            if self._form.size > self._limit:
                told = f"the file is larger than {self._limit / 1e6:g} MB"
                raise HttpError(413, told, code="request_too_large", param=FILE_FIELD)
            self.waiting += data[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > _MOST_FIELD_BYTES:
            raise _unreadable(f"the field {self._field[:50]!a} is longer than {_MOST_FIELD_BYTES} bytes")

    def _part_end(self) -> None:
        if self._field is not None:
            self._form.fields.setdefault(self._field, []).append(_decoded(self._value))

    def _end(self) -> None:
        self._ended = True


def _decoded(text: bytes) -> str:
    """A text of the form; what is not UTF-8 is read as Latin-1, as browsers of old wrote it."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unreadable(why: str) -> HttpError:
    return HttpError(400, f"the form cannot be read: {why}", code="invalid_form")
