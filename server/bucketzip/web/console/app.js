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
let leaving = new AbortController();
let shown = null;

// A view gives its title and element, and ends what it began when its signal is aborted.
function route() {
  const [, name, rest] = location.hash.match(/^#\/([^/]*)\/?(.*)$/s) ?? [null, "", ""];
  if (name === "s3" && rest) return ["browse", folder, rest.split("/").map(decodeURIComponent).join("/")];
  return VIEWS[name] ? [name, VIEWS[name]] : ["browse", buckets];
}

function show() {
  leaving.abort();
  leaving = new AbortController();
  const [section, view, argument] = route();
  const { title, element } = view(argument, leaving.signal);
  document.title = `${title} · bucketzip`;
  document.body.dataset.section = section;
  for (const link of document.querySelectorAll("#sections a")) {
    if (link.dataset.section === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren(element);
  scrollTo(0, 0);
  if (shown !== null) element.querySelector("h1").focus(); // a screen reader then tells where it is
  shown = section;
}

async function start() {
  try {
    const { user } = await call("GET", "session");
    session.user = user;
    document.getElementById("account").replaceChildren(
      h("span.quiet", user === "trusted" ? "Trusted network" : user),
      ...(user === "trusted" ? [] : [button("Sign out", signOut)]),
    );
  } catch (error) {
    main.replaceChildren(problem(error, start));
    return;
  }
  addEventListener("hashchange", show);
  show();
}

document.getElementById("skip").addEventListener("click", () => main.focus());
document.body.append(tray());
start();
