"""Splits a data set by document, never by question, and finds what leaks between parts."""

from __future__ import annotations

import itertools
import math
import random
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError
from ragwright.eval.binding import tails
from ragwright.eval.datasets import digest_of
from ragwright.eval.values import Dataset, Item, Judgement, Reference

WORDS = 8
"""Length of the word sequences by which near-duplicate documents are found."""

CONTAINED = 0.5
"""Documents are near duplicates from this share of the shorter one's word sequences on."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that two parts share.

    Attributes:
        kind: The same document, equal questions, or nearly the same text in two documents.
        parts: Names of the two parts.
        items: Sources, or question ids, in the same order.
        share: Of the shorter document's word sequences that the other holds too; 1 for the other kinds.
    """

    kind: Literal["document", "question", "text"]
    parts: tuple[str, str]
    items: tuple[str, str]
    share: float = 1.0


def split(dataset: Dataset, parts: Mapping[str, float], *, seed: int = 0) -> dict[str, Dataset]:
    """Parts that share no document, near the wished shares by number of questions.

    Questions that share a document stay together, directly or through others; a document is shared when it is
    referenced, judged relevant or filtered for, under its path or an end of it. Unanswerable questions and
    documents that no question needs are dealt out at random, by share. Texts and judgements go with their
    part; a judgement that a document of another part is not relevant is left out.

    Args:
        dataset: What to split.
        parts: Name and share; shares need not sum to 1.
        seed: Equal seeds give equal parts.

    Returns:
        By name, items and texts in the data set's order.

    Raises:
        InputError: A share is not above 0, a reference's document cannot be told, or a part got no question
            because too many hang together.
    """
    shares = _shares(parts)
    links = _links(dataset)
    groups = _groups(links)
    owner = _deal(groups, shares, random.Random(seed))  # by question id and document
    divided = {name: _part(dataset, name, owner) for name in shares}
    bare = [name for name, part in divided.items() if not part.items]
    if bare:
        largest = max((sum(kind == "item" for kind, _ in group) for group in groups), default=0)
        raise InputError(
            f'part "{bare[0]}" got none of {len(dataset.items)} questions: up to {largest} hang together'
            " through shared documents; ask for fewer or larger parts, or split by another collection"
        )
    return divided


def leaks(parts: Mapping[str, Dataset]) -> list[Leak]:
    """What the parts share, pair by pair: documents, then equal questions, then near-duplicate documents.

    Questions are equal up to case, punctuation and white space; each wording is told once. Only
    documents whose texts the parts bring along can be compared as texts.
    """
    found: list[Leak] = []
    for (first, one), (second, other) in itertools.combinations(parts.items(), 2):
        names = (first, second)
        found += [Leak("document", names, pair) for pair in _shared_documents(one, other)]
        found += [Leak("question", names, pair) for pair in _equal_questions(one, other)]
        found += [Leak("text", names, pair, share) for pair, share in _near_duplicates(one, other)]
    return found


_Node = tuple[Literal["item", "document"], str]


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    wrong = next((name for name, share in parts.items() if not (math.isfinite(share) and share > 0)), None)
    if not parts or wrong is not None:
        seen = "no parts are named" if wrong is None else f'the share of part "{wrong}" is {parts[wrong]}'
        raise InputError(f"{seen}; shares above 0 are wanted")
    total = sum(parts.values())
    return {name: share / total for name, share in parts.items()}


def _links(dataset: Dataset) -> dict[_Node, list[_Node]]:
    """What every question and document hangs on directly; the keys in the data set's order."""
    links: dict[_Node, list[_Node]] = {("item", item.id): [] for item in dataset.items}
    for item in dataset.items:
        sources = [source for each in item.references for source in _sources(each, item, dataset)]
        sources += [item.filters["source"]] if "source" in item.filters else []
        links["item", item.id] += [("document", source) for source in sources]
    for each in dataset.judgements:
        linked: list[_Node] = [("document", each.source)] if each.grade >= 1 else []
        links.setdefault(("item", each.question_id), []).extend(linked)
        links.setdefault(("document", each.source), [])
    for text in dataset.texts:
        links.setdefault(("document", text.source), [])
    _link_tails(links)
    return links


def _sources(reference: Reference, item: Item, dataset: Dataset) -> list[str]:
    """Every document that a reference can mean."""
    if reference.source:
        return [reference.source]
    fitting = [text.source for text in dataset.texts if reference.text and reference.text in text.text]
    if not fitting:
        raise InputError(
            f"{item.row or item.id}: a reference names no document and its text stands in none of the data"
            " set's; give sources, or bring the documents along"
        )
    return fitting


def _link_tails(links: dict[_Node, list[_Node]]) -> None:
    """Join a path with its ends: after binding both may be the same document."""
    documents = {node for linked in links.values() for node in linked}
    documents |= {node for node in links if node[0] == "document"}
    for node in sorted(documents):
        ends: list[_Node] = [("document", tail) for tail in tails(node[1])]
        links.setdefault(node, []).extend(end for end in ends if end in documents)


