"""Packed batches give what padded ones give, for every architecture, head and length; or padding is said."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from ragwright.core.errors import ModelError
from ragwright.retrieval import varlen_attention
from ragwright.retrieval.batches import ModelInput, make_packed
from ragwright.retrieval.packed_model import PackedModel, place
from ragwright.retrieval.padded_model import PaddedModel
from ragwright.retrieval.query_graph import fill, rounded
from ragwright.retrieval.varlen_attention import PackingError, by_length

# transformers' own deprecations, and torch's of what it uses, are not this project's to mend
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

VOCABULARY = 60
POSITIONS = 40
WINDOW = 8  # of ModernBERT: four tokens to each side

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": POSITIONS, "initializer_range": 0.2,
    "pad_token_id": 1,
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "Electra": {"embedding_size": 16},
    "ModernBert": {
        "local_attention": WINDOW, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
    },
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "EuroBert": {"num_key_value_heads": 2, "bos_token_id": 2, "eos_token_id": 3, "mask_token_id": 4},
}  # fmt: skip
BEHIND_PADDING = ("Roberta", "XLMRoberta", "Camembert")
ENCODERS = (
    "Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert", "Electra", "Albert", "ModernBert", "Qwen3",
    "EuroBert", "NomicBert", "Gte", "JinaEmbeddingsV3",
)  # fmt: skip
HEADS = (
    "Bert", "Roberta", "XLMRoberta", "DistilBert", "Electra", "ModernBert", "ModernBert-mean", "Qwen3", "Gte",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Such small models are slower in two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _model(name: str, *, head: bool = False, positions: int = POSITIONS) -> tuple[Any, int, int]:
    """A small model with made-up weights, its first position, and how many it has."""
    import transformers

    family, _, pooling = name.partition("-")
    if not hasattr(transformers, f"{family}Config"):
        pytest.skip(f"this transformers has no {family}")
    options = {**SIZES, **MORE.get(family, {}), "max_position_embeddings": positions}
    config = getattr(transformers, f"{family}Config")(**options)
    config.classifier_pooling = pooling or "cls"
    torch.manual_seed(0)
    kind = f"{family}ForSequenceClassification" if head else f"{family}Model"
    module = getattr(transformers, kind)(config).float().eval()
    for parameter in module.parameters():  # heads begin with zeros, and scores of nothing agree with anything
        torch.nn.init.normal_(parameter, std=0.2)
    shift = 2 if family in BEHIND_PADDING else 0
    return module, shift, positions - shift


def _inputs(lengths: list[int], *, seed: int = 0) -> list[ModelInput]:
    """Sequences of two texts each, with the ranges of late pooling."""
    random = np.random.default_rng(seed)
    inputs = []
    for length in lengths:
        middle = int(random.integers(0, length))
        ranges = np.array([[0, length], [0, 1], [middle, length], [length - 1, length]])
        types = (np.arange(length) > middle).astype(np.int64)
        inputs.append(ModelInput(random.integers(5, VOCABULARY, length), ranges, types))
    return inputs


def _results(model: Any, inputs: list[ModelInput], *, budget: int) -> list[np.ndarray]:
    results: dict[int, np.ndarray] = {}
    with torch.inference_mode():
        for batch in model.cut(inputs, budget=budget):
            found, bounds = model.launch(batch, inputs, "cpu")
            edges = np.arange(len(batch.rows) + 1) if bounds is None else bounds
            for index, row in enumerate(batch.rows):
                results[int(row)] = found[edges[index] : edges[index + 1]].numpy()
    assert sorted(results) == list(range(len(inputs)))
    return [results[row] for row in range(len(inputs))]


def _both(name: str, *, head: bool) -> tuple[PackedModel, PaddedModel]:
    module, shift, positions = _model(name, head=head)
    padded = PaddedModel(_twin(module), head=head, positions=positions)
    return PackedModel(module, head=head, shift=shift, positions=positions), padded


def _twin(module: Any) -> Any:
    """The same weights with a configuration of their own: the attention is set there."""
    twin = copy.deepcopy(module)
    assert twin.config is not module.config
    return twin


def _agree(packed: PackedModel, padded: PaddedModel, inputs: list[ModelInput], *, budget: int) -> None:
    expected = _results(padded, inputs, budget=200)
    for mine, its in zip(_results(packed, inputs, budget=budget), expected, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5 * max(1.0, float(np.abs(its).max())))


SEEDS = 3


def _lengths(seed: int) -> list[int]:
    """Up to twelve lengths, some of them equal."""
    random = np.random.default_rng(seed)
    return [int(each) for each in random.integers(1, POSITIONS - 1, random.integers(1, 12))]


@pytest.mark.parametrize("name", ENCODERS)
def test_packed_equals_padded_for_any_lengths(name: str) -> None:
    packed, padded = _both(name, head=False)
    _agree(packed, padded, _inputs([38, 1, 9, 17, 9, 30, 2]), budget=1_000)
    for seed in range(SEEDS):
        _agree(packed, padded, _inputs(_lengths(seed), seed=seed), budget=40 * seed + 1)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_on_packed_sequences_scores_as_on_padded_ones(name: str) -> None:
    packed, padded = _both(name, head=True)
    expected = "last" if name == "Qwen3" else "mean" if name.endswith("mean") else "first"
    assert packed.head_reads == expected
    _agree(packed, padded, _inputs([38, 1, 9, 17, 9, 30, 2]), budget=1_000)
    for seed in range(SEEDS):
        _agree(packed, padded, _inputs(_lengths(seed), seed=seed), budget=40 * seed + 1)


def test_a_head_that_reads_the_last_token_passes_over_padding_tokens_of_the_text() -> None:
    """As tokenizers append them whose end-of-text token is the padding token."""
    packed, padded = _both("Qwen3", head=True)
    ids = ([9, 8, 7], [9, 8, packed.config.pad_token_id], [packed.config.pad_token_id] * 2)
    inputs = [ModelInput(np.array(each), np.array([[0, len(each)]])) for each in ids]
    _agree(packed, padded, inputs, budget=1_000)


def test_a_head_without_a_padding_token_is_refused() -> None:
    module, _, positions = _model("Qwen3", head=True)
    module.config.pad_token_id = None
    with pytest.raises(ModelError, match="states no pad_token_id"):
        PaddedModel(module, head=True, positions=positions)


@pytest.mark.parametrize(
    ("name", "why"),
    [("MPNet", "attention interface"), ("DebertaV2", "attention interface")],
)
@pytest.mark.parametrize("head", [False, True])
def test_a_model_that_cannot_be_packed_says_why_and_stays_as_it_was(name: str, why: str, head: bool) -> None:
    module, shift, positions = _model(name, head=head)
    inputs = _inputs([5, 12, 20])
    before = _results(PaddedModel(module, head=head, positions=positions), inputs, budget=99)
    with pytest.raises(PackingError, match=why):
        PackedModel(module, head=head, shift=shift, positions=positions)
    after = _results(PaddedModel(module, head=head, positions=positions), inputs, budget=99)
    for mine, its in zip(after, before, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("head", [False, True])
def test_a_wrong_first_position_is_noticed(head: bool) -> None:
    module, shift, positions = _model("Roberta", head=head)
    padded = PaddedModel(_twin(module), head=head, positions=positions)
    with pytest.raises(PackingError, match="packed and padded differ"):
        PackedModel(module, head=head, shift=shift - 1, positions=positions)
    again = PaddedModel(module, head=head, positions=positions)
    inputs = _inputs([5, 12, 20])
    for mine, its in zip(
        _results(again, inputs, budget=99), _results(padded, inputs, budget=99), strict=True
    ):
        np.testing.assert_array_equal(mine, its)


def test_a_model_that_ignores_the_edges_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    module, shift, positions = _model("Bert")
    encoder = module.encoder.forward

    def forgetful(states: Any, **kinds: Any) -> Any:
        return encoder(states, attention_mask=kinds["attention_mask"])

    monkeypatch.setattr(module.encoder, "forward", forgetful)
    with pytest.raises(PackingError, match="hands no edges on"):
        PackedModel(module, head=False, shift=shift, positions=positions)


def test_local_layers_of_packed_sequences_see_their_window_alone() -> None:
    """What ModernBERT gives for a token far from a change is what its global layers alone pass on."""
    module, _, positions = _model("ModernBert")
    module.config.layer_types = ["sliding_attention"] * 2
    for layer in module.layers:
        layer.attn.sliding_window = WINDOW // 2 + 1
        layer.attention_type = "sliding_attention"
    packed = PackedModel(module, head=False, shift=0, positions=positions)
    (one,) = _inputs([38])
    other = ModelInput(np.r_[one.ids[:-1], 7 if one.ids[-1] != 7 else 8], one.ranges, one.types)
    tokens = np.stack([np.arange(38), np.arange(38) + 1], axis=1)
    first, second = (_results(packed, [ModelInput(each.ids, tokens)], budget=99)[0] for each in (one, other))
    reach = 2 * WINDOW // 2
    np.testing.assert_array_equal(first[: 37 - reach], second[: 37 - reach])
    assert np.abs(first[37 - reach] - second[37 - reach]).max() > 0


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (3, 3), (3, 0)])
@pytest.mark.parametrize("key_heads", [4, 2])
def test_attention_by_length_is_attention_with_a_mask(window: tuple[int, int], key_heads: int) -> None:
    torch.manual_seed(0)
    lengths = [7, 1, 12, 7]
    edges = torch.tensor(np.concatenate([[0], np.cumsum(lengths)]), dtype=torch.int32)
    query, key, value = (torch.randn(27, heads, 8) for heads in (4, key_heads, key_heads))
    places = torch.arange(27)
    which = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))
    ahead = places[None] - places[:, None]
    mask = which[None] == which[:, None]
    mask &= ahead <= (window[1] if window[1] >= 0 else 99)
    mask &= -ahead <= (window[0] if window[0] >= 0 else 99)
    heads = [each.repeat_interleave(4 // each.shape[1], dim=1) for each in (query, key, value)]
    query_heads, key_heads_, value_heads = (each.transpose(0, 1) for each in heads)
    scores = (query_heads @ key_heads_.transpose(1, 2) * 0.3).masked_fill(~mask, -torch.inf)
    expected = scores.softmax(dim=-1) @ value_heads
    found = by_length(query, key, value, edges, scale=0.3, window=window)
    torch.testing.assert_close(found, expected.transpose(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (3, 3)])
@pytest.mark.parametrize("key_heads", [4, 2])
def test_torch_takes_the_call_of_its_attention_for_cards(window: tuple[int, int], key_heads: int) -> None:
    """On tensors without content: there is no card here."""
    query, key, value = (
        torch.empty(27, heads, 8, dtype=torch.bfloat16, device="meta") for heads in (4, key_heads, key_heads)
    )
    edges = torch.empty(5, dtype=torch.int32, device="meta")
    found = varlen_attention._on_card(query, key, value, edges, longest=12, scale=0.3, window=window)
    assert (found.shape, found.dtype) == (query.shape, torch.bfloat16)


@pytest.mark.parametrize("key_heads", [4, 2])
def test_a_kernel_that_knows_no_shared_key_heads_is_given_each_head_its_own(
    monkeypatch: pytest.MonkeyPatch, key_heads: int
) -> None:
    """As in torch 2.11, whose `varlen_attn` takes what is taken here."""

    def kernel(
        query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
        return_aux: Any = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
    ) -> Any:  # fmt: skip
        assert query.shape == key.shape == value.shape
        assert (max_q, max_k, cu_seq_k is cu_seq_q) == (20, 20, True)
        return by_length(query, key, value, cu_seq_q, scale=scale, window=window_size)

    torch.manual_seed(0)
    query, key, value = (torch.randn(27, heads, 8) for heads in (4, key_heads, key_heads))
    edges = torch.tensor([0, 7, 27], dtype=torch.int32)
    monkeypatch.setattr(varlen_attention, "card_kernel", lambda: (kernel, False))
    found = varlen_attention._on_card(query, key, value, edges, longest=20, scale=None, window=(2, 2))
    expected = by_length(query, key, value, edges, scale=None, window=(2, 2))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["Bert", "Roberta", "ModernBert", "Qwen3"])
@pytest.mark.parametrize("tokens", [1, 3, 15, 16, 17, 32])
def test_a_sequence_filled_up_for_a_graph_has_the_vectors_of_itself_alone(name: str, tokens: int) -> None:
    module, shift, positions = _model(name)
    packed = PackedModel(module, head=False, shift=shift, positions=positions)
    (batch,) = make_packed(_inputs([tokens]), budget=99)
    length = rounded(tokens)
    assert length is not None
    assert 0 <= length - tokens < 16
    with torch.inference_mode():
        parts = [torch.from_numpy(each) for each in fill(batch, length)]
        edges = parts[3].int()
        filled = packed.states(parts[0], parts[1], parts[2], edges, longest=length)[:tokens]
        whole = [torch.from_numpy(each) for each in (batch.ids, batch.types, batch.positions)]
        edges = torch.tensor([0, tokens]).int()
        alone = packed.states(whole[0], whole[1], whole[2], edges, longest=tokens)
    torch.testing.assert_close(filled, alone, atol=1e-5, rtol=1e-5)


def test_only_short_sequences_are_filled_up_for_a_graph() -> None:
    assert [rounded(tokens) for tokens in (1, 16, 33, 64, 65)] == [16, 16, 64, 64, None]


def test_buffers_keep_their_precision_when_parameters_lose_theirs() -> None:
    module, _, _ = _model("ModernBert")
    before = {name: each.clone() for name, each in module.named_buffers()}
    place(module, "cpu", torch.bfloat16)
    assert {each.dtype for each in module.parameters()} == {torch.bfloat16}
    for name, each in module.named_buffers():
        assert torch.equal(each, before[name])


def test_in_bf16_packed_and_padded_point_the_same_way() -> None:
    module, shift, positions = _model("Bert")
    exact = PaddedModel(_twin(module), head=False, positions=positions)
    packed = PackedModel(module, head=False, shift=shift, positions=positions)
    packed.place("cpu", torch.bfloat16)
    inputs = _inputs([38, 20, 5])
    expected = _results(exact, inputs, budget=99)
    for mine, its in zip(_results(packed, inputs, budget=99), expected, strict=True):
        assert mine.dtype == np.float32
        cosines = (mine * its).sum(1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(its, axis=1)
        assert cosines.min() > 0.999
