"""Zip containers (DOCX, PPTX, XLSX, EPUB, ODT): refused before a parser opens them when they are unsafe.

Only the central directory is read here. It can lie, so the memory limit of the parsing process is the second
line of defence.
"""

from __future__ import annotations

import re
from io import BytesIO
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812 - it is an exception class

from ragwright.core.errors import InputError

MAX_TOTAL_BYTES = 500_000_000
MAX_RATIO = 200
RATIO_FREE_BYTES = 50_000_000  # small files of one repeated character compress by 1,000 and harm nobody
MAX_MEMBERS = 10_000

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED_FLAG = 0x1


def check_archive(data: bytes, *, name: str = "the archive") -> None:
    """Refuse a zip file that would unpack to too much, or outside its folder.

    Args:
        data: The whole file.
        name: How messages call it.

    Raises:
        InputError: It is not a zip file, unpacks to more than 500 MB, unpacks to more than 50 MB and to over
            200 times its packed size, has more than 10,000 members, or one whose name leaves the folder.
    """
    members = _members(data, name)
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{name} holds {len(members):,} members; the limit is {MAX_MEMBERS:,}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_TOTAL_BYTES:
        raise InputError(
            f"{name} unpacks to {_megabytes(unpacked)} MB; the limit is {_megabytes(MAX_TOTAL_BYTES)} MB"
        )
    packed = max(1, min(len(data), sum(member.compress_size for member in members)))
    if unpacked > RATIO_FREE_BYTES and unpacked > MAX_RATIO * packed:
        raise InputError(
            f"{name} unpacks to {unpacked // packed:,} times its packed size ({_megabytes(unpacked)} MB); the"
            f" limit is {MAX_RATIO} times above {_megabytes(RATIO_FREE_BYTES)} MB"
        )
    for member in members:
        if _leaves_folder(member.orig_filename):
            raise InputError(f"{name} has a member named {member.orig_filename!r}, outside its own folder")


def check_encryption(data: bytes, *, name: str) -> None:
    """Refuse a document that needs a password.

    Raises:
        InputError: It is encrypted, or an old binary Office file under a new name.
    """
    if data.startswith(OLE_MAGIC):
        if _OLE_ENCRYPTED in data:
            raise InputError(f"{name} is encrypted; save it without a password")
        raise InputError(f"{name} is an old binary Office file; save it in the current format")
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in _members(data, name)):
        raise InputError(f"{name} is encrypted; save it without a password")
    manifest = read_member(data, "META-INF/manifest.xml")
    content_keys = read_member(data, "META-INF/encryption.xml")
    # EPUB lists obfuscated fonts in the same place, and those do no harm.
    if b"encryption-data" in manifest or re.search(rb'URI="[^"]*html?"', content_keys):
        raise InputError(f"{name} is encrypted; save it without a password")


def read_member(data: bytes, member: str) -> bytes:
    """One member of a zip file; empty when it is not there or damaged."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            return archive.read(member)
    except (KeyError, BadZipFile, ZlibError, EOFError, OSError, RuntimeError, NotImplementedError):
        return b""


def _members(data: bytes, name: str) -> list[ZipInfo]:
    """The central directory's entries."""
    try:
        with ZipFile(BytesIO(data)) as archive:
            return archive.infolist()
    except (BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise InputError(f"{name} is not a readable zip container: {error}") from error


def _leaves_folder(member: str) -> bool:
    """Whether a member's name is absolute or climbs out of the folder."""
    path = member.replace("\\", "/")
    return path.startswith("/") or re.match(r"[A-Za-z]:", path) is not None or ".." in path.split("/")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f}"
