// Links to downloads, and their end.

import { call } from "./api.js";
import { sure } from "./dialog.js";
import { button, empty, h, problem, skeleton, toast } from "./dom.js";
import { copy, follow, size } from "./download.js";
import { date, distance, number } from "./format.js";

const PAGE = 50;

export function links(_, signal) {
  const list = h("ul.cards");
  const content = h("div", skeleton(3));
  const next = button("Show more", () => load(next.after), { class: "more", hidden: "" });
  load();
  return { title: "Links", element: h("section", h("h1", { tabindex: "-1" }, "Links"), content, next) };

  async function load(after) {
    try {
      const page = await call("GET", `downloads?limit=${PAGE}${after ? `&after=${after}` : ""}`, { signal });
      list.append(...page.downloads.map(card));
      Object.assign(next, { after: page.next, hidden: !page.next });
      content.replaceChildren(list.children.length ? list : nothing());
    } catch (error) {
      if (!signal.aborted) content.replaceChildren(problem(error, () => load(after)));
    }
  }
}

function card(link) {
  const { filename } = link;
  const state = h("span.chip", link.state);
  state.dataset.state = link.state;
  const facts = [
    link.entries !== null && `${number(link.entries)} entries`,
    link.source_bytes !== null && size(link),
    link.resumable && "resumes",
    link.url ? `works until ${date(link.expires_at)}` : `made ${distance(link.created_at)}`,
  ].filter(Boolean);
  const shown = h("li.card", h("header", h("div.titled", h("h2", filename)),
      state,
      link.url &&
        h("div.actions", button("Revoke", revoke, { "aria-label": `Revoke the link to ${filename}` }),
          button("Copy link", () => copy(link.url), { glyph: "copy", "aria-label": `Copy the link to ${filename}` }),
          button("Download", () => follow(link.url), { class: "primary", glyph: "download", "aria-label": `Download ${filename}` }),
        ),
    ),
    h("p.numbers", facts.map((text) => h("span", text))),
    link.error && h("p.failure", link.error.detail),
  );
  return shown;

  async function revoke() {
    const yes = await sure("Revoke this link?", `Nobody can download ${filename} by it any more, and downloads that run are broken off.`, "Revoke the link");
    if (!yes) return;
    try {
      shown.replaceWith(card(await call("DELETE", `downloads/${link.id}`)));
      toast(`The link to ${filename} is revoked.`);
    } catch (error) {
      toast(error.message);
    }
  }
}

function nothing() {
  return empty("link", "No links yet", h("a", { href: "#/" }, "Choose objects or folders"), " and press “Download”: each download has a link, which others can use too until it expires.");
}
