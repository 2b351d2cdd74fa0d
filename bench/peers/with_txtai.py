"""txtai: Segmentation with its recursive chunker, and Embeddings with content (Faiss and SQLite)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from peers.contract import CHUNK_TOKENS, Stored, texts

_EVERY = 1_000_000


class Txtai:
    """An embeddings database in one folder."""

    def __init__(self, store: Path, model: Path) -> None:
        from transformers import AutoTokenizer
        from txtai import Embeddings
        from txtai.pipeline import Segmentation

        self._folder = store / "index"
        self._segment = Segmentation(
            chunker="recursive",
            tokenizer=AutoTokenizer.from_pretrained(str(model)),
            chunk_size=CHUNK_TOKENS,
            cleantext=False,
        )
        self._embeddings = Embeddings(path=str(model), content=True)
        if self._folder.is_dir():
            self._embeddings.load(str(self._folder))

    def ingest(self, corpus: Path, changed: Sequence[str]) -> int:
        """Index all files, or replace those that are named as changed: txtai keeps no record of files."""
        found = texts(corpus)
        if not changed:
            rows = list(self._rows(found))
            self._embeddings.index(rows)
        else:
            for name in changed:
                self._forget(name)
            rows = list(self._rows({name: found[name] for name in changed}))
            self._embeddings.upsert(rows)
        self._embeddings.save(str(self._folder))
        return len(rows)

    def _rows(self, found: dict[str, str]) -> Iterator[tuple[str, dict[str, str], None]]:
        for name, text in found.items():
            for number, piece in enumerate(self._segment(text)):
                yield f"{name}#{number}", {"text": piece, "source": name}, None

    def _forget(self, name: str) -> None:
        query = "select id from txtai where source = :source"
        found = self._embeddings.search(query, _EVERY, parameters={"source": name})
        self._embeddings.delete([each["id"] for each in found])

    def stored(self) -> list[Stored]:
        """Every stored chunk."""
        found: list[dict[str, Any]] = self._embeddings.search("select id, text from txtai", _EVERY)
        return [(_source(each["id"]), each["text"]) for each in found]

    def nearest(self, question: str) -> Stored:
        """The nearest chunk."""
        found = self._embeddings.search(question, 1)[0]
        return _source(found["id"]), found["text"]


def _source(identity: str) -> str:
    return identity.rpartition("#")[0]
