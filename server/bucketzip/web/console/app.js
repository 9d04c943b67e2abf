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

// A view gives its title and element, and ends what it began when its signal is aborted.
function route() {
	const [, name, path] = location.hash.match(/^#\/([^/]*)\/?(.*)$/s) ?? [];
	if (name === "s3" && path) return ["browse", folder, path.split("/").map(decodeURIComponent).join("/")];
	return VIEWS[name] ? [name, VIEWS[name]] : ["browse", buckets];
}

function show() {
	const isFirst = leaving === null;
	leaving?.abort();
	leaving = new AbortController();
	const [section, view, path] = route();
	const [title, element] = view(path, leaving.signal);
	document.title = `${title} · bucketzip`;
	document.body.dataset.section = section;
	for (const link of document.querySelectorAll("#sections a")) {
		link.ariaCurrent = link.dataset.section === section ? "page" : null;
	}
	main.replaceChildren(element);
	scrollTo(0, 0);
	if (!isFirst) element.querySelector("h1").focus(); // a screen reader then tells where it is
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
