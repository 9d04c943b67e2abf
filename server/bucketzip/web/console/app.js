// The page: which view is shown, for whom. Start reading here.

import { call } from "./api.js";
import { buckets, folder } from "./browse.js";
import { button, h, problem } from "./dom.js";
import { archives } from "./jobs.js";
import { links } from "./links.js";
import { session, signOut } from "./session.js";
import { server } from "./system.js";
import { tray } from "./tray.js";

const main = document.getElementById("main");
const VIEWS = { archives, links, server };
let leaving = null;

// A view gives its element, and ends what it began when its signal is aborted.
function route() {
	const [, name, path] = location.hash.match(/^#\/([^/]*)\/?(.*?)\/?$/s) ?? [];
	if (name === "s3" && path) {
		const place = path.split("/").map(decodeURIComponent).join("/");
		return ["#/", (signal) => folder(`${place}/`, signal)];
	}
	return VIEWS[name] ? [`#/${name}`, VIEWS[name]] : ["#/", buckets];
}

function show() {
	const isFirst = leaving === null;
	leaving?.abort();
	leaving = new AbortController();
	const [section, view] = route();
	const element = view(leaving.signal);
	const heading = element.querySelector("h1");
	document.title = `${heading.textContent} · bucketzip`;
	for (const link of document.querySelectorAll("#sections a")) {
		link.ariaCurrent = link.hash === section ? "page" : null;
	}
	main.replaceChildren(element);
	scrollTo(0, 0);
	if (!isFirst) heading.focus(); // a screen reader then tells where it is
}

async function start() {
	try {
		const { user } = await call("GET", "session");
		session.user = user;
		const known = user === "trusted" ? ["Trusted network"] : [h("span.quiet", user), button("Sign out", signOut)];
		document.getElementById("account").replaceChildren(...known);
		addEventListener("hashchange", show);
		show();
	} catch (error) {
		main.replaceChildren(problem(error, start));
	}
}

document.getElementById("skip").addEventListener("click", () => main.focus());
document.body.append(tray());
start();
