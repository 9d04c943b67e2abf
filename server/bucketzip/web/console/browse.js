// Buckets and folders, to choose from.

import { below, call } from "./api.js";
import { announce, button, empty, h, heading, problem, skeleton } from "./dom.js";
import { count, lastPart } from "./format.js";
import { folderAddress, Table } from "./table.js";

const PAGE = 1000; // as S3 lists them
const TYPING_MILLISECONDS = 250;

export function buckets(_, signal) {
	const content = h("div");
	load();
	return ["Buckets", h("section", heading("Buckets"), content)];

	async function load() {
		content.replaceChildren(skeleton());
		try {
			const { buckets: found, complete, detail } = await call("GET", "buckets", { signal });
			const table = new Table("Buckets", "Created", signal);
			table.add(found.map(({ name, created_at: time }) => ({ path: `${name}/`, name, glyph: "bucket", time })));
			const none = empty("bucket", "No bucket to be seen", detail ?? "The role of this server lists none.");
			content.replaceChildren(found.length ? table.element : none);
			if (!complete) content.append(byName(found.length && detail));
		} catch (error) {
			if (!signal.aborted) content.replaceChildren(problem(error, load));
		}
	}
}

function byName(detail) {
	const name = h("input", { id: "bucket", required: "", autocapitalize: "none", spellcheck: "false" });
	const onsubmit = (event) => {
		event.preventDefault();
		location.hash = folderAddress(`${name.value.trim()}/`);
	};
	return h(
		"form.by-name",
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
	let loading = new AbortController();
	let typing;
	signal.addEventListener("abort", () => loading.abort());
	load();
	const bar = h("div.bar", heading(lastPart(path)), start, button("Refresh", load));
	return [lastPart(path), h("section", crumbs(path), bar, content)];

	function oninput() {
		clearTimeout(typing);
		typing = setTimeout(load, TYPING_MILLISECONDS);
	}

	function load() {
		loading.abort();
		loading = new AbortController();
		listing(path, start.value, content, loading.signal);
	}
}

// Fills `content` with the folder, a page whenever the end of those before comes into sight.
function listing(path, start, content, signal) {
	const [bucket] = path.split("/", 1);
	const inBucket = (key) => `${bucket}/${key}`;
	const table = new Table(lastPart(path), "Changed", signal, start ? null : path);
	const shown = h("p.quiet.shown");
	const next = button("Show more", more, { class: "more" });
	const sight = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(), { rootMargin: "800px" });
	signal.addEventListener("abort", () => sight.disconnect());
	let after;
	content.replaceChildren(skeleton());
	more();

	async function more() {
		sight.disconnect();
		next.disabled = true;
		try {
			const page = await below(path + start, "objects", after, signal, { limit: PAGE });
			after = page.next;
			table.add([
				...page.folders.map((key) => ({ path: inBucket(key), name: lastPart(key), glyph: "folder" })),
				...page.objects.map(({ key, bytes, modified: time, storage_class: kept }) => {
					return { path: inBucket(key), name: inBucket(key).slice(path.length), glyph: "file", bytes, time, kept };
				}),
			]);
			show();
		} catch (error) {
			if (!signal.aborted) content.replaceChildren(...(after ? [table.element] : []), problem(error, more));
		}
		next.disabled = false;
	}

	function show() {
		const { length } = table.rows;
		shown.textContent = `${count(length, "item")}${after ? ", and there are more" : ""}`;
		announce(shown.textContent);
		const nothing = start ? `Nothing here begins with “${start}”` : "This folder is empty";
		if (!length && !after) content.replaceChildren(empty("folder", nothing));
		else if (!table.element.isConnected || !shown.isConnected) content.replaceChildren(table.element, shown);
		if (!after) next.remove();
		else {
			content.append(next);
			sight.observe(next);
		}
	}
}

function crumbs(path) {
	const parts = path.split("/").slice(0, -2);
	const places = parts.map((part, index) => [part, folderAddress(`${parts.slice(0, index + 1).join("/")}/`)]);
	const links = [["Buckets", "#/"], ...places].map(([text, href]) => h("li", h("a", { href }, text)));
	return h("nav.crumbs", { "aria-label": "Folders above" }, h("ol", links));
}
