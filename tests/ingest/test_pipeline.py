"""Ingest, as a user sees it: what is counted, what is encoded, what answers."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.workbench import Workbench, bench_in, counts, parse_here, prose, write_files

from ragwright.core.errors import InputError, WorkspaceBusy
from ragwright.core.lock import workspace_lock
from ragwright.ingest import pipeline, writer
from ragwright.ingest.carry import carry_over
from ragwright.ingest.pipeline import plan_ingest
from ragwright.ingest.writer import Target


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse in this process."""
    monkeypatch.setattr(pipeline, "parse_files", parse_here)


@pytest.fixture
def bench(project: Path, quick: None) -> Iterator[Workbench]:
    with bench_in(project) as made:
        yield made


def test_a_second_and_a_third_ingest_change_nothing_and_encode_nothing(bench: Workbench) -> None:
    write_files(bench.project, 10)
    assert counts(bench.ingest()) == (10, 0, 0, 0, 0)
    before = bench.chunk_ids()
    for path in bench.project.glob("*.md"):
        os.utime(path, (1, 1))
    for _ in range(2):
        assert counts(bench.ingest()) == (0, 0, 10, 0, 0)
        assert bench.encoder.encoded == []
    assert bench.chunk_ids() == before


def test_a_clock_that_goes_back_changes_nothing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-18."""
    write_files(bench.project, 3)
    bench.ingest()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    (bench.project / "new.md").write_text(prose(99))
    for path in bench.project.glob("*.md"):
        os.utime(path, (2**33, 2**33))
    assert counts(bench.ingest()) == (1, 0, 3, 0, 0)
    bench.check()


def test_a_renamed_file_takes_over_its_vectors(bench: Workbench) -> None:
    write_files(bench.project, 4)
    (bench.project / "old.md").write_text("# A title of its own\n\n" + prose(5, sentences=30))
    bench.ingest()
    (bench.project / "old.md").rename(bench.project / "new.md")
    report = bench.ingest()
    assert counts(report) == (1, 0, 4, 1, 0)
    assert bench.encoder.encoded == []
    assert report.reused == report.chunks > 3
    bench.check()


def test_only_the_changed_chunks_of_a_changed_file_are_encoded(bench: Workbench) -> None:
    path = bench.project / "long.md"
    text = "# A title\n\n" + "\n\n".join(prose(seed, sentences=3) for seed in range(40))
    path.write_text(text)
    bench.ingest()
    chunks = len(bench.encoder.encoded)
    place = text.index("river", len(text) // 2)
    path.write_text(text[:place] + "R" + text[place + 1 :])
    assert counts(bench.ingest()) == (0, 1, 0, 0, 0)
    assert chunks > 20
    assert 1 <= len(bench.encoder.encoded) <= 2
    bench.check()


def test_a_deleted_file_is_gone_from_every_search(bench: Workbench) -> None:
    write_files(bench.project, 3)
    (bench.project / "secret.md").write_text("The canary sings at dawn.\n")
    bench.ingest()
    assert any("canary" in text for text in bench.found("canary"))
    (bench.project / "secret.md").unlink()
    assert counts(bench.ingest()) == (0, 0, 3, 1, 0)
    assert not any("canary" in text for text in bench.found("canary"))
    bench.check()


def test_without_pruning_a_deleted_file_goes_on_answering(bench: Workbench) -> None:
    write_files(bench.project, 3)
    bench.ingest()
    (bench.project / "file000.md").unlink()
    assert counts(bench.ingest(prune=False)) == (0, 0, 2, 0, 0)
    assert len(bench.catalog.sources()) == 3
    assert counts(bench.ingest()) == (0, 0, 2, 1, 0)


def test_equal_files_in_two_places_do_not_depend_on_each_other(bench: Workbench) -> None:
    text = "# One title\n\n" + prose(3, sentences=12)
    for name in ("a", "b"):
        (bench.project / name).mkdir()
        (bench.project / name / "same.md").write_text(text)
    report = bench.ingest()
    assert counts(report) == (2, 0, 0, 0, 0)
    assert len(bench.encoder.encoded) == report.chunks // 2 == report.reused
    shutil.rmtree(bench.project / "a")
    assert counts(bench.ingest()) == (0, 0, 1, 1, 0)
    bench.check()
    assert len(bench.found(text[14:60])) > 0


def test_only_what_lies_below_the_given_paths_is_pruned(bench: Workbench) -> None:
    for name in ("a", "ab"):
        write_files(bench.project / name, 2)
    bench.ingest()
    shutil.rmtree(bench.project / "ab")
    assert counts(bench.ingest(bench.project / "a")) == (0, 0, 2, 0, 0)
    assert counts(bench.ingest()) == (0, 0, 2, 2, 0)


def test_a_folder_that_cannot_be_listed_loses_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(bench.project / "locked" / "inner", 2)
    write_files(bench.project / "open", 2)
    bench.ingest()
    (bench.project / "open" / "file000.md").unlink()
    real = os.scandir

    def scandir(folder: Any) -> Any:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    report = bench.ingest()
    assert counts(report) == (0, 0, 1, 1, 1)
    assert report.failures == {"locked": "the folder cannot be read: Permission denied"}
    assert len(bench.catalog.sources()) == 3


def test_a_file_that_fails_keeps_its_old_version_answering(bench: Workbench) -> None:
    path = bench.project / "guide.md"
    path.write_text("The zebra drinks water.\n")
    bench.ingest()
    path.write_bytes(b"\x00\x01\x02" * 50)
    report = bench.ingest()
    assert counts(report) == (0, 0, 0, 0, 1)
    assert report.failures.keys() == {"guide.md"} == bench.catalog.failures().keys()
    assert any("zebra" in text for text in bench.found("zebra"))
    bench.check()
    path.write_text("The walrus drinks water.\n")
    assert counts(bench.ingest()) == (0, 1, 0, 0, 0)
    assert bench.catalog.failures() == {}
    assert not any("zebra" in text for text in bench.found("zebra"))


def test_a_failed_file_is_parsed_again_only_when_it_changed_or_when_asked(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.project / "bad.md"
    path.write_bytes(b"\x00\x01\x02" * 50)
    assert counts(bench.ingest()) == (0, 0, 0, 0, 1)
    parsed: list[Path] = []

    def parse(paths: Sequence[Path], **options: Any) -> Iterator[Any]:
        parsed.extend(paths)
        return parse_here(paths, **options)

    monkeypatch.setattr(pipeline, "parse_files", parse)
    report = bench.ingest()
    assert (counts(report), parsed) == ((0, 0, 0, 0, 1), [])
    assert report.failures["bad.md"]
    assert bench.observer.outcomes == [("bad.md", "failed")]
    assert counts(bench.ingest(retry_failed=True)) == (0, 0, 0, 0, 1)
    assert parsed == [path]
    path.write_text("Good now.\n")
    assert counts(bench.ingest()) == (1, 0, 0, 0, 0)
    assert bench.catalog.failures() == {}


def test_the_failure_of_a_deleted_file_is_forgotten(bench: Workbench) -> None:
    (bench.project / "bad.md").write_bytes(b"\x00\x01\x02" * 50)
    bench.ingest()
    (bench.project / "bad.md").unlink()
    assert counts(bench.ingest()) == (0, 0, 0, 0, 0)
    assert bench.catalog.failures() == {}


def test_another_domain_cuts_unchanged_files_again(bench: Workbench) -> None:
    write_files(bench.project, 3)
    bench.ingest()
    assert counts(bench.ingest(domain="legal")) == (0, 3, 0, 0, 0)
    assert {each.domain for each in bench.catalog.documents()} == {"legal"}
    assert counts(bench.ingest(domain="legal")) == (0, 0, 3, 0, 0)
    bench.check()


def test_every_file_found_ends_in_exactly_one_count(bench: Workbench) -> None:
    write_files(bench.project, 6)
    (bench.project / "bad.md").write_bytes(b"\x00\x01\x02" * 50)
    bench.ingest()
    (bench.project / "file000.md").write_text("Changed text.\n")
    (bench.project / "new.md").write_text("Hid\u200bden text\u2060 is new.\n", encoding="utf-8")
    (bench.project / "dangling.md").symlink_to("nowhere")
    (bench.project / "left.bin").write_bytes(b"x")
    discovery = bench.discover()
    report = bench.ingest()
    assert counts(report) == (1, 1, 5, 0, 2)
    assert sum(counts(report)) == len(discovery.files) + len(discovery.problems)
    assert report.unsupported == ["left.bin"]
    assert report.hidden_characters == 2
    assert {"encode", "index", "commit", "optimize", "total"} <= report.seconds.keys()
    assert sorted(source for source, _ in bench.observer.outcomes) == [f.source for f in discovery.files]
    assert bench.observer.total == len(discovery.files)


def test_a_plan_says_what_an_ingest_then_does(bench: Workbench) -> None:
    write_files(bench.project, 4)
    bench.ingest()
    (bench.project / "file000.md").unlink()
    (bench.project / "file001.md").write_text("Changed.\n")
    (bench.project / "new.md").write_text("New.\n")
    plan = plan_ingest(bench.discover(), bench.catalog.known_files(""), settings=bench.settings())
    assert (plan.add, plan.update, plan.delete) == (("new.md",), ("file001.md",), ("file000.md",))
    assert plan.skip == ("file002.md", "file003.md")
    assert counts(bench.ingest()) == (1, 1, 2, 1, 0)


def test_forgotten_documents_are_gone_and_come_back_with_the_next_ingest(bench: Workbench) -> None:
    write_files(bench.project, 4)
    bench.ingest()
    before = bench.chunk_ids()
    assert bench.forget("file003.md", "file002.md") > 0
    bench.check()
    assert list(bench.catalog.sources()) == ["file000.md", "file001.md"]
    assert counts(bench.ingest()) == (2, 0, 2, 0, 0)
    assert bench.chunk_ids() == before


def test_too_little_free_space_is_told_before_anything_is_written(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-04."""
    write_files(bench.project, 3)
    usage = shutil._ntuple_diskusage(10**9, 10**9, 100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    target = Target(bench.catalog, bench.index, bench.encoder, bench.version, bench.folder, 500_000_000)
    with pytest.raises(InputError, match="free 400 MB"):
        pipeline.ingest(
            bench.discover(),
            target,
            chunker=bench.chunker,
            settings=bench.settings(),
            observer=bench.observer,
        )
    assert bench.index.count() == 0
    assert bench.catalog.known_files("") == {}
    assert counts(bench.ingest()) == (3, 0, 0, 0, 0)


def test_a_second_ingest_is_told_who_holds_the_workspace(tmp_path: Path) -> None:
    """R-07; what a dead holder left behind is taken over."""
    with (
        workspace_lock(tmp_path, purpose="ragwright ingest"),
        pytest.raises(WorkspaceBusy, match=rf"process {os.getpid()} \(ragwright ingest, since \d"),
        workspace_lock(tmp_path, purpose="second"),
    ):
        pass
    assert not (tmp_path / "lock.json").exists()
    pid = os.fork()
    if pid == 0:
        with workspace_lock(tmp_path, purpose="dying"):
            os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    assert (tmp_path / "lock.json").exists()
    with workspace_lock(tmp_path, purpose="heir"):
        assert "heir" in (tmp_path / "lock.json").read_text()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"null", b"\xff\xfe", b"7", b'{"pid": 1}'])
