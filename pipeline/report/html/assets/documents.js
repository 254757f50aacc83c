"use strict";

// The view of the documents; find, all and make are those of page.js.

const ROUGE_1 = 0;
const AT_A_TIME = 100; // entries of the list, which is filled as far as it is scrolled
const FOCUSABLE = "a, button, [tabindex]"; // the same few in the view of every document
const MANY = new Intl.NumberFormat("en-GB");
const words = (text) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

/** A figure with so many decimals; what would round to 0 but is not 0 says so. */
function digits(value, decimals) {
  if (value === null || value === undefined) return "–";
  const least = 10 ** -decimals;
  return value > 0 && value < least / 2 ? `<${least.toFixed(decimals)}` : value.toFixed(decimals);
}

/** The documents of all tables, one of which is open. */
class Explorer {
  constructor(data) {
    this.data = data;
    this.list = find("#document-list");
    this.view = find("#document");
    this.search = find("#document-search");
    this.order = find("#document-order");
    this.marks = find("#document-marks");
    this.tables = find("#document-table");
    data.tables.forEach((table, place) => this.tables.append(new Option(table.name, place)));
    find("#of-table").hidden = data.tables.length < 2;
    this.tables.addEventListener("change", () => this.choose());
    this.search.addEventListener("input", () => this.choose());
    this.order.addEventListener("change", () => this.choose());
    this.marks.addEventListener("change", () => {
      if (this.places.length) this.open(this.current);
    });
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) this.open(Number(item.dataset.place));
    });
    this.list.addEventListener("scroll", () => {
      const left = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight;
      if (left < this.list.clientHeight) this.more();
    });
    document.addEventListener("keydown", (event) => this.press(event));
    addEventListener("hashchange", () => this.follow(true));
    this.current = 0;
    this.choose();
    this.follow(true);
  }

  get table() {
    return this.data.tables[Number(this.tables.value)];
  }

  /** All that can be searched of a document, in small letters; made once, when it is first needed. */
  haystack(document) {
    document.text ??= [document[0], ...this.data.texts[document[1]], ...document[2].map((output) => output?.[0])]
      .filter(Boolean).join("\n").toLowerCase();
    return document.text;
  }

  scores(document) {
    return document[2].map((output) => output?.[4][ROUGE_1]).filter((score) => typeof score === "number");
  }

  /** Fill the list with the documents that are searched for, in the chosen order. */
  choose() {
    const wanted = this.search.value.toLowerCase().trim();
    const documents = this.table.documents;
    let places = documents.map((_, place) => place);
    if (wanted) places = places.filter((place) => this.haystack(documents[place]).includes(wanted));
    const rank = {
      order: null,
      spread: (scores) => Math.min(...scores) - Math.max(...scores),
      low: (scores) => Math.min(...scores),
    }[this.order.value];
    if (rank) {
      const by = places.map((place) => [rank(this.scores(documents[place])), place]);
      places = by.sort(([a], [b]) => a - b).map(([, place]) => place);
    }
    this.places = places;
    this.list.replaceChildren();
    this.more();
    const held = MANY.format(documents.length);
    const every = this.table.of === null ? "" : ` of ${MANY.format(this.table.of)}, a sample`;
    find("#document-count").textContent = wanted
      ? `${MANY.format(places.length)} of ${held} documents`
      : `${held} documents${every}`;
    if (places.length && !places.includes(this.current)) this.current = places[0];
    if (places.length) this.open(this.current, false);
    else this.view.replaceChildren(make("p", "quiet", "No document holds that text."));
  }

  /** List some more of the documents. */
  more() {
    const listed = this.list.childElementCount;
    this.list.append(...this.places.slice(listed, listed + AT_A_TIME).map((place, i) => this.item(place, listed + i)));
  }

  item(place, position) {
    const document = this.table.documents[place];
    const [source, reference] = this.data.texts[document[1]];
    const scores = this.scores(document);
    const range = scores.length ? `${digits(Math.min(...scores), 2)}–${digits(Math.max(...scores), 2)}` : "";
    const item = make("li", "", make("strong", "", make("bdi", "", document[0]), make("small", "", range)));
    item.append(make("span", "", (reference ?? source ?? "").slice(0, 90)));
    item.id = `document-${place}`;
    item.dataset.place = place;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.setAttribute("aria-posinset", position + 1);
    item.setAttribute("aria-setsize", this.places.length);
    return item;
  }

  /** Show a document. linked: leave its address in the page's. */
  open(place, linked = true) {
    const document = this.table.documents[place];
    if (!document) return;
    this.current = place;
    all('[aria-selected="true"]', this.list).forEach((item) => item.setAttribute("aria-selected", "false"));
    while (this.list.childElementCount <= this.places.indexOf(place)) this.more();
    const item = window.document.getElementById(`document-${place}`);
    item?.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", item?.id ?? "");
    if (item) this.reveal(item);
    const [source, reference] = this.data.texts[document[1]];
    const focused = all(FOCUSABLE, this.view).indexOf(window.document.activeElement);
    const known = new Set(this.marks.checked ? words(reference ?? "") : []);
    this.view.replaceChildren(
      this.head(document, place),
      this.panel("reference", "Reference", reference ?? "not at hand"),
      this.panel("source", `Document${source ? `, ${MANY.format(words(source).length)} words` : ""}`, source ?? "not at hand"),
      make("div", "summaries", ...document[2].map((output, i) => this.summary(this.table.experiments[i], output, known))),
    );
    if (focused >= 0) this.focusAgain(focused);
    if (linked) history.replaceState(null, "", this.address(document));
  }

  /** The view was made anew: focus what stands where the focus was, or the list where that can't take it. */
  focusAgain(position) {
    const control = all(FOCUSABLE, this.view)[position];
    (!control || control.disabled ? this.list : control).focus();
  }

  /** Scroll the list alone, never the page. */
  reveal(item) {
    const list = this.list.getBoundingClientRect();
    const box = item.getBoundingClientRect();
    if (box.top < list.top) this.list.scrollTop += box.top - list.top - 8;
    else if (box.bottom > list.bottom) this.list.scrollTop += box.bottom - list.bottom + 8;
  }

  address(document) {
    return `#document=${this.tables.value}/${encodeURIComponent(document[0])}`;
  }

  head(document, place) {
    const at = this.places.indexOf(place);
    const link = make("a", "", make("bdi", "", document[0]));
    link.href = this.address(document);
    const before = make("button", "", "← Previous");
    const after = make("button", "", "Next →");
    before.addEventListener("click", () => this.step(-1));
    after.addEventListener("click", () => this.step(1));
    before.disabled = at <= 0;
    after.disabled = at === this.places.length - 1;
    for (const button of [before, after]) button.type = "button";
    return make("header", "document-head", make("h3", "", link), make("div", "", before, after));
  }

  panel(kind, title, text) {
    const body = make("p", "text", text);
    body.dir = "auto";
    if (kind === "source") body.tabIndex = 0;
    return make("section", kind, make("h4", "", title), body);
  }

  summary(experiment, output, known) {
    const name = make("h4", "", experiment);
    if (experiment === this.table.baseline) name.append(make("small", "", " baseline"));
    if (!output) return make("section", "summary", name, make("p", "quiet", "none: too long for the model, or not run"));
    const [text, finish, tokens, latency, [rouge1, rouge2, rougeL]] = output;
    const body = make("p", "text");
    body.dir = "auto";
    if (!text) body.append(make("em", "quiet", "empty"));
    else if (known.size) body.append(...mark(text, known));
    else body.textContent = text;
    const facts = [
      `ROUGE-2 ${digits(rouge2, 3)}`,
      `ROUGE-L ${digits(rougeL, 3)}`,
      tokens === null ? null : `${MANY.format(tokens)} tokens`,
      latency === null ? null : `${digits(latency, 2)} s`,
      finish === "length" ? "cut off by the limit" : null,
    ];
    return make(
      "section", "summary",
      make("header", "", name, make("span", "quiet", `ROUGE-1 ${digits(rouge1, 3)}`)),
      body,
      make("footer", "", facts.filter(Boolean).join(" · ")),
    );
  }

  step(by) {
    const at = this.places.indexOf(this.current) + by;
    if (at >= 0 && at < this.places.length) this.open(this.places[at]);
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    const section = find("#documents");
    const box = section.getBoundingClientRect();
    const meant = section.contains(event.target) || (box.top < innerHeight && box.bottom > 0);
    const inList = event.target === this.list;
    const steps = { j: meant && 1, k: meant && -1, ArrowDown: inList && 1, ArrowUp: inList && -1 };
    const ends = { Home: inList && 0, End: inList && this.places.length - 1 };
    if (steps[event.key]) this.step(steps[event.key]);
    else if (typeof ends[event.key] === "number") this.open(this.places[ends[event.key]]);
    else return;
    event.preventDefault();
  }

  /** Open the document that the page's address names. */
  follow(scroll) {
    const match = /^#document=(\d+)\/(.+)$/.exec(location.hash);
    if (!match || !this.data.tables[match[1]]) return;
    let wanted = match[2];
    try {
      wanted = decodeURIComponent(wanted);
    } catch {
      return; // not an address that this page made
    }
    const place = this.data.tables[match[1]].documents.findIndex(([id]) => id === wanted);
    if (place < 0) return;
    this.current = place;
    this.tables.value = match[1];
    this.search.value = "";
    this.choose();
    this.open(place);
    if (scroll) find("#documents").scrollIntoView();
  }
}

/** Text as nodes, with the words that are known marked. */
function mark(text, known) {
  return text.split(/([A-Za-z0-9]+)/).map((part) => (known.has(part.toLowerCase()) ? make("mark", "", part) : part));
}
