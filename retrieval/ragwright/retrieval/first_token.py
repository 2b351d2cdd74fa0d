"""Scoring models whose head reads the first token: their last layer is computed for that token alone.

The other tokens of the last layer are read by nobody. Leaving them out saves most of that layer: the products
of attention's query and output and both of the feed-forward part, in a model of six layers about 14 % of all
products, in one of two layers about 40 %. The scores stay what they are, up to rounding.
"""

from __future__ import annotations

from typing import Any

_MOST_OFF = 1e-5  # of the largest score


def spare_last_layer(module: Any, example: tuple[Any, ...]) -> bool:
    """Let a scoring model compute its last layer for the first token alone, where that changes no score.

    Args:
        module: A model of transformers with a scoring head, in fp32 on the CPU.
        example: Token ids and mask, each of shape (b, tokens), and token types where the model reads them.

    Returns:
        Whether it does so now; a model that is built otherwise, or whose head reads more, stays as it was.
    """
    layers = getattr(getattr(module.base_model, "encoder", None), "layer", None)
    if not layers or not _is_known(layers[-1]):
        return False
    expected = _scores(module, example)
    layers[-1] = _first_token_layer(layers[-1])
    try:
        found = _scores(module, example)
        same = found.shape == expected.shape and _off(found, expected) <= _MOST_OFF
    except (RuntimeError, IndexError, TypeError):
        same = False
    if not same:
        layers[-1] = layers[-1].whole
    return same


def _is_known(layer: Any) -> bool:
    """Whether a layer is built as BERT's."""
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output",
             "intermediate", "output")  # fmt: skip
    named = {name for name, _ in layer.named_modules()}
    return named.issuperset(parts) and hasattr(layer.attention.self, "attention_head_size")


def _first_token_layer(layer: Any) -> Any:
    import torch

    class FirstTokenLayer(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """A layer's output at the first token, shape (b, 1, dim)."""

        def __init__(self) -> None:
            super().__init__()
            self.whole = layer

        def forward(self, hidden_states: Any, attention_mask: Any = None, *_: Any, **__: Any) -> Any:
            attention, first = self.whole.attention.self, hidden_states[:, :1]
            query, key, value = (
                product(states).unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
                for product, states in (
                    (attention.query, first),
                    (attention.key, hidden_states),
                    (attention.value, hidden_states),
                )
            )
            mask = None if attention_mask is None else attention_mask[:, :, :1]
            seen = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            attended = self.whole.attention.output(seen.transpose(1, 2).flatten(2), first)
            return self.whole.output(self.whole.intermediate(attended), attended)

    return FirstTokenLayer().eval()


def _scores(module: Any, example: tuple[Any, ...]) -> Any:
    import torch

    names = ("input_ids", "attention_mask", "token_type_ids")
    ids, mask, *rest = example
    mask = mask.clone()
    mask[-1, mask.shape[1] // 2 :] = 0  # one of them is padded
    with torch.inference_mode():
        return module(**dict(zip(names, (ids, mask, *rest), strict=False))).logits


def _off(found: Any, expected: Any) -> float:
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
