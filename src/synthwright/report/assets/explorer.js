// A list of rows or of rejects: search, filters, pages, and one record whole with its lineage.
"use strict";

const PAGE = 25;
const OPEN_CHUNKS = 16;

class Explorer {
  constructor(root, name, index, others) {
    Object.assign(this, { root, name, index, others });
    this.picked = new Map(index.facets.map((facet) => [facet.name, new Set()]));
    this.ranges = new Map(index.numbers.map((numbers) => [numbers.name, [null, null]]));
    this.seed = null;
    this.terms = [];
    this.order = "";
    this.page = 0;
    this.found = [];
    this.turn = 0;
    this.bodies = new Map();
    this.haystacks = [];
    this.places = new Map(index.ids.map((id, place) => [id, place]));
    this.build();
  }

  // Reading records

  chunkOf(place) {
    const starts = this.index.starts;
    let low = 0, high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async chunk(number) {
    if (!this.bodies.has(number)) {
      this.bodies.set(number, page.unpack(`${this.name}-${number}`));
      if (this.bodies.size > OPEN_CHUNKS) this.bodies.delete(this.bodies.keys().next().value);
    }
    return this.bodies.get(number);
  }

  async body(place) {
    const number = this.chunkOf(place);
    return (await this.chunk(number))[place - this.index.starts[number]];
  }

  /** The searchable text of the records of a chunk; kept, so that the next search needs no unpacking. */
  async haystack(number) {
    if (!this.haystacks[number]) {
      const bodies = await page.unpack(`${this.name}-${number}`);
      const start = this.index.starts[number];
      this.haystacks[number] = bodies.map((body, offset) => `${this.index.ids[start + offset] || ""}\n${flat(body)}`.toLowerCase());
    }
    return this.haystacks[number];
  }

  // Finding

  candidates() {
    const tests = [];
    for (const facet of this.index.facets) {
      const wanted = this.picked.get(facet.name);
      if (!wanted.size) continue;
      tests.push((place) => {
        const code = facet.codes[place];
        return Array.isArray(code) ? code.some((one) => wanted.has(one)) : wanted.has(code === null ? -1 : code);
      });
    }
    for (const { name, values } of this.index.numbers) {
      const [low, high] = this.ranges.get(name);
      if (low !== null) tests.push((place) => values[place] !== null && values[place] >= low);
      if (high !== null) tests.push((place) => values[place] !== null && values[place] <= high);
    }
    if (this.seed !== null) tests.push((place) => this.index.seeds[place] === this.seed);
    const places = [];
    for (let place = 0; place < this.index.count; place++) if (tests.every((test) => test(place))) places.push(place);
    return places;
  }

  async update() {
    const turn = ++this.turn;
    this.page = 0;
    this.root.dataset.busy = "true";
    let places = this.candidates();
    if (this.terms.length) {
      const matches = [];
      let shown = performance.now();
      for (let next = 0; next < places.length;) {
        const number = this.chunkOf(places[next]);
        const start = this.index.starts[number];
        const end = number + 1 < this.index.starts.length ? this.index.starts[number + 1] : this.index.count;
        const texts = await this.haystack(number);
        if (turn !== this.turn) return;
        for (; next < places.length && places[next] < end; next++) {
          const text = texts[places[next] - start];
          if (this.terms.every((term) => text.includes(term))) matches.push(places[next]);
        }
        if (performance.now() - shown > 200) {
          this.found = matches;
          this.paint(`searching, ${Math.round(100 * next / places.length)} %`);
          await new Promise((done) => setTimeout(done));
          if (turn !== this.turn) return;
          shown = performance.now();
        }
      }
      places = matches;
    }
    this.found = this.sorted(places);
    await this.paint("");
    if (turn === this.turn) delete this.root.dataset.busy;
  }

  sorted(places) {
    if (!this.order) return places;
    const [name, down] = [this.order.slice(1), this.order[0] === "-"];
    const { values } = this.index.numbers.find((numbers) => numbers.name === name);
    const last = down ? -Infinity : Infinity;
    const key = (place) => (values[place] === null ? last : values[place]);
    return [...places].sort((a, b) => (down ? key(b) - key(a) : key(a) - key(b)) || a - b);
  }

  // Showing

  build() {
    const what = this.name === "rows" ? "rows" : "rejects";
    this.search = page.el("input", {
      type: "search", placeholder: `Search the text of all ${what}`, "aria-label": `Search ${what}`, autocomplete: "off",
      oninput: () => {
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.look(this.search.value), 180);
      },
    });
    const orders = this.index.numbers.flatMap(({ name }) => [["+" + name, `${name}, lowest first`], ["-" + name, `${name}, highest first`]]);
    const sort = page.el("select", { "aria-label": "Order", onchange: (event) => { this.order = event.target.value; this.update(); } },
      page.el("option", { value: "" }, "in the order of the run"), ...orders.map(([value, text]) => page.el("option", { value }, text)));
    this.status = page.el("p", { class: "status", "aria-live": "polite" });
    this.chips = page.el("div", { class: "chips" });
    this.list = page.el("ol", { class: "records" });
    this.pager = page.el("div", { class: "pager" });
    this.detail = page.el("aside", { class: "detail card", "aria-label": "Record", hidden: true, tabindex: "-1" });
    this.sidebar = page.el("div", { class: "sidebar" }, ...this.index.facets.map((facet) => this.facet(facet)),
      ...this.index.numbers.map((numbers) => this.range(numbers)));
    this.root.classList.add("closed");
    this.root.append(page.el("div", { class: "tools" }, this.search, orders.length ? sort : null),
      this.sidebar, page.el("div", {}, this.status, this.chips, this.list, this.pager), this.detail);
    this.update();
  }

