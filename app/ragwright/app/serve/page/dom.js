// Nodes from values. Whatever a document, a model or a person wrote becomes text here, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** The direction of a text is its own. */
export const AUTO = { dir: "auto" };

/**
 * An element with its children.
 *
 * @param {string} tag Its name and its classes, from code: `p.notice.weak`.
 * @param {Object<string, unknown>?=} attributes Null, undefined and false are left out, true gives the bare
 *   name, and a function under `onclick` and the like becomes a listener. Names come from code, never from data.
 * @param {...unknown} children Nodes stay nodes, everything else becomes text; null and false are left out.
 * @returns {any}
 */
export function make(tag, attributes, ...children) {
  const [kind, ...classes] = tag.split(".");
  const node = document.createElement(kind);
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  node.classList.add(...classes);
  // After the children: with `dir="auto"` the browser would look at all of them for each that comes.
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  return node;
}

/** One of the page's drawings; it says nothing to a screen reader. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("viewBox", "0 0 20 20");
  drawing.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  drawing.append(use);
  return drawing;
}

/**
 * A button; without words it takes its name from `label`, and with a drawing it is a quiet one.
 *
 * @param {unknown} words
 * @param {(event: any) => void} press
 * @param {Object<string, any>} options
 */
export function button(words, press, { drawing = null, label = null, ...attributes } = {}) {
  const title = words ? null : label;
  const named = { type: "button", class: drawing && "quiet", "aria-label": label, title, onclick: press };
  return make("button", { ...named, ...attributes }, drawing && icon(drawing), words && make("span", null, words));
}

/** The element of the page with this id. */
export const part = (id) => /** @type {any} */ (document.getElementById(id));

/** A number with its noun: `1 passage`, `12 passages`. */
export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** A time in seconds as it is read: `4.1 ms`, `380 ms`, `2.4 s`. */
export function duration(seconds) {
  if (seconds >= 0.9995) return `${seconds.toFixed(1)} s`;
  return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
}

/** Have something read aloud. */
export function announce(words) {
  part("announcer").textContent = words;
}

/** Bring a node into view, at once where movement is unwanted. */
export function reveal(node, block) {
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  node.scrollIntoView({ block, behavior: isStill ? "instant" : "smooth" });
}
