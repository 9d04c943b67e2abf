// Asking for a download: a link is made, and the browser follows it.

import { call, nearby, poster } from "./api.js";
import { asking, field, options, show } from "./dialog.js";
import { announce, button, h, icon, waiting } from "./dom.js";
import { bytes, count, date } from "./format.js";
import { selection } from "./selection.js";

const PLANNING_MILLISECONDS = 1000;
const PLANNED = "Finding out what goes in. The download begins then; its link is among the links.";
const LASTS = { "1 hour": 3600, "1 day": 86400, "7 days": 604800, "30 days": 2592000 };

export function downloadDialog() {
	const post = poster("downloads");
	const filename = h("input", { name: "filename", value: `${selection.name}.zip`, required: "", maxlength: 200 });
	const lasts = Object.entries(LASTS).map(([label, value]) => h("option", { value }, label));
	const lasting = h("select", { name: "expires_in" }, lasts);
	lasting.value = LASTS["1 day"];
	return show("Download", (close) => {
		const fields = [
			field("File name", filename),
			...options(),
			field("The link works for", lasting, "Whoever has it can download, without signing in."),
		];
		const form = asking(ask, fields, h("button.primary", "Download"), button("Cancel", () => close()));
		return form;

		async function ask(given) {
			let link = await post({ ...given, expires_in: Number(given.expires_in), sources: selection.sources() });
			const plan = h("div", h("p", PLANNED), waiting("Planning"));
			if (link.state === "planning") {
				form.append(plan);
				announce(PLANNED);
			}
			while (link.state === "planning") {
				await new Promise((resolve) => setTimeout(resolve, PLANNING_MILLISECONDS));
				if (!form.isConnected) return; // it is among the links
				link = await call("GET", `downloads/${link.id}`);
			}
			plan.remove();
			if (!link.url) throw new Error(link.error?.detail ?? link.state);
			const shown = result(link, close);
			form.replaceWith(shown);
			downloading(nearby(link.url), link.filename, { download: "" }).click();
			shown.focus();
		}
	});
}

// With `download`, an error is a download that failed, not a page of JSON.
export const downloading = (href, name, attributes) =>
	h("a.button.primary", { href, "aria-label": `Download ${name}`, ...attributes }, icon("download"), "Download");

export const copying = (url, name) =>
	button("Copy link", ({ currentTarget }) => copy(url, currentTarget), { glyph: "copy", "aria-label": `Copy the link to ${name}` });

// In the way that pages over plain HTTP have, too.
function copy(url, pressed) {
	const text = h("textarea.unseen", url);
	pressed.after(text);
	text.select();
	const isCopied = document.execCommand("copy");
	text.remove();
	pressed.focus();
	if (isCopied) announce("The link is copied", "check");
	else announce("The browser does not let this page copy", "alert");
}

export const size = (link) =>
	link.bytes === null ? `${bytes(link.source_bytes)} before compression` : bytes(link.bytes);

function result(link, close) {
	const { filename, url, entries, resumable } = link;
	const what = `${filename} is on its way: ${count(entries, "entry", "entries")}, ${size(link)}.`;
	announce(what);
	const broken = `If it breaks, it ${resumable ? "goes on where it stopped" : "begins anew, since it is compressed"}.`;
	return h(
		"div",
		{ tabindex: "-1" },
		h("p", what),
		h("p.quiet", broken),
		h("div.joined", h("input", { value: url, readonly: "", "aria-label": "Link" }), copying(url, filename)),
		h("p.quiet", `The link works until ${date(link.expires_at)}.`),
		h("div.actions", button("Done", () => close(), { class: "primary" })),
	);
}
