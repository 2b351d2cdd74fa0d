// How an answer came about, as far as the server shows it to this caller.

import { json } from "./client.js";
import { AUTO, counted, duration, make } from "./dom.js";
import { panel } from "./panel.js";
import { sourceLink } from "./source.js";

const STEPS = { first: "until the first word", all: "in all" };

/** Show a trace beside the conversation. */
export const showTrace = (traceId) =>
  panel.attempt(async () => {
    const trace = await json(`/v1/traces/${encodeURIComponent(traceId)}`);
    const below = [new Date(trace.at * 1000).toLocaleString(), make("code", null, trace.id)];
    const parts = [asked, times, answered, hits, prompt, ratings].map((part) => part(trace));
    panel.show({ title: "How this answer came about", below, body: make("div.trace", null, parts) });
  });

const section = (title, ...content) => make("section", null, make("h3", null, title), content);

/** Names and values; what is empty is left out. */
function facts(pairs) {
  const known = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", null, known.map(([name, value]) => [make("dt", null, name), make("dd", AUTO, value)]));
}

function asked({ ask, query, collection, generator, request_id: request, error }) {
  const pairs = {
    Question: ask.question,
    "Searched for": query === ask.question ? null : query,
    Instruction: ask.instruction,
    Collection: collection,
    "Written by": generator,
    Request: request,
    Error: error,
  };
  return section("Question", facts(pairs));
}

function times({ seconds }) {
  const most = Math.max(...Object.values(seconds), 1e-9);
  const row = ([name, value]) => {
    const bar = make("span.time-bar");
    bar.style.width = `${Math.max(0.5, (value / most) * 100)}%`;
    return make("tr", null, make("td", null, STEPS[name] || name), make("td", null, bar), make("td", null, duration(value)));
  };
  return section("Time", make("table.times", null, make("tbody", null, Object.entries(seconds).map(row))));
}

function answered({ answer, collection }) {
  if (!answer) return null;
  const { usage, citations, dropped = [] } = answer;
  const pairs = {
    Refused: answer.refused ? "yes" : "no",
    Support: answer.support?.toFixed(3),
    "Tokens read": usage.prompt_tokens,
    "Tokens written": usage.completion_tokens,
  };
  const cited = citations.map((each) => passage(`[${each.marker}] ${each.title}`, { ...each, text: each.quote, collection }));
  return section("Answer", facts(pairs), cited, dropped.map((text) => passage("Not shown", { text, state: "missing" })));
}

function hits({ hits: found, collection }) {
  const rows = found.map((hit, index) => passage(`${index + 1}. ${hit.title}`, { ...hit, collection }));
  return section(counted(found.length, "hit"), rows);
}

function passage(title, { text, span = null, state = null, scores = {}, evidence = [], collection = "" }) {
  const parts = Object.entries(scores).map(([name, value]) => make("span", null, `${name} ${Number(value).toPrecision(3)}`));
  const place = span && { documentId: span.document_id, start: span.start, end: span.end, collection };
  const tag = state && make("span", { class: `tag ${state}` }, state);
  return make(
    "details",
    null,
    make("summary", null, title, " ", tag),
    parts.length > 0 && make("p.row.muted", null, parts),
    make("p.passage", AUTO, span ? withMarks(text, evidence, span.start) : text),
    place && sourceLink(place, "Open in its document"),
  );
}

/** A text with its evidence marked; offsets count characters as Python does. */
function withMarks(text, evidence, begin) {
  const characters = Array.from(text);
  const nodes = [];
  let at = 0;
  for (const { span } of evidence) {
    const [start, end] = [Math.max(at, span.start - begin), span.end - begin];
    nodes.push(characters.slice(at, start).join(""), make("mark", null, characters.slice(start, end).join("")));
    at = Math.max(at, end);
  }
  return [...nodes, characters.slice(at).join("")];
}

function prompt({ prompt: given }) {
  if (!given) return null;
  const { messages, tokens, dropped_hits: hits, dropped_turns: turns } = given;
  const message = ({ role, text }) => make("details", null, make("summary", null, role), make("pre", { tabindex: 0 }, text));
  const left = facts({ Tokens: tokens, "Hits left out": hits || "", "Turns left out": turns || "" });
  return section("Prompt", left, messages.map(message));
}

function ratings({ ratings: said }) {
  const rows = said.map(({ rating, marker, reasons, text }) => {
    const words = [rating > 0 ? "good" : "bad", marker && `source ${marker}`, ...reasons, text];
    return make("li", AUTO, words.filter(Boolean).join("; "));
  });
  return rows.length ? section("Ratings", make("ul", null, rows)) : null;
}
