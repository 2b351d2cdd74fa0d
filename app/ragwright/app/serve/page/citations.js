// Citations: the chip behind a claim, the card that it opens, and the list of sources under the answer.

import { AUTO, icon, make, reveal } from "./dom.js";
import { placeOf, showSource, sourceLink } from "./source.js";

/** @typedef {import("./conversation.js").Citation} Citation */

/** What the check of a quote found: a sign, a word, a sentence. */
const STATES = {
  exact: ["", "exact", "Stands there word for word."],
  normalised: ["≈", "same words", "Spaces, capitals or typographic signs differ."],
  elsewhere: ["↷", "elsewhere", "Stands at another place in this document."],
  missing: ["✕", "not found", "Does not stand in this document."],
};
const OPENS_AFTER = 120; // milliseconds
const CLOSES_AFTER = 250; // long enough to move the pointer onto the card
const SENTENCE = 8; // characters; less is punctuation that a chip was put before

const stateOf = ({ state }) => STATES[state] || STATES.missing;
const tagOf = (citation) => make("span", { class: `tag ${citation.state}` }, stateOf(citation).slice(0, 2).join(" "));

/** The citations of one answer, in its text and under it, each leading to the other. */
export class Citations {
  /** @param {(marker: number) => unknown} rate Makes the buttons that rate a citation. */
  constructor(rate) {
    this.rate = rate;
    /** @type {Map<number, Citation>} */
    this.known = new Map();
    this.text = null; // where the chips stand
    this.list = null;
  }

  /** @param {Citation[]} citations */
  add(citations) {
    for (const citation of citations) this.known.set(citation.marker, citation);
  }

  get all() {
    return Array.from(this.known.values()).sort((a, b) => a.marker - b.marker);
  }

  #chips(marker) {
    return Array.from(this.text?.querySelectorAll(`[data-marker="${marker}"]`) || []);
  }

  /** The chip of a marker; the plain number where no citation is known by it. */
  chip(marker) {
    const citation = this.known.get(marker);
    if (!citation) return document.createTextNode(`[${marker}]`);
    const [sign, word] = stateOf(citation);
    const name = `Source ${marker}: ${citation.title}${sign && `, ${word}`}`;
    const chip = make(
      "button",
      { type: "button", class: `chip ${citation.state}`, "aria-label": name, "data-marker": marker },
      make("span.chip-number", { "data-sign": sign && ` ${sign}` }, marker),
      " ", // between what is read aloud
      make("span.chip-title", null, citation.title),
    );
    const press = () => this.#open(citation);
    chip.addEventListener("click", press);
    card.follow(chip, citation, press);
    return chip;
  }

  /** Mark a source, and show it in its document. */
  #open(citation) {
    card.close();
    showSource(citation, this.all, ({ marker }) => this.mark(marker));
  }

  /** The list under the answer. */
  makeList(title) {
    const rows = this.all.map((citation) => this.#row(citation));
    this.list = make("ol.source-list", null, rows);
    return make("section.sources", null, make("h3", null, title, " ", make("span.muted", null, rows.length)), this.list);
  }

  /** A source that no chip leads to shows its quote instead. */
  #row(citation) {
    const { marker, title } = citation;
    const uses = this.#chips(marker).length;
    const press = uses ? () => this.mark(marker, { toggle: true }) : () => this.#open(citation);
    const place = [placeOf(citation), uses > 1 && `cited ${uses} times`].filter(Boolean).join(" · ");
    const named = make(
      "button",
      { type: "button", class: "source-uses", "aria-pressed": uses ? "false" : null, onclick: press },
      make("span.source-number", null, marker),
      make("span.source-title", AUTO, title),
      make("span.source-place", AUTO, place, citation.state !== "exact" && tagOf(citation)),
    );
    const open = { press: () => this.#open(citation), class: "source-open", "aria-label": `Open source ${marker}: ${title}` };
    const link = sourceLink(citation, [icon("open"), make("span", null, "Open")], open);
    const actions = make("span.source-actions", null, link, this.rate(marker));
    const quote = !uses && make("blockquote.source-quote", AUTO, citation.quote);
    return make("li", { "data-source": marker }, named, actions, quote);
  }

  /** Mark a source, its chips, and the sentences that use it; with `toggle` no longer, where it was marked. */
  mark(marker, { toggle = false } = {}) {
    const row = this.list?.querySelector(`[data-source="${marker}"]`);
    const wasMarked = row?.classList.contains("marked");
    unmark();
    if (toggle && wasMarked) return;
    const chips = this.#chips(marker);
    for (const each of [row, ...chips]) each?.classList.add("marked");
    row?.querySelector("[aria-pressed]")?.setAttribute("aria-pressed", "true");
    tint(chips.map((chip) => claimOf(chip, this.known.get(marker))));
    if (toggle && chips.length) reveal(chips[0], "nearest");
  }
}

/** Nothing is marked any more, in any answer. */
export function unmark() {
  for (const node of document.querySelectorAll(".marked")) {
    node.classList.remove("marked");
    node.querySelector(".source-uses[aria-pressed]")?.setAttribute("aria-pressed", "false");
  }
  tint([]);
}

