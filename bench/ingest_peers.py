"""Ingest end to end against LlamaIndex, LangChain and txtai: the same files, model and chunk size.

    python bench/ingest_peers.py [--share 0.05]

Needs the shared data and the packages of the group `bench`. Every system runs in processes of its own, and
this pipeline runs before and after each of them, so that a machine that changes its pace harms both alike.
A share below 1 tries the harness on less text and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest_command import Finished, convert_model, finish, ragwright
from ingest_corpus import Asked, Piece, change, pieces, questions, write
from ingest_equality import Audit, agreement, answering, audited
from peers.contract import CHUNK_TOKENS
from rows import DATA, Bench

from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.tokens import ModelTokenizer

SYSTEM = Path(__file__).resolve().parent / "ingest_system.py"
SETTINGS = {"RAGWRIGHT_CHUNK__TOKENS": str(CHUNK_TOKENS), "HF_HUB_OFFLINE": "1"}
QUESTIONS = 50
OURS = "Ragwright"


@dataclass(frozen=True)
class Peer:
    """A system at certain settings.

    Attributes:
        name: Shown in rows.
        system: As `bench/ingest_system.py` calls it.
        options: Its further arguments.
        runs: What is measured: the first run, one over unchanged files, one over 1 % changed files.
        note: What to know of it.
        bar: For the ratio of its first run to ours.
    """

    name: str
    system: str
    options: tuple[str, ...] = ()
    runs: tuple[str, ...] = ("first", "again", "changed")
    note: str = ""
    bar: str = ""


@dataclass(frozen=True)
class Course:
    """What one system did: a finished command for each run, and the folder of its store and corpus."""

    runs: Mapping[str, Finished]
    folder: Path

    def seconds(self, run: str, *, start: bool = True) -> float:
        """Wall time of the whole command, or without process start, imports and loading the model."""
        finished = self.runs[run]
        if start:
            return finished.seconds
        told = finished.printed["seconds"]
        return float(told["total"] if isinstance(told, dict) else told)


def peers(scratch: Path, files: Sequence[Piece]) -> list[Peer]:
    """All other systems, LlamaIndex at its defaults and at the best batch size for this machine."""
    batches = {}
    write(files, scratch / "sample")
    for dtype in ("float32", "bfloat16"):
        arguments = ("--corpus", str(scratch / "sample"), "--dtype", dtype)
        batches[dtype] = _system(scratch, "llamaindex", "tune", *arguments).printed["batch"]
    store = "SentenceSplitter, HuggingFaceEmbedding, Qdrant on disk, document store with upserts"
    return [
        Peer("LlamaIndex at its defaults", "llamaindex", note=store, bar=">= 4"),
        *(
            Peer(
                f"LlamaIndex at its best batch size, {dtype}",
                "llamaindex",
                ("--batch", str(batch), "--dtype", dtype),
                ("first",),
                f"{batch} texts in a batch; {store}",
            )
            for dtype, batch in batches.items()
        ),
        Peer(
            "LangChain",
            "langchain",
            note="RecursiveCharacterTextSplitter, HuggingFaceEmbeddings, Qdrant on disk, record manager",
        ),
        Peer(
            "txtai",
            "txtai",
            runs=("first", "changed"),
            note="Segmentation by its recursive chunker, Embeddings with content; it keeps no record of "
            "files, so it is told which ones changed, and an unchanged run does not exist",
        ),
    ]


def _system(folder: Path, *arguments: str) -> Finished:
    return finish([sys.executable, str(SYSTEM), *arguments], folder=folder, settings=SETTINGS)


def ours(folder: Path, files: Sequence[Piece]) -> Course:
    """This pipeline's command: first run, unchanged, 1 % changed."""
    corpus = folder / "corpus"
    write(files, corpus)
    runs = {}
    for run in ("first", "again", "changed"):
        if run == "changed":
            change(sorted(corpus.iterdir()))
        runs[run] = ragwright(folder, "ingest", "corpus", settings=SETTINGS)
        if runs[run].printed["failures"]:
            raise SystemExit(f"files failed: {runs[run].printed['failures']}")
    return Course(runs, folder)


def theirs(peer: Peer, folder: Path, files: Sequence[Piece]) -> Course:
    """Another system's runs."""
    corpus = folder / "corpus"
    write(files, corpus)
    arguments = ("--store", str(folder), "--corpus", str(corpus), *peer.options)
    runs = {}
    for run in peer.runs:
        changed = change(sorted(corpus.iterdir())) if run == "changed" else []
        runs[run] = _system(
            folder, peer.system, "ingest", *arguments, "--changed", *(each.name for each in changed)
        )
    return Course(runs, folder)


def race(found: Sequence[Peer], scratch: Path, files: Sequence[Piece]) -> tuple[list[Course], list[Course]]:
    """Our courses and theirs: ours number n and n + 1 stand before and after theirs number n."""
    mine, others = [ours(scratch / "ours-0", files)], []
    for number, peer in enumerate(found):
        others.append(theirs(peer, scratch / f"theirs-{number}", files))
        mine.append(ours(scratch / f"ours-{number + 1}", files))
    return mine, others


