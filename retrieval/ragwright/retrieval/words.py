"""BERT's WordPiece word by word: what was tokenised once is looked up."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice, repeat
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]  # (n,)

# BERT parts words at white space and at every sign of ASCII, and common ideographs stand alone. What else
# parts words, such as signs beyond ASCII, stays inside a unit, and the library sees to it.
_SPACE = " \t\n\r"
_SIGNS = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
_WIDE = ((0x3001, 0x3002), (0xFF0C, 0xFF0C), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))
_ALONE = re.escape(_SIGNS) + "".join(f"{chr(first)}-{chr(last)}" for first, last in _WIDE)
_UNIT = re.compile(f"[{_ALONE}]|[^{_ALONE}{_SPACE}]+")
_ANY = 0x10000  # stands for every character beyond the first plane
_BLOCK = 262_144  # characters looked at together; bounds the memory
_CUT = re.compile(f"[{_SPACE}]|(?<=[{_ALONE}])")
_BATCH = 4_096  # characters of new units in one text, so that all cores get some
_ROOM = 32_000_000  # bytes that the units may take
_OVERHEAD = 250  # bytes that a unit takes besides its characters


class Added(NamedTuple):
    """A token that is found in a text before anything else is done with it, such as `[SEP]`."""

    text: str
    id: int


class _Row(NamedTuple):
    """The tokens of a unit."""

    ids: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]


def _kinds() -> NDArray[np.uint8]:
    """By character: 0 for white space, 1 for what stands alone, 2 for what forms words."""
    kinds = np.full(_ANY + 1, 2, np.uint8)
    kinds[[ord(sign) for sign in _SIGNS]] = 1
    for first, last in _WIDE:
        kinds[first : last + 1] = 1
    kinds[[ord(space) for space in _SPACE]] = 0
    return kinds


class WordTokens:
    """Tokens of texts for a tokenizer whose words do not depend on one another.

    Equal to what the library finds. Texts repeat their words, so that looking them up takes a fraction of the
    time; what is kept is bounded. May be used by many threads.

    Args:
        tokenizer: With BERT's normaliser and pre-tokenizer and a WordPiece model.
        lowercase: Whether the normaliser makes capitals small.
        longest: A longer word is unknown, in characters.
        added: Tokens that stand for themselves wherever they are found.
    """

    def __init__(self, tokenizer: Any, *, lowercase: bool, longest: int, added: Sequence[Added]) -> None:
        self._tokenizer = tokenizer
        self._added = {token.text: token.id for token in added}
        # The longest first: of two that begin at the same place it is taken.
        found = "|".join(re.escape(text) for text in sorted(self._added, key=len, reverse=True))
        self._mark = re.compile(f"({found})" if found else r"(?!)()")
        self._lowercase, self._longest = lowercase, longest
        self._kinds = _kinds()
        self._lock = Lock()
        self._clear()

    def starts(self, text: str) -> Integers:
        """Where each token begins, ascending."""
        parts = [np.zeros(0, np.int64)]
        with self._lock:
            for block, begin in self._blocks(text):
                rows, shifts = self._rows(block, begin)
                parts.append(_view(self._starts)[rows] + shifts)
        return np.concatenate(parts)

    def tokens(self, text: str) -> tuple[Integers, Integers]:
        """Ids, shape (n,), and half-open character ranges, shape (n, 2)."""
        ids, offsets = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)]
        with self._lock:
            for block, begin in self._blocks(text):
                rows, shifts = self._rows(block, begin)
                edges = (_view(self._starts)[rows] + shifts, _view(self._ends)[rows] + shifts)
                ids.append(_view(self._ids)[rows])
                offsets.append(np.stack(edges, axis=1))
        return np.concatenate(ids), np.concatenate(offsets)

    def _blocks(self, text: str) -> Iterator[tuple[str, int]]:
        """Parts of a text that end between units, and where each begins; an added token is one."""
        start = 0
        for part in self._mark.split(text):
            stop = start + len(part)
            while start < stop:
                far = stop - start > _BLOCK and part not in self._added
                cut = _CUT.search(text, start + _BLOCK, stop) if far else None
                end = cut.end() if cut else stop
                yield text[start:end], start
                start = end

    def _clear(self) -> None:
        self._numbers: dict[str, int] = {}
        self._room = _ROOM
        self._firsts, self._counts = array("q"), array("q")  # by unit: its first token, and how many
        self._ids, self._starts, self._ends = array("q"), array("q"), array("q")  # by token

    def _rows(self, block: str, start: int) -> tuple[Integers, Integers]:
        """Rows of the table for the tokens of a block, and where in the text each one's unit begins."""
        units = [block] if block in self._added else _UNIT.findall(block)
        begins = np.zeros(1, np.int64) if block in self._added else self._positions(block)
        numbers = self._numbered(units)
        counts = _view(self._counts)[numbers]
        past = np.cumsum(counts)
        rows = np.arange(int(counts.sum())) + np.repeat(_view(self._firsts)[numbers] - past + counts, counts)
        return rows, np.repeat(begins + start, counts)

    def _positions(self, block: str) -> Integers:
        """Where the units of a block begin."""
        codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = self._kinds[np.minimum(codes, _ANY)]
        begins = kinds == 1
        begins[0] = kinds[0] > 0
        begins[1:] |= (kinds[1:] == 2) & (kinds[:-1] != 2)
        return np.flatnonzero(begins)

    def _numbered(self, units: Sequence[str]) -> Integers:
        """The number of each unit; those not seen before are added."""
        numbers = np.fromiter(map(self._numbers.get, units, repeat(-1)), np.int64, len(units))
        positions = np.flatnonzero(numbers < 0)
        if len(positions):
            if self._room < 0:
                self._clear()
                positions = np.arange(len(units))
            unseen = [units[position] for position in positions.tolist()]
            self._add(list(dict.fromkeys(unseen)))
            found = map(self._numbers.__getitem__, unseen)
            numbers[positions] = np.fromiter(found, np.int64, len(unseen))
        return numbers

    def _add(self, units: Sequence[str]) -> None:
        """Tokenise units and keep what was found."""
        known = [self._known(unit) for unit in units]
        others = [unit for unit, number in zip(units, known, strict=True) if number is None]
        rows = self._tokenised(others)
        whole = [unit for unit, number in zip(units, known, strict=True) if number is not None]
        self._keep(whole, repeat(1, len(whole)))
        self._ids.extend(number for number in known if number is not None)
        self._starts.extend(repeat(0, len(whole)))
        self._ends.extend(map(len, whole))
        self._keep(others, [len(row.ids) for row in rows])
        for row in rows:
            self._ids.extend(row.ids)
            self._starts.extend(row.starts)
            self._ends.extend(row.ends)

    def _keep(self, units: Sequence[str], counts: Iterable[int]) -> None:
        """Number units, whose tokens are added next, so many each."""
        first = len(self._firsts)
        self._numbers.update(zip(units, range(first, first + len(units)), strict=True))
        self._counts.extend(counts)
        sums = accumulate(self._counts[first:], initial=len(self._ids))
        self._firsts.extend(islice(sums, len(units)))
        self._room -= sum(map(len, units)) + _OVERHEAD * len(units)

    def _known(self, unit: str) -> int | None:
        """The id of an added token, or of a plain word that the vocabulary holds as a whole."""
        if unit.isascii() and len(unit) <= self._longest and (unit.isalnum() or unit in _SIGNS):
            # WordPiece takes the longest match first, which is the word itself.
            number: int | None = self._tokenizer.token_to_id(unit.lower() if self._lowercase else unit)
            return number
        return self._added.get(unit)

    def _tokenised(self, units: Sequence[str]) -> list[_Row]:
        """The rows of units, same order, as the library finds them."""
        batches = list(_batches(units))
        texts = ["\n".join(batch) for batch in batches]
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [row for pair in zip(batches, encodings, strict=True) for row in _parted(*pair)]


def _parted(units: Sequence[str], encoding: Any) -> Iterator[_Row]:
    """The tokens of lines, each as if it stood alone."""
    ids, offsets = encoding.ids, encoding.offsets
    begin = first = 0
    for unit in units:
        end = begin + len(unit)
        last = first
        while last < len(ids) and offsets[last][0] < end:
            last += 1
        inner = offsets[first:last]
        yield _Row(
            ids[first:last], [start - begin for start, _ in inner], [stop - begin for _, stop in inner]
        )
        begin, first = end + 1, last


def _batches(units: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for unit in units:
        batch.append(unit)
        size += len(unit) + 1
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _view(values: array[int]) -> Integers:
    """The values as an array of their own memory; must be gone before values are added."""
    return np.frombuffer(values, np.int64) if len(values) else np.zeros(0, np.int64)
