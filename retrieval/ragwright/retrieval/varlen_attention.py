"""Attention over sequences that lie one behind the other, for transformers' attention interface.

On a card this is the variable-length flash attention that torch carries (Dao 2023, "FlashAttention-2",
arXiv:2307.08691); elsewhere it is plain attention, once per length, which is what packing is tested with.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from ragwright.core.errors import ModelError

NAME = "ragwright_varlen"

_Window = tuple[int, int]
"""How many tokens to the left and to the right are seen; -1: all."""

# What some models ask of their attention beside a window; the kernel knows none of it.
_UNKNOWN = ("softcap", "s_aux", "position_bias", "block_mask", "head_mask")


class PackingError(ModelError):
    """A model that cannot be computed without padding."""


def register() -> None:
    """Make `NAME` an attention that a model of transformers can be set to.

    No mask is registered with it: transformers then builds none, where even one that returns nothing would
    have it search the positions for packed sequences, and wait for the card to say what it found.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, varlen_attention)


def varlen_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    cu_seq_lens_q: Any = None,
    max_length_q: int | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Attend inside each sequence of one row.

    Args:
        module: The attention layer; its `is_causal` says whether a token sees those behind it.
        query: Shape (1, heads, tokens, size).
        key: Shape (1, key heads, tokens, size); a key head serves several heads.
        value: Shape (1, key heads, tokens, size).
        attention_mask: None.
        scaling: Factor of the scores; None: one over the square root of the size.
        sliding_window: A token sees others at a distance below this.
        is_causal: Instead of the module's.
        cu_seq_lens_q: int32, shape (sequences + 1,): where each begins, and the end of the last.
        max_length_q: Tokens of the longest sequence.
        others: What else the model hands on.

    Returns:
        Shape (1, tokens, heads, size), and no attention weights.

    Raises:
        PackingError: The model wants something of its attention that is not computed here.
    """
    strange = [name for name in _UNKNOWN if others.get(name) is not None]
    if strange or attention_mask is not None or cu_seq_lens_q is None or max_length_q is None:
        raise PackingError(f"its attention needs {', '.join(strange) or 'a mask, or hands no edges on'}")
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    window = _window(bool(causal), sliding_window)
    if query.is_cuda:
        found = _on_card(query, key, value, cu_seq_lens_q, longest=max_length_q, scale=scaling, window=window)
    else:
        found = by_length(query, key, value, cu_seq_lens_q, scale=scaling, window=window)
    return found.unsqueeze(0), None


def _window(causal: bool, sliding: int | None) -> _Window:
    reach = -1 if sliding is None else sliding - 1  # transformers counts the token itself
    return reach, 0 if causal else reach


def by_length(query: Any, key: Any, value: Any, edges: Any, *, scale: float | None, window: _Window) -> Any:
    """Plain attention, sequences of equal length together.

    Args:
        query: Shape (tokens, heads, size).
        key: Shape (tokens, key heads, size).
        value: Shape (tokens, key heads, size).
        edges: Shape (sequences + 1,).
        scale: Factor of the scores.
        window: What a token sees.

    Returns:
        Shape (tokens, heads, size).
    """
    import torch

    lengths = edges.diff()
    found = query.new_empty((*query.shape[:2], value.shape[-1]))
    for length in lengths.unique().tolist():
        starts = edges[:-1][lengths == length].long()
        places = starts[:, None] + torch.arange(length, device=query.device)
        attended = torch.nn.functional.scaled_dot_product_attention(
            query[places].transpose(1, 2),
            key[places].transpose(1, 2),
            value[places].transpose(1, 2),
            attn_mask=_allowed(length, window, query.device),
            scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )
        found[places] = attended.transpose(1, 2)
    return found


def _allowed(length: int, window: _Window, device: Any) -> Any:
    """Which tokens (columns) a token (row) sees; None: all."""
    import torch

    if window == (-1, -1):
        return None
    places = torch.arange(length, device=device)
    ahead = places[None, :] - places[:, None]
    left, right = (length if reach < 0 else reach for reach in window)
    return (ahead <= right) & (ahead >= -left)


def _on_card(
    query: Any, key: Any, value: Any, edges: Any, *, longest: int, scale: float | None, window: _Window
) -> Any:
    attend, grouped = card_kernel()
    options: dict[str, Any] = {}
    if key.shape[1] != query.shape[1]:
        if grouped:
            options["enable_gqa"] = True
        else:
            times = query.shape[1] // key.shape[1]
            key, value = (each.repeat_interleave(times, dim=1) for each in (key, value))
    return attend(
        query, key, value, edges, edges, longest, longest, scale=scale, window_size=window, **options
    )


@cache
def card_kernel() -> tuple[Callable[..., Any], bool]:
    """Torch's attention for cards, and whether one key head may serve several heads in it.

    Raises:
        PackingError: This torch has none with windows.
    """
    import torch

    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        raise PackingError(f"torch {torch.__version__} has no varlen_attn; torch 2.11 has") from None
    known = inspect.signature(varlen_attn).parameters
    if "window_size" not in known or "scale" not in known:
        raise PackingError(f"varlen_attn of torch {torch.__version__} knows no windows; that of 2.11 does")
    return varlen_attn, "enable_gqa" in known
