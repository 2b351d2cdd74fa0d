"""What a transformer's own settings say of its input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json

# Their first position is the one behind the padding id's, so that many positions are never used.
_POSITIONS_BEHIND_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)


def read_config(path: Path) -> dict[str, Any]:
    """The transformer's own settings.

    Raises:
        ModelError: They are absent, or not those of a transformer encoder.
    """
    config = read_json(path / "config.json")
    if not isinstance(config.get("hidden_size"), int):
        raise ModelError(f"{path / 'config.json'} states no hidden_size; wanted a transformer encoder's")
    return config


def padding_id(config: dict[str, Any]) -> int:
    """The token id that a transformer takes for padding; 0 where it names none."""
    found = config.get("pad_token_id")
    return found if isinstance(found, int) and found >= 0 else 0


def count_positions(config: dict[str, Any]) -> int:
    """Longest sequence in tokens that a transformer has positions for."""
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") not in _POSITIONS_BEHIND_PADDING:
        return positions
    padding = config.get("pad_token_id", 1)
    # MPNet has this written in its code, whatever its settings say.
    return positions - 1 - (padding if isinstance(padding, int) and config["model_type"] != "mpnet" else 1)
