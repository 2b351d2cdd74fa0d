"""Reads data sets of every known format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval import (
    read_beir,
    read_chroma,
    read_legalbench,
    read_native,
    read_ragas,
    read_squad,
    read_trec,
)
from ragwright.eval.values import Dataset


@dataclass(frozen=True)
class _Reader:
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Dataset]
    wanted: str


# In the order in which they are tried: what is named exactly comes before what is guessed.
_READERS: Mapping[str, _Reader] = {
    "chroma": _Reader(read_chroma.recognises, read_chroma.read, read_chroma.WANTED),
    "beir": _Reader(read_beir.recognises, read_beir.read, read_beir.WANTED),
    "native": _Reader(read_native.recognises, read_native.read, read_native.WANTED),
    "ragas": _Reader(read_ragas.recognises, read_ragas.read, read_ragas.WANTED),
    "squad": _Reader(read_squad.recognises, read_squad.read, read_squad.WANTED),
    "legalbench": _Reader(read_legalbench.recognises, read_legalbench.read, read_legalbench.WANTED),
    "trec": _Reader(read_trec.recognises, read_trec.read, read_trec.WANTED),
}
FORMATS = tuple(_READERS)
_COMMON_STEMS = ("questions", "questions_df")
_PART_STEMS = ("train", "dev", "test")


def load_dataset(path: Path, *, format: str | None = None, name: str | None = None) -> Dataset:  # noqa: A002
    """The data set at a path.

    Args:
        path: A file or a folder.
        format: One of `FORMATS`; None finds it out by looking at the content.
        name: Shown in reports; None makes one of the path.

    Raises:
        InputError: The path does not exist, its format is not recognised, or rows are wrong; the message
            names them.
    """
    if not path.exists():
        raise InputError(f"there is no data set at {path}; name an existing file or folder")
    if format is not None and format not in _READERS:
        raise InputError(f'"{format}" is no data set format; wanted one of: {", ".join(FORMATS)}')
    dataset = _READERS[format or _recognised(path)].read(path)
    return replace(dataset, name=name or _name(path), digest=digest_of(dataset))


def digest_of(dataset: Dataset) -> str:
    """SHA-256 over the questions, documents and judgements as canonical JSON, in hexadecimal.

    Name, format and row numbers do not enter: the same content has the same digest wherever it lies.
    """
    digest = hashlib.sha256()
    for line in _lines(dataset):
        digest.update(json.dumps(line, sort_keys=True, separators=(",", ":"), default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _lines(dataset: Dataset) -> Iterator[list[object]]:
    for item in dataset.items:
        yield ["item", {**asdict(item), "row": ""}]
    for text in dataset.texts:
        yield ["text", asdict(text)]
    for judgement in dataset.judgements:
        yield ["judgement", asdict(judgement)]


def _recognised(path: Path) -> str:
    for format, reader in _READERS.items():  # noqa: A001
        if reader.recognises(path):
            return format
    wanted = "".join(f"\n  {reader.wanted}" for reader in _READERS.values())
    raise InputError(f"{path} is no data set of a known format; looked for:{wanted}")


def _name(path: Path) -> str:
    path = path.absolute()
    if path.is_dir():
        return path.name
    if path.stem in _COMMON_STEMS:
        return path.parent.name
    return f"{path.parent.name}-{path.stem}" if path.stem in _PART_STEMS else path.stem
