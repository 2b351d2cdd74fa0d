// The page: the question's field, the conversation, and what opens beside it.

import { AnswerView, plainText } from "./answer.js";
import { ask } from "./asking.js";
import { choices } from "./choices.js";
import { card, unmark } from "./citations.js";
import { Refusal, whenKeyIsWanted } from "./client.js";
import { Conversation } from "./conversation.js";
import { documents } from "./documents.js";
import { announce, icon, make, part, reveal } from "./dom.js";
import { panel } from "./panel.js";
import { showSource } from "./source.js";
import { showTrace } from "./trace.js";

const NEAR_END = 80; // pixels from the end within which the conversation stays at its end
const THEMES = ["system", "light", "dark"];

const conversation = new Conversation();
const field = part("question");
const area = part("scroll");
/** @type {AnswerView[]} */
const views = [];
/** @type {AbortController?} */
let running = null;

// ---- asking

async function send(question) {
  if (running || !question.trim()) return;
  run(new AbortController());
  const turn = conversation.ask(question.trim());
  const view = show(new AnswerView(turn, actions));
  write("");
  reveal(view.node, "start");
  const begun = performance.now();
  try {
    await take(turn, view);
  } catch (error) {
    fail(turn, error);
  } finally {
    turn.seconds = (performance.now() - begun) / 1000;
    run(null);
    view.end();
    view.isLast = true;
    conversation.keep();
  }
}

/** Take in the answer of a turn while it is written. */
async function take(turn, view) {
  view.tell({ stage: "searching" });
  if (!choices.collection) await load();
  const { collection, model, evidence } = choices;
  const question = { collection, model, evidence, messages: conversation.messages(plainText), signal: running.signal };
  for await (const { status, text, citations, end } of ask(question)) {
    if (status) {
      view.tell(status);
      announce(status.stage === "writing" ? "Writing" : "Searching the documents");
    }
    if (text) {
      turn.text += text;
      // A citation comes with each of its markers.
      for (const each of citations) if (!turn.citations.some(({ marker }) => marker === each.marker)) turn.citations.push(each);
      view.append(text, citations);
    }
    if (end) Object.assign(turn, end);
  }
}

function fail(turn, error) {
  turn.state = error.name === "AbortError" ? "stopped" : "failed";
  if (turn.state === "stopped") return;
  turn.error = { message: error.message, requestId: error.requestId || null };
  if (!(error instanceof Refusal)) throw error;
}

/** Show whether an answer is being written. */
function run(controller) {
  const hadFocus = document.activeElement === part("stop");
  running = controller;
  part("send").hidden = Boolean(running);
  part("stop").hidden = !running;
  part("log").setAttribute("aria-busy", String(Boolean(running)));
  if (!running) announce("");
  if (hadFocus) field.focus();
}

const stop = () => running?.abort();

// ---- the conversation

const actions = { retry: () => running || send(takeBack().question), edit, changed: () => conversation.keep() };

function show(view) {
  for (const each of views) each.isLast = false;
  views.push(view);
  part("log").append(view.node);
  part("welcome").hidden = true;
  return view;
}

function takeBack() {
  stop();
  unmark();
  views.pop().remove();
  if (views.length) views.at(-1).isLast = true;
  part("welcome").hidden = views.length > 0;
  return conversation.takeBack();
}

function edit() {
  write(takeBack().question);
  field.focus();
}

function newChat() {
  panel.close();
  while (views.length) takeBack();
  field.focus();
}

// ---- scrolling: at its end it stays at its end, elsewhere it stays where it is

function mindScrolling() {
  const isAtEnd = () => area.scrollHeight - area.scrollTop - area.clientHeight < NEAR_END;
  let follows = true;
  const toEnd = part("to-end");
  area.addEventListener("scroll", () => (toEnd.hidden = follows = isAtEnd()));
  new ResizeObserver(() => {
    if (follows && running) area.scrollTop = area.scrollHeight;
    else toEnd.hidden = isAtEnd();
  }).observe(part("log"));
  toEnd.addEventListener("click", () => {
    area.scrollTop = area.scrollHeight;
    field.focus();
  });
}

// ---- the field

/** Put text into the field, which is as high as its text. */
function write(text) {
  field.value = text;
  grow();
}

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}

function mindField() {
  const submit = (event) => {
    event.preventDefault();
    send(field.value);
  };
  field.addEventListener("input", grow);
  field.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && submit(event));
  part("composer").addEventListener("submit", submit);
  part("stop").addEventListener("click", stop);
}

/** Put a person before the field, with a beginning that names a document. */
function askAbout(name) {
  if (!panel.isBeside) panel.close();
  field.placeholder = `Ask about ${name}`;
  field.focus();
}

/** Escape closes what is uppermost, then stops the answer. */
function mindEscape() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || part("key").open) return;
    const isInPanel = panel.node.contains(document.activeElement);
    if (card.node) card.close();
    else if (panel.isOpen && (isInPanel || !running)) panel.close();
    else if (running) stop();
    else unmark();
    event.preventDefault();
  });
}

// ---- the key, the theme, the address

function askForKey(why) {
  const dialog = part("key");
  part("key-why").textContent = why || "Whoever runs it can give you one.";
  part("key-value").value = dialog.returnValue = "";
  dialog.showModal();
  const given = () => (dialog.returnValue === "use" ? part("key-value").value.trim() : null);
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(given()), { once: true }));
}

const theme = () => document.documentElement.dataset.theme || "system";
const next = () => THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];

function dress(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  localStorage.setItem("ragwright.theme", name);
  const words = `Theme: ${name}. Change to ${next()}`;
  part("theme").setAttribute("aria-label", words);
  part("theme").title = words;
}

/** Show what the address names: a place in a document, or a trace. */
function showAddress() {
  const [, kind, id] = location.pathname.split("/").map(decodeURIComponent);
  const query = new URLSearchParams(location.search);
  const number = (name) => (query.has(name) ? Number(query.get(name)) : undefined);
  const place = { documentId: id, start: number("start"), end: number("end"), page: number("page") };
  if (kind === "documents") showSource({ ...place, collection: query.get("collection") || choices.collection });
  if (kind === "traces") showTrace(id);
}

function start() {
  for (const node of document.querySelectorAll("[data-icon]")) node.prepend(icon(node.getAttribute("data-icon")));
  whenKeyIsWanted(askForKey);
  mindField();
  mindScrolling();
  mindEscape();
  dress(theme());
  part("theme").addEventListener("click", () => dress(next()));
  part("new-chat").addEventListener("click", newChat);
  for (const turn of conversation.turns) show(AnswerView.of(turn, actions));
  if (views.length) views.at(-1).isLast = true;
  area.scrollTop = area.scrollHeight;
  documents.start(askAbout);
  choices.changed = () => panel.attempt(() => documents.load());
}

/** Ask the server what can be asked, and of which documents. */
async function load() {
  await choices.load();
  await documents.load();
}

start();
load().then(showAddress, (error) => {
  if (!(error instanceof Refusal)) throw error;
  part("welcome-documents").replaceChildren(make("p.notice.failure", { role: "alert" }, error.message));
});
