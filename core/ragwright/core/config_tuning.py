"""Settings of tuning: which questions are made, what is learnt of them, and what may go live."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ragwright.core.section import Section


class QuestionsConfig(Section):
    """Questions that are made of the documents, to tune with."""

    per_chunk: int = Field(default=2, ge=1, le=50, description="Most questions made of one chunk.")
    most: int = Field(default=4000, ge=1, le=10_000_000, description="Most questions made in all.")
    examples: Path | None = Field(
        default=None,
        strict=False,
        examples=["our-questions.jsonl"],
        description="Questions of your own, as JSON lines, that a language model is shown as examples.",
    )
    round_trip: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="A question is kept when its passage is among so many that are found for it.",
    )
    dev_share: float = Field(
        default=0.15, gt=0, lt=1, description="Share of the documents whose questions choose settings."
    )
    test_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the documents whose questions are reported."
    )


class NegativesConfig(Section):
    """Passages that look like an answer and are none."""

    per_question: int = Field(default=4, ge=0, le=100, description="Most negatives of one question.")
    depth: int = Field(default=50, ge=1, le=1000, description="How many hits are looked through.")
    margin: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="A hit that scores above this share of the positive's score is left out: it may be"
        " right.",
    )
    neighbours: int = Field(
        default=1,
        ge=0,
        le=100,
        description="Chunks so close to a positive in its document are left out.",
    )
    duplicate: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="A hit is left out that shares so much of its words in a row with a positive, 0 to 1.",
    )
    common: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="A hit that holds the words of a reference is left out, unless a larger share of all"
        " chunks holds them.",
    )


class TuneConfig(Section):
    """Training of the retriever's models, and what a tuned one must show before it goes live."""

    seed: int = Field(default=0, ge=0, description="Of everything that is drawn.")
    epochs: float = Field(default=1.0, gt=0, le=1000, description="Times that the examples are seen.")
    batch: int = Field(default=64, ge=1, le=65_536, description="Examples in one step.")
    learning_rate: float = Field(
        default=5e-5, gt=0, le=1, description="Largest step size; it rises from 0 at first, then falls."
    )
    warmup: float = Field(default=0.1, ge=0, lt=1, description="Share of the steps in which it rises.")
    minutes: int = Field(
        default=0, ge=0, le=100_000, description="Most minutes of one training; 0 sets no bound."
    )
    checkpoints: int = Field(
        default=10, ge=1, le=1000, description="Checkpoints and looks at the dev questions in one training."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="Number format of training: auto takes bf16 where it is native."
    )
    negatives: int = Field(
        default=1, ge=0, le=100, description="Hard negatives of each question in one step of an embedder."
    )
    temperature: float = Field(
        default=0.05, gt=0, le=1, description="Cosines are divided by it; lower looks at near misses more."
    )
    lengths: tuple[int, ...] = Field(
        default=(),
        strict=False,
        examples=[[256, 128]],
        description="Lengths that an embedder's vectors may be cut to afterwards.",
    )
    evidence: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Weight of what answers against the rest of its passage, in training an embedder.",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of numbers that are left out at random in training."
    )
    token_table: bool = Field(
        default=False, description="Whether the table of token vectors learns too; it takes memory and time."
    )
    recompute: bool = Field(
        default=False, description="Compute twice instead of keeping results: slower, for large batches."
    )
    instructions: tuple[str, ...] = Field(
        default=(),
        strict=False,
        examples=[["table=Find the table row: "]],
        description="What an embedder reads before the questions of a task, as task=instruction.",
    )
    in_context: int = Field(
        default=0,
        ge=0,
        le=10,
        description="Like questions, each with what answered it, that an embedder reads before a question.",
    )
    teacher: str | None = Field(
        default=None,
        min_length=1,
        examples=["./reranker"],
        description="A cross-encoder whose order of passages an embedder learns; as reranker.model.",
    )
    distil: float = Field(
        default=0.5, ge=0, le=1, description="Share of the teacher's order, where there is a teacher."
    )
    adapter_rank: int = Field(
        default=0, ge=0, le=4096, description="Rank of a query adapter's matrix; 0 lets it be any."
    )
    centroids: int = Field(
        default=8, ge=1, le=1000, description="Centroids by which queries are routed to an expert, at most."
    )
    reader_batch: int = Field(
        default=16,
        ge=1,
        le=65_536,
        description="Examples in one step of a reader or a reranker, which read each with all its chunks.",
    )
    reader_learning_rate: float = Field(
        default=1e-4, gt=0, le=1, description="Largest step size of a reader or a reranker."
    )
    lora_learning_rate: float = Field(
        default=5e-4, gt=0, le=1, description="As learning_rate, for LoRA weights, which begin at nothing."
    )
    lora_rank: int = Field(default=16, ge=1, le=1024, description="Rank of LoRA weights.")
    lora_alpha: int = Field(default=32, ge=1, le=8192, description="LoRA weights count alpha/rank.")
    lora_targets: tuple[str, ...] = Field(
        default=("query", "key", "value", "dense"),
        strict=False,
        description="Names of the linear layers that get LoRA weights.",
    )
    gate: tuple[str, ...] = Field(
        default=("nDCG@10>0",),
        strict=False,
        description="What a tuned model must gain on the questions of the domain, as for eval gate; the"
        " lower end of the interval must reach it too.",
    )
    reader_gate: tuple[str, ...] = Field(
        default=("iou>0",),
        strict=False,
        description="The same of a tuned reader, which finds evidence more than it ranks.",
    )
    outside: Path | None = Field(
        default=None,
        strict=False,
        examples=["general-questions/"],
        description="A data set with documents of another domain, on which a tuned model must not fall.",
    )
    outside_gate: tuple[str, ...] = Field(
        default=("nDCG@10>=-0.01",),
        strict=False,
        description="How far it may fall there.",
    )
