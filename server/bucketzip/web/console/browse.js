// Buckets and folders, to choose from.

import { below, call } from "./api.js";
import { announce, button, empty, h, heading, loading, once, view } from "./dom.js";
import { count, lastPart } from "./format.js";
import { folderAddress, Table } from "./table.js";

const PAGE = 1000; // as S3 lists them
const TYPING_MILLISECONDS = 250;

export function buckets(signal) {
	const content = h("div");
	const [place, load] = loading(list, signal);
	load();
	return view("Buckets", place, content);

	async function list() {
		const { buckets: found, complete, detail } = await call("GET", "buckets", { signal });
		const table = new Table("Buckets", "Created", signal);
		table.add(found.map(({ name, created_at: time }) => ({ path: `${name}/`, name, glyph: "bucket", time })));
		const none = empty("bucket", "No bucket to be seen", detail ?? "The role of this server lists none.");
		content.append(found.length ? table.element : none);
		if (!complete) content.append(byName(found.length ? detail : null));
	}
}

function byName(detail) {
	const name = h("input", { id: "bucket", required: "", autocapitalize: "none", spellcheck: "false" });
	const onsubmit = (event) => {
		event.preventDefault();
		location.hash = folderAddress(`${name.value.trim()}/`);
	};
	return h(
		"form.field.by-name",
		{ onsubmit },
		detail && h("p.quiet", detail),
		h("label", { for: "bucket" }, "Open a bucket by its name"),
		h("div.joined", name, h("button", "Open")),
	);
}

export function folder(path, signal) {
	const content = h("div");
	const label = "Names that begin with";
	const start = h("input", { type: "search", placeholder: `${label} …`, "aria-label": label, oninput });
	const bar = h("div.bar", heading(lastPart(path)), start, button("Refresh", list));
	let leaving = new AbortController();
	let typing;
	signal.addEventListener("abort", () => leaving.abort());
	list();
	return h("section", crumbs(path), bar, content);

	function oninput() {
		clearTimeout(typing);
		typing = setTimeout(list, TYPING_MILLISECONDS);
	}

	function list() {
		leaving.abort();
		leaving = new AbortController();
		content.replaceChildren(...listing(path, start.value, leaving.signal));
	}
}

// What shows the folder, a page more whenever the end of those before comes into sight.
function listing(path, start, signal) {
	const [bucket] = path.split("/", 1);
	const inBucket = (key) => `${bucket}/${key}`;
	const table = new Table(lastPart(path), "Changed", signal, start ? null : path);
	const none = empty("folder", start ? `Nothing here begins with “${start}”` : "This folder is empty");
	const shown = h("p.quiet.shown");
	const more = button("Show more", () => once(more, load), { class: "more" });
	const sight = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more.click(), { rootMargin: "800px" });
	const [place, load] = loading(add, signal);
	const parts = [table.element, none, shown, more];
	let after;
	for (const part of parts) part.hidden = true;
	signal.addEventListener("abort", () => sight.disconnect());
	more.click();
	return [...parts, place];

	async function add() {
		sight.disconnect();
		const page = await below(path + start, "objects", after, signal, { limit: PAGE });
		after = page.next;
		table.add([
			...page.folders.map((key) => ({ path: inBucket(key), name: lastPart(key), glyph: "folder" })),
			...page.objects.map(({ key, bytes, modified: time, storage_class: kept }) => {
				return { path: inBucket(key), name: inBucket(key).slice(path.length), glyph: "file", bytes, time, kept };
			}),
		]);
		const { length } = table.rows;
		shown.textContent = `${count(length, "item")}${after ? ", and there are more" : ""}`;
		announce(shown.textContent);
		none.hidden = length > 0 || after;
		table.element.hidden = shown.hidden = !none.hidden;
		more.hidden = !after;
		sight.observe(more); // even if it still is in sight, this tells
	}
}

function crumbs(path) {
	const parts = path.split("/").slice(0, -2);
	const places = parts.map((part, index) => [part, folderAddress(`${parts.slice(0, index + 1).join("/")}/`)]);
	const links = [["Buckets", "#/"], ...places].map(([text, href]) => h("li", h("a", { href }, text)));
	return h("nav.crumbs", { "aria-label": "Folders above" }, h("ol", links));
}