  facet(facet) {
    const counts = new Array(facet.values.length).fill(0);
    for (const code of facet.codes) for (const one of Array.isArray(code) ? code : [code]) if (one !== null) counts[one]++;
    const box = page.el("fieldset", {}, page.el("legend", {}, facet.name.replaceAll("_", " ")));
    const labels = facet.values.map((value, code) => page.el("label", { hidden: code >= 8 },
      page.el("input", { type: "checkbox", "data-facet": facet.name, "data-code": code, onchange: (event) => this.pick(facet.name, code, event.target.checked) }),
      page.el("span", {}, value), page.el("span", { class: "n" }, page.number(counts[code]))));
    box.append(...labels);
    if (labels.length > 8) {
      const more = page.el("button", { type: "button", class: "link", onclick: () => { labels.forEach((label) => { label.hidden = false; }); more.remove(); } },
        `${labels.length - 8} more`);
      box.append(more);
    }
    return box;
  }

  range(numbers) {
    const input = (place, label) => page.el("input", {
      type: "number", step: "any", placeholder: label, "aria-label": `${numbers.name}, ${label}`,
      onchange: (event) => {
        this.ranges.get(numbers.name)[place] = event.target.value === "" ? null : Number(event.target.value);
        this.update();
      },
    });
    return page.el("fieldset", {}, page.el("legend", {}, numbers.name.replaceAll("_", " ")),
      page.el("div", { class: "range" }, input(0, "from"), "–", input(1, "to")));
  }

  pick(name, code, on) {
    const picked = this.picked.get(name);
    if (on) picked.add(code);
    else picked.delete(code);
    for (const box of this.sidebar.querySelectorAll("input[type=checkbox]")) {
      if (box.dataset.facet === name && Number(box.dataset.code) === code) box.checked = on;
    }
    this.update();
  }

  /** Shows only the records with one value, such as after a click on a bar. */
  only(name, value) {
    const facet = this.index.facets.find((one) => one.name === name);
    const code = facet ? facet.values.indexOf(value) : -1;
    if (code < 0) return;
    this.clear();
    this.pick(name, code, true);
  }

  ofSeed(seed) {
    this.clear();
    this.seed = seed;
    this.update();
  }

  clear() {
    for (const picked of this.picked.values()) picked.clear();
    for (const range of this.ranges.values()) range.fill(null);
    for (const input of this.sidebar.querySelectorAll("input")) {
      if (input.type === "checkbox") input.checked = false;
      else input.value = "";
    }
    this.search.value = "";
    this.terms = [];
    this.seed = null;
  }

  look(text) {
    this.terms = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.update();
  }

  async paint(progress) {
    const [total, found] = [this.index.count, this.found.length];
    const what = this.name === "rows" ? "rows" : "rejects";
    this.status.textContent = (found === total ? `${page.number(total)} ${what}` : `${page.number(found)} of ${page.number(total)} ${what}`)
      + (progress ? ` (${progress})` : "");
    this.root.dataset.found = found;
    this.paintChips();
    const pages = Math.max(1, Math.ceil(found / PAGE));
    const places = this.found.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const token = (this.painting = {});
    const bodies = await Promise.all(places.map((place) => this.body(place)));
    if (token !== this.painting) return;
    this.list.replaceChildren(...places.map((place, number) => page.el("li", {}, this.entry(place, bodies[number]))));
    const go = (to, text) => page.el("button", {
      type: "button", disabled: to < 0 || to >= pages || to === this.page,
      onclick: () => { this.page = to; this.paint(""); this.root.scrollIntoView(); },
    }, text);
    this.pager.replaceChildren(...(pages > 1 ? [go(0, "First"), go(this.page - 1, "Previous"),
      page.el("span", {}, `page ${page.number(this.page + 1)} of ${page.number(pages)}`), go(this.page + 1, "Next"), go(pages - 1, "Last")] : []));
    this.root.dataset.page = this.page;
  }