def _groups(links: Mapping[_Node, Sequence[_Node]]) -> list[list[_Node]]:
    """Connected questions and documents, each group and the groups in order of first appearance."""
    parent: dict[_Node, _Node] = {node: node for node in links}

    def root(node: _Node) -> _Node:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for node, linked in links.items():
        for each in linked:
            parent[root(each)] = root(node)
    groups: dict[_Node, list[_Node]] = {}
    for node in links:
        groups.setdefault(root(node), []).append(node)
    return list(groups.values())


def _deal(
    groups: Sequence[list[_Node]], shares: Mapping[str, float], chance: random.Random
) -> dict[_Node, str]:
    """The part of every node. Linked groups, lone questions and lone documents are dealt out one by one."""
    owner: dict[_Node, str] = {}
    piles: list[list[list[_Node]]] = [[], [], []]
    for group in groups:
        kinds = {kind for kind, _ in group}
        piles[0 if len(kinds) == 2 else 1 if kinds == {"item"} else 2].append(group)
    for number, pile in enumerate(piles):
        counted = "document" if number == 2 else "item"
        sizes = {id(group): sum(kind == counted for kind, _ in group) for group in pile}
        missing = {name: share * sum(sizes.values()) for name, share in shares.items()}
        chance.shuffle(pile)
        # The largest first, each to the part that lacks most: no part exceeds its share by a whole group.
        for group in sorted(pile, key=lambda group: -sizes[id(group)]):
            name = max(missing, key=lambda name: missing[name])
            missing[name] -= sizes[id(group)]
            owner.update(dict.fromkeys(group, name))
    return owner


def _part(dataset: Dataset, name: str, owner: Mapping[_Node, str]) -> Dataset:
    def is_kept(judgement: Judgement) -> bool:
        own = owner["item", judgement.question_id] == name
        return own and owner["document", judgement.source] == name

    part = replace(
        dataset,
        name=f"{dataset.name}-{name}",
        items=tuple(item for item in dataset.items if owner["item", item.id] == name),
        texts=tuple(text for text in dataset.texts if owner["document", text.source] == name),
        judgements=tuple(filter(is_kept, dataset.judgements)),
    )
    return replace(part, digest=digest_of(part))


def _documents(dataset: Dataset) -> set[str]:
    named = {text.source for text in dataset.texts}
    named |= {reference.source for item in dataset.items for reference in item.references}
    named |= {item.filters["source"] for item in dataset.items if "source" in item.filters}
    named |= {each.source for each in dataset.judgements if each.grade >= 1}
    return named - {""}


def _shared_documents(one: Dataset, other: Dataset) -> list[tuple[str, str]]:
    first, second = _documents(one), _documents(other)
    pairs = {(source, source) for source in first & second}
    pairs |= {(source, tail) for source in first for tail in tails(source) if tail in second}
    pairs |= {(tail, source) for source in second for tail in tails(source) if tail in first}
    return sorted(pairs)


def _equal_questions(one: Dataset, other: Dataset) -> list[tuple[str, str]]:
    first, second = _by_wording(one), _by_wording(other)
    return [(first[wording], second[wording]) for wording in first if wording in second]


def _by_wording(dataset: Dataset) -> dict[str, str]:
    """The first question of each wording."""
    return {_normal(item.text): item.id for item in reversed(dataset.items)}


def _normal(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())) or text.strip()


def _near_duplicates(one: Dataset, other: Dataset) -> list[tuple[tuple[str, str], float]]:
    words: dict[str, int] = {}
    first = [(text.source, _sequences(text.text, words)) for text in one.texts]
    second = [(text.source, _sequences(text.text, words)) for text in other.texts]
    if not first or not second:
        return []
    sizes = np.array([len(each) for _, each in second])
    hashes = np.concatenate([each for _, each in second])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], np.repeat(np.arange(len(second)), sizes)[order]
    found = []
    for source, sequences in first:
        shared = np.bincount(owners[_positions(hashes, sequences)], minlength=len(second))
        share = shared / np.maximum(np.minimum(sizes, len(sequences)), 1)
        found += [((source, second[at][0]), float(share[at])) for at in np.flatnonzero(share >= CONTAINED)]
    return found


def _positions(hashes: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where the wanted values stand in sorted hashes, each place of a repeated one."""
    low, high = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
    counts = high - low
    ends = np.cumsum(counts)
    places: NDArray[np.int64] = np.repeat(low - ends + counts, counts)
    return places + np.arange(len(places))


def _sequences(text: str, words: dict[str, int]) -> NDArray[np.uint64]:
    """Hashes of a text's word sequences, sorted, each once; a shorter text counts as one sequence."""
    found = _WORD.findall(text.casefold())
    if not found:
        return np.empty(0, np.uint64)
    for word in set(found) - words.keys():
        words[word] = zlib.crc32(word.encode()) << 32 | zlib.adler32(word.encode())
    numbers = np.array([words[word] for word in found], np.uint64)
    length = min(WORDS, len(numbers))
    hashes = np.zeros(len(numbers) - length + 1, np.uint64)
    for offset in range(length):
        # An odd factor: multiplication modulo 2**64 then loses nothing, and order counts.
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + numbers[offset : offset + len(hashes)]
    return np.unique(hashes)