/** Tint ranges of text, where the browser can. */
function tint(ranges) {
  if ("highlights" in CSS) CSS.highlights.set("claim", new Highlight(...ranges));
}

// ---- the sentence that a chip belongs to

const SENTENCE_END = /[.!?…]["'”’)\]]*\s+/g;
const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").trim();

/** The text that a chip stands behind: its sentence, and those before it that the quote holds as well. */
function claimOf(chip, citation) {
  const pieces = textBefore(chip, chip.closest("p, li, td, th, h3, h4, h5, h6") || chip.parentElement);
  const text = pieces.map((piece) => piece.data).join("");
  const quote = plain(citation.quote);
  const starts = [0, ...Array.from(text.matchAll(SENTENCE_END), (match) => match.index + match[0].length)];
  let begin = starts.pop();
  if (!text.slice(begin).trim() && starts.length) begin = starts.pop();
  const isQuoted = (sentence) => sentence.length >= SENTENCE && quote.includes(sentence);
  while (starts.length && isQuoted(plain(text.slice(starts.at(-1), begin)))) begin = starts.pop();
  return rangeFrom(pieces, begin, chip);
}

/** The pieces of text between the chip before this one, or the block's beginning, and this one. */
function textBefore(chip, block) {
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  let pieces = [];
  let isBehindChip = false;
  for (let node; (node = /** @type {Text?} */ (walker.nextNode())); ) {
    if (!(chip.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING)) break;
    if (node.parentElement.closest(".chip, .card")) isBehindChip = true;
    else if (node.data.trim()) {
      if (isBehindChip) pieces = []; // chips that stand side by side share their claim
      isBehindChip = false;
      pieces.push(node);
    }
  }
  return pieces;
}

function rangeFrom(pieces, begin, chip) {
  const range = new Range();
  range.selectNode(chip);
  if (pieces.length) range.setEndAfter(pieces.at(-1));
  for (const piece of pieces) {
    if (begin < piece.length) {
      range.setStart(piece, begin);
      break;
    }
    begin -= piece.length;
  }
  return range;
}

// ---- the card

/** What a chip shows while it is pointed at or has the focus; there is one at most. */
class Card {
  constructor() {
    this.node = null;
    this.chip = null;
    this.timer = 0;
  }

  /** Open for a chip that is pointed at or has the focus; close once neither it nor the card is. */
  follow(chip, citation, press) {
    const open = () => this.#open(chip, citation, press);
    chip.addEventListener("focus", () => chip.matches(":focus-visible") && open());
    chip.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.#soon(open, OPENS_AFTER));
    this.#mind(chip);
  }

  #mind(node) {
    const close = () => [this.chip, this.node].some((each) => each?.matches(":hover, :focus-within")) || this.close();
    for (const left of ["focusout", "pointerleave"]) node.addEventListener(left, () => this.#soon(close, CLOSES_AFTER));
  }

  #soon(action, delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(action, delay);
  }

  #open(chip, citation, press) {
    clearTimeout(this.timer);
    if (this.chip === chip || !chip.isConnected) return;
    this.close();
    this.chip = chip;
    this.node = cardOf(citation, press);
    this.#mind(this.node);
    chip.after(this.node);
    chip.setAttribute("aria-expanded", "true");
    this.node.showPopover?.();
    this.#place();
  }

  /** Under the chip, or above it where there is no room below. */
  #place() {
    const chip = this.chip.getBoundingClientRect();
    const { width, height } = this.node.getBoundingClientRect();
    const left = Math.max(8, Math.min(chip.left - 12, document.documentElement.clientWidth - width - 8));
    const top = chip.bottom + 8 + height < innerHeight ? chip.bottom + 8 : Math.max(8, chip.top - 8 - height);
    Object.assign(this.node.style, { left: `${left}px`, top: `${top}px` });
  }

  close() {
    clearTimeout(this.timer);
    const { node, chip } = this;
    this.node = this.chip = null;
    const hadFocus = node?.contains(document.activeElement);
    node?.remove();
    chip?.removeAttribute("aria-expanded");
    if (!hadFocus) return;
    this.chip = chip; // so that the focus does not open it again
    chip.focus();
    this.chip = null;
  }
}

/** Spans, since the card stands inside a paragraph, right behind its chip in the order of the Tab key. */
function cardOf(citation, press) {
  const line = (name, ...content) => make("span", { class: name, dir: "auto" }, content);
  return make(
    "span.card",
    { popover: "manual", role: "group", "aria-label": `Source ${citation.marker}`, "aria-live": "off" },
    line("card-title", citation.title),
    line("muted", placeOf(citation)),
    line("card-quote", citation.quote),
    line("card-state", tagOf(citation), line("muted", stateOf(citation)[2])),
    line("", sourceLink(citation, "Open in its document", { press })),
  );
}

export const card = new Card();

/** A line of footnotes for a copied answer. */
export function footnote(citation) {
  const place = placeOf(citation);
  return `[${citation.marker}] ${citation.title}${place && `, ${place}`} (${citation.source})`;
}
