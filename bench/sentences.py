"""Sentence segmentation: sentencex against spaCy's sentencizer, on a labelled list and in speed.

    python bench/sentences.py

The list is that of `tests/ingest/test_sentences.py`. It was written for this project, and cases were changed
while the profiles grew, so it compares the three on equal terms and is no estimate of accuracy elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rows import DATA, ROOT, Bench

sys.path.insert(0, str(ROOT))

from tests.ingest.test_sentences import LABELLED, PROFILES

from ragwright.ingest.sentences import SentenceSplitter

Split = Callable[[str, str], list[str]]


def spacy_split() -> Split:
    """The rule-based sentencizer of spaCy, as `spacy.blank("en")` has it."""
    import spacy

    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    language.max_length = 10**9
    return lambda _, text: [sentence.text.strip() for sentence in language(text).sents]


def sentencex_split() -> Split:
    """The library sentencex with its own abbreviations of the language."""
    from sentencex import segment

    return lambda _, text: [sentence.strip() for sentence in segment("en", text) if sentence.strip()]


def our_split() -> Split:
    """The library with the domain profile's abbreviations, aligned with the text."""
    splitters = {name: SentenceSplitter(p.language, p.abbreviations) for name, p in PROFILES.items()}

    def split(name: str, text: str) -> list[str]:
        return [text[start:end] for start, end in splitters[name].split(text, 0, len(text))]

    return split


def main() -> None:
    """Run and write `bench/results/sentences.json`."""
    bench = Bench("sentences", "python bench/sentences.py")
    corpus = DATA / "chroma" / "corpora" / "finance.md"
    splits = {
        "spaCy sentencizer": spacy_split(),
        "sentencex": sentencex_split(),
        "with profiles": our_split(),
    }
    for name, split in splits.items():
        right = [float(split(domain, " ".join(wanted)) == wanted) for domain, wanted in LABELLED]
        bench.add_mean(f"labelled cases cut as labelled, {name}", right)
    if corpus.is_file():
        text = corpus.read_text(encoding="utf-8")
        paragraphs = [paragraph for paragraph in text.split("\n") if paragraph.strip()]
        for name, split in splits.items():
            started = time.perf_counter()
            for paragraph in paragraphs:
                split("general", paragraph)
            bench.add(f"speed, {name}", len(text) / 1e6 / (time.perf_counter() - started), "MB/s")
    bench.write()


if __name__ == "__main__":
    main()
