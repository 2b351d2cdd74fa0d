"""Text to vectors: one forward pass gives a passage's vector and one for each of its sentences.

The sentence vectors are *late-pooled*: means over the token vectors that the transformer computed with the
whole passage in view (Günther et al. 2024, "Late Chunking", arXiv:2409.04701, there for chunks of a
document). They cost no extra pass, and retrieve better than sentences encoded alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import InputError, ModelError
from ragwright.core.types import Encoding, Passage, Vectors
from ragwright.retrieval.batches import Ints, ModelInput
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.layers import unit_rows
from ragwright.retrieval.model import ModelFolder, open_model
from ragwright.retrieval.quantised import QuantisedModel, accepted_model
from ragwright.retrieval.tokens import ModelTokenizer, Tokens

# Characters tokenized at once, about a million tokens: while these are computed the next are tokenized.
_WINDOW = 4_000_000


class TransformerEncoder:
    """A sentence-transformers model behind the `Encoder` protocol, for any number of threads.

    Attributes:
        fingerprint: Names the model; vectors of equal fingerprints may be compared.
        dimension: Length of a vector.
        call_tokens: How many tokens one call should bring so that the device stays busy.
        tokenizer: The model's tokenizer.
        model: The model folder; its fingerprint is the encoder's.
    """

    def __init__(self, model: ModelFolder, load: Callable[[], Forward], *, call_tokens: int) -> None:
        """Make an encoder; the weights are loaded when something is first encoded.

        Args:
            model: The model folder.
            load: Loads what computes.
            call_tokens: See the attribute.
        """
        self.fingerprint = model.fingerprint
        self.dimension = model.dimension
        self.call_tokens = call_tokens
        self.tokenizer = ModelTokenizer(model)
        self.model = model
        self._load = load
        self._loaded: Forward | None = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the weights now, instead of when something is first encoded."""
        _ = self.forward

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode questions, in input order.

        Args:
            texts: What exceeds the model's limit is left out: a question has no offsets to lose.

        Returns:
            float32, shape (len(texts), dimension), rows of unit L2 norm.
        """
        prompt = self.model.query_prompt
        asked = [prompt + self._with_examples(text) for text in texts]
        tokens = [self._clip(each) for each in self.tokenizer.encode(asked)]
        inputs = [ModelInput(each.ids, self._whole(each, len(prompt))) for each in tokens]
        vectors = np.empty((len(texts), self.dimension), np.float32)

        def receive(row: int, pooled: NDArray[np.float32]) -> None:
            vectors[row] = self._finish(pooled)[0]

        self.forward.run(inputs, receive)
        return vectors

    def encode_passages(self, passages: Sequence[Passage]) -> list[Encoding]:
        """Encode passages and their sentences in one forward pass, in input order.

        Raises:
            InputError: A passage is longer than the model's limit.
        """
        results: list[Encoding] = []
        for inputs in _ahead(self._passage_inputs, _windows(passages)):
            results += self._encoded(inputs)
        return results

    def _encoded(self, inputs: Sequence[ModelInput]) -> list[Encoding]:
        results: list[Encoding | None] = [None] * len(inputs)

        def receive(row: int, pooled: NDArray[np.float32]) -> None:
            vectors = self._finish(pooled)
            results[row] = Encoding(vectors[0], vectors[1:])

        self.forward.run(inputs, receive)
        done = [result for result in results if result is not None]
        assert len(done) == len(inputs), "a backend lost an input"
        return done

    def _with_examples(self, text: str) -> str:
        """A question as the model is used to read it: alone, or behind like ones and what answered them."""
        in_context = self.model.in_context
        return text if in_context is None else in_context.read_with(text, fits=self._fits)

    def _fits(self, text: str) -> bool:
        tokens = self.tokenizer.encode([self.model.query_prompt + text])[0]
        return len(tokens.ids) <= self.model.max_tokens

    def _passage_inputs(self, passages: Sequence[Passage]) -> list[ModelInput]:
        """Token ids, the range of the whole passage and those of its sentences."""
        prompt = self.model.passage_prompt
        tokens = self.tokenizer.encode([prompt + passage.text for passage in passages])
        self._check(tokens)
        inputs = []
        for each, passage in zip(tokens, passages, strict=True):
            sentences = _token_ranges(each.offsets, passage.sentences, shift=len(prompt))
            inputs.append(ModelInput(each.ids, np.concatenate([self._whole(each, len(prompt)), sentences])))
        return inputs

    def _whole(self, tokens: Tokens, prompt: int) -> Ints:
        """The range that a text behind a prompt of so many characters is pooled from, shape (1, 2)."""
        end = len(tokens.ids)
        if self.model.pooling == "cls":
            return np.array([[0, 1]])
        if self.model.pooling == "lasttoken":
            return np.array([[end - 1, end]])
        start = 0 if self.model.pools_prompt or not prompt else _behind(tokens.offsets, prompt)
        return np.array([[min(start, end - 1), end]])

    def _finish(self, pooled: NDArray[np.float32]) -> Vectors:
        """Unit vectors, shape (r, dimension), from means of token vectors: projected and truncated."""
        for projection in self.model.projections:
            pooled = projection(pooled)
        return unit_rows(pooled[:, : self.dimension])

    def _clip(self, tokens: Tokens) -> Tokens:
        limit, count, behind = self.model.max_tokens, len(tokens.ids), self.tokenizer.tokens_behind
        if count <= limit:
            return tokens
        keep = np.r_[: limit - behind, count - behind : count]
        return Tokens(tokens.ids[keep], tokens.offsets[keep])

    def _check(self, tokens: Sequence[Tokens]) -> None:
        for each in tokens:
            if len(each.ids) > self.model.max_tokens:
                raise InputError(
                    f"a passage has {len(each.ids)} tokens and {self.model.name} reads at most "
                    f"{self.model.max_tokens}; lower chunk.tokens"
                )

    @property
    def forward(self) -> Forward:
        """What computes, loaded when it is first asked for; a reranker of the same model shares it."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded


