// How the server is: what it reads with, where, and how much of it is in use.

import { call, repeat } from "./api.js";
import { facts, h, heading, icon, problem, skeleton } from "./dom.js";
import { bytes, date, duration, number } from "./format.js";
import { send } from "./http.js";

const LOOK_SECONDS = 5;

export function server(_, signal) {
	const content = h("div", skeleton(3));
	load();
	repeat(LOOK_SECONDS, load, signal);
	return ["Server", h("section", heading("Server"), content)];

	async function load() {
		try {
			const told = await call("GET", "system", { signal });
			const trouble = await send("GET", "readyz", { signal }).catch((error) => error);
			const ready = trouble instanceof Error ? problem(trouble) : h("p.ready", icon("check"), " Ready to serve");
			content.replaceChildren(ready, panels(told));
		} catch (error) {
			if (!signal.aborted) content.replaceChildren(problem(error, load));
		}
	}
}

function panels({ credentials, budget, jobs, downloads, probes, state: disk, ...told }) {
	const states = ["queued", "planning", "running", "finishing"].filter((state) => jobs[state]);
	const active = states.map((state) => `${number(jobs[state])} ${state}`);
	const { bytes: max, used_bytes: value } = budget;
	return h(
		"div.panels",
		panel("Reads with", [
			["Credentials", credentials.source ?? "none"],
			["As", credentials.principal],
			["Until", credentials.expires_at && date(credentials.expires_at)],
			["Trouble", credentials.error?.detail],
			["Region", told.region],
			["Endpoint", told.endpoint],
		]),
		panel("At work", [
			["Downloads now", number(downloads.active)],
			["Archives now", active.join(", ") || "none"],
			["Archives done", `${number(jobs.succeeded)} succeeded, ${number(jobs.failed)} failed`],
			["Memory in use", `${bytes(value)} of ${bytes(max)}`],
			["\u00a0", h("meter", { max, value, "aria-label": "Memory in use" })],
		]),
		panel("Machine", [
			["bucketzip", told.version],
			["Host", told.hostname],
			["Processes", number(told.processes)],
			["Up for", duration(told.uptime_seconds)],
			["Disk left", bytes(disk.bytes_free)],
		]),
		h("section.card", h("h2", "Copies inside S3"), h("ul", probes.map(probe)), h("p.quiet", "A bucket is tried by its first archive.")),
	);
}

const panel = (title, pairs) => h("section.card", h("h2", title), facts(pairs));

// Whether S3 makes archives without the bytes passing through here.
const probe = ({ bucket, into, proven, detail }) =>
	h(
		"li.probe",
		icon(proven ? "check" : "alert"),
		h("span", into === bucket ? bucket : `${bucket} to ${into}`, h("span.quiet", proven ? "S3 copies large objects" : detail)),
	);
