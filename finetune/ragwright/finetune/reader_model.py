"""The reader in training: a transformer with two heads on its token vectors, loaded, taught and written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import check_folder
from ragwright.core.reader_folder import ReaderRules, write_rules
from ragwright.core.reader_heads import EVIDENCE, HEADS, PASSAGE, ReaderHeads, read_heads, write_heads
from ragwright.finetune.trainers import check_libraries, quiet, training_device

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
# What log-odds of a trained reader spread like, and between which shares they are centred at first.
_SPREAD = 1.5
_LEAST, _MOST = 0.02, 0.5


@dataclass(frozen=True, slots=True)
class ReaderStart:
    """The encoder that a reader is made of.

    Attributes:
        path: Its folder, of sentence-transformers, of a plain transformer, or a reader's.
        name: As configured.
        fingerprint: Of it.
        padding: Token id to pad with.
        positions: Longest sequence that it reads.
    """

    path: Path
    name: str
    fingerprint: str
    padding: int = 0
    positions: int = 512


@dataclass(frozen=True, slots=True)
class ReaderLearner:
    """A reader that is ready to be trained.

    Attributes:
        model: The module; see `load_reader_learner`.
        tokenizer: A fast tokenizer of transformers.
        start: What it was made of.
        fresh: Whether its heads are new.
    """

    model: Any
    tokenizer: Any
    start: ReaderStart
    fresh: bool = True

    def save(self, folder: Path, rules: ReaderRules) -> None:
        """Write the folder that serves; weights as safetensors."""
        with quiet():
            self.model.body.save_pretrained(str(folder), safe_serialization=True)
        for name in _TOKENIZER:
            if (self.start.path / name).is_file():
                shutil.copyfile(self.start.path / name, folder / name)
        weight, bias, offset = (_numbers(getattr(self.model, name)) for name in ("weight", "bias", "offset"))
        write_heads(folder, ReaderHeads(weight, bias, offset))
        write_rules(folder, rules)


def load_reader_learner(start: ReaderStart, *, dropout: float = 0.0) -> ReaderLearner:
    """Load an encoder and put two heads on it.

    The table of token vectors does not learn: it is half of a small model, and most tokens are rare.

    Args:
        start: The encoder; of a reader's folder the heads are loaded, too.
        dropout: Share of numbers that are left out at random.

    Raises:
        ModelError: It cannot be loaded.
        MissingExtra: A library of the extra `tune` is absent.
    """
    check_libraries()
    import torch
    from transformers import AutoModel, AutoTokenizer

    check_folder(start.path, setting="tune.reader_base")
    with quiet():
        try:
            body = AutoModel.from_pretrained(
                str(start.path),
                dtype="float32",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(
                str(start.path), use_fast=True, trust_remote_code=False, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"model folder {start.path} cannot be loaded for training: {error}") from None
    for module in body.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    body.get_input_embeddings().requires_grad_(False)
    if getattr(body, "pooler", None) is not None:
        body.pooler.requires_grad_(False)  # nothing reads it
    model = make_reader(body)
    fresh = not (start.path / HEADS).is_file()
    if not fresh:
        _take(model, read_heads(start.path))
    return ReaderLearner(model.to(training_device()), tokenizer, start, fresh)


def make_reader(body: Any) -> Any:
    """A module around a transformer whose `forward` takes a batch of `Pairs` and returns its `loss`.

    Its heads are those of `ReaderHeads`, and begin as the cosine of the token vectors.

    Args:
        body: The transformer; becomes the module's `body`.
    """
    import torch

    from ragwright.finetune.reader_loss import reader_loss

    class Reader(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.config = body, body.config
            width = int(body.config.hidden_size)
            self.weight = torch.nn.Parameter(torch.eye(width).repeat(2, 1, 1) / width)
            self.bias = torch.nn.Parameter(torch.zeros(2, width))
            self.offset = torch.nn.Parameter(torch.zeros(2))

        def odds(self, part: Mapping[str, Any]) -> tuple[Any, Any]:
            """Log-odds of the passages, shape (b,), and of their sentences, shape (b, s), in fp32."""
            names = ("input_ids", "attention_mask", *(["token_type_ids"] if self.typed else []))
            states = self.body(**{name: part[name] for name in names}).last_hidden_state
            with torch.autocast(states.device.type, enabled=False):
                return self.measured(states.float(), part)

        def measured(self, states: Any, part: Mapping[str, Any]) -> tuple[Any, Any]:
            """The same of token vectors, shape (b, t, dim)."""
            states = states / states.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
            asked, read = (torch.einsum("bt,btd->bd", part[name], states) for name in ("asked", "read"))
            along = torch.einsum("kde,be->kbd", self.weight, asked) + self.bias[:, None]
            passages = (read * along[PASSAGE]).sum(-1) + self.offset[PASSAGE]
            tokens = torch.einsum("btd,bd->bt", states, along[EVIDENCE]) + self.offset[EVIDENCE]
            return passages, torch.einsum("bst,bt->bs", part["means"], tokens)

        @property
        def typed(self) -> bool:
            return int(getattr(self.config, "type_vocab_size", 0) or 0) > 1

        def forward(self, **batch: Any) -> dict[str, Any]:
            return {"loss": reader_loss([(part, *self.odds(part)) for part in parts_of(batch)])}

    return Reader()


def settle(model: Any, parts: Sequence[Mapping[str, Any]]) -> None:
    """Give new heads log-odds of the spread of a trained reader's, around the share of what is evidence.

    Encoders differ in how alike their token vectors are, and a training should not begin by learning that; so
    Mishkin and Matas 2016, "All you need is a good init" (arXiv:1511.06422), scale each layer by its outputs.

    Args:
        model: A new reader.
        parts: Of a batch or several of `Pairs`, from `parts_of`.
    """
    import torch

    model.eval()
    with torch.no_grad():
        found = [(part, *model.odds(part)) for part in parts]
        real = [part["sentences"] > 0 for part in parts]
        passages = torch.cat([odds for _, odds, _ in found])
        sentences = torch.cat([odds[each] for (_, _, odds), each in zip(found, real, strict=True)])
        answers = torch.cat([part["answers"] for part in parts])
        shares = torch.cat([part["shares"][each] for part, each in zip(parts, real, strict=True)])
        for row, odds, share in ((PASSAGE, passages, answers), (EVIDENCE, sentences, shares)):
            steep = _SPREAD / odds.std().clamp(min=1e-6)
            model.weight[row] *= steep
            model.offset[row] = torch.logit(share.mean().clamp(_LEAST, _MOST)) - steep * odds.mean()


def parts_of(batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a batch of `Pairs`, by name without their number."""
    parts: dict[int, dict[str, Any]] = {}
    for key, value in batch.items():
        number, _, name = key.partition("_")
        if number.isdigit():
            parts.setdefault(int(number), {})[name] = value
    return iter(parts.values())


def _take(model: Any, heads: ReaderHeads) -> None:
    """Give a module the heads of a reader that goes on learning."""
    import torch

    with torch.no_grad():
        for name in ("weight", "bias", "offset"):
            getattr(model, name).copy_(torch.from_numpy(getattr(heads, name)))


def _numbers(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy(), np.float32)
