// The archives in buckets: jobs, how far they are, and what came of them.

import { call, nearby } from "./api.js";
import { cardView } from "./cards.js";
import { end } from "./dialog.js";
import { announce, button, facts, h, head, icon, refresh, tellError, trouble } from "./dom.js";
import { copying, downloading } from "./download.js";
import { follow, isFollowed, leave, leaveAll } from "./events.js";
import { ago, bytes, count, date, duration, lastPart, number, percent } from "./format.js";
import { Sparkline } from "./sparkline.js";

const OVER = ["succeeded", "failed", "cancelled"];
const ANNOUNCED_PERCENT = 25;

export function archives(signal) {
	signal.addEventListener("abort", leaveAll);
	const how = " and press “Archive to…”. You can watch it here.";
	return cardView("Archives", "archives", card, "archive", how, signal);
}

function card() {
	const top = h("header");
	const bar = h("progress", { max: 100 });
	const rates = new Sparkline();
	const running = h("div.running", bar, rates.element);
	const numbers = h("p.numbers");
	const more = h("div.notes");
	let job, state, isOver, name, quarter;
	return { element: h("li.card", { tabindex: "-1" }, top, running, numbers, more), update };

	// What a look at all of them tells is older than what its own events do.
	function update(now) {
		if (!isFollowed(now.id)) hear(now);
		if (!isOver) follow(now.id, hear);
	}

	function hear(now) {
		if (!isOver) take(now); // what comes after that was told late
		if (isOver) leave(now.id);
		refresh(numbers, isOver ? outcome(job) : progress());
	}

	function take(now) {
		job = now;
		const { destination, cancel_reason: reason, error, notes, result } = job;
		const isNews = state && state !== job.state;
		state = job.state;
		isOver = OVER.includes(state);
		name = lastPart(destination);
		if (isNews) announce(`${name}: ${state}`, state === "succeeded" && "check");
		const link = result?.link;
		const actions = [
			!isOver && !reason && button("Cancel", cancel, { "aria-label": `Cancel ${name}` }),
			link && copying(link, name),
			link && downloading(nearby(link), name),
		];
		refresh(top, head(name, destination, reason && !isOver ? "cancelling" : state, actions));
		running.hidden = isOver;
		bar.ariaLabel = `Progress of ${name}`;
		refresh(more, [
			error && trouble(error),
			result?.skipped.count > 0 && skipped(job),
			...notes.map((note) => h("p.quiet", note)),
			result && details(result),
		]);
	}

	function progress() {
		const { entries, of_entries: of, bytes: now, of_bytes: all, bytes_per_second: rate, seconds_left: left } = job.progress;
		if (all === null) return [state === "queued" ? "Waits for its turn" : "Finding out what goes in"];
		const part = percent(now, all);
		bar.value = part;
		if (rate !== null) rates.add(rate);
		const before = quarter;
		quarter = Math.floor(part / ANNOUNCED_PERCENT);
		if (quarter > before && part < 100) announce(`${name}: ${part} percent`);
		return [
			h("strong", `${part} %`),
			`${bytes(now)} of ${bytes(all)}`,
			`${number(entries)} of ${count(of, "object")}`,
			rate !== null && `${bytes(rate)}/s`,
			left !== null && `${duration(left)} left`,
		];
	}

	async function cancel() {
		const text = `${name} is not finished, and nothing of it stays in the bucket.`;
		const ending = () => call("DELETE", `archives/${job.id}`);
		const now = await end("Cancel this archive?", text, "Cancel the archive", ending);
		if (now) hear(now);
	}
}

function outcome({ result, state, finished_at: finished }) {
	if (!result) return [`${state} ${ago(finished)}`];
	const inside = percent(result.copied_bytes, result.bytes);
	return [
		bytes(result.bytes),
		count(result.entries, "object"),
		`in ${duration(result.seconds)}`,
		inside > 0 && `${inside} % copied inside S3`,
		ago(finished),
	];
}

function skipped({ id, result }) {
	const { count: left, objects } = result.skipped;
	const list = h("ul");
	name(objects);
	return h("details.skipped", { ontoggle }, h("summary.warn", icon("alert"), ` ${count(left, "object")} left out`), list);

	function ontoggle() {
		const all = call("GET", `archives/${id}`); // a list of jobs names some alone
		all.then((job) => name(job.result.skipped.objects), tellError);
	}

	function name(some) {
		const rest = left > some.length && h("li.quiet", `and ${number(left - some.length)} more`);
		refresh(list, [...some.map(({ url, reason }) => h("li", h("span.path", url), h("span.quiet", reason))), rest]);
	}
}

function details(result) {
	const requests = Object.values(result.requests).reduce((sum, each) => sum + each, 0);
	return h(
		"details",
		h("summary", "Details"),
		facts([
			["Link works until", result.link && date(result.link_expires_at)],
			["Bytes", `${bytes(result.copied_bytes)} copied inside S3, ${bytes(result.built_bytes)} through this server`],
			["Requests to S3", `${number(requests)}, about $${result.list_price_usd.toPrecision(2)}`],
			["CRC-32", result.crc32],
		]),
	);
}
