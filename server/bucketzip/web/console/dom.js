// Building the page: elements without markup in strings, so nothing that a bucket holds can become markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["checked", "disabled", "indeterminate", "value", "open"]);

const ICONS = {
  alert: "M12 8v5m0 3.5v.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0z",
  archive: "M4 8v11a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1V8M3 4h18v4H3zm7 8h4",
  bucket: "M4 6l1.8 13.2A2 2 0 0 0 7.8 21h8.4a2 2 0 0 0 2-1.8L20 6M4 6c0 1.4 3.6 2.5 8 2.5S20 7.4 20 6s-3.6-2.5-8-2.5S4 4.6 4 6z",
  check: "M4.5 12.5l5 5 10-11",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  download: "M12 4v12m-5-5 5 5 5-5M4 20h16",
  file: "M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zm0 0v4h4",
  folder: "M3 6a1 1 0 0 1 1-1h5l2 2.5h9a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1-1",
};

// An element of `tag.class.class`. `on...` are listeners; of the others null and false are left out, as of the children.
export function h(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  const given = rest[0]?.constructor === Object ? rest.shift() : {};
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (PROPERTIES.has(key)) element[key] = value;
    else if (isThere(value)) element.setAttribute(key, value);
  }
  element.append(...rest.flat().filter(isThere));
  return element;
}

const isThere = (value) => value !== null && value !== undefined && value !== false;

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Decoration: what it means stands beside it.
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

export function button(label, onclick, { glyph, ...attributes } = {}) {
  return h("button", { type: "button", onclick, ...attributes }, glyph && icon(glyph), label);
}

// What went wrong, in place of what was to be shown; `again` tries it once more.
export function problem(error, again) {
  return h("div.problem", { role: "alert" },
    icon("alert"),
    h("div", h("strong", error.title ?? "This page has a fault"),
      h("p", error.message),
      error.requestId && h("p.quiet", `Request ${error.requestId}`),
    ),
    again && button("Try again", again),
  );
}

export function empty(glyph, title, ...text) {
  return h("div.empty", icon(glyph), h("h2", title), h("p", ...text));
}

// Rows to come, while they are loaded.
export function skeleton(rows = 6) {
  return h("div.skeleton", { role: "status" },
    h("span.unseen", "Loading"),
    Array.from({ length: rows }, () => h("i")),
  );
}

// Told to screen readers, not shown.
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

// Told to everybody, for some seconds; `more` is a link or button beside it.
export function toast(text, more) {
  const shown = h("div.toast", icon("check"), h("span", text), more);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 8000);
}
