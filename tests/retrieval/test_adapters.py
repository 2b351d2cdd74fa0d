"""LoRA weights: merged when they are loaded, and several sets on one base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.small_models import WIDTH, small_transformer, write_json

from ragwright.core.errors import InputError, ModelError
from ragwright.core.lora_folder import SETTINGS, WEIGHTS, read_lora, write_base
from ragwright.core.types import Passage
from ragwright.retrieval.adapters import Adapters
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import open_model
from ragwright.retrieval.torch_model import load_module

_LAYERS = ("encoder.layer.0.attention.self.query", "encoder.layer.1.output.dense")
_TEXTS = ["Where does the pump stand?", "Who checks the valve, and how often is that done?"]


def lora_folder(folder: Path, base: Path, *, seed: int, queries_only: bool = False, **settings: Any) -> Path:
    """LoRA weights for a small transformer, as PEFT writes them."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in _LAYERS:
        wide = 64 if layer.endswith("output.dense") else WIDTH
        tensors[f"base_model.model.{layer}.lora_A.weight"] = random.normal(size=(4, wide)).astype("f")
        tensors[f"base_model.model.{layer}.lora_B.weight"] = random.normal(size=(WIDTH, 4)).astype("f")
    save_file(tensors, str(folder / WEIGHTS))
    own = {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "bias": "none", "target_modules": [*_LAYERS]}
    write_json(folder / SETTINGS, own | settings)
    fingerprint = open_model(str(base)).fingerprint
    write_base(folder, model=str(base), fingerprint=fingerprint, queries_only=queries_only)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_transformer(tmp_path_factory.mktemp("lora") / "base")


@pytest.fixture(scope="module")
def one(base: Path) -> Path:
    return lora_folder(base.parent / "one", base, seed=1)


@pytest.fixture(scope="module")
def other(base: Path) -> Path:
    return lora_folder(base.parent / "other", base, seed=2)


def by_torch(name: Path, cache: Path) -> TransformerEncoder:
    return load_encoder(str(name), Compute(cache=cache, backend="torch", precision="fp32"))


def test_a_folder_of_lora_weights_is_opened_as_its_base_with_another_fingerprint(
    base: Path, one: Path, other: Path
) -> None:
    whole, first, second = (open_model(str(each)) for each in (base, one, other))
    assert first.path == whole.path and first.dimension == whole.dimension
    assert first.name == str(one) and first.lora is not None and first.lora.scale == 0.5
    assert len({whole.fingerprint, first.fingerprint, second.fingerprint}) == 3


