"""The encoder's tokenizer: the only importer of `tokenizers`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.model import ModelFolder
from ragwright.retrieval.pairs import PairFrame
from ragwright.retrieval.words import Added, WordTokens

# Rust tokenizes one long text on one thread, so long texts are cut between words and done in parallel.
_PIECE = 20_000
# Not behind white space that BERT's normaliser drops: words run across it.
_BEHIND_SPACE = r"(?<=[^\S\x0b\x0c\x1c-\x1f\x85])"
_SPACE = re.compile(_BEHIND_SPACE)
# BERT's pre-tokenizer also parts words at these: common ideographs, and signs that no special token holds.
_SIGNS = ".,;:!?/+="
_BERT_BREAK = re.compile(rf"{_BEHIND_SPACE}|(?<=[{_SIGNS}、。，\u3400-\u4dbf\u4e00-\u9fff])")
# Beginnings of passages. What a prompt adds may depend on the letters behind it, so the most counts.
_BEGINNINGS = ("Pump", "pump", "4711", "(", "\u2013", "\u6f22", "\u00e9")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenized text, special tokens included.

    Attributes:
        ids: int64, shape (n,).
        offsets: int64, shape (n, 2): half-open character ranges; special tokens have (0, 0).
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]


class ModelTokenizer:
    """Counts and cuts text the way the encoder does. Nothing is truncated.

    Attributes:
        max_tokens: Longest input of the encoder, all that it adds included.
        special_tokens: How many tokens the encoder adds to a passage, those of the passage prompt included.
    """

    def __init__(self, model: ModelFolder) -> None:
        from tokenizers import Tokenizer

        path = model.path / "tokenizer.json"
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ModelError(f"{path} cannot be read ({error}); get the model again") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = json.loads(self._tokenizer.to_str())
        self._break = _BERT_BREAK if _parts_at_signs(settings) else _SPACE
        self._words = _words(self._tokenizer, settings)
        self._before, self._behind = self._frame()
        self.max_tokens = model.max_tokens
        added = int(self._tokenizer.num_special_tokens_to_add(False))
        self.special_tokens = added + self._prompt_tokens(model.passage_prompt)

    def starts(self, text: str) -> NDArray[np.int64]:
        """Character offset at which each token begins, ascending, special tokens left out."""
        if self._words is not None:
            return self._words.starts(text)
        parts = [
            np.fromiter((offset[0] for offset in encoding.offsets), np.int64, len(encoding)) + start
            for encoding, start in self._in_pieces(text)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def spans(self, text: str) -> NDArray[np.int64]:
        """Half-open character ranges of a text's tokens, shape (n, 2), ascending, special tokens left out."""
        if self._words is not None:
            return self._words.tokens(text)[1]
        parts = [_offsets(encoding) + start for encoding, start in self._in_pieces(text)]
        return np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets, special tokens included, in input order."""
        if self._words is not None:
            return self._by_words(texts, self._words)
        return [
            Tokens(np.asarray(encoding.ids, np.int64), _offsets(encoding))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    def encode_plain(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids without the special tokens, in input order."""
        first, behind = len(self._before), len(self._behind)
        return [each.ids[first : len(each.ids) - behind] for each in self.encode(texts)]

    def pair_frame(self) -> PairFrame:
        """What stands around and between two texts.

        Raises:
            ModelError: The tokenizer makes no sequence of two texts.
        """
        encoding = self._tokenizer.encode(*_BEGINNINGS[:2])
        sides = [-1 if side is None else side for side in encoding.sequence_ids]
        if sorted(set(sides)) != [-1, 0, 1] or sides.index(1) < sides.index(0):
            raise ModelError("the tokenizer joins no two texts; set reranker.model to a cross-encoder")
        first, second = sides.index(0), sides.index(1)
        ends = len(sides) - sides[::-1].index(0), len(sides) - sides[::-1].index(1)
        ids = np.asarray(encoding.ids, np.int64)
        types = [encoding.type_ids[place] for place in (0, first, ends[0], second, -1)]
        return PairFrame(ids[:first], ids[ends[0] : second], ids[ends[1] :], tuple(types))

    @property
    def tokens_behind(self) -> int:
        """How many special tokens stand behind a text."""
        return len(self._behind)

    def tokens_before(self, prompt: str) -> int:
        """How many tokens stand before a text behind a prompt: the prompt's, and the special ones."""
        return len(self._before) + len(self.encode_plain([prompt])[0])

    def token_id(self, token: str) -> int | None:
        """The id of a token of the vocabulary; None for one it does not know."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def _by_words(self, texts: Sequence[str], words: WordTokens) -> list[Tokens]:
        """`encode`, all texts looked up at once, as lines of one."""
        ids, offsets = words.tokens("\n".join(texts))
        ends = np.cumsum(np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts)))
        cuts = [0, *offsets[:, 0].searchsorted(ends).tolist()]
        around = np.zeros((len(self._before), 2), np.int64), np.zeros((len(self._behind), 2), np.int64)
        return [
            Tokens(
                np.concatenate((self._before, ids[first:last], self._behind)),
                np.concatenate((around[0], offsets[first:last] - (end - len(text) - 1), around[1])),
            )
            for text, end, first, last in zip(texts, ends.tolist(), cuts[:-1], cuts[1:], strict=True)
        ]

    def _in_pieces(self, text: str) -> Iterator[tuple[Any, int]]:
        """A text's encodings in pieces, and where each begins."""
        pieces = list(_pieces(text, 0, len(text), pattern=self._break))
        batch = self._tokenizer.encode_batch([text[a:b] for a, b in pieces], add_special_tokens=False)
        return zip(batch, (start for start, _ in pieces), strict=True)

    def _frame(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids of the special tokens before and behind a text."""
        encoding = self._tokenizer.encode(_BEGINNINGS[0])
        inside = len(encoding) - int(self._tokenizer.num_special_tokens_to_add(False))
        first = next((place for place, added in enumerate(encoding.special_tokens_mask) if not added), 0)
        ids = np.asarray(encoding.ids, np.int64)
        return ids[:first], ids[first + inside :]

    def _prompt_tokens(self, prompt: str) -> int:
        return max(self._count(prompt + text) - self._count(text) for text in _BEGINNINGS) if prompt else 0

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))


def _offsets(encoding: Any) -> NDArray[np.int64]:
    return np.asarray(encoding.offsets, np.int64).reshape(-1, 2)


def _pieces(text: str, start: int, stop: int, *, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Ranges of about 20,000 characters that end at a break, so that no token is cut."""
    while stop - start > _PIECE:
        found = pattern.search(text, start + _PIECE, stop)
        end = stop if found is None else found.end()
        yield start, end
        start = end
    if start < stop:
        yield start, stop


def _parts_at_signs(settings: Mapping[str, Any]) -> bool:
    """Whether words end at BERT's signs."""
    normalizer, before = settings.get("normalizer") or {}, settings.get("pre_tokenizer") or {}
    special = "".join(token["content"] for token in settings.get("added_tokens") or ())
    return (
        before.get("type") == "BertPreTokenizer"
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("handle_chinese_chars") is True
        and not any(sign in special for sign in _SIGNS)
    )


def _words(tokenizer: Any, settings: Mapping[str, Any]) -> WordTokens | None:
    """The tokenizer by words, where its words do not depend on one another: BERT's WordPiece."""
    normalizer, model = settings.get("normalizer") or {}, settings.get("model") or {}
    added = settings.get("added_tokens") or ()
    plain = all(
        not any(token[key] for key in ("normalized", "lstrip", "rstrip", "single_word")) for token in added
    )
    if not (plain and _parts_at_signs(settings) and model.get("type") == "WordPiece"):
        return None
    return WordTokens(
        tokenizer,
        lowercase=bool(normalizer.get("lowercase")),
        longest=int(model["max_input_chars_per_word"]),
        added=[Added(token["content"], token["id"]) for token in added if token["content"]],
    )
