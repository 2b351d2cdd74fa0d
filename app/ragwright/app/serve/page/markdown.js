// Markdown as nodes, piece by piece. Nothing here parses HTML: a tag in a text is shown as it was written.

import { AUTO, make } from "./dom.js";

// A citation's marker inside a text is one character of the last private plane.
const MARKERS = 0x100000;
const ANY_MARKER = /[\u{100000}-\u{10FFFD}]/gu;

const DEPTH = 6; // of quotes, lists and emphasis inside one another
const LINK = 2000; // characters of its words and its address
const WRAPPED = 60; // a line this long was wrapped by an editor, not ended by its author

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+|$)/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;

/** The character that stands for a citation's marker. */
export const marker = (number) => String.fromCodePoint(MARKERS + number);

/** A text in which no character stands for a marker. */
export const unmarked = (text) => text.replace(ANY_MARKER, "\ufffd");

/** A text in which markers are as they read, where no chip can stand. */
const written = (text) => text.replace(ANY_MARKER, (each) => `[${each.codePointAt(0) - MARKERS}]`);

/** A text that grows at its end. Blocks that can no longer change are left alone. */
export class Markdown {
  /**
   * @param {HTMLElement} place Where the blocks go.
   * @param {(number: number) => Node} chip Makes what stands for a marker.
   */
  constructor(place, chip) {
    this.place = place;
    this.chip = chip;
    this.rest = ""; // what may still change
    this.open = []; // the blocks of it
  }

  /** Show more of the text; markers in it are single characters, see `marker`. */
  append(text) {
    this.rest = (this.rest + text).replace(/\r\n?/g, "\n");
    const lines = this.rest.split("\n");
    const chips = () => Array.from(this.place.querySelectorAll(".chip"));
    const focused = chips().indexOf(document.activeElement);
    for (const node of this.open) node.remove();
    const { nodes, begins } = blocks(lines, { chip: this.chip, depth: 0 });
    this.place.append(...nodes);
    /** @type {any} */ (chips()[focused])?.focus({ preventScroll: true }); // it was made anew
    // A last line that is not complete may yet turn out to belong to the block before it.
    const changing = begins.at(-1) === lines.length - 1 ? 2 : 1;
    this.open = nodes.slice(-changing);
    this.rest = lines.slice(begins.at(-changing) ?? begins[0] ?? 0).join("\n");
  }
}

// ---- blocks: each takes the lines and where it begins, and gives its node and where the next one begins

const isBlank = (line) => !line.trim();
const indent = (line) => line.length - line.trimStart().length;
const deeper = (context) => ({ ...context, depth: context.depth + 1 });

function skipBlank(lines, at) {
  while (at < lines.length && isBlank(lines[at])) at += 1;
  return at;
}

/** The blocks of some lines, and the line that each begins at. */
function blocks(lines, context) {
  const [nodes, begins] = [[], []];
  for (let at = skipBlank(lines, 0); at < lines.length; at = skipBlank(lines, at)) {
    begins.push(at);
    const [node, next] = block(lines, at, context);
    nodes.push(node);
    at = next;
  }
  return { nodes, begins };
}

function block(lines, at, context) {
  const line = lines[at];
  if (FENCE.test(line)) return fence(lines, at);
  if (HEADING.test(line)) return [heading(line, context), at + 1];
  if (RULE.test(line)) return [make("hr"), at + 1];
  if (context.depth < DEPTH && QUOTE.test(line)) return quote(lines, at, context);
  if (context.depth < DEPTH && ITEM.test(line)) return list(lines, at, context);
  return isRow(line) || isHead(lines, at) ? table(lines, at, context) : paragraph(lines, at, context);
}

function fence(lines, at) {
  const [, sign] = FENCE.exec(lines[at]);
  const isEnd = (line) => line.trim().startsWith(sign) && isBlank(line.trim().slice(sign.length));
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  return [make("pre", { tabindex: 0 }, make("code", null, written(lines.slice(at + 1, end).join("\n")))), end + 1];
}

function heading(line, context) {
  const [opening, signs] = HEADING.exec(line);
  return make(`h${Math.min(6, signs.length + 2)}`, AUTO, inline(line.slice(opening.length), context));
}

function quote(lines, at, context) {
  const inner = [];
  while (at < lines.length && QUOTE.test(lines[at])) inner.push(lines[at++].replace(QUOTE, ""));
  return [make("blockquote", null, blocks(inner, deeper(context)).nodes), at];
}

