// Building the page without markup in strings, so nothing that a bucket holds can become markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["checked", "value"]);
const TOAST_MILLISECONDS = 8000;

const ICONS = {
	alert: "M12 8v5m0 3.5v.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0z",
	archive: "M4 8v11a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1V8M3 4h18v4H3zm7 8h4",
	bucket: "M4 6l2 13a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2l2-13M4 6c0 1.4 3.6 2.5 8 2.5S20 7.4 20 6s-3.6-2.5-8-2.5S4 4.6 4 6z",
	check: "M4.5 12.5l5 5 10-11",
	close: "M6 6l12 12M18 6L6 18",
	copy: "M9 9h11v11H9zM15 9V4H4v11h5",
	download: "M12 4v12m-5-5 5 5 5-5M4 20h16",
	file: "M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zm0 0v4h4",
	folder: "M3 6a1 1 0 0 1 1-1h5l2 2.5h9a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z",
};

// An element `tag.class.class` of attributes, if a plain object comes first, and children. `on...` are listeners; null,
// undefined and false are left out.
export function h(name, ...rest) {
	const [tag, ...classes] = name.split(".");
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(" ");
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

export const icon = (name) =>
	svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

export const button = (label, onclick, { glyph, ...attributes } = {}) =>
	h("button", { type: "button", onclick, ...attributes }, glyph && icon(glyph), label);

export const heading = (text) => h("h1", { tabindex: "-1" }, text);

export const spans = (texts) => texts.filter(isThere).map((text) => h("span", text));

// Terms and what they are: those that are nothing are left out.
export const facts = (pairs) =>
	h("dl", pairs.filter(([, text]) => text).map(([term, text]) => h("div", h("dt", term), h("dd", text))));

export const head = (title, where, state, actions) =>
	h(
		"header",
		h("div.titled", h("h2", title), where && h("p.quiet.path", where)),
		h("span.chip", { "data-state": state }, state),
		h("div.actions", actions),
	);

// What the server says of commands is between backticks.
const told = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", part) : part));

// What went wrong, below what was tried.
export const failure = (error) => h("p.failure", { role: "alert" }, icon("alert"), h("span", told(error.message)));

// The same in place of what was to be shown; `again` tries it once more.
export const problem = (error, again, id = error.requestId) =>
	h(
		"div.problem",
		{ role: "alert" },
		icon("alert"),
		h("div", h("strong", error.title), h("p", told(error.message)), id && h("p.quiet", `Request ${id}`)),
		again && button("Try again", again),
	);

export const empty = (glyph, text, ...more) => h("div.empty", icon(glyph), h("h2", text), h("p", more));

export const chooseFirst = () => h("a", { href: "#/" }, "Choose objects or folders");

export const skeleton = (rows = 6) =>
	h("div.skeleton", { role: "status" }, h("span.unseen", "Loading"), Array.from({ length: rows }, () => h("i")));

export function announce(text) {
	document.getElementById("announcer").textContent = text;
}

// Told to everybody, for some seconds.
export function toast(text, glyph = "check") {
	const shown = h("div.toast", icon(glyph), text);
	document.getElementById("toasts").replaceChildren(shown);
	setTimeout(() => shown.remove(), TOAST_MILLISECONDS);
}