def test_a_busy_workspace_is_told_even_when_its_holder_is_not_known(content: bytes, tmp_path: Path) -> None:
    with workspace_lock(tmp_path, purpose="first"):
        (tmp_path / "lock.json").write_bytes(content)
        with (
            pytest.raises(WorkspaceBusy, match="held by another process"),
            workspace_lock(tmp_path, purpose="second"),
        ):
            pass


def test_file_names_that_are_no_text_or_very_long_pass_through_everything(project: Path) -> None:
    """R-19, with the real parsing children."""
    deep = project
    while len(str(deep)) < 3800:
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    names = [
        b"caf\xe9.txt",
        b"new\nline.md",
        b"caf\\xe9.txt",
        "\u202ertl \U0001f9ea.md".encode(),
        b"a\x1b[31m.md",
    ]
    for number, name in enumerate(names):
        Path(os.fsdecode(bytes(project) + b"/" + name)).write_text(prose(number))
    (deep / "deep.md").write_text(prose(77))
    with bench_in(project) as bench:
        assert counts(bench.ingest()) == (6, 0, 0, 0, 0)
        bench.check()
        assert counts(bench.ingest()) == (0, 0, 6, 0, 0)
        sources = list(bench.catalog.sources())
        assert {"caf\\xe9.txt", "caf\\x5cxe9.txt", "new\nline.md"} <= set(sources)
        assert max(map(len, sources)) > 3700
        for source in sources:
            source.encode()
        hits = bench.search(prose(0)[:40])
        assert hits[0].source == "caf\\xe9.txt"
        assert bench.forget(*sources) > 5


