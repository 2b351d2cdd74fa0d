"""A run in which every text tries to run."""

from __future__ import annotations

from ragwright.core.types import Citation, Evidence, Place, Question, Span
from ragwright.eval.values import Found, Outcome, Reply, Row, Run

HOSTILE = (
    "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>\"' </script></style></title>"
    "<!-- --> ]]> <svg onload=window.ran=3> <a href='javascript:window.ran=4'>link</a> &lt;b&gt; "
    "\u2028 \u2029 \u202e \x00 \x1b[31m \ud800 \U0001f6a2 ${window.ran = 5} {{7*7}} <iframe src=//x.example>"
)


def hostile_run(text: str = HOSTILE) -> Run:
    """A run with a text in each field that comes from a document, a question, an answer or the manifest."""
    source = f"manuals/{text}.md"
    body = f"{text} gold {text}"
    gold = Span(source, 0, len(text))
    evidence = Evidence(Span(source, 3, len(body)), body[3:], 0.9)
    found = Found(
        chunk_id=text,
        span=Span(source, 0, len(body)),
        title=text,
        headings=(text, "plain"),
        page=1,
        text=body,
        score=0.5,
        scores={text: 0.5, "dense": 0.4},
        evidence=(evidence,),
        places=(Place(gold, source),),
    )
    citation = Citation(1, gold, text, "exact", source, text, (text,), 1)
    reply = Reply(text, (citation,), False, 0.7)
    question = Question(text, text, (gold, Span(f"lost/{text}", 5, 9)), text, {text: text, "corpus": text})
    around = ((text, text), (text, text))
    times = {"search": 0.01, text: 0.01}
    first = Outcome(question, (text, text), around, (found,), reply=reply, seconds=times)
    second = Outcome(Question("2", f"again {text}"), error=text)
    manifest = {
        "name": text,
        "created": text,
        "command": text,
        "dataset": {"name": text, "format": "chroma", "digest": text},
        "config": {text: text, "nested": {text: [text]}},
        "models": {"encoder": text},
        "judge": {
            "failed": [{"question_id": text, "measure": text, "reason": text}],
            "skipped": {text: {text: 2}},
            "calls": 3,
            "cached": 1,
        },
        "frontier": [{"share": 0.5, "recall": 0.7, "iou": 0.2}],
        "ingest": {"failed": 1, "failures": {text: text}, text: text},
        text: text,
    }
    rows = (Row(text, "iou", 0.4), Row("2", "iou", 0.0), Row(text, "recall", 0.6), Row(text, text, 0.5))
    return Run(manifest, (first, second), rows)
