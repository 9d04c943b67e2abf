// How the server is: what it reads with, where, and how much of it is in use.

import { call, repeat } from "./api.js";
import { facts, h, icon, loading, problem, refresh, view } from "./dom.js";
import { bytes, date, duration, number } from "./format.js";
import { send } from "./http.js";

const LOOK_SECONDS = 5;

export function server(signal) {
	const state = h("div");
	const panels = h("div.panels");
	const [place, load] = loading(look, signal);
	load();
	repeat(LOOK_SECONDS, load, signal);
	return view("Server", place, state, panels);

	async function look() {
		const told = await call("GET", "system", { signal });
		const trouble = await send("GET", "readyz", { signal }).catch((error) => error);
		const { title, message } = trouble; // each time it is another request
		refresh(state, [message ? problem({ title, message }) : h("p.ready", icon("check"), " Ready to serve")]);
		refresh(panels, panelsOf(told));
	}
}

function panelsOf({ credentials, budget, jobs, downloads, probes, state: disk, ...told }) {
	const now = ["queued", "planning", "running", "finishing"].filter((each) => jobs[each]);
	const { bytes: max, used_bytes: value } = budget;
	return [
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
			["Archives now", now.map((each) => `${number(jobs[each])} ${each}`).join(", ") || "none"],
			["Archives done", `${number(jobs.succeeded)} succeeded, ${number(jobs.failed)} failed`],
			["Memory in use", [`${bytes(value)} of ${bytes(max)}`, h("meter", { max, value, "aria-label": "Memory in use" })]],
		]),
		panel("Machine", [
			["bucketzip", told.version],
			["Host", told.hostname],
			["Processes", number(told.processes)],
			["Up for", duration(told.uptime_seconds)],
			["Disk left", bytes(disk.bytes_free)],
		]),
		h("section.card", h("h2", "Copies inside S3"), h("ul", probes.map(probe)), h("p.quiet", "A bucket is tried by its first archive.")),
	];
}

const panel = (title, pairs) => h("section.card", h("h2", title), facts(pairs));

// Whether S3 makes archives without the bytes passing through here.
const probe = ({ bucket, into, proven, detail }) =>
	h(
		"li.probe",
		icon(proven ? "check" : "alert"),
		h("span", into === bucket ? bucket : `${bucket} to ${into}`, h("span.quiet", proven ? "S3 copies large objects" : detail)),
	);
