"""Encoder speed on the processor against its peers, in one process, equality first.

    python bench/encode.py

Texts come from the finance corpus, or from the demo's documents where the shared data is not there. All sides
read up to 512 tokens, the model's positions. They take turns, so that a machine that changes its pace harms
all alike. The encoder also makes a vector for every sentence; its peers make none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from encode_loss import add_losses, samples
from encode_peers import Encode, onnx_runtime, sentence_transformers, sentence_transformers_best
from numpy.typing import NDArray
from rows import DATA, ROOT, Bench
from stopwatch import seconds

from ragwright.core.types import Passage
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder, quantised_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.quantise import quantised_draft
from ragwright.retrieval.tokens import ModelTokenizer

LONGEST = 512
MIXED = 120
FIXED = {32: 192, 128: 64, 256: 32, 512: 16}  # texts by their length in tokens
REPEATS = 5
SAMPLES = 300
_MATRIX = 1536

OURS, EXACT, INT8 = "the encoder", "the encoder in fp32", "the encoder in int8"
DEFAULTS, BEST, ONNX = "SentenceTransformer.encode at its defaults", "the same at its best", "ONNX Runtime"


@dataclass(frozen=True)
class Texts:
    """Texts and what they cost.

    Attributes:
        name: In words.
        texts: To be encoded.
        lengths: Their tokens, special ones included.
    """

    name: str
    texts: Sequence[str]
    lengths: Sequence[int]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(self.lengths)


def model_copy(scratch: Path) -> Path:
    """The default model's folder with a limit of 512 tokens in place of 256."""
    packaged, folder = open_model(DEFAULT_MODEL).path, scratch / "model"
    shutil.copytree(packaged, folder, ignore=shutil.ignore_patterns("model.safetensors", "data_config.json"))
    (folder / "model.safetensors").symlink_to(packaged / "model.safetensors")
    path = folder / "sentence_bert_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "max_seq_length": LONGEST}), encoding="utf-8")
    return folder


def collections(tokenizer: ModelTokenizer) -> list[Texts]:
    """Texts of 10 to 500 tokens, and of one length each, all pieces of the same prose."""
    corpus = DATA / "chroma" / "corpora" / "finance.md"
    prose = corpus.read_text(encoding="utf-8") if corpus.is_file() else _demo_text()
    starts = tokenizer.starts(prose)
    random = np.random.default_rng(0)
    mixed = random.integers(10, 501, MIXED).tolist()
    made = [_pieces("10 to 500 tokens", prose, starts, mixed, tokenizer)]
    for length, count in FIXED.items():
        made.append(_pieces(f"{length} tokens", prose, starts, [length] * count, tokenizer))
    return made


def _pieces(
    name: str, prose: str, starts: NDArray[np.int64], lengths: Sequence[int], tokenizer: ModelTokenizer
) -> Texts:
    """Neighbouring pieces of so many tokens, the two special ones included."""
    edges = np.concatenate([[0], np.cumsum(np.asarray(lengths) - 2)]) % (len(starts) - LONGEST)
    texts = [
        prose[starts[at] : starts[at + length - 2]] for at, length in zip(edges[:-1], lengths, strict=True)
    ]
    return Texts(name, texts, [len(each.ids) for each in tokenizer.encode(texts)])


def _demo_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "demo").rglob("*.md")))


def encode_with(encoder: TransformerEncoder) -> Encode:
    """As ingest asks for it: a sentence about every 100 characters."""

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        passages = [
            Passage(text, tuple((at, min(at + 100, len(text))) for at in range(0, len(text), 100)))
            for text in texts
        ]
        return np.stack([each.vector for each in encoder.encode_passages(passages)])

    return encode