def test_a_file_that_vanishes_before_it_is_read_is_a_failure_of_its_own(project: Path) -> None:
    write_files(project, 3)
    with bench_in(project) as bench:
        discovery = bench.discover()
        (project / "file001.md").unlink()
        report = pipeline.ingest(
            discovery, bench.target, chunker=bench.chunker, settings=bench.settings(), observer=bench.observer
        )
        assert counts(report) == (2, 0, 0, 0, 1)
        assert report.failures == {"file001.md": "was deleted while it was read"}
        assert counts(bench.ingest()) == (0, 0, 2, 0, 0)
        assert bench.catalog.failures() == {}


def test_a_rebuilt_index_equals_one_that_was_ingested_afresh(bench: Workbench) -> None:
    write_files(bench.project, 8)
    bench.ingest()
    (bench.project / "file003.md").write_text("Changed. " + prose(8))
    bench.ingest()
    expected = _vectors(bench)
    for path in bench.project.glob("*.md"):
        path.unlink()  # a rebuild reads no file
    before = bench.ranking(["river bank", "winter engine"])
    other = Workbench.beside(bench, "v2")
    carry_over(other.target, chunker_for=lambda domain: bench.chunker, observer=other.observer)
    assert bench.ranking(["river bank", "winter engine"]) == before
    assert _vectors(other) == expected
    bench.check()
    other.check()
    other.plain_index.close()