def _token_ranges(offsets: Ints, ranges: Sequence[tuple[int, int]], *, shift: int) -> Ints:
    """Token ranges of character ranges.

    Args:
        offsets: Shape (tokens, 2): the characters of each token; empty for special tokens.
        ranges: Half-open, ascending, not overlapping.
        shift: Added to the ranges.

    Returns:
        Shape (len(ranges), 2). A range in which no token begins (nothing but white space) gets all tokens.
    """
    real = np.flatnonzero(offsets[:, 1] > offsets[:, 0])  # special tokens are empty
    before = int(real[0]) if len(real) else 0
    shifted = np.asarray(ranges, np.int64).reshape(-1, 2) + shift
    bounds = np.searchsorted(offsets[real, 0], shifted) + before
    bounds[bounds[:, 0] >= bounds[:, 1]] = (0, len(offsets))
    return bounds.astype(np.int64)


def _behind(offsets: Ints, prompt: int) -> int:
    """Index of the first token of text that begins behind a prompt of so many characters."""
    text = np.flatnonzero((offsets[:, 1] > offsets[:, 0]) & (offsets[:, 0] >= prompt))
    return int(text[0]) if len(text) else len(offsets) - 1


def _windows(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    """Neighbouring passages of about four million characters."""
    start = size = 0
    for place, passage in enumerate(passages):
        size += len(passage.text)
        if size >= _WINDOW:
            yield passages[start : place + 1]
            start, size = place + 1, 0
    if start < len(passages):
        yield passages[start:]


def _ahead(
    prepare: Callable[[Sequence[Passage]], list[ModelInput]], windows: Iterator[Sequence[Passage]]
) -> Iterator[list[ModelInput]]:
    """Prepared windows, in order; the next is prepared in a thread while the last is worked on."""
    first, second = next(windows, None), next(windows, None)
    if first is None:
        return
    if second is None:
        yield prepare(first)
        return
    with ThreadPoolExecutor(1, "tokenize") as pool:
        waiting = [pool.submit(prepare, first), pool.submit(prepare, second)]
        while waiting:
            yield waiting.pop(0).result()
            if (window := next(windows, None)) is not None:
                waiting.append(pool.submit(prepare, window))


def load_encoder(
    name: str, compute: Compute, *, dimension: int | None = None, task: str | None = None
) -> TransformerEncoder:
    """Open a model for encoding; its weights are loaded when something is first encoded.

    Args:
        name: See `open_model`.
        compute: How it is run.
        dimension: See `open_model`.
        task: See `open_model`.

    Raises:
        ModelError: See `open_model`; or int8 is configured, and no int8 model was accepted; or the weights
            are for questions only.
    """
    model = open_model(name, dimension=dimension, task=task)
    if model.lora is not None and model.lora.queries_only:
        raise ModelError(
            f"{name} is LoRA weights that read questions only; set encoder.model to {model.lora.base}, and "
            "use the weights as an expert: ragwright tune routing"
        )
    if compute.precision == "int8":
        return quantised_encoder(model, compute, accepted_model(model, compute.cache))
    return TransformerEncoder(model, compute.loader(model), call_tokens=compute.call_tokens())


def quantised_encoder(model: ModelFolder, compute: Compute, quantised: QuantisedModel) -> TransformerEncoder:
    """An encoder that runs the int8 form of a model; its vectors are compared with no others.

    Raises:
        ModelError: A card or torch is to compute, and neither runs int8 here.
    """
    compute.check_int8()
    load = compute.loader(model, quantised=quantised.folder)
    named = replace(model, fingerprint=quantised.fingerprint)
    return TransformerEncoder(named, load, call_tokens=compute.call_tokens())
