"""Encoders that are as good as they are free of noise, and what a workspace needs to be tuned with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.fakes import HashEncoder

from ragwright.app.console import Console
from ragwright.app.indexing import index_texts
from ragwright.app.progress import Progress
from ragwright.app.workspace import Workspace
from ragwright.core.config import Config, load_config
from ragwright.core.types import Encoding, Passage, Vector, Vectors
from ragwright.eval.values import SourceText
from ragwright.finetune.rows import write_lines
from ragwright.finetune.tuned_model import TunedModel, write_tuned
from ragwright.ingest.report import IngestReport

SILENT = Console(quiet=True)
DOCUMENTS = 36
_SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu")


class NoisyEncoder(HashEncoder):
    """Shared words make texts near, and noise of its own blurs that.

    Attributes:
        fingerprint: Follows its name.
        encoded: Texts of all passages that were encoded, in order.
    """

    def __init__(self, name: str, noise: float) -> None:
        super().__init__()
        self.fingerprint = f"print of {name}"
        self._name, self._noise = name, noise

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order."""
        rows = zip(super().encode_queries(texts), texts, strict=True)
        return np.stack([self._blurred(row, text) for row, text in rows])

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Encode passages and their sentences, in input order."""
        made = super().encode_passages(passages)
        return [
            Encoding(self._blurred(each.vector, passage.text), each.sentences)
            for each, passage in zip(made, passages, strict=True)
        ]

    def _blurred(self, vector: Vector, text: str) -> Vector:
        seed = int.from_bytes(hashlib.sha256(f"{self._name} {text}".encode()).digest()[:8])
        noise = np.random.default_rng(seed).normal(size=vector.shape)
        blurred = vector + self._noise * noise / np.linalg.norm(noise)
        return (blurred / np.linalg.norm(blurred)).astype(np.float32)


class Encoders:
    """Stands in for `load_encoder`: what a name says of the noise is what is given.

    Attributes:
        opened: By the model's name, the encoder that was opened last.
    """

    noise: ClassVar = {"all-MiniLM-L6-v2": 2.0, "sharp": 0.05, "sharper": 0.0, "poisoned": 50.0}

    def __init__(self) -> None:
        self.opened: dict[str, NoisyEncoder] = {}

    def __call__(self, name: str, compute: object, **settings: object) -> NoisyEncoder:
        """Open an encoder; a tuned one is named by its folder."""
        called = Path(name).parent.name if name.endswith("/model") else name
        self.opened[called] = NoisyEncoder(called, self.noise[called])
        return self.opened[called]


def words_of(number: int, count: int) -> str:
    """Words that only this document has."""
    drawn = np.random.default_rng(number)
    return " ".join("".join(drawn.choice(_SYLLABLES, 4)) + str(number) for _ in range(count))


def document(number: int) -> str:
    """A document of one chunk."""
    return f"# Part {number}\n\n{words_of(number, 24).capitalize()}.\n"


def texts(numbers: Iterable[int], source: str = "docs/{}.md") -> list[SourceText]:
    """Documents as a data set brings them."""
    return [SourceText(source.format(number), document(number)) for number in numbers]


def questions(source: str = "docs/{}.md", *, count: int = DOCUMENTS) -> list[dict[str, Any]]:
    """A question about each document, as rows of a native data set."""
    rows = []
    for number in range(count):
        text = document(number)
        start, end = text.index("\n\n") + 2, len(text) - 1
        reference = {"source": source.format(number), "start": start, "end": end, "text": text[start:end]}
        asked = " ".join(words_of(number, 24).split()[:6])
        rows.append({"id": f"q{number}", "question": f"What of {asked}?", "references": [reference]})
    return rows


def config_in(folder: Path, **changed: Any) -> Config:
    """Settings of a workspace in a folder, which searches by vectors alone."""
    flags = {"workspace": folder / ".ragwright", "search.mode": "dense", **changed}
    return load_config(flags=flags, file=None, environ={}).config


def bring(workspace: Workspace, documents: Sequence[SourceText]) -> IngestReport:
    """Bring documents into a workspace, or up to date."""
    with Progress(SILENT) as progress:
        return index_texts(workspace, documents, progress)


def tuned(workspace: Path, name: str, kind: str = "embedder", **facts: Any) -> Path:
    """A tuned model's folder; returns it."""
    folder = workspace / "tuned" / name
    (folder / "model").mkdir(parents=True)
    known = {"base": "all-MiniLM-L6-v2", "base_fingerprint": "x", "data": "", "seed": 0, "made": "2026-01-01"}
    write_tuned(folder, TunedModel(name=name, kind=kind, **{**known, **facts}))  # type: ignore[arg-type]
    return folder


def prepare(place: Path) -> Path:
    """Make a folder with a workspace, its documents, tuned models and an exam; returns it.

    The exam is a question for each document, held out, and thirty of another domain with its documents.
    """
    workspace = Workspace(config_in(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragwright.retrieval.encoder.load_encoder", Encoders())
        bring(workspace, texts(range(DOCUMENTS)))
    workspace.close()
    for name in ("sharp", "sharper", "poisoned"):
        tuned(workspace.folder, name)
    held_out = [{**row, "metadata": {"part": "test"}} for row in questions()]
    learnt = [{**row, "id": f"learnt {row['id']}", "metadata": {"part": "train"}} for row in questions()]
    write_lines(workspace.folder / "tuning" / "questions" / "questions.jsonl", [*held_out, *learnt])
    write_lines(place / "own.jsonl", questions())
    write_lines(place / "outside" / "questions.jsonl", questions("away/{}.md", count=30))
    write_lines(place / "outside" / "documents.jsonl", map(asdict, texts(range(30), "away/{}.md")))
    return place
