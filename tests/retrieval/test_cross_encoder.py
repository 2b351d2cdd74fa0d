"""Cross-encoders: the scores are those of sentence-transformers on the same folder."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.small_models import folder_without_weights, modular_cross_encoder, small_transformer, write_json

from ragwright.core.errors import ModelError
from ragwright.core.types import Chunk, Span
from ragwright.retrieval.batches import ModelInput, Receive
from ragwright.retrieval.cross_encoder import CrossEncoder, _projected, load_cross_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.layers import Dense, LayerNorm
from ragwright.retrieval.pair_model import open_pair_model
from ragwright.retrieval.torch_model import TorchForward

WORDS = ["the", "pump", "gasket", "torque", "bolt", "naïve", "漢字", "unbelievable", "4711", "(seal)", "±"]
HEAD = "ForSequenceClassification"


def chunk(text: str, context: str = "") -> Chunk:
    """A chunk that says this."""
    return Chunk(text[:30], Span("d", 0, len(text)), text, context, (), None, (), len(text.split()))


def _texts(lengths: Sequence[int]) -> list[str]:
    chance = random.Random(5)
    return [" ".join(chance.choices(WORDS, k=length)) for length in lengths]


QUERIES = _texts([3, 9, 40])
CHUNKS = [chunk(text, "Manual > Pumps\n") for text in _texts([0, 2, 20, 33, 90, 91, 200])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cross-encoder for pairs of at most 128 tokens."""
    settings = {"architectures": [f"Bert{HEAD}"], "id2label": {"0": "score"}}
    made = folder_without_weights(tmp_path_factory.mktemp("cross"), **settings)
    _limit(made)
    return made


def _limit(folder: Path, tokens: int = 128) -> None:
    """Let a cross-encoder without a list of layers read so many tokens."""
    _change(folder / "tokenizer_config.json", model_max_length=tokens)


def _in_newer_layout(folder: Path, **settings: Any) -> None:
    """Give a cross-encoder the list of layers and the settings that sentence-transformers 6 writes."""
    own = {"model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None, **settings}
    write_json(folder / "config_sentence_transformers.json", own)
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type":
        "sentence_transformers.base.modules.transformer.Transformer"}])  # fmt: skip
    write_json(folder / "sentence_bert_config.json", {"transformer_task": "sequence-classification",
        "max_seq_length": 128, "modality_config": {"text": {"method": "forward",
        "method_output_name": "logits"}}, "module_output_name": "scores"})  # fmt: skip


def _change(path: Path, **settings: Any) -> None:
    """Change some settings of a file."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **settings})


class Sums:
    """A head that any change of a pair's tokens, of their types or of their order would change."""

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        for row in reversed(range(len(inputs))):
            each = inputs[row]
            assert each.types is not None and len(each.ids) <= 128
            weighted = (each.ids * (each.types + 1)) @ np.sqrt(np.arange(len(each.ids)) + 1)
            receive(row, np.array([np.sin(weighted)], np.float32))


@pytest.fixture(scope="module")
def reranker(folder: Path) -> CrossEncoder:
    """The quick folder, with a head that is computed here."""
    return CrossEncoder(open_pair_model(str(folder)), Sums)


def _compute(cache: Path, backend: Any = "openvino") -> Compute:
    return Compute(cache, backend=backend, precision="fp32", threads=1, batch_tokens=256)


def _expected(folder: Path) -> np.ndarray:
    """Scores of every query with every chunk in sentence-transformers, shape (queries, chunks)."""
    from sentence_transformers import CrossEncoder as Peer

    peer = Peer(str(folder), device="cpu", local_files_only=True)
    pairs = [(query, each.context + each.text) for query in QUERIES for each in CHUNKS]
    scores = np.asarray(peer.predict(pairs)).reshape(len(QUERIES), -1)
    assert scores.std() > 0.01, "the pairs are told apart"
    return scores


def _assert_same(folder: Path, cache: Path) -> None:
    """On every backend, and packed as on a card."""
    expected, rules = _expected(folder), open_pair_model(str(folder))
    packed = partial(
        TorchForward, rules.model, _compute(cache, "torch"), head=rules.head, device="cpu", packed=True
    )
    every = [load_cross_encoder(str(folder), _compute(cache, backend)) for backend in ("openvino", "torch")]
    for ours in (*every, CrossEncoder(rules, packed)):
        found = np.stack(ours.rerank(QUERIES, [CHUNKS] * len(QUERIES)))
        np.testing.assert_allclose(found, expected, atol=3e-5, rtol=1e-4)


