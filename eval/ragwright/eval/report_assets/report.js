// The list of questions. Everything a document, a question or an answer says reaches the page as text alone:
// nodes are made here, and strings become their textContent.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const data = JSON.parse(document.getElementById("data").textContent);
  const { measures, leading, sources, chunks, questions, score_names: scoreNames } = data;
  const place = document.getElementById("browser");
  const BATCH = 60;

  // The texts of the chunks come packed; whoever shows one waits for them.
  let texts = null;
  const ready = unpack().then((found) => {
    texts = found;
    root.classList.add("ready");
  });
  async function unpack() {
    const bytes = Uint8Array.from(atob(data.texts), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }
  const FILTERS = [
    ["all", "All", "Every question"],
    ["failed", "Failed", "No result, zero on the first measure, or wrong about answering"],
    ["changed", "Changed", "Another value of the first measure than in the baseline"],
    ["empty", "Empty", "Nothing was found"],
    ["slow", "Slow", "Among the slowest twentieth"],
  ];
  const TAGS = ["error", "failed", "empty", "refused", "unanswerable", "slow"];
  const state = { show: "all", sort: "", down: false, find: "", open: "" };
  let shown = [];
  let built = 0;
  let list;
  let more;

  /** An element with attributes and children; children that are no nodes become text. */
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) node.append(child);
    }
    return node;
  }

  const fixed = (value) => value.toFixed(3).replace("-", "−");
  const signed = (value) => (Math.abs(value) < 0.0005 ? "±0" : (value > 0 ? "+" : "") + fixed(value));
  const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const percent = (share) => Math.round(share * 100) + " %";
  const anchorOf = (question) => "q-" + encodeURIComponent(question.id);
  const has = (question, flag) => (question.flags || []).includes(flag);
  const seconds = (question) => Object.values(question.seconds || {}).reduce((sum, each) => sum + each, 0);
  const value = (question, measure) => question.values[measure];
  const change = (question, measure) =>
    question.before && value(question, measure) !== null && question.before[measure] !== null
      ? value(question, measure) - question.before[measure]
      : null;

  function duration(time) {
    const digits = time < 0.000995 ? 2 : time < 0.00995 ? 1 : 0;
    return time < 0.9995 ? (time * 1000).toFixed(digits) + " ms" : time.toFixed(2) + " s";
  }

  const where = (source, start, end) => `${sources[source]} ${count(start)}–${count(end)}`;

  // ---- choosing and ordering

  const wordsOf = new Map();
  function words(question) {
    if (!wordsOf.has(question)) {
      const parts = [question.id, question.text, question.answer, question.error, question.reply?.text];
      parts.push(...Object.values(question.metadata || {}), ...(question.gold || []).map((each) => sources[each[0]]));
      wordsOf.set(question, parts.filter(Boolean).join("\n").toLowerCase());
    }
    return wordsOf.get(question);
  }

  function sortKey() {
    const [kind, name] = [state.sort.split(":")[0], state.sort.slice(state.sort.indexOf(":") + 1)];
    const measure = measures.indexOf(name);
    if (kind === "time") return seconds;
    if (kind === "value" && measure >= 0) return (question) => value(question, measure);
    if (kind === "change" && measure >= 0) return (question) => change(question, measure);
    return null;
  }

  function choose() {
    const wanted = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    shown = questions.filter(
      (question) =>
        (state.show === "all" || has(question, state.show)) &&
        wanted.every((word) => words(question).includes(word)),
    );
    const key = sortKey();
    if (!key) {
      if (state.down) shown.reverse();
      return;
    }
    const sign = state.down ? -1 : 1;
    const keyed = shown.map((question, index) => [key(question), index, question]);
    keyed.sort((a, b) => {
      if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
      return sign * (a[0] - b[0]) || a[1] - b[1];
    });
    shown = keyed.map((each) => each[2]);
  }

  // ---- the list

  function show() {
    choose();
    list.replaceChildren();
    built = 0;
    buildTo(BATCH);
    const total = questions.length;
    counter.textContent =
      shown.length === total ? `${count(total)} questions` : `${count(shown.length)} of ${count(total)} questions`;
    for (const button of filters.children) {
      button.setAttribute("aria-pressed", String(button.dataset.show === state.show));
    }
    search.value = state.find;
    order.value = state.sort;
    direction.textContent = state.down ? "↓ descending" : "↑ ascending";
    if (state.open) open(state.open, false);
  }

  function buildTo(end) {
    const part = document.createDocumentFragment();
    for (; built < Math.min(end, shown.length); built += 1) part.append(line(shown[built]));
    list.append(part);
    more.hidden = built >= shown.length;
  }

  function line(question) {
    const button = make(
      "button",
      { class: "line", type: "button", "aria-expanded": "false" },
      make("span", { class: "line-id" }, question.id),
      make(
        "span",
        { class: "line-text" },
        make("span", null, question.text),
        make("span", { class: "tags" }, TAGS.filter((flag) => has(question, flag)).map(tag)),
      ),
      ranks(question),
      [0, 1].map((index) => lineValue(question, leading[index])),
      make("span", { class: "line-time" }, question.seconds ? duration(seconds(question)) : ""),
    );
    button.addEventListener("click", () => toggle(question));
    return make("li", { id: anchorOf(question) }, button);
  }

  const tag = (word) => make("span", { class: `tag ${word}` }, word);

  function lineValue(question, measure) {
    if (measure === undefined || value(question, measure) === null) return make("span", { class: "line-value" });
    const difference = change(question, measure);
    return make(
      "span",
      { class: "line-value" },
      make("span", { class: "label" }, measures[measure] + " "),
      fixed(value(question, measure)),
      difference !== null && make("small", null, " " + signed(difference)),
    );
  }

  /** One small field for each rank: gold in its evidence, gold in its chunk, or neither. */
  function ranks(question) {
    const kinds = (question.hits || []).map((hit) => {
      const chunk = chunks[hit[0]];
      const gold = goldIn(question, chunk);
      if (gold.some(([a, b]) => hit[3].some(([c, d]) => a < d && c < b))) return "in-evidence";
      return gold.length ? "in-chunk" : "none";
    });
    const found = kinds.flatMap((kind, index) => (kind === "none" ? [] : [index + 1]));
    const label = found.length ? `gold at rank ${found.join(", ")}` : "no gold found";
    const fields = kinds.map((kind) => make("i", { class: kind }));
    return make("span", { class: "ranks", title: label, role: "img", "aria-label": label }, fields);
  }

  const goldIn = (question, chunk) =>
    (question.gold || [])
      .filter(([source, start, end]) => source === chunk[0] && start < chunk[2] && chunk[1] < end)
      .map(([, start, end]) => [start, end]);

  // ---- opening one question

  function toggle(question) {
    const anchor = anchorOf(question);
    if (state.open === anchor) close();
    else open(anchor, false);
    remember();
  }

  function close() {
    const item = state.open && document.getElementById(state.open);
    if (item) {
      item.firstChild.setAttribute("aria-expanded", "false");
      item.querySelector(".detail")?.remove();
    }
    state.open = "";
  }

  /** Open a question by its anchor, leaving filters that hide it. Returns whether there is one. */
  function open(anchor, jump) {
    const question = byAnchor.get(anchor);
    if (!question) return false;
    if (!shown.includes(question)) {
      if (!jump) return false;
      Object.assign(state, { show: "all", find: "", open: "" });
      show();
    }
    if (state.open !== anchor) close();
    buildTo(Math.max(built, shown.indexOf(question) + 1));
    const item = document.getElementById(anchor);
    if (!item.querySelector(".detail")) item.append(detail(question));
    item.firstChild.setAttribute("aria-expanded", "true");
    state.open = anchor;
    if (jump) {
      item.scrollIntoView({ block: "start", behavior: "instant" });
      item.firstChild.focus({ preventScroll: true });
    }
    return true;
  }

  function detail(question) {
    return make(
      "div",
      { class: "detail" },
      facts(question),
      question.error && make("div", { class: "box error" }, make("b", null, "No result: "), question.error),
      make("div", { class: "pair" }, make("div", null, goldList(question)), make("div", null, answer(question))),
      hitList(question),
      valueList(question),
    );
  }

  function facts(question) {
    const items = Object.entries(question.metadata || {});
    items.push(...Object.entries(question.seconds || {}).map(([stage, time]) => [stage, duration(time)]));
    const link = make("a", { href: "#" + anchorOf(question) }, "link to this question");
    return make(
      "ul",
      { class: "chips" },
      items.map(([name, text]) => make("li", null, name + " ", make("b", null, text))),
      make("li", null, link),
    );
  }

  function valueList(question) {
    const items = measures.flatMap((name, index) => {
      if (value(question, index) === null) return [];
      const difference = change(question, index);
      const moved = difference !== null && Math.abs(difference) >= 0.0005;
      return [
        make("li", null, make("span", { title: name }, name), make("b", null, fixed(value(question, index)), moved && ` (${signed(difference)})`)),
      ];
    });
    if (!items.length) return [];
    const title = data.compared ? "All measures, with the change from the baseline" : "All measures";
    return [make("details", null, make("summary", null, title), make("ul", { class: "values" }, items))];
  }

  function answer(question) {
    const reply = question.reply;
    if (!reply && !question.answer) return [];
    const parts = [make("h4", null, "Answer")];
    if (reply) {
      parts.push(
        make(
          "div",
          { class: "box" },
          make("span", { class: "tags" }, reply.refused && tag("refused"), make("span", { class: "tag" }, `support ${fixed(reply.support ?? 0)}`)),
          make("p", { class: "text" }, reply.text),
          make("ul", { class: "chips" }, (reply.citations || []).map(citation)),
        ),
      );
    }
    if (question.answer) {
      parts.push(make("div", { class: "box" }, make("span", { class: "muted" }, "Reference answer"), make("p", { class: "text" }, question.answer)));
    }
    return parts;
  }

  function citation([marker, source, start, end, quote, found, , page]) {
    return make(
      "li",
      null,
      make("b", null, `[${marker}] `),
      make("span", { class: `tag ${found}` }, found),
      ` ${where(source, start, end)}${page ? `, page ${page}` : ""} `,
      quote && make("span", { class: "text" }, `“${quote}”`),
    );
  }

  function goldList(question) {
    const gold = question.gold || [];
    if (!gold.length) return [make("h4", null, "References"), make("p", { class: "note" }, "None: the documents hold no answer.")];
    const [first, rest] = [gold.slice(0, 8), gold.slice(8)];
    const more = rest.length && make("details", null, make("summary", null, `${rest.length} more`), rest.map(reference));
    return [make("h4", null, gold.length === 1 ? "Reference" : `${gold.length} references`), first.map(reference), more || null];
  }

  function reference([source, start, end, evidence, chunk, excerpt, rank]) {
    const word = chunk === 0 ? "missed" : evidence >= 0.9999 ? "found" : evidence > 0 ? "found in part" : "in a hit, but not in its evidence";
    const beyond = rank ? `; the ranking touches it first at rank ${rank}` : "";
    const share = chunk === 0 ? beyond : `: ${percent(evidence)} in evidence, ${percent(chunk)} in chunks`;
    const text = excerpt && make("p", { class: "text" }, make("span", { class: "muted" }, excerpt[0]), mark("gold", excerpt[1]), make("span", { class: "muted" }, excerpt[2]));
    return make(
      "div",
      { class: "box" },
      make("span", { class: `tag ${word === "found" ? "exact" : chunk === 0 ? "missing" : ""}` }, word),
      make("span", { class: "place" }, ` ${where(source, start, end)}${share}`),
      text || (chunk < 1 && make("p", { class: "note" }, "Its text is not part of this page.")),
    );
  }

  // ---- hits with their highlights

  const NAMES = { gold: "gold", evidence: "evidence", both: "gold and evidence" };
  const unseen = (text) => make("span", { class: "unseen" }, text);
  const mark = (kind, text, note = "") =>
    make("mark", { class: kind, title: NAMES[kind] + note }, unseen(`[${NAMES[kind]}: `), text, unseen("]"));

  function hitList(question) {
    const hits = question.hits || [];
    if (!hits.length) return [make("h4", null, "Hits"), make("p", { class: "note" }, "Nothing was found.")];
    const legend = make(
      "p",
      { class: "highlights" },
      ["gold", "evidence", "both"].map((kind) => make("span", null, make("mark", { class: kind }, NAMES[kind]))),
    );
    return [make("h4", null, hits.length === 1 ? "One hit" : `${hits.length} hits`), legend, hits.map((hit, index) => hitBox(question, hit, index + 1))];
  }

  function hitBox(question, hit, rank) {
    const [number, score, , evidence, before] = hit;
    const chunk = chunks[number];
    const [source, start, end, title, headings, page] = chunk;
    const gold = goldIn(question, chunk);
    const box = make(
      "details",
      { class: "hit", open: rank <= 3 || gold.length > 0 },
      make(
        "summary",
        null,
        make("span", { class: "rank" }, `${rank}`),
        movement(rank, before),
        make("span", { class: "source" }, sources[source]),
        make("span", { class: "place" }, [page ? `page ${page}, ` : "", `${count(start)}–${count(end)}`]),
        gold.length > 0 && make("span", { class: "tag exact" }, "holds gold"),
        score !== null && make("span", { class: "place" }, `score ${score}`),
      ),
    );
    const path = [title, ...headings.filter((heading) => heading !== title)].filter(Boolean).join(" › ");
    const inside = () => make("div", null, path && make("div", { class: "place" }, path), parts(hit), text(number, gold, evidence));
    if (box.open) box.append(inside());
    else box.addEventListener("toggle", () => box.children.length === 1 && box.append(inside()));
    return box;
  }

  function movement(rank, before) {
    if (before === null) return null;
    if (before === 0) return make("span", { class: "tag new", title: "not among the baseline's hits" }, "new");
    if (before === rank) return make("span", { class: "tag", title: "the same rank in the baseline" }, "same");
    const up = before > rank;
    return make("span", { class: up ? "tag up" : "tag down", title: `rank ${before} in the baseline` }, `${up ? "▲ up" : "▼ down"} ${Math.abs(before - rank)}`);
  }

  function parts([, , scores, , , places]) {
    const items = scores.flatMap((part, index) => (part === null ? [] : [make("li", null, scoreNames[index] + " ", make("b", null, String(part)))]));
    items.push(...places.map(([source, start, end]) => make("li", null, "also at ", make("b", null, where(source, start, end)))));
    return items.length ? make("ul", { class: "chips" }, items) : null;
  }

  function text(number, gold, evidence) {
    const node = make("p", { class: "text" });
    if (texts) write(node, number, gold, evidence);
    else ready.then(() => write(node, number, gold, evidence), () => node.append("This browser cannot unpack the text."));
    return node;
  }

  /** The kept pieces of a chunk, cut where gold or evidence begins or ends. */
  function write(node, number, gold, evidence) {
    const [, start, end] = chunks[number];
    let at = start;
    for (const [offset, piece] of texts[number]) {
      if (offset > at) node.append(make("span", { class: "gap" }, " … "));
      // Offsets count characters, as Python does; JavaScript's strings count halves of some of them.
      const characters = /[\ud800-\udfff]/.test(piece) ? Array.from(piece) : null;
      const cut = (from, to) => (characters ? characters.slice(from, to).join("") : piece.slice(from, to));
      const length = characters ? characters.length : piece.length;
      const ends = [...gold, ...evidence].flatMap(([a, b]) => [a - offset, b - offset]);
      const cuts = [...new Set([0, length, ...ends.filter((each) => each > 0 && each < length)])].sort((a, b) => a - b);
      const inside = (spans, from) => spans.some(([a, b]) => a <= from + offset && from + offset < b);
      for (let index = 0; index + 1 < cuts.length; index += 1) {
        const [from, to] = [cuts[index], cuts[index + 1]];
        const [isGold, isEvidence] = [inside(gold, from), inside(evidence, from)];
        const kind = isGold && isEvidence ? "both" : isGold ? "gold" : isEvidence ? "evidence" : "";
        const score = evidence.find(([a, b]) => a <= from + offset && from + offset < b)?.[2];
        node.append(kind ? mark(kind, cut(from, to), score ? `, score ${score}` : "") : cut(from, to));
      }
      at = offset + length;
    }
    if (at < end) node.append(make("span", { class: "gap" }, " …"));
  }

  // ---- the address

  function remember() {
    const fields = new URLSearchParams();
    if (state.show !== "all") fields.set("show", state.show);
    if (state.sort) fields.set("sort", state.sort);
    if (state.down) fields.set("down", "1");
    if (state.find) fields.set("find", state.find);
    const hash = [state.open, fields.toString()].filter(Boolean).join("&");
    history.replaceState(null, "", "#" + (hash || "questions"));
  }

  function recall() {
    const hash = location.hash.slice(1);
    const [first, ...rest] = hash.split("&");
    const isQuestion = first.startsWith("q-");
    if (!isQuestion && !hash.includes("=")) return;
    const fields = new URLSearchParams(isQuestion ? rest.join("&") : hash);
    const next = { show: fields.get("show") || "all", sort: fields.get("sort") || "", down: fields.has("down"), find: fields.get("find") || "" };
    if (!FILTERS.some(([name]) => name === next.show)) next.show = "all";
    if (!Array.from(order.options).some((each) => each.value === next.sort)) next.sort = "";
    // A link to a question alone leaves filters and order as they are.
    if (!isQuestion || rest.length) {
      const same = Object.keys(next).every((name) => state[name] === next[name]);
      Object.assign(state, next);
      if (!same) show();
    }
    if (isQuestion) open(normalised(first), true);
    else place.scrollIntoView({ behavior: "instant" });
  }

  function normalised(anchor) {
    try {
      return "q-" + encodeURIComponent(decodeURIComponent(anchor.slice(2)));
    } catch {
      return anchor;
    }
  }

  // ---- controls

  const set = (changes) => {
    Object.assign(state, changes);
    show();
    remember();
  };
  const byAnchor = new Map(questions.map((question) => [anchorOf(question), question]));
  const counter = make("p", { class: "count", role: "status" });
  const filters = make("div", { class: "filters", role: "group", "aria-label": "Show" });
  for (const [name, word, title] of FILTERS) {
    if (name === "changed" && !data.compared) continue;
    const n = name === "all" ? questions.length : questions.filter((each) => has(each, name)).length;
    const button = make("button", { type: "button", "data-show": name, title }, `${word} ${count(n)}`);
    button.addEventListener("click", () => set({ show: name }));
    filters.append(button);
  }
  const search = make("input", { type: "search", placeholder: "Search questions, answers, sources", "aria-label": "Search questions" });
  search.addEventListener("input", () => set({ find: search.value }));
  const order = make(
    "select",
    { "aria-label": "Sort by" },
    make("option", { value: "" }, "file order"),
    make("option", { value: "time" }, "time"),
    data.compared && leading.map((index) => make("option", { value: "change:" + measures[index] }, "change in " + measures[index])),
    measures.map((name) => make("option", { value: "value:" + name }, name)),
  );
  order.addEventListener("change", () => set({ sort: order.value }));
  const direction = make("button", { type: "button", "aria-label": "Turn the order round" });
  direction.addEventListener("click", () => set({ down: !state.down }));

  function moveBy(step) {
    const lines = Array.from(list.querySelectorAll(".line"));
    let index = lines.indexOf(document.activeElement);
    if (index < 0) index = state.open ? lines.findIndex((each) => each.parentNode.id === state.open) : step > 0 ? -1 : 1;
    const goal = index + step;
    if (goal >= lines.length && built < shown.length) buildTo(built + BATCH);
    const next = list.querySelectorAll(".line")[goal];
    if (goal < 0 || !next) return;
    if (state.open) {
      open(next.parentNode.id, false);
      remember();
    }
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: state.open ? "start" : "nearest", behavior: "instant" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target === search && event.key === "Escape") set({ find: "" });
    if (target.closest?.("input, select, textarea")) return;
    const onLine = target.classList?.contains("line");
    const steps = { j: 1, k: -1, ...(onLine ? { ArrowDown: 1, ArrowUp: -1 } : {}) };
    if (event.key === "/") search.focus();
    else if (event.key in steps) moveBy(steps[event.key]);
    else if (event.key === "Escape" && state.open) {
      const item = document.getElementById(state.open);
      close();
      remember();
      item?.firstChild.focus();
    } else return;
    event.preventDefault();
  });

  // ---- theme and print

  const theme = document.getElementById("theme");
  const THEMES = ["system", "light", "dark"];
  function dress(name) {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    theme.textContent = "Theme: " + name;
    theme.setAttribute("aria-label", `Theme: ${name}; change it`);
  }
  theme.addEventListener("click", () => {
    dress(THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length]);
  });
  dress("system");

  let closedDetails = [];
  addEventListener("beforeprint", () => {
    buildTo(shown.length);
    closedDetails = Array.from(document.querySelectorAll("details:not([open]):not(.hit)"));
    for (const each of closedDetails) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closedDetails) each.open = false;
  });

  /** Only boxes that scroll are stops of the Tab key. */
  function mindBoxes() {
    for (const box of document.querySelectorAll(".scroll")) box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
  }
  addEventListener("resize", mindBoxes);
  addEventListener("toggle", mindBoxes, true);

  // ---- start

  list = make("ol", { class: "question-list" });
  more = make("button", { type: "button", class: "more" }, "Show more");
  more.addEventListener("click", () => buildTo(built + BATCH));
  const columns = ["Id", "Question", "Gold by rank", ...[0, 1].map((index) => (leading[index] === undefined ? "" : measures[leading[index]])), "Time"];
  const sample = (kind) => make("span", { class: "ranks", "aria-hidden": "true" }, make("i", { class: kind }));
  const key = (name) => make("kbd", null, name);
  place.append(
    make("div", { class: "tools" }, filters, search, make("label", null, "Sort", order), direction),
    make("p", { class: "note keys" }, key("j"), " ", key("k"), " move, ", key("Enter"), " opens, ", key("/"), " searches, ", key("Esc"), " closes. Gold by rank: ", sample("in-evidence"), " in the evidence, ", sample("in-chunk"), " in the chunk only, ", sample("none"), " none"),
    counter,
    make("div", { class: "columns", "aria-hidden": "true" }, columns.map((name) => make("span", null, name))),
    list,
    more,
  );
  show();
  mindBoxes();
  new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && buildTo(built + BATCH), { rootMargin: "600px" }).observe(more);
  recall();
  addEventListener("hashchange", recall);
})();