def test_the_weights_are_added_to_the_bases_own_and_to_no_others(base: Path, one: Path) -> None:
    from safetensors.numpy import load_file

    plain, merged = (load_module(open_model(str(each))) for each in (base, one))
    factors = load_file(str(one / WEIGHTS))
    for name, weight in merged.named_parameters():
        wanted = plain.get_parameter(name).detach().numpy()
        layer = name.removesuffix(".weight")
        if layer in _LAYERS:
            down, up = (factors[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
            wanted = wanted + 0.5 * up @ down
        np.testing.assert_allclose(weight.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_sets_come_and_go_and_the_bases_vectors_stay_what_they_were_to_the_bit(
    base: Path, one: Path, other: Path, tmp_path: Path
) -> None:
    alone = by_torch(base, tmp_path).encode_queries(_TEXTS)
    adapters = Adapters(str(base), Compute(cache=tmp_path, backend="torch", precision="fp32"))
    adapters.add("one", one)
    adapters.add("other", other)
    assert [*adapters.names] == ["one", "other"]
    for name, folder in (("one", one), ("other", other)):
        found = adapters.encoder(name).encode_queries(_TEXTS)
        assert np.array_equal(found, by_torch(folder, tmp_path).encode_queries(_TEXTS))
        assert np.abs(found - alone).max() > 0.01
    assert np.array_equal(adapters.encoder().encode_queries(_TEXTS), alone)
    adapters.remove("one")
    assert [*adapters.names] == ["other"]
    assert np.array_equal(adapters.encoder().encode_queries(_TEXTS), alone)


def test_sets_share_all_memory_but_that_of_the_layers_they_change(
    base: Path, one: Path, tmp_path: Path
) -> None:
    adapters = Adapters(str(base), Compute(cache=tmp_path, backend="torch", precision="fp32"))
    adapters.add("one", one)
    modules = [adapters.encoder(name).forward._model._module for name in (None, "one")]  # type: ignore[attr-defined]
    own, twin = (dict(module.named_parameters()) for module in modules)
    apart = {name for name in own if own[name].data_ptr() != twin[name].data_ptr()}
    assert apart == {f"{layer}.weight" for layer in _LAYERS}


def test_a_set_that_is_not_there_is_named_with_those_that_are(base: Path, one: Path, tmp_path: Path) -> None:
    adapters = Adapters(str(base), Compute(cache=tmp_path, backend="torch"))
    adapters.add("one", one)
    with pytest.raises(InputError, match='no LoRA weights "two"; there are: one'):
        adapters.encoder("two")
    with pytest.raises(InputError, match="two"):
        adapters.remove("two")


def test_weights_of_another_base_are_refused(base: Path, one: Path, tmp_path: Path) -> None:
    strange = small_transformer(tmp_path / "strange", num_hidden_layers=1)
    with pytest.raises(ModelError, match="holds no LoRA weights of"):
        Adapters(str(strange), Compute(cache=tmp_path)).add("one", one)
    moved = lora_folder(tmp_path / "moved", base, seed=1)
    write_base(moved, model=str(strange), fingerprint=open_model(str(base)).fingerprint, queries_only=False)
    with pytest.raises(ModelError, match=r"belong to .* with the fingerprint"):
        open_model(str(moved))


def test_weights_for_questions_only_do_not_encode_passages(base: Path, tmp_path: Path) -> None:
    folder = lora_folder(tmp_path / "queries", base, seed=1, queries_only=True)
    with pytest.raises(ModelError, match=r"read questions only; set encoder.model to .*tune routing"):
        load_encoder(str(folder), Compute(cache=tmp_path))
    adapters = Adapters(str(base), Compute(cache=tmp_path, backend="torch"))
    adapters.add("policies", folder)
    assert adapters.encoder("policies").encode_queries(_TEXTS).shape == (2, WIDTH)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "kind 'IA3', wanted LORA"),
        ({"use_dora": True}, "has use_dora, which is not merged here"),
        ({"bias": "all"}, "has biases"),
        ({"r": 0}, "states r 0"),
    ],
)
def test_adapters_that_are_more_than_two_factors_are_refused(
    base: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    folder = lora_folder(tmp_path / "more", base, seed=1, **settings)
    with pytest.raises(ModelError, match=message):
        read_lora(folder)


def test_a_set_without_one_of_its_factors_is_refused(base: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = lora_folder(tmp_path / "half", base, seed=1)
    tensors = load_file(str(folder / WEIGHTS))
    tensors.pop(f"base_model.model.{_LAYERS[0]}.lora_B.weight")
    save_file(tensors, str(folder / WEIGHTS))
    with pytest.raises(ModelError, match="wanted two factors for each layer"):
        load_module(open_model(str(folder)))


@pytest.mark.slow
def test_openvino_and_torch_serve_the_same_vectors(one: Path, tmp_path: Path) -> None:
    by_openvino = load_encoder(str(one), Compute(cache=tmp_path, backend="openvino", precision="fp32"))
    passage = Passage(_TEXTS[1], ((0, 20), (20, 49)))
    for found, wanted in zip(
        by_openvino.encode_passages([passage]),
        by_torch(one, tmp_path).encode_passages([passage]),
        strict=True,
    ):
        np.testing.assert_allclose(found.vector, wanted.vector, atol=1e-4)
        np.testing.assert_allclose(found.sentences, wanted.sentences, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_merged_weights_give_what_peft_gives_beside_them(base: Path, one: Path) -> None:
    peft = pytest.importorskip("peft")
    import torch

    ids = torch.arange(1000, 1017)[None]
    with torch.no_grad():
        beside = peft.PeftModel.from_pretrained(load_module(open_model(str(base))), str(one))
        wanted = beside.get_base_model()(input_ids=ids).last_hidden_state
        found = load_module(open_model(str(one)))(input_ids=ids).last_hidden_state
    assert torch.allclose(found, wanted, atol=1e-4)
