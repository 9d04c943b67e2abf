// The views of what the server keeps a list of, the newest first: a card each, looked at again now and then.

import { call, repeat } from "./api.js";
import { button, empty, h, loading, view } from "./dom.js";

const PAGE = 20;
const MOST = 1000; // that the server lists at once
const LOOK_SECONDS = 2;

// `make()` gives a card, which has an `element` and `update(item)`; `glyph` and `how` tell how to come to the first.
export function cardView(title, what, make, glyph, how, signal) {
	const cards = new Map();
	const list = h("ul.cards");
	const choose = h("a", { href: "#/" }, "Choose objects or folders");
	const none = empty(glyph, `No ${title.toLowerCase()} yet`, choose, how);
	none.hidden = true;
	const more = button("Show more", showMore, { class: "more", hidden: "" });
	const [place, load] = loading(look, signal);
	let wanted = PAGE;
	load();
	repeat(LOOK_SECONDS, load, signal);
	return view(title, place, list, none, more);

	async function showMore() {
		const { length } = list.children;
		wanted += PAGE;
		await load();
		list.children[length]?.focus();
	}

	async function look() {
		const most = wanted;
		const items = [];
		let after;
		do {
			const query = new URLSearchParams({ limit: Math.min(most - items.length, MOST), ...(after && { after }) });
			const { [what]: page, next } = await call("GET", `${what}?${query}`, { signal });
			items.push(...page);
			after = next;
		} while (after && items.length < most);
		if (most < wanted) return; // more are on their way
		more.hidden = !after;
		none.hidden = items.length > 0;
		show(items);
	}

	function show(items) {
		const ids = new Set(items.map(({ id }) => id));
		for (const [id, { element }] of cards) if (!ids.has(id)) element.remove();
		items.forEach((item, index) => {
			if (!cards.has(item.id)) cards.set(item.id, make());
			const { element, update } = cards.get(item.id);
			update(item);
			if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
		});
	}
}