def test_a_rebuild_that_stops_leaves_the_live_version_as_it_was(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 4)
    write_files(bench.project, 8)
    bench.ingest()
    expected = _vectors(bench)
    other = Workbench.beside(bench, "v2")
    failing = Failing(other.index, calls=3)
    other.index = failing
    with pytest.raises(OSError):
        carry_over(other.target, chunker_for=lambda domain: bench.chunker, observer=other.observer)
    assert _vectors(bench) == expected
    bench.check()
    assert bench.catalog.live_version() == ("v1", bench.manifest)
    bench.catalog.drop_version("v2")
    assert not bench.catalog.ledger("v2") and not bench.catalog.strays("v2")
    bench.check()
    other.plain_index.close()


def _vectors(bench: Workbench) -> dict[str, bytes]:
    found = bench.index.encodings(bench.chunk_ids())
    return {key: each.vector.tobytes() + each.sentences.tobytes() for key, each in sorted(found.items())}


class Failing:
    """Something of which the N-th call fails, as on a broken disk."""

    def __init__(self, inner: Any, *, calls: int, names: tuple[str, ...] = ("upsert", "delete")) -> None:
        self._inner = inner
        self._left = calls
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise OSError(5, "Input/output error")
            return found(*arguments, **options)

        return call


@pytest.mark.parametrize("part", ["index", pytest.param("catalog", marks=pytest.mark.slow), "file"])
def test_whichever_call_fails_a_clean_run_mends_everything(
    part: str, project: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-03: the first call fails, then the second, until a run gets through."""
    monkeypatch.setattr(writer, "_MOST_CHUNKS", 6)
    failed = 0
    for calls in range(1, 60):
        folder = project / f"{part}{calls}"
        write_files(folder, 5)
        with bench_in(folder) as bench:
            bench.ingest()
            write_files(folder, 4, seed=3)
            (folder / "file004.md").unlink()
            through = not _ingest_failing(bench, part, calls, monkeypatch)
            failed += not through
            assert bench.ingest().failed == 0
            bench.check()
            assert len(bench.catalog.sources()) == 4
        if through:
            break
    assert failed >= 3


def _ingest_failing(bench: Workbench, part: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether an ingest whose N-th call fails did fail."""
    index, catalog = bench.index, bench.catalog
    names = ("commit", "declare", "drop_strays", "forget", "set_settled", "strays")
    with monkeypatch.context() as patch:
        if part == "index":
            bench.index = Failing(index, calls=calls)
        elif part == "catalog":
            bench.catalog = Failing(catalog, calls=calls, names=names)  # type: ignore[assignment]
        else:
            patch.setattr(Path, "read_bytes", Failing(_Reader(), calls=calls, names=("read",)).read)
        try:
            return bench.ingest().failed > 0
        except OSError:
            return True
        finally:
            bench.index, bench.catalog = index, catalog


class _Reader:
    def read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(project: Path, quick: None) -> None:
    """R-20."""
    with bench_in(project) as bench:
        write_files(project, 300)
        bench.ingest()
        before = _resident_megabytes()
        write_files(project / "more", 2000, seed=4)
        assert bench.ingest().added == 2000
        assert _resident_megabytes() - before < 150


def _resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
