// The archives in buckets: jobs, as they go on.

import { call, repeat } from "./api.js";
import { button, chooseFirst, empty, h, heading, problem, skeleton } from "./dom.js";
import { JobCard } from "./jobcard.js";

const PAGE = 20;
const LOOK_SECONDS = 4;
const MOST_STREAMS = 2; // a browser opens six connections to a server, for all of its tabs together

export function archives(_, signal) {
	const cards = new Map();
	const streams = new Map();
	const list = h("ul.cards");
	const content = h("div", skeleton(3));
	const next = button("Show more", () => load(next.after), { class: "more", hidden: "" });
	load();
	repeat(LOOK_SECONDS, () => load(), signal);
	signal.addEventListener("abort", closeAll);
	document.addEventListener("visibilitychange", () => (document.hidden ? closeAll() : stream()), { signal });
	return ["Archives", h("section", heading("Archives"), content, next)];

	async function load(after) {
		try {
			const page = await call("GET", `archives?limit=${PAGE}${after ? `&after=${after}` : ""}`, { signal });
			const unknown = page.archives.filter(({ id }) => !cards.has(id)).map(({ id }) => new JobCard(id));
			for (const card of unknown) cards.set(card.id, card);
			for (const job of page.archives) if (!streams.has(job.id)) cards.get(job.id).update(job);
			list[after ? "append" : "prepend"](...unknown.map((card) => card.element));
			if (after || next.after === undefined) Object.assign(next, { after: page.next, hidden: !page.next });
			if (!list.isConnected || !cards.size) content.replaceChildren(cards.size ? list : nothing());
			stream();
		} catch (error) {
			if (!signal.aborted && !cards.size) content.replaceChildren(problem(error, () => load()));
		}
	}

	// Those that run are told as they change; the rest is looked at now and then.
	function stream() {
		const running = [...cards.values()].filter((card) => !card.isOver && !streams.has(card.id));
		for (const card of running.slice(0, signal.aborted || document.hidden ? 0 : MOST_STREAMS - streams.size)) {
			const source = new EventSource(`archives/${card.id}/events`);
			streams.set(card.id, source);
			const told = ({ data }) => {
				card.update(JSON.parse(data));
				if (card.isOver) close(card.id);
			};
			for (const event of ["state", "progress"]) source.addEventListener(event, told);
			source.onerror = () => source.readyState === EventSource.CLOSED && close(card.id);
		}
	}

	function close(id) {
		streams.get(id).close();
		streams.delete(id);
	}

	function closeAll() {
		for (const id of streams.keys()) close(id);
	}
}

const nothing = () =>
	empty("archive", "No archives yet", chooseFirst(), " and press “Archive to…”. You can watch it here.");
