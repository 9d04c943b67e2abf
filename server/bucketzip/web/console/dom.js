// Building the page without markup in strings, so nothing that a bucket holds can become markup.

const SVG = "http://www.w3.org/2000/svg";
const TOLD_MILLISECONDS = 8000;

const ICONS = {
	alert: "M12 9v5m0 3.5v.01M12 3 2 20.5h20z",
	archive: "M4 8v12h16V8M3 4h18v4H3zm7 8h4",
	bucket: "M4 6l2 13q.3 2 2 2h8q1.7 0 2-2l2-13M4 6a8 2.5 0 0 0 16 0 8 2.5 0 0 0-16 0z",
	check: "M4.5 12.5l5 5 10-11",
	close: "M6 6l12 12M18 6L6 18",
	copy: "M9 9h11v11H9zM15 9V4H4v11h5",
	download: "M12 4v12m-5-5 5 5 5-5M4 20h16",
	file: "M5 3h9l5 5v13H5zm9 0v5h5",
	folder: "M3 5h6l2 2.5h10V19H3z",
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
		else if (isThere(value)) element.setAttribute(key, value);
	}
	element.append(...rest.flat().filter(isThere));
	return element;
}

const isThere = (value) => (value ?? false) !== false;

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

// What a section of the page shows, below its title.
export const view = (title, ...content) => h("section", heading(title), content);

export const heading = (text) => h("h1", { tabindex: "-1" }, text);

// Terms and what they are: those that are nothing are left out.
export const facts = (pairs) =>
	h("dl", pairs.filter(([, text]) => text).map(([term, text]) => h("div", h("dt", term), h("dd", text))));

// Does it once at a time, as the control shows: one that is disabled would lose the focus.
export async function once(control, task) {
	if (control.ariaDisabled) return;
	control.ariaDisabled = "true";
	await task();
	control.ariaDisabled = null;
}

// What stands at the top of a card.
export const head = (title, where, state, actions) => [
	h("div.titled", h("h2", title), where && h("p.quiet.path", where)),
	h("span.chip", { "data-state": state }, state),
	h("div.actions", actions),
];

// Fills a place with elements and texts anew. Those that look as they did stay, and with them the focus and what is
// selected; so their listeners must do the same. Where the focus goes, what is around it has it.
export function refresh(place, children) {
	const had = place.contains(document.activeElement);
	const fresh = children.filter(isThere).map((child) => (child.isEqualNode ? child : h("span", child)));
	fresh.forEach((child, index) => {
		const old = place.children[index];
		if (!old) place.append(child);
		else if (!old.isEqualNode(child)) old.replaceWith(child);
	});
	while (place.children.length > fresh.length) place.lastElementChild.remove();
	if (had && !place.contains(document.activeElement)) place.closest("[tabindex]").focus();
}

// What the server says of commands is between backticks.
const told = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", part) : part));

// What went wrong, told at once; `again` tries it once more.
export const problem = ({ title, message, requestId: id }, again, role = "alert") =>
	h(
		"div.problem",
		{ role },
		icon("alert"),
		h("div", title && h("strong", title), h("p", told(message)), id && h("p.quiet", `Request ${id}`)),
		again && button("Try again", again),
	);

// What went wrong some time ago.
export const trouble = ({ detail: message }) => problem({ message }, null, null);

export const waiting = (what) => h("progress", { "aria-label": what });

// The place where a view shows that it loads, or what went wrong with that, and what loads it: `task`, which may throw.
export function loading(task, signal) {
	const place = h("div", waiting("Loading"));
	return [place, load];

	async function load() {
		try {
			await task();
			place.replaceChildren();
		} catch (error) {
			if (signal.aborted || place.querySelector(".problem")) return;
			place.replaceChildren(problem(error, again));
		}

		function again() {
			place.replaceChildren(waiting("Loading"));
			document.querySelector("h1").focus();
			load();
		}
	}
}

export const empty = (glyph, text, ...more) => h("div.empty", icon(glyph), h("h2", text), h("p", more));

export const tellError = ({ message }) => announce(message, "alert");

// Tells those who do not see the page, and with a glyph everybody, for some seconds.
export function announce(text, glyph) {
	const told = h(glyph ? "p.toast" : "p.unseen", glyph && icon(glyph), text);
	document.getElementById("live").append(told);
	setTimeout(() => told.remove(), TOLD_MILLISECONDS);
}
