// Links to downloads, and their end.

import { call, nearby } from "./api.js";
import { end } from "./dialog.js";
import { button, chooseFirst, empty, failure, h, head, heading, problem, skeleton, spans } from "./dom.js";
import { copying, downloading, size } from "./download.js";
import { ago, count, date } from "./format.js";

const PAGE = 50;

export function links(_, signal) {
	const list = h("ul.cards");
	const content = h("div", skeleton(3));
	const next = button("Show more", load, { class: "more", hidden: "" });
	let after = "";
	load();
	return ["Links", h("section", heading("Links"), content, next)];

	async function load() {
		try {
			const page = await call("GET", `downloads?limit=${PAGE}${after}`, { signal });
			list.append(...page.downloads.map(card));
			after = `&after=${page.next}`;
			next.hidden = !page.next;
			content.replaceChildren(list.children.length ? list : nothing());
		} catch (error) {
			if (!signal.aborted) content.replaceChildren(problem(error, load));
		}
	}
}

function card(link) {
	const { filename, state, url, entries, source_bytes: bytes, error } = link;
	const actions = url && [
		button("Revoke", revoke, { "aria-label": `Revoke the link to ${filename}` }),
		copying(url, filename),
		downloading(nearby(url), filename, { download: "" }),
	];
	const told = [
		entries !== null && count(entries, "entry", "entries"),
		bytes !== null && size(link),
		link.downloads_active > 0 && `${count(link.downloads_active, "download")} now`,
		url ? `works until ${date(link.expires_at)}` : `made ${ago(link.created_at)}`,
	];
	const shown = h(
		"li.card",
		head(filename, null, state, actions),
		h("p.numbers", spans(told)),
		error && failure({ message: error.detail }),
	);
	return shown;

	async function revoke() {
		const text = `Nobody can download ${filename} by it any more, and downloads that run are broken off.`;
		const now = await end(`downloads/${link.id}`, "Revoke this link?", text, "Revoke the link");
		if (now) shown.replaceWith(card(now));
	}
}

const nothing = () =>
	empty("download", "No links yet", chooseFirst(), " and press “Download”. Each download has a link, which others can use, too.");
