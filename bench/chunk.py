"""Chunking speed against four libraries: the same texts, tokenizer and chunk size, no overlap.

    python bench/chunk.py [--repeats 3]

The texts are the five corpora of the Chroma chunking evaluation. Every chunker is built anew before each
turn, outside of the clock, so that none begins with what another turn taught it; our speed with all words
known is said apart. All take turns within one process. Before that all chunks are checked: ours are held to
their spans, their limit and the whole text, and of the others it is counted how many break the limit or the
text. `structure` gets the blocks of the Markdown as well, which a parser found outside of the clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rows import DATA, Bench
from stopwatch import seconds

from ragwright.core.profile import load_profile
from ragwright.core.types import Document
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.texts import as_document
from ragwright.retrieval.model import DEFAULT_MODEL, ModelFolder, open_model
from ragwright.retrieval.tokens import ModelTokenizer

SIZES = (256, 512)  # tokens
STRATEGIES = ("recursive", "sentence", "fixed", "structure")

Cutter = Callable[[Document], Sequence[Any]]
"""A document to its chunks: values of ours, or texts."""


@dataclass(frozen=True)
class Peer:
    """A chunker of another library.

    Attributes:
        name: Library and class.
        build: Makes it for a size in tokens.
        rival: The strategy of ours that does the same.
        bar: What the ratio should be.
    """

    name: str
    build: Callable[[int], Callable[[str], list[str]]]
    rival: str
    bar: str = ""


def model() -> ModelFolder:
    """The default model, with room for the largest chunk: only its tokenizer is used."""
    return replace(open_model(DEFAULT_MODEL), max_tokens=max(SIZES) + 2)


def library() -> Any:
    """The model's tokenizer as the others are given it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model().path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def counter() -> Callable[[str], int]:
    """Counts a text's tokens with the library, special tokens left out."""
    tokenizer = library()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def langchain(size: int) -> Callable[[str], list[str]]:
    """RecursiveCharacterTextSplitter with the Rust tokenizer, which is its faster way."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=0, length_function=counter())
    return splitter.split_text


def langchain_default(size: int) -> Callable[[str], list[str]]:
    """RecursiveCharacterTextSplitter as its documentation builds it for Hugging Face tokenizers."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model().path), model_max_length=10**9)
    build = RecursiveCharacterTextSplitter.from_huggingface_tokenizer
    return build(tokenizer, chunk_size=size, chunk_overlap=0).split_text


def llamaindex(size: int) -> Callable[[str], list[str]]:
    """SentenceSplitter of LlamaIndex."""
    from llama_index.core.node_parser import SentenceSplitter

    tokenizer = library()
    ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    return SentenceSplitter(chunk_size=size, chunk_overlap=0, tokenizer=ids).split_text


def chonkie(kind: str, size: int) -> Callable[[str], list[str]]:
    """A chunker of chonkie."""
    import chonkie as package

    overlap = {} if kind == "RecursiveChunker" else {"chunk_overlap": 0}
    chunker = getattr(package, kind)(library(), chunk_size=size, **overlap)
    return lambda text: [chunk.text for chunk in chunker.chunk(text)]


def semchunk(size: int) -> Callable[[str], list[str]]:
    """The chunker of semchunk."""
    from semchunk.semchunk import chunkerify

    chunker = chunkerify(counter(), size)
    return lambda text: [str(piece) for piece in chunker(text)]


PEERS = (
    Peer("LangChain RecursiveCharacterTextSplitter", langchain, "recursive", ">= 2"),
    Peer("LangChain from_huggingface_tokenizer", langchain_default, "recursive"),
    Peer("LlamaIndex SentenceSplitter", llamaindex, "sentence", ">= 4"),
    Peer("chonkie TokenChunker", partial(chonkie, "TokenChunker"), "fixed"),
    Peer("chonkie RecursiveChunker", partial(chonkie, "RecursiveChunker"), "recursive"),
    Peer("chonkie SentenceChunker", partial(chonkie, "SentenceChunker"), "sentence"),
    Peer("semchunk", semchunk, "recursive"),
)


def documents() -> list[Document]:
    """The five corpora, read as Markdown."""
    paths = sorted((DATA / "chroma" / "corpora").glob("*.md"))
    if not paths:
        raise SystemExit(f"no texts in {DATA / 'chroma' / 'corpora'}; get the shared data first")
    return [as_document(path.name, path.read_text(encoding="utf-8")) for path in paths]


def ours(strategy: str, size: int, tokenizer: ModelTokenizer | None = None) -> Cutter:
    """Our chunker; the strategies that heed no structure get the bare text, as the others do."""
    found = tokenizer or ModelTokenizer(model())
    chunker = build_chunker(load_profile("general"), found, strategy=strategy, tokens=size, overlap=0)
    return lambda text: chunker(text if strategy == "structure" else replace(text, blocks=()))


