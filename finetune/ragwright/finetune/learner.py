"""An embedder that is to be trained: loaded, and what of it learns chosen; and written when it has learnt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ragwright.core.config_tuning import TuneConfig
from ragwright.core.errors import ConfigError, ModelError
from ragwright.core.in_context import InContext, in_context_of
from ragwright.core.lora_folder import write_base
from ragwright.finetune.lora import Lora, add_lora, save_lora
from ragwright.finetune.trainers import check_libraries, quiet, training_device
from ragwright.finetune.values import Example

_PROMPTS = "config_sentence_transformers.json"
_SHOWN = 2000  # examples that are kept to be read together with questions; choosing takes 1 ms


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The model that is trained.

    Attributes:
        path: Its folder, of sentence-transformers or of a plain transformer.
        name: As configured.
        fingerprint: Of its vectors.
        query_prompt: Put before every question.
        passage_prompt: Put before every passage.
        max_tokens: Longest input, special tokens included.
        padding: Token id to pad with.
    """

    path: Path
    name: str
    fingerprint: str
    query_prompt: str = ""
    passage_prompt: str = ""
    max_tokens: int = 256
    padding: int = 0


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """What is learnt; see `TuneConfig` for each.

    Attributes:
        negatives: Hard negatives of each question in one step.
        temperature: Cosines are divided by it.
        lengths: Lengths that vectors may be cut to.
        evidence: Weight of evidence against the rest of its passage.
        distil: Share of the teacher's order, where there is a teacher.
        dropout: Share of numbers that are left out at random.
        token_table: Whether the table of token vectors learns too.
        recompute: Whether results are computed again instead of being kept.
        instructions: Put before the questions of a task, in place of the model's own prompt.
        in_context: Like questions, each with what answered it, that stand before a question.
        lora: LoRA weights to be trained in place of the model's own; None trains these.
        queries_only: Whether questions alone are read by what is trained, and passages keep the vectors that
            they have: nothing is indexed again. Only with LoRA weights.
    """

    negatives: int = 1
    temperature: float = 0.05
    lengths: tuple[int, ...] = ()
    evidence: float = 0.0
    distil: float = 0.5
    dropout: float = 0.0
    token_table: bool = False
    recompute: bool = False
    instructions: Mapping[str, str] = field(default_factory=dict)
    in_context: int = 0
    lora: Lora | None = None
    queries_only: bool = False

    @classmethod
    def of(cls, settings: TuneConfig, *, lora: bool = False, queries_only: bool = False) -> EmbedderSettings:
        """The settings of `[tune]`, for a whole embedder or for LoRA weights.

        Raises:
            ConfigError: An instruction does not say for which task.
        """
        names = cls.__dataclass_fields__.keys() - {"lora", "queries_only", "instructions"}
        own = {name: getattr(settings, name) for name in names}
        own["instructions"] = _by_task(settings.instructions)
        return cls(**own, lora=Lora.of(settings) if lora else None, queries_only=queries_only)


@dataclass(frozen=True, slots=True)
class Learner:
    """A model that is ready to be trained.

    Attributes:
        model: A `SentenceTransformer`.
        start: What it was loaded from.
        settings: What it is to learn.
        in_context: What questions are read together with; None: they are read alone.
    """

    model: Any
    start: StartingPoint
    settings: EmbedderSettings
    in_context: InContext | None = None

    def query(self, text: str, task: str = "") -> str:
        """A question as the encoder reads it."""
        prompt = self.settings.instructions.get(task, self.start.query_prompt)
        if self.in_context is None:
            return prompt + text
        limit, tokenizer = self.start.max_tokens, self.model.tokenizer
        return prompt + self.in_context.read_with(
            text, fits=lambda found: len(tokenizer(prompt + found)["input_ids"]) <= limit
        )

    def save(self, folder: Path) -> None:
        """Write the model's folder, or the folder of its LoRA weights."""
        if self.in_context is not None:
            self.in_context.write(folder)
        if self.settings.lora is not None:
            save_lora(self.model, folder)
            start = self.start
            write_base(
                folder,
                model=start.name,
                fingerprint=start.fingerprint,
                queries_only=self.settings.queries_only,
            )
            _write_prompts(folder, {}, start, self.settings.instructions)
            return
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        own = json.loads((folder / _PROMPTS).read_text(encoding="utf-8"))
        _write_prompts(folder, own, self.start, self.settings.instructions)


def load_learner(
    start: StartingPoint,
    settings: EmbedderSettings,
    *,
    examples: Sequence[Example] = (),
    seed: int = 0,
) -> Learner:
    """Load a model and choose what of it learns.

    Args:
        start: The model.
        settings: What it is to learn.
        examples: Questions that may stand before others, where it is to read them so.
        seed: Of the first LoRA weights, and of the choice among examples.

    Raises:
        ModelError: It cannot be loaded, or has no layers of the names that LoRA weights are wanted for.
        MissingExtra: A library of the extra `tune` is absent.
    """
    check_libraries()
    import torch
    from sentence_transformers import SentenceTransformer

    device = training_device()
    with quiet():
        try:
            model = SentenceTransformer(
                str(start.path),
                device=str(device),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": "float32", **_attention(device)},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"model folder {start.path} cannot be loaded for training: {error}") from None
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = settings.dropout
        if isinstance(module, torch.nn.Embedding) and not settings.token_table:
            module.requires_grad_(False)
    if settings.lora is not None:
        add_lora(model, settings.lora, seed=seed)
    return Learner(model, start, settings, _in_context(examples, settings.in_context, seed=seed))


def _by_task(instructions: Sequence[str]) -> dict[str, str]:
    for each in instructions:
        if not each.partition("=")[0] or "=" not in each:
            raise ConfigError(
                f"tune.instructions has {each!r}; wanted task=instruction, such as table=Find: "
            )
    return {task: text for task, _, text in (each.partition("=") for each in instructions)}


def _in_context(examples: Sequence[Example], count: int, *, seed: int) -> InContext | None:
    if not count:
        return None
    drawn = list(examples)
    if len(drawn) > _SHOWN:
        drawn = Random(seed).sample(drawn, _SHOWN)
    return in_context_of([(each.query, each.positives[0].text) for each in drawn], count=count)


def _attention(device: Any) -> Mapping[str, str]:
    """On the processor the plain form: the fused one's backward pass took a third of a step there in bf16."""
    return {"attn_implementation": "eager"} if device.type == "cpu" else {}


def _write_prompts(
    folder: Path, own: Mapping[str, Any], start: StartingPoint, instructions: Mapping[str, str]
) -> None:
    """Write the prompts that were trained with beside what the folder's settings say."""
    prompts = {"query": start.query_prompt, "document": start.passage_prompt, **instructions}
    text = json.dumps({**own, "prompts": prompts}, indent=2)
    (folder / _PROMPTS).write_text(text, encoding="utf-8")
