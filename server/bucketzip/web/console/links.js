// Links to downloads, and their end.

import { call, nearby } from "./api.js";
import { cardView } from "./cards.js";
import { end } from "./dialog.js";
import { button, h, head, refresh, trouble } from "./dom.js";
import { copying, downloading, size } from "./download.js";
import { ago, count, date } from "./format.js";

export function links(signal) {
	const how = " and press “Download”. Each download has a link, which others can use, too.";
	return cardView("Links", "downloads", card, "download", how, signal);
}

function card() {
	const top = h("header");
	const numbers = h("p.numbers");
	const more = h("div");
	return { element: h("li.card", { tabindex: "-1" }, top, numbers, more), update };

	function update(link) {
		const { id, filename, state, url, entries, source_bytes: bytes, downloads_active: active, error } = link;
		const actions = url && [
			button("Revoke", revoke, { "aria-label": `Revoke the link to ${filename}` }),
			copying(url, filename),
			downloading(nearby(url), filename, { download: "" }),
		];
		const told = [
			entries !== null && count(entries, "entry", "entries"),
			bytes !== null && size(link),
			active > 0 && `${count(active, "download")} now`,
			url ? `works until ${date(link.expires_at)}` : `made ${ago(link.created_at)}`,
		];
		refresh(top, head(filename, null, state, actions));
		refresh(numbers, told);
		refresh(more, [error && trouble(error)]);

		async function revoke() {
			const text = `Nobody can download ${filename} by it any more, and downloads that run are broken off.`;
			const now = await end("Revoke this link?", text, "Revoke the link", () => call("DELETE", `downloads/${id}`));
			if (now) update(now);
		}
	}
}
