"""Zip containers are checked from their directory before any parser opens them."""

from __future__ import annotations

import struct
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.ingest.archive import check_archive, check_encryption, read_member


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def claiming(size: int) -> bytes:
    """An archive whose directory claims that its one member unpacks to `size` bytes."""
    data = bytearray(zipped({"a.xml": b"x" * 1000}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", size)
    return bytes(data)


def test_an_ordinary_archive_passes() -> None:
    check_archive(zipped({"word/document.xml": b"<w/>", "a..b/c.xml": b""}))


def test_a_small_archive_of_one_repeated_character_passes() -> None:
    check_archive(zipped({"a.xml": b" " * 10_000_000}))


def test_a_high_ratio_is_refused_with_the_number_and_the_limit() -> None:
    with pytest.raises(InputError, match=r"times its packed size \(60 MB\); the limit is 200 times"):
        check_archive(zipped({"a.xml": bytes(60_000_000)}))


def test_a_huge_total_is_refused_from_the_directory_alone() -> None:
    with pytest.raises(InputError, match=r"report\.docx unpacks to 600 MB; the limit is 500 MB"):
        check_archive(claiming(600_000_000), name="report.docx")


def test_too_many_members_are_refused() -> None:
    with pytest.raises(InputError, match="10,001 members; the limit is 10,000"):
        check_archive(zipped({f"{number}": b"" for number in range(10_001)}))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..\\x", "C:\\x", "\\x"])
def test_a_member_outside_the_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="outside its own folder"):
        check_archive(zipped({name: b"x"}))


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused_as_input(data: bytes) -> None:
    try:
        check_archive(b"PK\x03\x04" + data)
    except InputError as error:
        assert "zip container" in str(error) or "limit" in str(error)


def test_an_encrypted_office_file_is_named_so() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(InputError, match=r"budget\.xlsx is encrypted"):
        check_encryption(ole, name="budget.xlsx")


def test_an_encrypted_odt_is_named_so() -> None:
    data = zipped({"META-INF/manifest.xml": b"<manifest:encryption-data/>"})
    with pytest.raises(InputError, match=r"a\.odt is encrypted"):
        check_encryption(data, name="a.odt")


def test_an_epub_with_obfuscated_fonts_is_not_encrypted() -> None:
    fonts = b'<encryption><CipherReference URI="fonts/a.otf"/></encryption>'
    check_encryption(zipped({"META-INF/encryption.xml": fonts}), name="a.epub")
    with pytest.raises(InputError, match="is encrypted"):
        check_encryption(zipped({"META-INF/encryption.xml": fonts.replace(b"otf", b"xhtml")}), name="a.epub")


def test_a_missing_member_is_empty() -> None:
    assert read_member(zipped({"a": b"1"}), "a") == b"1"
    assert read_member(zipped({"a": b"1"}), "b") == b""
    assert read_member(b"garbage", "a") == b""
