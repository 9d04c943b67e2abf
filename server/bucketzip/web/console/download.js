// Asking for a download: a link is made, and the browser follows it.

import { call, nearby } from "./api.js";
import { asking, compression, field, once, onMissing, show } from "./dialog.js";
import { button, failure, h, toast } from "./dom.js";
import { bytes, count, date } from "./format.js";
import { selection } from "./selection.js";

const PLANNING_MILLISECONDS = 1000;
const LASTS = { "1 hour": 3600, "1 day": 86400, "7 days": 604800, "30 days": 2592000 };

export function downloadDialog() {
  const headers = once();
  const filename = h("input", { name: "filename", value: `${selection.name}.zip`, required: "", maxlength: 200 });
  const lasts = Object.entries(LASTS).map(([label, value]) => h("option", { value }, label));
  const lasting = h("select", { name: "expires_in" }, lasts);
  lasting.value = LASTS["1 day"];
  return show("Download", (close) => {
    const form = asking(
      "Download",
      close,
      ask,
      field("File name", filename),
      compression(),
      onMissing(),
      field("The link works for", lasting, "Whoever has it can download, without signing in."),
    );
    return form;

    async function ask(fields) {
      const body = { ...fields, expires_in: Number(fields.expires_in), sources: selection.sources() };
      let link = await call("POST", "downloads", { body, headers: headers(body) });
      if (link.state === "planning") form.after(planning());
      while (link.state === "planning") {
        await new Promise((resolve) => setTimeout(resolve, PLANNING_MILLISECONDS));
        if (!form.isConnected) return; // it is among the links
        link = await call("GET", `downloads/${link.id}`);
      }
      const shown = link.url ? result(link, close) : failure({ message: link.error?.detail ?? link.state });
      form.parentNode.querySelector(".planning")?.remove();
      form.replaceWith(shown);
      if (link.url) follow(link.url);
      shown.focus();
    }
  });
}

// The server answers with an attachment, so the page stays; an error is a failed download, not a page of JSON.
export function follow(url) {
  h("a", { href: nearby(url), download: "" }).click();
}

export const copying = (url, name) =>
  button("Copy link", () => copy(url), { glyph: "copy", "aria-label": `Copy the link to ${name}` });

async function copy(url) {
  if (navigator.clipboard) await navigator.clipboard.writeText(url);
  else {
    const text = h("textarea.unseen", { value: url }); // over plain HTTP pages have no clipboard
    (document.querySelector("dialog[open]") ?? document.body).append(text);
    text.select();
    document.execCommand("copy");
    text.remove();
  }
  toast("The link is copied");
}

// How much there is behind a link.
export const size = (link) =>
  link.bytes === null ? `${bytes(link.source_bytes)} before compression` : bytes(link.bytes);

const planning = () =>
  h(
    "div.planning",
    h("p", { role: "status" }, "Finding out what goes in. The download begins by itself; if you close this, it is among the links."),
    h("progress", { "aria-label": "Planning" }),
  );

function result(link, close) {
  const { filename, url, entries, resumable } = link;
  const what = ` is on its way: ${count(entries, "entry", "entries")}, ${size(link)}.`;
  const broken = resumable ? "If it breaks, your browser goes on where it stopped." : "A compressed download cannot go on where it broke.";
  return h(
    "div",
    { tabindex: "-1" },
    h("p", { role: "status" }, h("strong", filename), what),
    h("p.quiet", broken),
    h("div.joined", h("input", { value: url, readonly: "", "aria-label": "Link" }), copying(url, filename)),
    h("p.quiet", `The link works until ${date(link.expires_at)}.`),
    h("div.actions", button("Done", () => close(), { class: "primary" })),
  );
}
