// Names with a box each, which chooses them.

import { h, icon } from "./dom.js";
import { bytes, date } from "./format.js";
import { selection } from "./selection.js";

export const folderAddress = (path) => `#/s3/${path.split("/").map(encodeURIComponent).join("/")}`;

// Roles are written out: as a grid, a table would be none to some screen readers.
const cell = (kind, content, role = "cell") => h(`td.${kind}`, { role }, content);
const column = (kind, content) => cell(kind, content, "columnheader");

export class Table {
	rows = [];
	#all = [];
	#last = null;

	// The box in the head stands for the path `all`, if any.
	constructor(label, time, signal, all = null) {
		if (all) this.#all = [{ item: { path: all }, box: this.#box("all of this folder", () => selection.toggle(all)) }];
		const pick = this.#all[0]?.box ?? h("span.unseen", "Chosen");
		const columns = [column("pick", pick), column("name", "Name"), column("size", "Size"), column("time", time)];
		const top = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns));
		this.element = h("table", { role: "table", "aria-label": label }, top);
		selection.addEventListener("marks", () => this.#refresh(this.rows), { signal });
	}

	// Items of {path, name, glyph}; objects have {bytes, time, kept}, too.
	add(items) {
		const rows = items.map((item, index) => this.#row(item, this.rows.length + index));
		const group = h("tbody", { role: "rowgroup" }, rows.map((row) => row.element));
		group.style.setProperty("--rows", rows.length); // the browser lays out what is in sight, and guesses the rest
		this.rows.push(...rows);
		this.element.append(group);
		this.#refresh(rows);
	}

	#refresh(rows) {
		const { mixed } = selection;
		for (const { item, box } of [...this.#all, ...rows]) {
			box.indeterminate = mixed.has(item.path);
			box.checked = !box.indeterminate && selection.has(item.path);
		}
	}

	#box(what, onclick) {
		return h("input", { type: "checkbox", "aria-label": `Choose ${what}`, onclick });
	}

	#row(item, index) {
		const { path, name, glyph, bytes: size, time, kept } = item;
		const isFolder = path.endsWith("/");
		const onclick = (event) => this.#pick(index, event.shiftKey);
		const box = this.#box(isFolder ? `all of ${name}` : name, onclick);
		const shown = [
			icon(glyph),
			isFolder ? h("a", { href: folderAddress(path) }, name) : h("span.label", { onclick }, name),
			kept && kept !== "STANDARD" && h("span.chip.warn", kept),
		];
		const element = h(
			"tr",
			{ role: "row" },
			cell("pick", box),
			cell("name", shown, "rowheader"),
			cell("size", !isFolder && bytes(size)),
			cell("time", time && date(time)),
		);
		return { item, box, element };
	}

	// With shift, all from the one before to this one.
	#pick(index, shift) {
		const { path } = this.rows[index].item;
		const on = selection.mixed.has(path) || !selection.has(path);
		const other = shift ? (this.#last ?? index) : index;
		const rows = this.rows.slice(Math.min(index, other), Math.max(index, other) + 1);
		selection.set(rows.map((row) => row.item), on);
		this.#last = index;
	}
}