  paintChips() {
    const chip = (text, off) => page.el("button", { type: "button", class: "chip", onclick: off, title: "Remove this filter" }, `${text} ×`);
    const chips = [];
    for (const facet of this.index.facets) {
      for (const code of this.picked.get(facet.name)) chips.push(chip(`${facet.name}: ${facet.values[code]}`, () => this.pick(facet.name, code, false)));
    }
    if (this.seed !== null) chips.push(chip(`seed ${this.seed}`, () => { this.seed = null; this.update(); }));
    if (chips.length > 1) chips.push(page.el("button", { type: "button", class: "link", onclick: () => { this.clear(); this.update(); } }, "Clear all"));
    this.chips.replaceChildren(...chips);
  }

  entry(place, body) {
    const tags = this.index.facets.map((facet) => {
      const code = facet.codes[place];
      return Array.isArray(code) ? code.map((one) => facet.values[one]).join(", ") : code === null ? "" : facet.values[code];
    }).filter((text) => text && text.length < 40 && text !== "no" && text !== "yes");
    for (const { name, values } of this.index.numbers.slice(0, 2)) if (values[place] !== null) tags.push(`${name} ${page.number(values[place])}`);
    return page.el("button", {
      type: "button", class: "record", "data-place": place, "aria-current": this.open === place ? "true" : null, onclick: () => this.go(place),
    }, page.el("span", { class: "preview" }, page.marked(preview(body, 400, this.terms), this.terms)), page.el("span", { class: "tags" }, tags.join(" · ")));
  }

  key(place) {
    return this.index.ids[place] || String(place);
  }

  go(place) {
    location.hash = `${this.name}/${this.key(place)}`;
  }

