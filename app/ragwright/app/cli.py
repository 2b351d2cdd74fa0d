"""The command line: `main` is what `ragwright` runs.

A new command is a file in `commands` with one function from `Options` and its own arguments to an exit code,
and one `add` line here. It imports what is heavy inside that function, so that `--help` stays quick.
"""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ragwright.app.commands import (
    ask,
    config,
    doctor,
    eval_chunking,
    eval_compare,
    eval_convert,
    eval_gate,
    eval_run,
    eval_split,
    eval_sweep,
    feedback,
    forget,
    ingest,
    init,
    keys,
    mcp,
    quantize,
    search,
    serve,
    status,
    tune_adapter,
    tune_embedder,
    tune_list,
    tune_lora,
    tune_negatives,
    tune_promote,
    tune_questions,
    tune_reader,
    tune_reranker,
    tune_rollback,
    tune_routing,
)
from ragwright.app.door import door, package_version
from ragwright.app.session import Options

_EXIT_CODES = """
\b
Exit codes:
  0    done
  1    an error, a partial success, or damage found by doctor
  2    wrong usage
  3    a bug in Ragwright; the message names a log file
  4    an evaluation gate was not passed, or an int8 or a tuned model was refused
  130  interrupted
"""


def _typer(text: str, *, epilog: str | None = None) -> typer.Typer:
    """A group of commands with plain help: rich's is three times as slow to start."""
    return typer.Typer(
        help=text,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add(name: str, command: Callable[..., int], *, to: typer.Typer) -> None:
    """Make a function a command: its first parameter becomes the common options, its result the exit code.

    Args:
        name: What the user types.
        command: Takes `Options` first; the parameters after it are typer arguments and options. Its
            docstring is the help text.
        to: The group it belongs to.
    """
    common = inspect.signature(Options, eval_str=True).parameters
    own = [*inspect.signature(command, eval_str=True).parameters.values()][1:]

    def run(**given: Any) -> None:
        options = Options(**{key: given.pop(key) for key in common})
        raise typer.Exit(door(lambda: command(options, **given), options=options))

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *common.values())]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    text = inspect.getdoc(command) or ""
    to.command(name, help=text, short_help=text.partition("\n")[0])(run)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ragwright {package_version()}")
        raise typer.Exit


app = _typer("Answers from your documents, with evidence. Start with: ragwright init", epilog=_EXIT_CODES)


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before a command."""


add("init", init.init, to=app)
add("ingest", ingest.ingest, to=app)
add("search", search.search, to=app)
add("ask", ask.ask, to=app)
add("status", status.status, to=app)
add("forget", forget.forget, to=app)
add("doctor", doctor.doctor, to=app)
add("quantize", quantize.quantize, to=app)
add("serve", serve.serve, to=app)
add("mcp", mcp.mcp, to=app)

keys_group = _typer("Say who may ask the server, and what each may see.")
app.add_typer(keys_group, name="keys")
add("add", keys.add_key, to=keys_group)
add("list", keys.list_keys, to=keys_group)
add("revoke", keys.revoke_key, to=keys_group)

feedback_group = _typer("See what people say of answers.")
app.add_typer(feedback_group, name="feedback")
add("export", feedback.export, to=feedback_group)

eval_group = _typer("Measure how good it is, and whether a change made it better.")
app.add_typer(eval_group, name="eval")
add("run", eval_run.eval_run, to=eval_group)
add("chunking", eval_chunking.eval_chunking, to=eval_group)
add("sweep", eval_sweep.eval_sweep, to=eval_group)
add("compare", eval_compare.eval_compare, to=eval_group)
add("gate", eval_gate.eval_gate, to=eval_group)
add("convert", eval_convert.eval_convert, to=eval_group)
add("split", eval_split.eval_split, to=eval_group)

tune_group = _typer("Tune retrieval to the documents, and let what is better answer.")
app.add_typer(tune_group, name="tune")
add("questions", tune_questions.tune_questions, to=tune_group)
add("negatives", tune_negatives.tune_negatives, to=tune_group)
add("adapter", tune_adapter.tune_adapter, to=tune_group)
add("embedder", tune_embedder.tune_embedder, to=tune_group)
add("lora", tune_lora.tune_lora, to=tune_group)
add("reranker", tune_reranker.tune_reranker, to=tune_group)
add("reader", tune_reader.tune_reader, to=tune_group)
add("promote", tune_promote.promote, to=tune_group)
add("rollback", tune_rollback.rollback, to=tune_group)
add("list", tune_list.list_tuned, to=tune_group)

routing_group = _typer("Route queries to experts of parts of the documents.")
tune_group.add_typer(routing_group, name="routing")
add("add", tune_routing.add_expert, to=routing_group)
add("remove", tune_routing.remove_expert, to=routing_group)
add("list", tune_routing.list_experts, to=routing_group)
add("report", tune_routing.report_routing, to=routing_group)

config_group = _typer("Look at the settings.")
app.add_typer(config_group, name="config")
add("show", config.show, to=config_group)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that is not UTF-8 gets escapes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being told to end is a Ctrl-C
    try:
        app(prog_name="ragwright")
    finally:  # a second one must not break what the interpreter still has to do
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
