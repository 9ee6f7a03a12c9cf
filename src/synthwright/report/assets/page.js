// What every page needs: reading its data blocks, building elements from text, parts that show one at a time, light and dark.
"use strict";

const page = {
  /** An element. Children are nodes or text; text never becomes markup. */
  el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  },

  /** The data of a plain block. */
  read(id) {
    return JSON.parse(document.getElementById(id).textContent);
  },

  /** The data of a packed block, or null if there is none. */
  async unpack(id) {
    const block = document.getElementById(id);
    if (!block) return null;
    const text = atob(block.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  },

  number(value) {
    return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(3)));
  },

  /** Text as a fragment in which the terms are marked. */
  marked(text, terms) {
    const fragment = document.createDocumentFragment();
    const found = terms.filter(Boolean).map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    if (!found.length) {
      fragment.append(text);
      return fragment;
    }
    for (const [place, part] of text.split(new RegExp(`(${found.join("|")})`, "gi")).entries()) {
      if (part) fragment.append(place % 2 ? page.el("mark", {}, part) : part);
    }
    return fragment;
  },

  /** Shows the part of the page that the address names, such as #rows or #rows/ID; tells listeners the rest of it. */
  route() {
    const [part, rest] = location.hash.slice(1).split("/");
    const sections = [...document.querySelectorAll("main > section[id]")];
    if (!sections.length) return;
    const shown = sections.find((section) => section.id === part) || sections[0];
    for (const section of sections) section.hidden = section !== shown;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.getAttribute("href") === `#${shown.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.dispatchEvent(new CustomEvent("part", { detail: { part: shown.id, rest: rest || "" } }));
  },

  isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },

  /** Called by the page once its scripts are there. */
  start() {
    const button = document.getElementById("theme");
    const label = () => { button.textContent = page.isDark() ? "Light" : "Dark"; };
    const changed = () => { label(); document.dispatchEvent(new Event("theme")); };
    button.hidden = false;
    button.addEventListener("click", () => {
      document.documentElement.dataset.theme = page.isDark() ? "light" : "dark";
      changed();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    label();
    addEventListener("hashchange", page.route);
    page.route();
  },
};