SIGMOID, IDENTITY, TANH = (
    f"torch.nn.modules.{name}" for name in ("activation.Sigmoid", "linear.Identity", "activation.Tanh")
)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("modern", "older"), [
    ({}, {}),
    ({"activation_fn": IDENTITY}, {}),
    ({"activation_fn": TANH}, {"sbert_ce_default_activation_function": IDENTITY}),
    ({}, {"sentence_transformers": {"activation_fn": IDENTITY}}),
    ({}, {"sbert_ce_default_activation_function": IDENTITY}),
])  # fmt: skip
def test_scores_are_those_of_sentence_transformers_under_every_activation(
    tmp_path: Path, modern: dict[str, Any], older: dict[str, Any]
) -> None:
    folder = small_transformer(tmp_path / "model", head=HEAD, num_labels=1, **older)
    _limit(folder)
    if modern:
        _in_newer_layout(folder, **modern)
    _assert_same(folder, tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("family", "settings"), [
    ("Roberta", {"pad_token_id": 0, "max_position_embeddings": 130, "type_vocab_size": 1}),
    ("Electra", {"embedding_size": 16}),
    ("ModernBert", {"local_attention": 8, "bos_token_id": 1, "eos_token_id": 2}),
    ("Qwen3", {"num_key_value_heads": 1, "head_dim": 16}),
])  # fmt: skip
def test_scores_are_those_of_sentence_transformers_for_other_architectures(
    tmp_path: Path, family: str, settings: dict[str, Any]
) -> None:
    own = {"num_labels": 1, "sbert_ce_default_activation_function": IDENTITY, **settings}
    folder = small_transformer(tmp_path / "model", family=family, head=HEAD, **own)
    _limit(folder)
    if family not in ("Bert", "Electra"):
        _change(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    _assert_same(folder, tmp_path / "cache")


def test_scores_lie_between_0_and_1_and_come_in_the_candidates_order(reranker: CrossEncoder) -> None:
    together = reranker.rerank(QUERIES, [CHUNKS, CHUNKS[::-1], CHUNKS[:2]])
    assert [scores.shape for scores in together] == [(7,), (7,), (2,)]
    assert all(
        scores.dtype == np.float32 and (scores >= 0).all() and (scores <= 1).all() for scores in together
    )
    (turned,) = reranker.rerank(QUERIES[1:2], [CHUNKS])
    np.testing.assert_array_equal(together[1], turned[::-1])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_a_pair_is_scored_with_changes_no_bit_of_its_score(tmp_path: Path) -> None:
    folder = small_transformer(tmp_path / "model", head=HEAD, num_labels=1)
    reranker = load_cross_encoder(str(folder), _compute(tmp_path / "cache"))
    together = reranker.rerank(QUERIES, [CHUNKS] * 3)
    for query, scores in zip(QUERIES, together, strict=True):
        alone = [float(reranker.rerank([query], [[each]])[0][0]) for each in CHUNKS]
        np.testing.assert_array_equal(scores, np.array(alone, np.float32))


def test_a_chunk_is_read_with_its_context(reranker: CrossEncoder) -> None:
    text = "torque the bolt"
    one, other, same = reranker.rerank(
        ["bolt"], [[chunk(text), chunk(text, "Seals\n"), chunk("Seals\n" + text)]]
    )[0]
    assert one != other == same


def test_nothing_gives_nothing(reranker: CrossEncoder) -> None:
    assert reranker.rerank([], []) == []
    empty, one = reranker.rerank(["pump", "pump"], [[], CHUNKS[:1]])
    assert empty.shape == (0,) and one.shape == (1,)


def test_a_chunk_beyond_the_limit_is_scored_by_its_beginning(reranker: CrossEncoder) -> None:
    beginning = " ".join(["pump"] * 124)  # with the question's token and three special ones 128
    scores = reranker.rerank(["bolt"], [[chunk(beginning), chunk(beginning + " gasket" * 300)]])[0]
    assert scores[0] == scores[1]


def test_every_setting_that_changes_scores_changes_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    seen = {open_pair_model(str(folder)).model.fingerprint}
    assert open_pair_model(str(copy)).model.fingerprint in seen
    _limit(copy, 64)
    seen.add(open_pair_model(str(copy)).model.fingerprint)
    _change(copy / "config.json", sbert_ce_default_activation_function=IDENTITY)
    seen.add(open_pair_model(str(copy)).model.fingerprint)
    _change(copy / "tokenizer_config.json", truncation_side="left")
    seen.add(open_pair_model(str(copy)).model.fingerprint)
    prompts = {"prompts": {"a": "Judge: "}, "default_prompt_name": "a", "activation_fn": IDENTITY}
    _in_newer_layout(copy, **prompts)
    seen.add(open_pair_model(str(copy)).model.fingerprint)
    with (copy / "tokenizer.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    seen.add(open_pair_model(str(copy)).model.fingerprint)
    assert len(seen) == 6


@pytest.mark.parametrize(("name", "changed", "complaint"), [
    ("config.json", {"id2label": {"0": "no", "1": "yes"}}, "gives 2 labels; a reranker needs one score"),
    ("config.json", {"id2label": None}, "gives 2 labels"),
    ("config.json", {"architectures": ["BertModel"]}, "holds BertModel; wanted one that ends in"),
    ("config.json", {"architectures": None}, "holds no named architecture"),
    ("config.json", {"sbert_ce_default_activation_function": "mine.Own"}, r"has the activation mine\.Own"),
    ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, "reads pairs through a chat template"),
])  # fmt: skip
def test_what_is_no_cross_encoder_of_one_label_is_refused(
    folder: Path, tmp_path: Path, name: str, changed: dict[str, Any], complaint: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    before = json.loads((copy / name).read_text()) if (copy / name).is_file() else {}
    write_json(copy / name, {**before, **changed})
    with pytest.raises(ModelError, match=complaint):
        load_cross_encoder(str(copy), _compute(tmp_path))


@pytest.mark.parametrize(("layers", "complaint"), [
    (["Transformer", "LogitScore"], "has the layer LogitScore, which reads a language model's next token"),
    (["Transformer", "Pooling", "Dropout"], "has the layer Dropout; supported are .*set reranker.model"),
    (["Transformer", "Pooling"], "ends in Pooling that gives all numbers of a vector; wanted a Dense layer"),
    (["Transformer", "Dense"], "has the layers Transformer, Dense"),
])  # fmt: skip
def test_a_cross_encoder_of_other_modules_is_refused_by_their_names(
    folder: Path, tmp_path: Path, layers: list[str], complaint: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_json(copy / "modules.json", [{"type": f"a.{name}", "path": name} for name in layers])
    write_json(copy / "Pooling" / "config.json", {"pooling_mode": "cls"})
    with pytest.raises(ModelError, match=complaint):
        load_cross_encoder(str(copy), _compute(tmp_path))


def test_a_last_layer_that_gives_several_numbers_is_refused(tmp_path: Path) -> None:
    folder = modular_cross_encoder(tmp_path / "model", computed=False, labels=3)
    with pytest.raises(ModelError, match="ends in Dense that gives 3 numbers of scores; wanted"):
        open_pair_model(str(folder))


def test_a_folder_that_renders_pairs_by_a_template_is_refused(tmp_path: Path) -> None:
    folder = modular_cross_encoder(tmp_path / "model", computed=False)
    settings: Any = {"modality_config": {"text": {}, "message": {}}}
    write_json(folder / "sentence_bert_config.json", settings)
    with pytest.raises(ModelError, match="reads pairs through a chat template"):
        open_pair_model(str(folder))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("family", "layers", "settings"), [
    ("ModernBert", ("Dense", "LayerNorm"), {"pooling": "cls"}),
    ("Bert", ("Dense", "LayerNorm"), {"pooling": "mean"}),
    ("Bert", ("Normalize",), {"pooling": "mean", "prompt": "Judge this: "}),
    ("Bert", (), {"pooling": "mean", "prompt": "Judge this: ", "include_prompt": False}),
    ("Qwen3", (), {"pooling": "lasttoken", "truncation_side": "left"}),
])  # fmt: skip
def test_scores_are_those_of_sentence_transformers_for_several_modules(
    tmp_path: Path, family: str, layers: tuple[str, ...], settings: dict[str, Any]
) -> None:
    _assert_same(
        modular_cross_encoder(tmp_path / "model", *layers, family=family, **settings), tmp_path / "c"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("prompt", "side"), [("Judge this: ", "right"), ("", "left"), ("Judge: ", "left")])
def test_scores_are_those_of_sentence_transformers_with_prompts_and_cut_on_either_side(
    tmp_path: Path, prompt: str, side: str
) -> None:
    folder = small_transformer(tmp_path / "model", head=HEAD, num_labels=1)
    _limit(folder)
    _change(folder / "tokenizer_config.json", truncation_side=side)
    _in_newer_layout(folder, activation_fn=IDENTITY, prompts={"a": prompt}, default_prompt_name="a")
    _assert_same(folder, tmp_path / "cache")


@pytest.mark.parametrize("width", [32, 300])
def test_a_projected_score_depends_on_no_other_pair(width: int) -> None:
    chance = np.random.default_rng(width)
    rows = [chance.normal(size=width).astype(np.float32) for _ in range(75)]
    weights = [chance.normal(size=(out, width)).astype(np.float32) for out in (width, 1)]
    dense = [Dense(each, np.zeros(len(each), np.float32), np.tanh, "") for each in weights]
    layers: list[Any] = [
        dense[0],
        LayerNorm(np.ones(width, np.float32), np.zeros(width, np.float32), ""),
        dense[1],
    ]
    together = _projected(rows, layers)
    assert together.shape == (75,)
    for row, score in zip(rows, together, strict=True):
        assert _projected([row], layers)[0] == score
    assert _projected([], layers).shape == (0,)


def test_a_cross_encoder_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'no model "no/such-model".*set reranker\.model to a CrossEncoder'):
        load_cross_encoder("no/such-model", _compute(tmp_path))
