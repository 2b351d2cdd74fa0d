"""What the command line says of an ingest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ragwright.app.console import Console, Styled, escape_control

if TYPE_CHECKING:
    from ragwright.ingest.report import IngestPlan, IngestReport

_NAMED_UNSUPPORTED = 5


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What an ingest was asked to do.

    Attributes:
        paths: Files and folders.
        retry_failed: Try files again that failed before.
        rebuild: Make the index anew first.
    """

    paths: tuple[Path, ...]
    retry_failed: bool
    rebuild: bool

    @property
    def names_files(self) -> bool:
        """Whether it asks for files, and not only for a rebuild."""
        return bool(self.paths) or self.retry_failed


def tell_plan(plan: IngestPlan, request: IngestRequest, *, documents: int, console: Console) -> None:
    """Say what an ingest would do, and a rebuild of so many documents before it, if one was asked for."""
    if console.json:
        console.emit_json(plan)
    if request.rebuild:
        console.out(f"would rebuild the index from {documents:,} documents")
    if not request.names_files:
        return
    for word, sources in (("add", plan.add), ("update", plan.update), ("delete", plan.delete)):
        for source in sources:
            console.out(f"would {word} ", escape_control(source, keep=""))
    tell_unsupported(plan.unsupported, console)
    console.out(
        f"would add {len(plan.add):,}, update {len(plan.update):,}, skip {len(plan.skip):,}, "
        f"delete {len(plan.delete):,}"
    )
    tell_failures({**plan.problems, **plan.failed_before}, console)


def tell_report(
    report: IngestReport, rebuilt: IngestReport | None, request: IngestRequest, console: Console
) -> None:
    """Say what an ingest did, and the rebuild before it, if any: counts on stdout, the rest on stderr."""
    if console.json:
        console.emit_json({**asdict(report), "failed": report.failed, "rebuilt": rebuilt})
    if rebuilt is not None:
        console.out(f"rebuilt the index: {rebuilt.updated:,} documents, {rebuilt.chunks:,} chunks")
        _tell_speed(rebuilt, console)
    if not request.names_files:
        return
    tell_failures(report.failures, console)
    tell_unsupported(report.unsupported, console)
    if report.hidden_characters:
        console.note(f"removed {report.hidden_characters:,} invisible characters from texts")
    if not any((report.added, report.updated, report.skipped, report.deleted, report.failed)):
        console.note(_nothing(request))
    console.out(
        f"added {report.added:,}, updated {report.updated:,}, skipped {report.skipped:,}, "
        f"deleted {report.deleted:,}, failed {report.failed:,}"
    )
    _tell_speed(report, console)


def _nothing(request: IngestRequest) -> str:
    if not request.paths:
        return "no file has failed, so there is nothing to try again"
    return f"no documents were found in {', '.join(map(str, request.paths))}"


def _tell_speed(report: IngestReport, console: Console) -> None:
    if report.chunks:
        total, encoding = report.seconds["total"], report.seconds.get("encode", 0.0)
        rate = f" at {report.tokens / encoding:,.0f} tokens/s" if encoding > 0 else ""
        console.note(
            f"{report.chunks:,} chunks ({report.reused:,} reused), {report.tokens:,} tokens encoded{rate}, "
            f"{total:.1f} s in all"
        )


def tell_unsupported(sources: Sequence[str], console: Console) -> None:
    """Name a few files of unknown type, and count them by suffix when there are many, such as pictures."""
    if len(sources) <= _NAMED_UNSUPPORTED:
        for source in sources:
            console.note(
                Styled("left alone ", "dim"), escape_control(source, keep=""), ": its type is not supported"
            )
        return
    kinds = Counter(PurePosixPath(source).suffix.lower() or "no suffix" for source in sources)
    told = ", ".join(f"{count:,} {escape_control(kind, keep='')}" for kind, count in kinds.most_common(8))
    told += ", and others" if len(kinds) > 8 else ""
    console.note(
        Styled("left alone ", "dim"),
        f"{len(sources):,} files whose type is not supported ({told}); --json names each",
    )


def tell_failures(failures: Mapping[str, str], console: Console) -> int:
    """Name every file that failed, with its reason, on stderr even when quiet; the exit code that follows."""
    for source, reason in sorted(failures.items()):
        console.complain(Styled("failed ", "red"), escape_control(source, keep=""), f": {reason}")
    return 1 if failures else 0
