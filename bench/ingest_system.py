"""One system of the ingest comparison, in a process of its own; `bench/ingest_peers.py` starts it.

    python bench/ingest_system.py SYSTEM ACTION --store FOLDER [--corpus FOLDER] ...

Prints JSON: for `ingest` the chunks written and the seconds, imports and loading the model left out; for
`audit` every stored chunk and the nearest one to each question; for `tune` the fastest batch size.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from peers.contract import System

from ragwright.retrieval.model import DEFAULT_MODEL, open_model


def opened(arguments: argparse.Namespace) -> System:
    """The named system over its store."""
    model = open_model(DEFAULT_MODEL).path
    if arguments.system == "llamaindex":
        from peers.with_llamaindex import LlamaIndex

        return LlamaIndex(arguments.store, model, batch=arguments.batch, dtype=arguments.dtype)
    if arguments.system == "langchain":
        from peers.with_langchain import LangChain

        return LangChain(arguments.store, model)
    if arguments.system == "txtai":
        from peers.with_txtai import Txtai

        return Txtai(arguments.store, model)
    from peers.with_ragwright import Ragwright

    return Ragwright(arguments.store)


def ingest(arguments: argparse.Namespace) -> dict[str, Any]:
    """Bring the store up to date."""
    system = opened(arguments)
    started = time.perf_counter()
    chunks = system.ingest(arguments.corpus, arguments.changed)
    return {"chunks": chunks, "seconds": time.perf_counter() - started}


def audit(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the store holds and finds."""
    system = opened(arguments)
    asked = json.loads(arguments.questions.read_text(encoding="utf-8"))
    return {"stored": system.stored(), "nearest": [system.nearest(question) for question in asked]}


def tune(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fastest batch size of LlamaIndex's embedding."""
    from peers.with_llamaindex import best_batch

    model = open_model(DEFAULT_MODEL).path
    return {"batch": best_batch(model, arguments.corpus, dtype=arguments.dtype)}


ACTIONS = {"ingest": ingest, "audit": audit, "tune": tune}


def main() -> None:
    """Do what the arguments say, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=("ragwright", "llamaindex", "langchain", "txtai"))
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--changed", nargs="*", default=[])
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dtype")
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):  # some systems print while they work
        result = ACTIONS[arguments.action](arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
