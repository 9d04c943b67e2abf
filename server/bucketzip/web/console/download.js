// Asking for a download: a link is made, and the browser follows it.

import { call, nearby } from "./api.js";
import { asking, compression, field, once, onMissing, show } from "./dialog.js";
import { button, failure, h, icon, toast } from "./dom.js";
import { bytes, count, date } from "./format.js";
import { selection } from "./selection.js";

const PLANNING_MILLISECONDS = 1000;
const LASTS = { "1 hour": 3600, "1 day": 86400, "7 days": 604800, "30 days": 2592000 };

export function downloadDialog() {
	const headers = once();
	const filename = h("input", { name: "filename", value: `${selection.name}.zip`, required: "", maxlength: 200 });
	const lasts = Object.entries(LASTS).map(([label, value]) => h("option", { value }, label));
	const lasting = h("select", { name: "expires_in" }, lasts);
	lasting.value = LASTS["1 day"];
	return show("Download", (close) => {
		const form = asking(
			"Download",
			close,
			ask,
			field("File name", filename),
			compression(),
			onMissing(),
			field("The link works for", lasting, "Whoever has it can download, without signing in."),
		);
		return form;

		async function ask(fields) {
			const body = { ...fields, expires_in: Number(fields.expires_in), sources: selection.sources() };
			let link = await call("POST", "downloads", { body, headers: headers(body) });
			if (link.state === "planning") form.after(planning());
			while (link.state === "planning") {
				await new Promise((resolve) => setTimeout(resolve, PLANNING_MILLISECONDS));
				if (!form.isConnected) return; // it is among the links
				link = await call("GET", `downloads/${link.id}`);
			}
			const shown = link.url ? result(link, close) : failure({ message: link.error?.detail ?? link.state });
			form.parentNode.querySelector(".planning")?.remove();
			form.replaceWith(shown);
			if (link.url) downloading(nearby(link.url), link.filename, { download: "" }).click();
			shown.focus();
		}
	});
}

// With `download`, an error is a download that failed, not a page of JSON.
export const downloading = (href, name, attributes) =>
	h("a.button.primary", { href, "aria-label": `Download ${name}`, ...attributes }, icon("download"), "Download");

export const copying = (url, name) =>
	button("Copy link", () => copy(url), { glyph: "copy", "aria-label": `Copy the link to ${name}` });

async function copy(url) {
	if (navigator.clipboard) await navigator.clipboard.writeText(url);
	else {
		const text = h("textarea.unseen", { value: url }); // over plain HTTP pages have no clipboard
		(document.querySelector("dialog[open]") ?? document.body).append(text);
		text.select();
		document.execCommand("copy");
		text.remove();
	}
	toast("The link is copied");
}

export const size = (link) =>
	link.bytes === null ? `${bytes(link.source_bytes)} before compression` : bytes(link.bytes);

const planning = () =>
	h(
		"div.planning",
		h("p", { role: "status" }, "Finding out what goes in. The download begins then; its link is among the links."),
		h("progress", { "aria-label": "Planning" }),
	);

function result(link, close) {
	const { filename, url, entries, resumable } = link;
	const what = ` is on its way: ${count(entries, "entry", "entries")}, ${size(link)}.`;
	const broken = `If it breaks, it ${resumable ? "goes on where it stopped" : "begins anew, since it is compressed"}.`;
	return h(
		"div",
		{ tabindex: "-1" },
		h("p", { role: "status" }, h("strong", filename), what),
		h("p.quiet", broken),
		h("div.joined", h("input", { value: url, readonly: "", "aria-label": "Link" }), copying(url, filename)),
		h("p.quiet", `The link works until ${date(link.expires_at)}.`),
		h("div.actions", button("Done", () => close(), { class: "primary" })),
	);
}