def audit(system: str, course: Course, *, files: Sequence[Piece], asked: Sequence[Asked]) -> Audit:
    """Look into a store; it holds the changed files by now."""
    listed = course.folder / "questions.json"
    listed.write_text(json.dumps([each.text for each in asked]), encoding="utf-8")
    printed = _system(
        course.folder, system, "audit", "--store", str(course.folder), "--questions", str(listed)
    ).printed
    texts = {each.name: (course.folder / "corpus" / each.name).read_bytes().decode() for each in files}
    return audited(printed, texts, tokenizer=ModelTokenizer(open_model(DEFAULT_MODEL)))


def tell_equality(bench: Bench, audits: Mapping[str, Audit], asked: Sequence[Asked]) -> None:
    """Rows that say whether all systems did the same work."""
    for name, each in audits.items():
        note = f"{each.lost} chunks stand nowhere in their file" if each.lost else ""
        bar = ">= 1" if name == OURS else ""
        bench.add(
            f"letters of the corpus in stored chunks, {name}", each.covered, "share", bar=bar, note=note
        )
        note = f"{each.unread} of {each.tokens} tokens lie beyond what the model reads"
        bench.add(f"chunks, {name}", float(each.chunks), "chunks", note=note)
        bench.add(f"tokens in a chunk on average, {name}", each.tokens / each.chunks, "tokens")
        bench.add_mean(f"questions whose nearest chunk holds the answer, {name}", answering(each, asked))
        if name != OURS:
            what = f"questions whose nearest chunk overlaps ours, {name}"
            bench.add_mean(what, agreement(audits[OURS], each))


def tell_speed(bench: Bench, found: Sequence[Peer], mine: Sequence[Course], others: Sequence[Course]) -> None:
    """Rows of first runs: each of theirs over ours before and after it."""
    for number, (peer, course) in enumerate(zip(found, others, strict=True)):
        beside = mine[number : number + 2]
        for start, what in ((True, "first ingest"), (False, "first ingest without process start")):
            ratios = [
                course.seconds("first", start=start) / each.seconds("first", start=start) for each in beside
            ]
            bar = peer.bar if start else ""
            note = "; ".join(filter(None, (peer.note, "theirs ran once, ours before and after it")))
            bench.add(f"{peer.name} over ours, {what}", ratios, "x", bar=bar, note=note)
        bench.add(f"wall time of the first ingest, {peer.name}", course.seconds("first"), "s")
    note = "the model was converted before, once for all workspaces"
    bench.add("wall time of the first ingest, ours", [each.seconds("first") for each in mine], "s", note=note)
    bench.add(
        "tokens/s of the first ingest, ours, without process start",
        [each.runs["first"].printed["tokens"] / each.seconds("first", start=False) for each in mine],
        "tokens/s",
    )


def tell_changes(
    bench: Bench, found: Sequence[Peer], mine: Sequence[Course], others: Sequence[Course]
) -> None:
    """Rows of second runs over first runs."""
    named = [(OURS, list(mine)), *((peer.name, [course]) for peer, course in zip(found, others, strict=True))]
    for run, what, bar in (
        ("again", "unchanged files", "<= 0.02"),
        ("changed", "1 % of files changed", "<= 0.04"),
    ):
        for name, courses in named:
            if any(run not in each.runs for each in courses):
                continue
            for start, part in ((True, "whole commands"), (False, "without process start")):
                ratios = [
                    each.seconds(run, start=start) / each.seconds("first", start=start) for each in courses
                ]
                wanted = bar if name == OURS else ""
                bench.add(f"ingest of {what} over the first, {part}, {name}", ratios, "x", bar=wanted)
            bench.add(f"wall time of that, {name}", [each.seconds(run) for each in courses], "s")
    encoded = [float(each.runs["again"].printed["tokens"]) for each in mine]
    bench.add("tokens encoded by our unchanged ingest", encoded, "tokens", bar="<= 0")
    starts = [each.seconds("again") - each.seconds("again", start=False) for each in mine]
    bench.add("start and end of our process, beside an unchanged ingest", starts, "s", note="the same in all")


def tell_memory(
    bench: Bench, found: Sequence[Peer], mine: Sequence[Course], others: Sequence[Course]
) -> None:
    """Rows of the largest process of first runs."""
    here = [each.runs["first"].megabytes for each in mine]
    bench.add("largest process of the first ingest, ours", here, "MB")
    for peer, course in zip(found, others, strict=True):
        there = course.runs["first"].megabytes
        bar = "<= 0.6" if peer.bar else ""
        ratios = [each / there for each in here]
        bench.add(
            f"largest process, ours over {peer.name}", ratios, "x", bar=bar, note=f"theirs {there:.0f} MB"
        )


def main() -> None:
    """Run and write `bench/results/ingest_peers.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the corpora that is used, 0 to 1")
    share = parser.parse_args().share
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("ingest_peers", "python bench/ingest_peers.py")
    files = pieces(share)
    asked = questions(files, QUESTIONS)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        convert_model(scratch)
        found = peers(scratch, files)
        mine, others = race(found, scratch, files)
        audits = {OURS: audit("ragwright", mine[0], files=files, asked=asked)}
        for peer, course in zip(found, others, strict=True):
            if "changed" in peer.runs:
                audits[peer.name] = audit(peer.system, course, files=files, asked=asked)
        tell_equality(bench, audits, asked)
        tell_speed(bench, found, mine, others)
        tell_changes(bench, found, mine, others)
        tell_memory(bench, found, mine, others)
    if share == 1:
        bench.write()


if __name__ == "__main__":
    main()
