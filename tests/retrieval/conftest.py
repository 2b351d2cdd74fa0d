"""Entries with made-up vectors, and the real model in full precision."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragwright.core.types import Chunk, Encoding, IndexEntry, Span
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.terms import Terms

DIMENSION = 48
MakeEntry = Callable[..., IndexEntry]


@pytest.fixture(scope="session")
def terms() -> Terms:
    """English terms."""
    return Terms()


@pytest.fixture(scope="session")
def exact_encoder(model_cache: Path) -> TransformerEncoder:
    """The default model in single precision, one thread, small batches."""
    return load_encoder(
        DEFAULT_MODEL,
        Compute(backend="openvino", precision="fp32", cache=model_cache, batch_tokens=256, threads=1),
    )


@pytest.fixture(scope="session")
def packaged() -> Path:
    """The default model's folder."""
    return open_model(DEFAULT_MODEL).path


@pytest.fixture
def light_copy(tmp_path: Path, packaged: Path) -> Path:
    """The default model's folder with next to no weights: read at once, never computed, to be damaged."""
    folder = tmp_path / "model"
    shutil.copytree(packaged, folder, ignore=shutil.ignore_patterns("model.safetensors", "data_config.json"))
    (folder / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    return folder


@pytest.fixture
def model_copy(light_copy: Path, packaged: Path) -> Path:
    """The same with the real weights, which are a link until replaced."""
    (light_copy / "model.safetensors").unlink()
    (light_copy / "model.safetensors").symlink_to(packaged / "model.safetensors")
    return light_copy


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    """Make an entry from a text; its vectors are random, the same for the same number."""

    def make(
        number: int,
        text: str,
        *,
        source: str = "notes.md",
        page: int | None = None,
        metadata: Mapping[str, str] | None = None,
        encoding: Encoding | None = None,
    ) -> IndexEntry:
        sentences = tuple(Span(source, *found.span()) for found in re.finditer(r"\S[^.]*\.?", text))
        chunk = Chunk(
            id=str(uuid.UUID(int=number + 1)),
            span=Span(source, 0, len(text)),
            text=text,
            context="Notes\n",
            headings=("Notes",),
            page=page,
            sentences=sentences,
            tokens=len(text.split()) + 3,
        )
        random = np.random.default_rng(number)
        vectors = encoding or Encoding(_units(random, 1)[0], _units(random, len(sentences)))
        return IndexEntry(chunk, source, "Notes", metadata or {}, vectors)

    return make


def _units(random: np.random.Generator, rows: int) -> NDArray[np.float32]:
    vectors = random.normal(size=(rows, DIMENSION))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="session")
def entries(make_entry: MakeEntry) -> list[IndexEntry]:
    """Thirty chunks on pumps; every term has a known number of chunks."""
    made = []
    for number in range(30):
        words = ["pump", *(["gasket"] if number % 3 == 0 else []), *(["torque"] if number < 2 else [])]
        text = f"The {' '.join(words)} of unit x{number}. " + "Check it twice. " * (number % 4 + 1)
        made.append(
            make_entry(
                number,
                text.strip(),
                source=f"manual{number % 2}.pdf",
                page=number // 10 + 1,
                metadata={"author": "Ida Novak" if number % 5 == 0 else "Max Ng", "dc:title": f"t{number}"},
            )
        )
    return made
