// What is chosen so far, below the folders, and what to do with it.

import { archiveDialog } from "./archive.js";
import { announce, button, h } from "./dom.js";
import { downloadDialog } from "./download.js";
import { bytes, count } from "./format.js";
import { selection } from "./selection.js";

const SETTLED_MILLISECONDS = 800;

export function tray() {
	const size = h("strong");
	const state = h("span.quiet");
	const list = h("ul");
	const element = h(
		"section.tray",
		{ "aria-label": "Chosen", hidden: "" },
		h("details", h("summary", size, state), list),
		button("Clear", () => selection.clear(), { class: "plain" }),
		button("Archive to…", archiveDialog, { glyph: "archive" }),
		button("Download", downloadDialog, { class: "primary", glyph: "download" }),
	);
	let settling;
	selection.addEventListener("marks", showMarks);
	selection.addEventListener("totals", showTotals);
	return element;

	function showMarks() {
		element.hidden = !selection.marks.size;
		list.replaceChildren(...[...selection.marks.values()].map(item));
		showTotals();
	}

	function item({ path, on }) {
		const label = { class: "plain", glyph: "close", "aria-label": `Take back s3://${path}` };
		const name = h("span.path", `s3://${path}`);
		return h("li", !on && h("span.tag", "without"), name, button("", () => selection.toggle(path), label));
	}

	function showTotals() {
		const { entries, bytes: sum, counting, error } = selection.total;
		size.textContent = `${count(entries, "object")}, ${bytes(sum)}`;
		state.textContent = counting ? "counting…" : error ? `Not all could be counted: ${error.message}` : "";
		clearTimeout(settling);
		settling = setTimeout(() => {
			if (!counting && selection.marks.size) announce(`${size.textContent} chosen`);
		}, SETTLED_MILLISECONDS);
	}
}