function list(lines, at, context) {
  const [, before, sign] = ITEM.exec(lines[at]);
  const isOrdered = sign.length > 1;
  const node = make(isOrdered ? "ol" : "ul", { start: isOrdered ? parseInt(sign, 10) : null });
  const isItem = (line = "") => {
    const found = ITEM.exec(line);
    return found && found[1].length === before.length && found[2].length > 1 === isOrdered;
  };
  while (isItem(lines[at])) {
    const [inner, next] = item(lines, at, before.length);
    node.append(make("li", AUTO, blocks(inner, deeper(context)).nodes));
    const ahead = skipBlank(lines, next);
    at = isItem(lines[ahead]) ? ahead : next;
  }
  return [node, at];
}

/** The lines of one item of a list, without its sign, and where the next block begins. */
function item(lines, at, before) {
  const width = ITEM.exec(lines[at])[0].length;
  const inner = [lines[at].slice(width)];
  for (at += 1; at < lines.length; at += 1) {
    const ahead = skipBlank(lines, at);
    const isInside = ahead < lines.length && indent(lines[ahead]) > before;
    if (!isInside && (ahead > at || ITEM.test(lines[at]) || isBeginning(lines[at]))) break;
    if (ahead > at) inner.push("");
    at = ahead;
    inner.push(lines[at].slice(Math.min(width, indent(lines[at]))));
  }
  return [inner, at];
}

function paragraph(lines, at, context) {
  const begin = at;
  do at += 1;
  while (at < lines.length && !isBlank(lines[at]) && !isBeginning(lines[at]));
  return [make("p", AUTO, inline(lines.slice(begin, at).join("\n"), context)), at];
}

/** Whether a line ends the paragraph before it. A number does so only as the first of a list. */
function isBeginning(line) {
  const sign = ITEM.exec(line)?.[2] || "";
  if (sign.length === 1 || parseInt(sign, 10) === 1) return true;
  return FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line) || isRow(line);
}

// ---- tables: with or without a head, since documents quote single rows

function isRow(line) {
  const bare = line.replace(ANY_MARKER, "").trim();
  return (/^\|.+\|$/.test(bare) && bare.length > 2) || bare.split(" | ").length > 2;
}

const isRuler = (line) => line.includes("-") && line.includes("|") && cells(line).every((each) => /^:?-+:?$/.test(each));
const isHead = (lines, at) => lines[at].includes("|") && at + 1 < lines.length && isRuler(lines[at + 1]);

/** The cells of a row; markers behind the last sign belong to the last cell. */
function cells(line) {
  const found = line.trim().split("|").map((each) => each.trim());
  const last = found.length > 1 ? found.pop() : "";
  if (last.replace(ANY_MARKER, "").trim()) found.push(last);
  else if (last) found.push(`${found.pop()} ${last}`);
  if (found.length > 1 && !found[0]) found.shift();
  return found;
}

