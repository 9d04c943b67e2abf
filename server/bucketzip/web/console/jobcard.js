// One job: how far it is, what came of it, and what can be done about it.

import { call, nearby } from "./api.js";
import { end } from "./dialog.js";
import { announce, button, facts, failure, h, head, icon, spans, toast } from "./dom.js";
import { copying, downloading } from "./download.js";
import { ago, bytes, count, date, duration, lastPart, number, percent } from "./format.js";
import { Sparkline } from "./sparkline.js";

const OVER = ["succeeded", "failed", "cancelled"];
const ANNOUNCED_PERCENT = 25;

export class JobCard {
	#top = h("div");
	#bar = h("progress", { max: 100 });
	#rate = new Sparkline();
	#running = h("div.running", this.#bar, this.#rate.element);
	#numbers = h("p.numbers");
	#more = h("div.more");
	#quarter = 0;
	#shown;
	element = h("li.card", this.#top, this.#running, this.#numbers, this.#more);

	constructor(id) {
		this.id = id;
	}

	get isOver() {
		return OVER.includes(this.job.state);
	}

	update(job) {
		const before = this.job?.state;
		this.job = job;
		this.name = lastPart(job.destination);
		if (before && before !== job.state) announce(`${this.name}: ${job.state}`);
		if (before && before !== job.state && job.state === "succeeded") toast(`${this.name} is ready`);
		this.#running.hidden = this.isOver;
		const numbers = this.isOver ? this.#outcome() : this.#progress();
		this.#numbers.replaceChildren(...spans(numbers));
		const { progress, ...rest } = job;
		if (JSON.stringify(rest) === this.#shown) return; // what is open stays so, and what has the focus
		this.#shown = JSON.stringify(rest);
		this.#showRest();
	}

	#progress() {
		const { progress, state } = this.job;
		const { bytes: done, of_bytes: of, bytes_per_second: rate, seconds_left: left } = progress;
		if (of === null) return [state === "queued" ? "Waits for its turn" : "Finding out what goes in"];
		const part = percent(done, of);
		this.#bar.value = part;
		if (rate !== null) this.#rate.add(rate);
		const quarter = Math.floor(part / ANNOUNCED_PERCENT);
		if (quarter > this.#quarter && part < 100) announce(`${this.name}: ${part} percent`);
		this.#quarter = quarter;
		return [
			h("strong", `${part} %`),
			`${bytes(done)} of ${bytes(of)}`,
			`${number(progress.entries)} of ${count(progress.of_entries, "object")}`,
			rate !== null && `${bytes(rate)}/s`,
			left !== null && `${duration(left)} left`,
		];
	}

	#outcome() {
		const { result, state, finished_at: finished } = this.job;
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

	#showRest() {
		const { state, destination, cancel_reason: reason, error, notes, result } = this.job;
		const { name, isOver } = this;
		const link = result?.link;
		const actions = [
			!isOver && !reason && button("Cancel", () => this.#cancel(), { "aria-label": `Cancel ${name}` }),
			link && copying(link, name),
			link && downloading(nearby(link), name),
		];
		this.#bar.setAttribute("aria-label", `Progress of ${name}`);
		this.#top.replaceChildren(head(name, destination, reason && !isOver ? "cancelling" : state, actions));
		const more = [
			error && failure({ message: error.detail }),
			result?.skipped.count > 0 && this.#skipped(),
			...notes.map((note) => h("p.quiet", note)),
			result && this.#details(),
		];
		this.#more.replaceChildren(...more.filter(Boolean));
	}

	#skipped() {
		const { count: left, objects } = this.job.result.skipped;
		const item = ({ url, reason }) => h("li", h("span.path", url), h("span.quiet", reason));
		const list = h("ul", objects.map(item));
		const ontoggle = async () => {
			if (objects.length === left) return;
			const { result } = await call("GET", `archives/${this.id}`); // a list of jobs names some alone
			list.replaceChildren(...result.skipped.objects.map(item));
		};
		return h("details.skipped", { ontoggle }, h("summary", icon("alert"), ` ${count(left, "object")} left out`), list);
	}

	#details() {
		const { result } = this.job;
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

	async #cancel() {
		const text = `${this.name} is not finished, and nothing of it stays in the bucket.`;
		const job = await end(`archives/${this.id}`, "Cancel this archive?", text, "Cancel the archive");
		if (job) this.update(job);
	}
}