def times(
    sides: Mapping[str, Encode], texts: Sequence[str], *, before: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of every side by repeat; the sides take turns, and `before` is called before each, untimed."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, encode in sides.items():
            before()
            taken[name].append(seconds(partial(encode, texts)))
    return taken


def operations(texts: Texts) -> float:
    """What the six layers multiply and add: 24 H squared for a token, 4 H for a pair of tokens."""
    width, layers = 384, 6
    return float(sum(layers * (24 * width**2 * n + 4 * width * n * n) for n in texts.lengths))


def peaks() -> dict[str, float]:
    """The machine's best rate at a square matrix product, operations a second, in fp32 and in bf16."""
    import torch

    left, right = (torch.rand(_MATRIX, _MATRIX) for _ in range(2))
    made = {OURS: (left.bfloat16(), right.bfloat16()), EXACT: (left, right)}
    work = 2.0 * _MATRIX**3
    return {
        name: work / min(seconds(partial(torch.matmul, *pair)) for _ in range(12))
        for name, pair in made.items()
    }


def add_cosines(bench: Bench, sides: Mapping[str, Encode], texts: Texts) -> None:
    """Smallest cosine of every side to the defaults of sentence-transformers, which are fp32."""
    reference = sides[DEFAULTS](texts.texts)
    for name, encode in sides.items():
        cosines = (encode(texts.texts) * reference).sum(axis=1)
        bar = ">= 0.999" if name in (OURS, EXACT) else ""
        note = f"mean {cosines.mean():.5f}; {len(texts.texts)} texts of {texts.name}"
        if name != DEFAULTS:
            bench.add(
                f"smallest cosine to sentence-transformers in fp32: {name}",
                float(cosines.min()),
                "",
                bar=bar,
                note=note,
            )


def forget_words(encoders: Sequence[TransformerEncoder]) -> None:
    """Let tokenizers forget the words they know, as they would not know those of new texts."""
    for encoder in encoders:
        encoder.tokenizer = ModelTokenizer(encoder.model)


def add_speeds(
    bench: Bench,
    sides: Mapping[str, Encode],
    texts: Texts,
    notes: Mapping[str, str],
    *,
    before: Callable[[], None],
) -> None:
    """Ratios to the peers, and tokens a second."""
    taken = times(sides, texts.texts, before=before)
    found = (
        f"{len(texts.texts)} texts, {texts.tokens} tokens; sentence vectors on our side only, and no word "
        "known to its tokenizer"
    )
    bars = {OURS: ">= 4", INT8: ">= 6.5"} if texts.name == "10 to 500 tokens" else {}
    for name in (OURS, INT8, EXACT):
        for peer in (DEFAULTS, BEST, ONNX):
            if peer not in sides:
                continue
            ratios = [a / b for a, b in zip(taken[peer], taken[name], strict=True)]
            bar = bars.get(name, "") if peer == DEFAULTS else ""
            note = "; ".join(filter(None, (found, notes.get(peer, ""))))
            bench.add(f"{name} against {peer}, {texts.name}", ratios, "x", bar=bar, note=note)
    best = peaks()
    for name, times_taken in taken.items():
        rates = [texts.tokens / each for each in times_taken]
        bench.add(f"tokens/s of {name}, {texts.name}", rates, "tokens/s", note=notes.get(name, ""))
        if name in best:
            share = [operations(texts) / each / best[name] for each in times_taken]
            note = (
                f"peak {best[name] / 1e9:.0f} GFLOP/s: the best of 12 square products of {_MATRIX}, by torch"
            )
            bench.add(f"share of the matrix-product peak: {name}, {texts.name}", share, "", note=note)


def main() -> None:
    """Run and write `bench/results/encode.json`."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    bench = Bench("encode", "python bench/encode.py")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = model_copy(scratch)
        model = open_model(str(folder))
        compute = Compute(cache=scratch / "cache", backend="openvino")
        usual = load_encoder(str(folder), compute)
        exact = load_encoder(str(folder), replace(compute, precision="fp32"))
        groups = collections(usual.tokenizer)
        with quantised_draft(model, compute, samples(usual.tokenizer, SAMPLES)) as draft:
            int8 = quantised_encoder(model, replace(compute, precision="int8"), draft)
            best, setting = sentence_transformers_best(folder, groups[0].texts)
            sides = {DEFAULTS: sentence_transformers(folder), BEST: best, OURS: encode_with(usual)}
            sides |= {INT8: encode_with(int8), EXACT: encode_with(exact)}
            if (onnx := onnx_runtime(folder, model, scratch)) is not None:
                sides[ONNX] = onnx
            notes = {
                BEST: setting,
                ONNX: "fp32, called as fastembed calls it; fastembed's own export wants a hub",
            }
            add_cosines(bench, sides, groups[0])
            forget = partial(forget_words, [usual, exact, int8])
            for texts in groups:
                add_speeds(bench, sides, texts, notes, before=forget)
            if DATA.is_dir():
                add_losses(bench, usual, int8, learned=f"{SAMPLES} chunks of privacy policies")
    bench.write()


if __name__ == "__main__":
    main()
