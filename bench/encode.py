"""Encoder speed against sentence-transformers at its defaults, in one process, equality first.

    python bench/encode.py [--texts FOLDER]

Texts are chunks of the finance corpus when the shared data is there, else of the demo corpus. The two take
turns, so that a machine that changes its pace harms both alike.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rows import DATA, ROOT, Bench

from ragwright.core.types import Passage
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.model import DEFAULT_MODEL, open_model

CHARACTERS = 600
TEXTS = 300
REPEATS = 5


def texts() -> list[str]:
    """About 300 pieces of prose of mixed length, 60 to 600 characters."""
    corpus = DATA / "chroma" / "corpora" / "finance.md"
    text = corpus.read_text(encoding="utf-8") if corpus.is_file() else _demo_text()
    rng = np.random.default_rng(0)
    pieces: list[str] = []
    start = 0
    while len(pieces) < TEXTS and start < len(text):
        length = int(rng.integers(60, CHARACTERS))
        pieces.append(text[start : start + length])
        start += length
    return pieces


def _demo_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "demo").rglob("*.md")))


def passages(pieces: Sequence[str]) -> list[Passage]:
    """The texts with a sentence about every 100 characters, as ingest would ask for."""
    return [
        Passage(piece, tuple((at, min(at + 100, len(piece))) for at in range(0, len(piece), 100)))
        for piece in pieces
    ]


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Run and write `bench/results/encode.json`."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    from sentence_transformers import SentenceTransformer

    bench = Bench("encode", "python bench/encode.py")
    pieces = texts()
    with tempfile.TemporaryDirectory() as cache:
        model = open_model(DEFAULT_MODEL)
        peer = SentenceTransformer(str(model.path), device="cpu")
        ours = _encoder("auto", Path(cache))
        exact = _encoder("fp32", Path(cache))
        tokens = sum(len(each.ids) for each in ours.tokenizer.encode(pieces))
        reference = np.asarray(peer.encode(pieces))
        for name, encoder in (("at its default precision", ours), ("in fp32", exact)):
            vectors = np.stack([each.vector for each in encoder.encode_passages(passages(pieces))])
            worst = float((vectors * reference).sum(axis=1).min())
            bench.add(f"smallest cosine to sentence-transformers fp32, {name}", worst, "", bar=">= 0.999")
        times: dict[str, list[float]] = {"ours": [], "exact": [], "peer": []}
        for _ in range(REPEATS):
            times["peer"].append(seconds(lambda: peer.encode(pieces)))
            times["ours"].append(seconds(lambda: ours.encode_passages(passages(pieces))))
            times["exact"].append(seconds(lambda: exact.encode_passages(passages(pieces))))
    note = f"{len(pieces)} texts, {tokens} tokens, sentence vectors included"
    ratios = [a / b for a, b in zip(times["peer"], times["ours"], strict=True)]
    bench.add(
        "encoder against SentenceTransformer.encode at its defaults", ratios, "x", bar=">= 2.5", note=note
    )
    ratios = [a / b for a, b in zip(times["peer"], times["exact"], strict=True)]
    bench.add("encoder in fp32 against SentenceTransformer.encode at its defaults", ratios, "x", note=note)
    for key, name in (
        ("ours", "encoder"),
        ("exact", "encoder in fp32"),
        ("peer", "SentenceTransformer.encode"),
    ):
        bench.add(f"tokens/s of {name}", [tokens / t for t in times[key]], "tokens/s")
    bench.write()


def _encoder(precision: str, cache: Path) -> TransformerEncoder:
    return load_encoder(
        DEFAULT_MODEL, backend="openvino", precision=precision, cache=cache, batch_tokens=1024, threads=0
    )


if __name__ == "__main__":
    main()
