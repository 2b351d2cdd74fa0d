"""From questions to negatives, an adapter and experts, by the command line, on a market of fruit.

Every fruit has a page on its price and one on how it grows. People there call a price a zorp, which no model
knows: an adapter learns it from the questions about some fruits, and finds the prices of others.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tests.app.conftest import encoder_settings
from typer.testing import CliRunner, Result

from ragwright.app.access import open_workspace
from ragwright.app.cli import app
from ragwright.core.query_adapter import read_query_adapter
from ragwright.core.types import Span
from ragwright.finetune.rows import read_examples, write_questions
from ragwright.finetune.tuned_model import read_tuned
from ragwright.finetune.values import LabelledQuestion

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
FRUITS = [
    "apple",
    "pear",
    "plum",
    "cherry",
    "peach",
    "quince",
    "fig",
    "olive",
    "lemon",
    "melon",
    "grape",
    "mango",
]
TRAIN, DEV, TEST = FRUITS[:7], FRUITS[7:10], FRUITS[10:]
PRICE = "One {0} costs two coins at the market. A basket of {0} is sold for twenty."
GROWS = "The {0} grows on sunny hills. Water each {0} in spring and cut its twigs."
NOTHING_OUTSIDE = ("--set", "search.mode=dense")


def sources(fruit: str) -> tuple[str, str]:
    return f"docs/prices/{fruit}.md", f"docs/gardens/{fruit}.md"


def question(fruit: str, part: str) -> LabelledQuestion:
    [quote] = [PRICE.format(fruit).partition(". ")[0] + "."]
    reference = Span(sources(fruit)[0], 0, len(quote))
    return LabelledQuestion(
        f"zorp-{fruit}", f"zorp {fruit}?", (reference,), (quote,), metadata={"part": part}
    )


def prepare(folder: Path) -> None:
    for fruit in FRUITS:
        for source, text in zip(sources(fruit), (PRICE, GROWS), strict=True):
            path = folder / source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(fruit), encoding="utf-8")
    tuning = folder / ".ragwright" / "tuning" / "questions"
    parts = {"train": TRAIN, "dev": DEV, "test": TEST}
    questions = [question(fruit, part) for part, fruits in parts.items() for fruit in fruits]
    write_questions(tuning / "questions.jsonl", questions)
    by_source = {part: [s for fruit in fruits for s in sources(fruit)] for part, fruits in parts.items()}
    told = {"by": "document", "dev_share": 0.2, "test_share": 0.2, "seed": 0, **by_source}
    (tuning / "splits.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """The market ingested, with negatives, an adapter of everything, and one of the prices; to be copied."""
    folder = tmp_path_factory.mktemp("market")
    prepare(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runner = CliRunner(env=encoder_settings(model_cache))
        for arguments in (
            ["ingest", "docs"],
            ["tune", "negatives", "--json"],
            ["tune", "adapter", *NOTHING_OUTSIDE],
            ["tune", "adapter", "--name", "prices", "--documents", "docs/prices/*", *NOTHING_OUTSIDE],
        ):
            done = runner.invoke(app, arguments)
            assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def here(folder: Path, market: Path, encoder: Path) -> Path:
    """The current folder, with the market in it."""
    subprocess.run(["cp", "-R", f"{market}/.", str(folder)], check=True)
    return folder


def found(here: Path, text: str, **settings: object) -> list[tuple[str, dict[str, float]]]:
    given = {name.replace("__", "."): value for name, value in settings.items()}
    with open_workspace(here / ".ragwright", settings={"search.mode": "dense", **given}) as workspace:
        return [(hit.source, dict(hit.scores)) for hit in workspace.retriever.search(text, limit=4)]


def test_negatives_are_of_the_own_part_and_what_fell_is_told(here: Path) -> None:
    folder = here / ".ragwright" / "tuning" / "examples"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for part, fruits in (("train", TRAIN), ("dev", DEV)):
        examples = read_examples(folder / f"{part}.jsonl")
        assert [each.query for each in examples] == [f"zorp {fruit}?" for fruit in fruits]
        own = {source for fruit in fruits for source in sources(fruit)}
        for each in examples:
            [positive] = each.positives
            assert positive.source in own and positive.source.startswith("docs/prices/")
            assert {negative.source for negative in each.negatives} <= own - {positive.source}
        counts = report[part]
        assert counts["negatives"] == sum(len(each.negatives) for each in examples)
        assert counts["looked_at"] == counts["negatives"] + sum(counts["fell"].values())
    rows = [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == sum(sum(report[part]["fell"].values()) for part in report)
    assert all(row["dropped"] and row["reason"] and row["row"]["chunk"] for row in rows)


def test_the_adapter_finds_what_it_never_saw_and_says_what_it_is_made_of(here: Path) -> None:
    tuned = read_tuned(here / ".ragwright" / "tuned" / "adapter")
    assert (tuned.kind, tuned.base) == ("adapter", "all-MiniLM-L6-v2")
    assert tuned.metrics["dev.nDCG@10"] > tuned.metrics["start.nDCG@10"]
    assert tuned.sources == {sources(fruit)[0]: 1 for fruit in sorted(TRAIN)}
    assert len(tuned.data) == 64 and tuned.settings["strength"] > 0
    adapter = here / ".ragwright" / "tuned" / "adapter"
    card = (adapter / "README.md").read_text(encoding="utf-8")
    assert "encoder.query_adapter" in card and (adapter / "curves.jsonl").is_file()
    for fruit in TEST:
        assert found(here, f"zorp {fruit}?", encoder__query_adapter=adapter)[0][0] == sources(fruit)[0]


def test_without_the_adapter_everything_is_as_it_was(here: Path) -> None:
    before = found(here, "zorp mango?")
    adapter = here / ".ragwright" / "tuned" / "adapter"
    assert found(here, "zorp mango?", encoder__query_adapter=adapter) != before
    assert found(here, "zorp mango?") == before, "hits and scores, to the bit"


def test_training_again_gives_the_same_adapter(here: Path, run: Run) -> None:
    assert run("tune", "adapter", "--name", "again", *NOTHING_OUTSIDE).exit_code == 0
    one, other = (read_query_adapter(here / ".ragwright" / "tuned" / name) for name in ("adapter", "again"))
    np.testing.assert_array_equal(one.residual, other.residual)


def test_where_no_adapter_is_better_nothing_is_kept(here: Path, run: Run) -> None:
    dev = here / ".ragwright" / "tuning" / "examples" / "dev.jsonl"
    easy = [{**asdict(each), "query": each.positives[0].text} for each in read_examples(dev)]
    dev.write_text("".join(json.dumps(each) + "\n" for each in easy), encoding="utf-8")
    done = run("tune", "adapter", "--name", "easy", *NOTHING_OUTSIDE)
    assert done.exit_code == 4 and "no adapter serves the dev questions better" in done.output
    assert not (here / ".ragwright" / "tuned" / "easy").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tune", "adapter"), "there is a tuned model adapter"),
        (("tune", "adapter", "--name", "../x"), "cannot name a tuned model"),
        (("tune", "adapter", "--name", "x", "--documents", "none/*"), "no examples of documents like none/*"),
        (("tune", "routing", "add", "nobody"), "there is no tuned model nobody"),
        (("tune", "routing", "add", "adapter", "--name", "base"), "cannot name an expert"),
        (("tune", "routing", "remove", "nobody"), "there is no expert nobody"),
        (("tune", "routing", "report"), "there are no experts"),
    ],
)
def test_what_cannot_be_done_is_said(here: Path, run: Run, arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1 and told in done.output


def test_experts_come_and_go_and_the_report_compares_them(here: Path, run: Run) -> None:
    added = run("tune", "routing", "add", "prices", "--name", "market", "--json")
    assert added.exit_code == 0, added.output
    assert json.loads(added.stdout)["pilots"] == len(TRAIN)
    listed = json.loads(run("tune", "routing", "list", "--json").stdout)
    assert [(each["name"], each["folder"]) for each in listed["experts"]] == [("market", "prices/model")]

    router = here / ".ragwright" / "tuned" / "router.json"
    [(source, scores), *_] = found(here, "zorp mango?", encoder__router=router)
    assert source == sources("mango")[0] and "expert_market" in scores
    forced = found(here, "zorp mango?", encoder__router=router, search__expert="base")
    assert [each[0] for each in forced] == [each[0] for each in found(here, "zorp mango?")]

    done = run("tune", "routing", "report", "--single", "adapter", "--json", *NOTHING_OUTSIDE)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    ways = {each["name"]: each["values"]["nDCG@10"]["mean"] for each in report["ways"]}
    assert list(ways) == ["base", "only market", "routed", "single adapter", "best expert of each question"]
    assert report["questions"] == len(TEST) and ways["routed"] >= ways["base"]
    assert report["chosen"][""].get("market", 0) + report["chosen"][""].get("base", 0) == len(TEST)
    assert set(report["domains"]) == {"market"}, "told by the documents that the adapter learnt from"

    assert run("tune", "routing", "remove", "market").exit_code == 0
    assert json.loads(run("tune", "routing", "list", "--json").stdout)["experts"] == []


def test_an_adapter_of_another_encoder_is_no_expert(here: Path, run: Run) -> None:
    folder = here / ".ragwright" / "tuned" / "prices"
    told = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    (folder / "tuned.json").write_text(json.dumps({**told, "base_fingerprint": "other"}), encoding="utf-8")
    done = run("tune", "routing", "add", "prices")
    assert done.exit_code == 1 and "prices was made for the encoder other" in done.output
