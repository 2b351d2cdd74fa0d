"""A last layer that is computed for the first token alone changes no score, and is left alone elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ragwright.retrieval.first_token import spare_last_layer

pytestmark = pytest.mark.filterwarnings("default")

SIZES = {"vocab_size": 100, "num_labels": 1, "pad_token_id": 1}
BERT = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
DISTILBERT = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}


def _model(family: str, **settings: Any) -> Any:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**SIZES, **settings)
    torch.manual_seed(0)
    module = getattr(transformers, f"{family}ForSequenceClassification")(config).float().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module


@pytest.mark.parametrize("family", ["Bert", "Roberta", "XLMRoberta", "Electra", "Camembert"])
def test_the_scores_stay_and_the_last_layer_sees_one_token(family: str) -> None:
    import torch

    module = _model(family, **BERT)
    whole = copy.deepcopy(module)
    ids = torch.randint(5, 99, (2, 17))
    assert spare_last_layer(module, (ids, torch.ones_like(ids)))
    shapes: list[tuple[int, ...]] = []
    last = module.base_model.encoder.layer[-1].whole.output
    last.register_forward_hook(lambda *call: shapes.append(tuple(call[-1].shape)))
    ids = torch.randint(5, 99, (5, 23))
    mask = (torch.arange(23)[None] < torch.tensor([23, 1, 8, 22, 15])[:, None]).long()
    with torch.inference_mode():
        found, expected = (each(input_ids=ids, attention_mask=mask).logits for each in (module, whole))
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
    assert shapes == [(5, 1, 32)]


def test_a_model_of_other_layers_stays_as_it_was() -> None:
    import torch

    module = _model("DistilBert", **DISTILBERT)
    ids = torch.randint(5, 99, (2, 17))
    assert not spare_last_layer(module, (ids, torch.ones_like(ids)))


def test_a_head_that_reads_every_token_keeps_its_last_layer() -> None:
    import torch

    class ReadsAll(torch.nn.Module):
        """In front of the head, so that it is given the mean of all tokens."""

        def forward(self, states: Any, **_: Any) -> Any:
            return states.mean(dim=1, keepdim=True)

    module = _model("Roberta", **BERT)
    head = module.classifier
    module.classifier = torch.nn.Sequential(ReadsAll(), head)
    ids = torch.randint(5, 99, (2, 17))
    assert not spare_last_layer(module, (ids, torch.ones_like(ids)))
    assert not hasattr(module.base_model.encoder.layer[-1], "whole")
