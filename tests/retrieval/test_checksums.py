"""A record of an index's files that opening and searching keep true, and that every flipped byte breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragwright.core.types import OWNER, IndexEntry
from ragwright.retrieval.checksums import compare_checksums, write_checksums
from ragwright.retrieval.edge import EdgeIndex, checksums_path
from ragwright.retrieval.terms import Terms


def _build(folder: Path, terms: Terms, entries: list[IndexEntry], *, delete: int, optimize: bool) -> None:
    index = EdgeIndex.create(folder, dimension=48, terms=terms)
    index.upsert(entries)
    index.delete([entry.chunk.id for entry in entries[:delete]])
    if optimize:
        index.optimize()
    index.close()


@pytest.fixture
def shard(project: Path, terms: Terms, entries: list[IndexEntry]) -> Path:
    """A closed index after insertions and deletions."""
    _build(project / "shard", terms, entries, delete=3, optimize=True)
    return project / "shard"


def _compare(folder: Path) -> list[str]:
    return compare_checksums(folder, checksums_path(folder))


@pytest.mark.parametrize(("count", "delete"), [(0, 0), (30, 0), (30, 7)])
@pytest.mark.parametrize("optimize", [False, True])
def test_opening_searching_and_closing_keep_the_record_true(
    project: Path, terms: Terms, entries: list[IndexEntry], count: int, delete: int, optimize: bool
) -> None:
    folder = project / "shard"
    _build(folder, terms, entries[:count], delete=delete, optimize=optimize)
    record = checksums_path(folder).read_bytes()
    for _ in range(2):
        index = EdgeIndex.open(folder, terms=terms)
        index.search(
            entries[0].encoding.vector, terms.of_query("pump"), limit=5, scope=OWNER, filters={"page": "1"}
        )
        assert sum(len(batch) for batch in index.scan()) == count - delete
        assert _compare(folder) == []
        index.close()
        assert _compare(folder) == []
    assert checksums_path(folder).read_bytes() == record


def test_there_is_no_record_while_an_index_is_written(
    shard: Path, terms: Terms, entries: list[IndexEntry]
) -> None:
    index = EdgeIndex.open(shard, terms=terms)
    assert checksums_path(shard).is_file()
    index.upsert(entries[:1])
    assert not checksums_path(shard).exists()
    assert _compare(shard) == []
    index.close()
    assert checksums_path(shard).is_file()
    assert _compare(shard) == []


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_flipped_byte_in_any_file_is_told(shard: Path, where: float) -> None:
    files = [path for path in sorted(shard.rglob("*")) if path.is_file()]
    assert len(files) > 40
    for path in files:
        _flip(path, round(where * (path.stat().st_size - 1)))
    assert _compare(shard) == [f"{path.relative_to(shard).as_posix()} has changed" for path in files]


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def test_missing_added_and_longer_files_are_told(project: Path) -> None:
    folder, record = project / "index", project / "index.checksums.json"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.dat", "inner/b.dat", "zeros.dat"):
        (folder / name).write_bytes(bytes(100_000))
    write_checksums(folder, record)
    (folder / "a.dat").unlink()
    (folder / "inner/c.dat").touch()
    (folder / "zeros.dat").write_bytes(bytes(100_001))
    assert compare_checksums(folder, record) == [
        "a.dat is missing",
        "zeros.dat has changed",
        "inner/c.dat was not there",
    ]


def test_blocks_that_changed_places_are_told(project: Path) -> None:
    folder, record = project / "index", project / "index.checksums.json"
    folder.mkdir()
    block, zeros = b"x" * 65_536, bytes(65_536)
    (folder / "a.dat").write_bytes(block + zeros)
    write_checksums(folder, record)
    (folder / "a.dat").write_bytes(zeros + block)
    assert compare_checksums(folder, record) == ["a.dat has changed"]


def test_settings_written_anew_in_another_order_are_unchanged(project: Path) -> None:
    folder, record = project / "index", project / "index.checksums.json"
    folder.mkdir()
    (folder / "segment.json").write_text('{"a": 1, "b": [1, 2]}', encoding="utf-8")
    write_checksums(folder, record)
    (folder / "segment.json").write_text('{"b":[1,2],"a":1}', encoding="utf-8")
    assert compare_checksums(folder, record) == []
    (folder / "segment.json").write_text('{"b":[2,1],"a":1}', encoding="utf-8")
    assert compare_checksums(folder, record) == ["segment.json has changed"]


@pytest.mark.parametrize("content", [b"", b"\xff{}", b'{"a": ', b"[]", b"7"])
def test_a_damaged_record_is_told_and_an_absent_one_is_not(project: Path, content: bytes) -> None:
    folder, record = project / "index", project / "index.checksums.json"
    folder.mkdir()
    assert compare_checksums(folder, record) == []
    record.write_bytes(content)
    assert compare_checksums(folder, record) == ["index.checksums.json is damaged"]