  /** Shows one record whole; called when the address names it. */
  async show(key) {
    const place = this.places.has(key) ? this.places.get(key) : this.index.ids.length ? NaN : Number(key);
    if (!(place >= 0 && place < this.index.count)) return;
    this.open = place;
    const body = await this.body(place);
    const lineage = await this.lineage(place);
    if (this.open !== place) return;
    const seed = this.index.seeds[place];
    const head = page.el("div", { class: "head" }, page.el("h2", {}, this.name === "rows" ? `Row ${page.number(place + 1)}` : body.reason.replaceAll("_", " ")),
      page.el("code", {}, this.index.ids[place] || ""), page.el("button", { type: "button", onclick: () => this.close() }, "Close"));
    this.detail.replaceChildren(head, ...lineage, ...record(body, this.others.lineage));
    if (seed !== null && seed !== undefined) this.detail.append(this.sameSeed(seed));
    this.detail.hidden = false;
    this.detail.scrollTop = 0;
    this.root.classList.remove("closed");
    for (const button of this.list.querySelectorAll(".record")) {
      if (Number(button.dataset.place) === place) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    this.detail.dataset.key = key;
    this.detail.focus({ preventScroll: true });
  }

  close() {
    this.open = undefined;
    this.detail.hidden = true;
    this.root.classList.add("closed");
    if (location.hash.startsWith(`#${this.name}/`)) history.replaceState(null, "", `#${this.name}`);
    for (const button of this.list.querySelectorAll("[aria-current]")) button.removeAttribute("aria-current");
  }

  sameSeed(seed) {
    const links = ["rows", "rejects"].map((name) => {
      const other = this.others[name];
      const count = other.index.seeds.reduce((sum, one) => sum + (one === seed), 0);
      return count ? page.el("button", { type: "button", class: "link", onclick: () => { other.ofSeed(seed); other.close(); location.hash = name; } }, `${page.number(count)} ${count === 1 ? name.slice(0, -1) : name}`) : null;
    }).filter(Boolean);
    const box = page.el("p", { class: "quiet" }, `Seed ${seed} gave `);
    links.forEach((link, place) => box.append(place ? " and " : "", link));
    return box;
  }

  // Lineage

  children() {
    if (!this.offspring) {
      this.offspring = new Map();
      for (const [child, parents] of Object.entries(this.index.parents)) {
        for (const parent of parents) {
          if (!this.offspring.has(parent)) this.offspring.set(parent, []);
          this.offspring.get(parent).push(Number(child));
        }
      }
    }
    return this.offspring;
  }

  async lineage(place) {
    const parents = this.ancestors(place);
    const children = this.name === "rows" ? this.children().get(place) || [] : [];
    const parts = [];
    if (parents.length) parts.push(page.el("h3", {}, "Made from"), await this.family(parents, "parent"));
    if (children.length) {
      parts.push(page.el("h3", {}, children.length > 20 ? `Became ${page.number(children.length)} rows, of which the first` : "Became"),
        await this.family(children.slice(0, 20).map((child) => [child, 0]), "child"));
    }
    return parts;
  }

  /** The parents, and theirs, nearest first: [place of a row, or the id of what is no row; depth]. */
  ancestors(place) {
    const rows = this.others.rows;
    const found = [], seen = new Set(this.name === "rows" ? [place] : []);
    let level = this.index.parents[place] || [];
    for (let depth = 0; level.length && found.length < 30; depth++) {
      const next = [];
      for (const one of level) {
        const parent = rows.places.has(one) ? rows.places.get(one) : one;
        if (seen.has(parent)) continue;
        seen.add(parent);
        found.push([parent, depth]);
        next.push(...(rows.index.parents[parent] || []));
      }
      level = next;
    }
    return found;
  }

  async family(members, role) {
    const { rows } = this.others;
    const artifacts = await this.others.artifacts;
    const items = await Promise.all(members.map(async ([member, depth]) => {
      const item = page.el("li", {});
      item.style.marginLeft = `${depth * 0.8}rem`;
      if (typeof member === "number") {
        item.append(page.el("button", { type: "button", class: "link", "data-family": role, onclick: () => rows.go(member) }, preview(await rows.body(member), 220)));
      } else if (artifacts && artifacts[member]) {
        item.append(page.el("details", {}, page.el("summary", {}, preview(artifacts[member], 160)), ...record(artifacts[member], [])));
      } else {
        item.append(page.el("span", { class: "quiet" }, `${member}, which is not in this page`));
      }
      return item;
    }));
    return page.el("ul", { class: "family" }, ...items);
  }
}

/** All texts and numbers of a record in one string. */
function flat(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  return Object.values(value).map(flat).join("\n");
}

/** The beginning of a record: its first text of some length, or one with the searched words. */
function preview(body, length, terms = []) {
  const content = body.content && body.reason ? body.content : body;
  const texts = [];
  const gather = (value) => {
    if (typeof value === "string") { if (value.trim()) texts.push(value); }
    else if (value && typeof value === "object") Object.values(value).forEach(gather);
  };
  gather(content);
  if (body.detail) texts.push(body.detail);
  let text = texts.find((one) => one.trim().split(/\s+/).length > 2) || texts.join(" · ") || "(no text)";
  if (terms.length && !terms.some((term) => text.slice(0, length).toLowerCase().includes(term))) {
    const other = texts.find((one) => one.toLowerCase().includes(terms[0]));
    if (other) {
      const place = other.toLowerCase().indexOf(terms[0]);
      text = `${text.slice(0, 120)} … ${other.slice(Math.max(0, place - 80), place + 200)}`;
    }
  }
  text = text.replace(/\s+/g, " ");
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** A record field by field: what says how it was made first, then short facts, then texts. */
function record(body, lineage) {
  const facts = [], texts = [];
  const { id, parent_ids, provenance, ...rest } = body.content && body.reason ? body.content : body;
  const content = body.content && body.reason ? { stage: body.stage, reason: body.reason, detail: body.detail, ...rest } : rest;
  const names = Object.keys(content);
  for (const name of [...names.filter((one) => lineage.includes(one)), ...names.filter((one) => !lineage.includes(one))]) {
    const value = content[name];
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) continue;
    const short = typeof value !== "object" && String(value).length <= 60 && String(value).split(/\s+/).length <= 5;
    const simple = Array.isArray(value) && value.every((one) => typeof one !== "object" && String(one).length <= 60);
    const label = name.replaceAll("_", " ");
    if (short) facts.push(page.el("dt", {}, label), page.el("dd", {}, shown(value)));
    else if (simple) facts.push(page.el("dt", {}, label), page.el("dd", {}, value.map(shown).join(", ")));
    else texts.push(page.el("h3", {}, label), nested(value));
  }
  return [facts.length ? page.el("dl", { class: "facts" }, ...facts) : null, ...texts].filter(Boolean);
}

function shown(value) {
  return value === true ? "yes" : value === false ? "no" : typeof value === "number" ? page.number(value) : String(value);
}

function nested(value) {
  if (value === null || typeof value !== "object") return page.el("div", { class: "text" }, shown(value));
  if (Array.isArray(value) && value.every((one) => one && typeof one.role === "string" && typeof one.content === "string")) {
    return page.el("div", {}, ...value.map((turn) => page.el("div", { class: "turn" }, page.el("b", {}, turn.role), page.el("div", { class: "text" }, turn.content))));
  }
  if (Array.isArray(value)) return page.el("ol", {}, ...value.map((one) => page.el("li", {}, nested(one))));
  return page.el("dl", { class: "facts" }, ...Object.entries(value).flatMap(([name, inner]) => [page.el("dt", {}, name.replaceAll("_", " ")), page.el("dd", {}, nested(inner))]));
}