function table(lines, at, context) {
  const row = (tag, line) => make("tr", null, cells(line).map((each) => make(tag, AUTO, inline(each, context))));
  const head = isHead(lines, at) && make("thead", null, row("th", lines[at]));
  const rows = [];
  for (at += head ? 2 : 0; at < lines.length && (isRow(lines[at]) || isRuler(lines[at])); at += 1) {
    if (!isRuler(lines[at])) rows.push(row("td", lines[at]));
  }
  const box = { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" };
  return [make("div", box, make("table", null, head, make("tbody", null, rows))), at];
}

// ---- inside a block

const SPECIAL = /[\\`*_[\n]|https?:\/\/|[\u{100000}-\u{10FFFD}]/gu;
const EMPHASIS = { "**": "strong", __: "strong", "*": "em", _: "em" };
const LINKED = /^\[([^[\]]*)\]\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/;
const WORD = /[\p{L}\p{N}]/u;

/**
 * The nodes of a block's text.
 *
 * Each sign is tried where it stands and is text when it means nothing there. A sign whose end was looked for
 * in vain is not looked for again, so that no text takes much longer than its length.
 */
function inline(text, context) {
  const special = new RegExp(SPECIAL); // of its own, since what stands inside is read the same way
  const found = { text, context, vain: new Set() };
  const nodes = [];
  let at = 0; // up to here the text is done
  for (let match; (match = special.exec(text)); ) {
    const result = sign(match[0], match.index, found);
    if (!result) continue;
    nodes.push(text.slice(at, match.index), result[0]);
    at = special.lastIndex = result[1];
  }
  nodes.push(text.slice(at));
  return nodes;
}

/** What a sign makes of the text behind it: nodes and where they end; null: it is text. */
function sign(character, begin, found) {
  if (character === "\\") return escaped(begin, found);
  if (character === "`") return code(begin, found);
  if (character === "\n") return lineEnd(begin, found);
  if (character === "[") return link(begin, found);
  if (character.startsWith("http")) return address(begin, found);
  if (character in EMPHASIS) return emphasis(begin, found);
  return [found.context.chip(character.codePointAt(0) - MARKERS), begin + character.length];
}

function escaped(begin, { text }) {
  const next = text[begin + 1];
  if (next === "\n") return [make("br"), begin + 2];
  return /[!-/:-@[-`{-~]/.test(next || "") ? [next, begin + 2] : null;
}

function code(begin, { text, vain }) {
  const [ticks] = /^`+/.exec(text.slice(begin));
  const inside = begin + ticks.length;
  for (let end = vain.has(ticks) ? -1 : text.indexOf(ticks, inside); end >= 0; ) {
    let past = end + ticks.length;
    while (text[past] === "`") past += 1;
    if (past === end + ticks.length) return [make("code", null, written(text.slice(inside, end))), past];
    end = text.indexOf(ticks, past);
  }
  vain.add(ticks);
  return [ticks, inside];
}

function emphasis(begin, { text, context, vain }) {
  const double = text.slice(begin, begin + 2);
  const mark = double in EMPHASIS ? double : text[begin];
  const inside = begin + mark.length;
  if (vain.has(mark) || context.depth >= DEPTH) return [mark, inside];
  if ((WORD.test(text[begin - 1] || "") && mark !== "**") || !/\S/.test(text[inside] || "")) return [mark, inside];
  const end = closing(mark, inside, text);
  if (end < 0) {
    vain.add(mark);
    return [mark, inside];
  }
  return [make(EMPHASIS[mark], null, inline(text.slice(inside, end), deeper(context))), end + mark.length];
}

/** Where emphasis ends: not behind a space, not inside a word, not at half of a double sign; -1: nowhere. */
function closing(mark, from, text) {
  for (let end = text.indexOf(mark, from + 1); end >= 0; end = text.indexOf(mark, end + 1)) {
    const isHalf = mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark);
    const isInside = mark.length === 1 && WORD.test(text[end + 1] || "");
    const isThird = mark.length === 2 && text[end + 2] === mark[0]; // of three, the inner ends first
    if (/\S/.test(text[end - 1]) && !isHalf && !isInside && !isThird) return end;
  }
  return -1;
}

/** `[words](address "title")`. An image is a link like any other: nothing is loaded because a text says so. */
function link(begin, { text, context }) {
  const found = LINKED.exec(text.slice(begin, begin + LINK));
  if (!found || context.inLink) return null;
  const [whole, words, target] = found;
  return [anchor(target, inline(words, { ...context, inLink: true }), words), begin + whole.length];
}

function address(begin, { text, context }) {
  const found = /^https?:\/\/[^\s<>"'`\]|*\u{100000}-\u{10FFFD}]+/u.exec(text.slice(begin, begin + LINK));
  const target = found?.[0].replace(/[.,;:!?)]{1,9}$/, "");
  return target && !context.inLink ? [anchor(target, target, target), begin + target.length] : null;
}

/** A link says where it leads, whatever its words say. What may not be followed is no link. */
function anchor(target, inner, words) {
  const goal = safeAddress(target);
  if (!goal) return inner;
  const node = make("a", { href: goal.href, rel: "noopener noreferrer nofollow", target: "_blank" }, inner);
  const host = goal.origin === location.origin ? "" : goal.host || goal.pathname;
  return !host || (words === target && words.includes(host) && !goal.username) ? node : [node, make("span.muted", null, ` (${host})`)];
}

/** An address that can run nothing, or null. The browser's own parser decides what its scheme is. */
function safeAddress(text) {
  const goal = text && URL.canParse(text, location.origin) ? new URL(text, location.origin) : null;
  return goal && ["http:", "https:", "mailto:"].includes(goal.protocol) ? goal : null;
}

/** A line's end is a space inside a wrapped paragraph, and a break elsewhere. */
function lineEnd(begin, { text }) {
  const line = text.slice(text.lastIndexOf("\n", begin - 1) + 1, begin);
  const isWrapped = line.length >= WRAPPED && !line.endsWith("  ") && !line.includes("|");
  return [isWrapped ? " " : make("br"), begin + 1];
}
