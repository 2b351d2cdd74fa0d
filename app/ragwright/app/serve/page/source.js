// A document around a cited span: its text, a window at a time, and above it the page where there are pages.

import { call, json } from "./client.js";
import { AUTO, button, make, reveal } from "./dom.js";
import { panel } from "./panel.js";

const AROUND = 3000; // characters before and behind the span that come first
const MORE = 12_000; // characters that come when more is wanted
const STYLED = ["title", "code", "table", "caption", "furniture"];
const PIXELS = 2; // to a point of a page

/** @typedef {Partial<import("./conversation.js").Citation> & {documentId: string, collection: string}} Place */

/** Where a citation stands, in words: headings and page. */
export function placeOf({ title, headings = [], page = null }) {
  const above = headings.filter((each) => each !== title).slice(-2);
  return [...above, page && `page ${page}`].filter(Boolean).join(" › ");
}

/**
 * A link to a place in its document. It opens beside the conversation, unless a person asks for a tab.
 *
 * @param {any} place
 * @param {unknown} content
 * @param {Object<string, any>} options
 */
export function sourceLink(place, content, { press = () => showSource(place), ...attributes } = {}) {
  const { documentId, start = 0, end = 0, collection } = place;
  const href = `/documents/${encodeURIComponent(documentId)}?${new URLSearchParams({ start, end, collection })}`;
  const onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    press();
  };
  return make("a", { href, onclick, ...attributes }, content);
}

/**
 * Show a place in its document. `all` are the citations of the same answer, to step through, and `told` is
 * called with each that is shown.
 *
 * @param {Place} place Without start and end: the document from its beginning.
 * @param {(place: any) => void} told
 */
export const showSource = (place, all = [], told = () => {}) =>
  panel.attempt(async () => {
    told(place);
    const view = new DocumentText(place);
    const { title, source, name } = await view.begin();
    const where = [name || source, placeOf({ ...place, title, page: view.page })].filter(Boolean).join(" · ");
    const at = all.findIndex((each) => each.marker === place.marker);
    const step = steps("citation", at + 1, all.length, (to) => showSource(all[to - 1], all, told));
    panel.show({ title, below: [make("span", AUTO, where), step], body: view.node, closed: () => view.end() });
    view.settle();
  });

/** Two buttons that lead to the one before and the one behind; nothing where there is but one. */
function steps(noun, at, of, step) {
  const lead = (to, word) =>
    button("", () => step(to), { drawing: word, label: `${word} ${noun}`, disabled: to < 1 || to > of });
  return of > 1 && make("span.steps", null, lead(at - 1, "previous"), `${noun} ${at} of ${of}`, lead(at + 1, "next"));
}

class DocumentText {
  /** @param {Place} place */
  constructor(place) {
    this.place = place;
    this.text = make("div.document", AUTO);
    this.earlier = button("Earlier text", () => this.#more(-1), { class: "more" });
    this.later = button("Later text", () => this.#more(1), { class: "more" });
    this.watch = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.#more(1));
  }

  #path(more, query) {
    const { documentId, collection } = this.place;
    return `/v1/documents/${encodeURIComponent(documentId)}${more}?${new URLSearchParams({ collection, ...query })}`;
  }

  /** Fetch what comes first. */
  async begin() {
    const { start = 0, end = start, page } = this.place;
    this.span = { start, end };
    this.first = await json(this.#path("", { start: Math.max(0, start - AROUND), end: end + AROUND }));
    this.page = page ?? this.first.blocks.find((each) => each.end > start && each.page)?.page;
    this.from = this.to = this.first.offset;
    this.#add(this.first, 1);
    this.node = make("div", null, this.first.pages && this.#sheet(), this.#warning(), this.earlier, this.text, this.later);
    return this.first;
  }

  /** Scroll to the span, on its page or in the text, once it is there. */
  async settle() {
    await this.drawn;
    const mark = this.node.querySelector(".box, mark");
    if (mark) reveal(mark, "center");
    this.watch.observe(this.later);
  }

  end() {
    this.watch.disconnect();
  }

  async #more(direction) {
    if (this.busy) return;
    this.busy = true;
    const { from, to } = this;
    const wanted = direction > 0 ? { start: to, end: to + MORE } : { start: Math.max(0, from - MORE), end: from };
    const body = this.node.parentElement;
    const left = body.scrollHeight - body.scrollTop;
    try {
      this.#add(await json(this.#path("", wanted)), direction);
      if (direction < 0) body.scrollTop = body.scrollHeight - left;
    } finally {
      this.busy = false;
    }
  }

  /** Put a window before or behind what is there. */
  #add({ text, offset, blocks, total_characters: total }, direction) {
    const characters = Array.from(text);
    const pieces = this.#pieces(characters, offset, blocks);
    if (direction > 0) {
      this.text.append(...pieces);
      this.to = offset + characters.length;
    } else {
      this.text.prepend(...pieces);
      this.from = offset;
    }
    this.earlier.hidden = this.from <= 0;
    this.later.hidden = this.to >= total;
  }

  /** A text as nodes: the span marked, headings and code told apart. Offsets count as Python counts. */
  #pieces(characters, offset, blocks) {
    const { span } = this;
    const styled = blocks.filter(({ kind }) => STYLED.includes(kind));
    const last = offset + characters.length;
    const cuts = [offset, last, span.start, span.end, ...styled.flatMap(({ start, end }) => [start, end])];
    const places = Array.from(new Set(cuts.filter((each) => each >= offset && each <= last))).sort((a, b) => a - b);
    return places.slice(1).map((end, index) => {
      const start = places[index];
      const kind = styled.find((each) => each.start <= start && start < each.end)?.kind;
      const isMarked = span.start <= start && start < span.end;
      return make(isMarked ? "mark" : "span", { class: kind }, characters.slice(start - offset, end - offset).join(""));
    });
  }

  /** Told when the document has changed since it was quoted. */
  #warning() {
    const { quote, state } = this.place;
    const marked = Array.from(this.text.querySelectorAll("mark"), (each) => each.textContent).join("");
    if (!quote || state !== "exact" || marked === quote) return null;
    return make("p.notice.weak", null, make("b", null, "The document has changed"), " since it was quoted.");
  }

  /** The page as a picture, with the span framed. */
  #sheet() {
    const place = make("div");
    const turn = async (page) => {
      try {
        place.replaceChildren(...(await this.#drawn(page, turn)));
      } catch (error) {
        place.replaceChildren(make("p.notice", null, `Page ${page} cannot be shown: ${error.message}`));
      }
    };
    this.drawn = turn(this.page ?? 1);
    return place;
  }

  async #drawn(page, turn) {
    const { start, end } = this.span;
    const view = await json(this.#path(`/pages/${page}`, end > start ? { start, end } : {}));
    const picture = await createImageBitmap(await (await call(`${view.image}&scale=${PIXELS}`)).blob());
    const { width, height } = picture;
    const name = `Page ${page}${view.boxes.length ? ", the quote framed" : ""}`;
    const canvas = make("canvas", { width, height, role: "img", "aria-label": name });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    const sheet = make("div.sheet", null, canvas, view.boxes.map((box) => framed(box, view)));
    return [steps("page", page, view.pages, turn) || "", sheet];
  }
}

/** A frame over the page, in shares of its size. */
function framed([left, top, right, bottom], { width, height }) {
  const frame = make("div.box");
  const share = (value, whole) => `${(value / whole) * 100}%`;
  const sides = [share(top, height), share(width - right, width), share(height - bottom, height), share(left, width)];
  frame.style.inset = sides.join(" ");
  return frame;
}
