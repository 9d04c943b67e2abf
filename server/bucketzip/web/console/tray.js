// What is chosen so far, below the folders, and what to do with it.

import { archiveDialog } from "./archive.js";
import { announce, button, h, refresh } from "./dom.js";
import { downloadDialog } from "./download.js";
import { bytes, count, number } from "./format.js";
import { selection } from "./selection.js";

const MOST_NAMED = 200;
const SETTLED_MILLISECONDS = 800;

export function tray() {
	const size = h("strong");
	const state = h("span.quiet");
	const list = h("ul", { tabindex: "-1" });
	const details = h("details", { ontoggle: name }, h("summary", size, state), list);
	const element = h(
		"section.tray",
		{ "aria-label": "Chosen", hidden: "" },
		details,
		button("Clear", () => selection.clear(), { class: "plain" }),
		button("Archive to…", archiveDialog, { glyph: "archive" }),
		button("Download", downloadDialog, { class: "primary", glyph: "download" }),
	);
	let settling;
	selection.addEventListener("marks", showMarks);
	selection.addEventListener("totals", showTotals);
	return element;

	function showMarks() {
		if (!selection.marks.size && element.contains(document.activeElement)) document.querySelector("h1").focus();
		element.hidden = !selection.marks.size;
		name();
		showTotals();
	}

	function name() {
		const marks = details.open ? [...selection.marks.values()] : [];
		const rest = marks.length > MOST_NAMED && h("li.quiet", `and ${number(marks.length - MOST_NAMED)} more`);
		refresh(list, [...marks.slice(0, MOST_NAMED).map(item), rest]);
	}

	function item({ path, on }) {
		const label = { class: "plain", glyph: "close", "aria-label": `Take back s3://${path}` };
		const text = h("span.path", `s3://${path}`);
		return h("li", !on && h("span.chip.warn", "without"), text, button("", () => selection.toggle(path), label));
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
