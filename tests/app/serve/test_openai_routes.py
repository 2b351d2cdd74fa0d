"""Models, embeddings, reranking and retrieval, as their clients know them elsewhere."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from tests.app.serve.openai_world import CHINESE, OWNER, PUMP, READER, World

from ragwright.core.types import Passage


@pytest.fixture
def client(world: World) -> OpenAI:
    return world.client()


def post(world: World, path: str, *, key: str = OWNER, **body: Any) -> httpx.Response:
    return world.post(path, body, key=key)


def problem(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    return {"status": response.status_code, **error}


# Models


def test_every_collection_and_generator_is_a_model(client: OpenAI, world: World) -> None:
    async def listed() -> list[str]:
        async with world.async_client() as made:
            return [each.id async for each in made.models.list()]

    ids = [each.id for each in client.models.list()]
    assert ids[:2] == ["ragwright/documents", "ragwright/down"]
    assert "ragwright/documents:scripted" in ids
    assert asyncio.run(listed()) == ids


def test_a_model_is_found_by_an_id_with_a_slash(client: OpenAI) -> None:
    model = client.models.retrieve("ragwright/documents:scripted")
    assert (model.id, model.object, model.owned_by) == ("ragwright/documents:scripted", "model", "ragwright")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("ragwright/nothing")
    assert caught.value.code == "model_not_found"


# Embeddings


def test_vectors_are_those_that_documents_are_found_by(client: OpenAI, world: World) -> None:
    encoder = world.served.collections.get(None).workspace.encoder
    texts = ["the filter", "法兰螺栓 🔧"]
    made = client.embeddings.create(model="ragwright/documents", input=texts)
    expected = [each.vector for each in encoder.encode_passages([Passage(text) for text in texts])]
    assert np.allclose([each.embedding for each in made.data], expected, atol=1e-5)
    assert [each.index for each in made.data] == [0, 1]
    assert made.usage.prompt_tokens == made.usage.total_tokens > 8


def test_base64_and_floats_hold_the_same_numbers(client: OpenAI, world: World) -> None:
    packed = client.embeddings.create(model="all-MiniLM-L6-v2", input="the filter")  # the client's own choice
    plain = post(world, "/v1/embeddings", input="the filter", encoding_format="float").json()
    assert packed.data[0].embedding == pytest.approx(plain["data"][0]["embedding"], abs=1e-6)
    raw = post(world, "/v1/embeddings", input="the filter", encoding_format="base64").json()
    assert isinstance(raw["data"][0]["embedding"], str)


def test_fewer_dimensions_are_the_first_ones_at_unit_length(client: OpenAI) -> None:
    whole = np.array(client.embeddings.create(model="documents", input="x y").data[0].embedding)
    cut = np.array(client.embeddings.create(model="documents", input="x y", dimensions=64).data[0].embedding)
    assert cut == pytest.approx(whole[:64] / np.linalg.norm(whole[:64]), abs=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"input": "word " * 600}, 400, "input.0", "602 tokens; the encoder reads at most 256"),
        ({"input": [1, 2]}, 400, "input", "token ids"),
        ({"input": [[1, 2]]}, 400, "input", "token ids"),
        ({"input": ""}, 422, "input.0", "0 characters"),
        ({"input": []}, 422, "input", "0 texts"),
        ({"input": {"a": 1}}, 422, "input", "a text or a list"),
        ({"input": "x", "dimensions": 385}, 400, "dimensions", "have 384"),
        ({"input": "x", "encoding_format": "hex"}, 422, "encoding_format", "float"),
        ({"input": "x", "model": "text-embedding-3-small"}, 404, "model", "there is no model"),
        ({"input": ["ok", "\ud83d"]}, 422, "input.1", "half a character"),
        ({"input": ["a " * 240] * 1400}, 400, None, "send fewer"),
    ],
)
def test_texts_that_cannot_be_encoded_are_refused_in_words(
    world: World, body: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    told = problem(world.post("/v1/embeddings", body))
    assert (told["status"], told["param"]) == (status, param)
    assert words in told["message"]


def test_callers_at_the_same_time_get_their_own_vectors(client: OpenAI) -> None:
    texts = [f"part {number} of the pump" for number in range(16)]
    alone = [client.embeddings.create(model="documents", input=text).data[0].embedding for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: client.embeddings.create(model="documents", input=text), texts))
    assert np.allclose([each.data[0].embedding for each in together], alone, atol=1e-5)


# Reranking


def test_texts_are_ordered_by_what_they_say_of_the_question(world: World) -> None:
    documents = [
        "Ferries leave at seven.",
        {"text": "Replace the filter every six months."},
        "A crane lifts.",
    ]
    body: dict[str, Any] = {"query": "When is the filter replaced?", "documents": documents}
    told = post(world, "/v1/rerank", **body, return_documents=True, top_n=2).json()
    assert told["results"][0]["index"] == 1
    assert told["results"][0]["document"] == {"text": "Replace the filter every six months."}
    scores = [each["relevance_score"] for each in told["results"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert told["model"] == "all-MiniLM-L6-v2 (best sentence)"
    plain = post(world, "/v1/rerank", **body, model="ragwright/documents").json()
    assert all("document" not in each for each in plain["results"])


def test_a_long_text_counts_as_its_best_sentence(world: World) -> None:
    hidden = "Ferries leave at seven and cranes lift tons. " * 60 + "Replace the filter every six months."
    body: dict[str, Any] = {
        "query": "Replace the filter every six months.",
        "documents": ["filters", hidden, "cranes"],
    }
    told = post(world, "/v1/rerank", **body).json()
    assert told["results"][0]["index"] == 1


def test_the_collections_own_reranker_scores_where_it_has_one(world: World) -> None:
    documents = ["Ferries leave at seven.", "Replace the filter every six months."]
    body: dict[str, Any] = {
        "model": "ragwright/down",
        "query": "When is the filter replaced?",
        "documents": documents,
    }
    told = post(world, "/v1/rerank", **body).json()
    assert told["model"] == "all-MiniLM-L6-v2 (late interaction)"
    assert [each["index"] for each in told["results"]] == [1, 0]
    assert told["results"][0]["relevance_score"] > told["results"][1]["relevance_score"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"query": "x", "documents": []}, 422, "documents"),
        ({"query": "", "documents": ["a"]}, 422, "query"),
        ({"query": "x", "documents": ["a"], "top_n": 0}, 422, "top_n"),
        ({"query": "x", "documents": [3]}, 422, "documents.0"),
        ({"query": "x", "documents": ["a"], "model": "rerank-v3"}, 404, "model"),
    ],
)
def test_what_cannot_be_reranked_is_refused(
    world: World, body: dict[str, Any], status: int, param: str
) -> None:
    told = problem(post(world, "/v1/rerank", **body))
    assert (told["status"], told["param"]) == (status, param)


# Retrieval


def test_hits_tell_the_exact_place_of_everything(world: World) -> None:
    found = post(world, "/v1/retrieve", query="filter pressure").json()
    assert (found["object"], found["collection"]) == ("list", "documents")
    best = found["data"][0]
    texts = {"docs/pump.md": PUMP, "docs/zh.md": CHINESE}
    for hit in found["data"]:
        text = texts[hit["source"]]
        assert text[hit["start"] : hit["end"]] == hit["text"]
        for evidence in hit["evidence"]:
            assert text[evidence["start"] : evidence["end"]] == evidence["text"]
    assert "clogged filter" in best["evidence"][0]["text"]
    assert (best["title"], best["page"], best["duplicates"]) == ("Pump manual", None, [])
    assert best["scores"]["dense_rank"] == 1


def test_only_who_sees_everything_sees_scores(world: World) -> None:
    found = post(world, "/v1/retrieve", key=READER, query="filter pressure").json()
    assert found["data"]
    assert "score" not in json.dumps(found)


def test_the_dial_the_limit_and_filters_bound_what_is_found(world: World) -> None:
    def evidence(**options: Any) -> int:
        found = post(world, "/v1/retrieve", query="filter pressure", **options).json()
        return sum(len(each["text"]) for hit in found["data"] for each in hit["evidence"])

    assert evidence(evidence=0.0) > evidence(evidence=1.0) > 0
    assert evidence(evidence=0.0) > evidence(evidence=0.0, budget=12)
    one = post(world, "/v1/retrieve", query="filter", top_k=1).json()
    assert len(one["data"]) == 1
    chinese = post(world, "/v1/retrieve", query="filter", filters={"source": "docs/zh.md"}).json()
    assert {hit["source"] for hit in chinese["data"]} == {"docs/zh.md"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"query": "x", "filter": {"source": "a"}}, 422, "filter"),
        ({"query": "x", "top_k": 101}, 422, "top_k"),
        ({"query": "x" * 40_000}, 422, "query"),
        ({"query": "x", "collection": "law"}, 404, "collection"),
        ({"query": "?!"}, 400, None),
        ({"query": "x", "collection": "down"}, 503, None),
    ],
)
def test_what_cannot_be_looked_for_is_refused(
    world: World, body: dict[str, Any], status: int, param: str | None
) -> None:
    told = problem(post(world, "/v1/retrieve", **body))
    assert (told["status"], told["param"]) == (status, param)