def theirs(peer: Peer, size: int) -> Cutter:
    """A peer's chunker over documents."""
    chunker = peer.build(size)
    return lambda document: chunker(document.text)


def check(strategy: str, size: int, texts: Sequence[Document]) -> int:
    """Whether chunks are their spans, hold every visible character and keep the limit; how many there are."""
    count, chunker, number = counter(), ours(strategy, size), 0
    for document in texts:
        chunks, end = list(chunker(document)), 0
        for chunk in chunks:
            span = chunk.span
            assert chunk.text == document.text[span.start : span.end], chunk.id
            assert not document.text[end : span.start].strip(), f"left out before {chunk.id}"
            assert count(chunk.text) <= size, f"{chunk.id} is longer than {size} tokens"
            end = span.end
        assert not document.text[end:].strip(), f"left out at the end of {document.source}"
        number += len(chunks)
    return number


def faults(peer: Peer, size: int, texts: Sequence[Document]) -> tuple[int, int, int]:
    """How many chunks a peer makes, how many exceed the limit, and how many do not stand in the text."""
    count, chunker = counter(), theirs(peer, size)
    pairs = [(chunk, document.text) for document in texts for chunk in chunker(document)]
    longer = sum(count(chunk) > size for chunk, _ in pairs)
    return len(pairs), longer, sum(chunk not in text for chunk, text in pairs)


def one_pass(cutter: Cutter, texts: Sequence[Document]) -> float:
    """Wall time of cutting every text once, in seconds."""

    def cut_all() -> None:
        for document in texts:
            cutter(document)

    return seconds(cut_all)


def turns(size: int, texts: Sequence[Document], *, repeats: int) -> Mapping[str, list[float]]:
    """Seconds per pass of every chunker, in turn: `ours STRATEGY`, `known STRATEGY` and the peers."""
    times: dict[str, list[float]] = {}
    tokenizer = ModelTokenizer(model())
    one_pass(ours("fixed", size, tokenizer), texts)
    for _ in range(repeats):
        for strategy in STRATEGIES:
            times.setdefault(f"ours {strategy}", []).append(one_pass(ours(strategy, size), texts))
            known = one_pass(ours(strategy, size, tokenizer), texts)
            times.setdefault(f"known {strategy}", []).append(known)
        for peer in PEERS:
            times.setdefault(peer.name, []).append(one_pass(theirs(peer, size), texts))
    return times


def checked(bench: Bench, size: int, texts: Sequence[Document]) -> dict[str, str]:
    """A note for every chunker about its chunks; ours end the run where they are not what they should be."""
    notes = {}
    for strategy in STRATEGIES:
        number = check(strategy, size, texts)
        notes[strategy] = f"{number} chunks: each its span, none too long, no visible character left out"
    for peer in PEERS:
        chunks, longer, lost = faults(peer, size, texts)
        notes[peer.name] = f"of {chunks} chunks {longer} exceed the limit, {lost} do not stand in the text"
        for number, what in ((longer, "longer than that"), (lost, "that do not stand in the text")):
            if number:
                bench.add(f"chunks at {size} tokens {what}, {peer.name}", 100 * number / chunks, "%")
    return notes


def measure(bench: Bench, size: int, texts: Sequence[Document], *, repeats: int) -> None:
    """Check all chunkers at a size, and add their rows."""
    notes = checked(bench, size, texts)
    times = turns(size, texts, repeats=repeats)
    for peer in PEERS:
        for strategy, bar in ((peer.rival, peer.bar), ("structure", "")):
            pairs = zip(times[peer.name], times[f"ours {strategy}"], strict=True)
            title = f"chunking at {size} tokens, {strategy} against {peer.name}"
            bench.add(title, [a / b for a, b in pairs], "x", bar=bar, note=notes[peer.name])
    names = {f"ours {strategy}": strategy for strategy in STRATEGIES}
    names |= {f"known {strategy}": f"{strategy} with all words known" for strategy in STRATEGIES}
    names |= {peer.name: peer.name for peer in PEERS}
    characters = sum(len(text.text) for text in texts) / 1e6
    for key, name in names.items():
        speeds = [characters / spent for spent in times[key]]
        note = notes.get(key.removeprefix("ours ").removeprefix("known "), "")
        bench.add(f"chunking at {size} tokens, {name}", speeds, "MB/s", note=note)


def main() -> None:
    """Run and write `bench/results/chunk.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="turns of every chunker, 3 without")
    repeats = parser.parse_args().repeats
    bench = Bench("chunk", "python bench/chunk.py")
    texts = documents()
    for size in SIZES:
        measure(bench, size, texts, repeats=repeats)
    bench.write()


if __name__ == "__main__":
    main()
