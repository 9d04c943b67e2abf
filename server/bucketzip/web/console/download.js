// Asking for a download: a link is made, and the browser follows it.

import { call, nearby } from "./api.js";
import { asking, choice, COMPRESSION, field, ON_MISSING, Once, select, show } from "./dialog.js";
import { button, h, icon, toast } from "./dom.js";
import { bytes, count, date } from "./format.js";
import { selection } from "./selection.js";

const PLANNING_SECONDS = 1;
const LASTS = [
  [86400, "1 day"],
  [3600, "1 hour"],
  [604800, "7 days"],
  [2592000, "30 days"],
];

export function downloadDialog() {
  const once = new Once();
  const filename = h("input", { name: "filename", value: `${selection.name}.zip`, required: "", maxlength: 200, spellcheck: "false" });
  return show("Download", (close) => {
    const form = asking(
      "Download",
      close,
      ask,
      field("File name", filename),
      choice("Compression", "compression", COMPRESSION),
      choice("An object that cannot be read", "on_missing", ON_MISSING),
      field("The link works for", select("expires_in", LASTS), "Whoever has the link can download, without signing in."),
    );
    return form;

    async function ask(fields) {
      const body = { ...fields, expires_in: Number(fields.expires_in), sources: selection.sources() };
      let link = await call("POST", "downloads", { body, headers: once.headers(body) });
      if (link.state === "planning") form.replaceChildren(planning(close));
      while (link.state === "planning") {
        await new Promise((resolve) => setTimeout(resolve, PLANNING_SECONDS * 1000));
        if (!form.isConnected) return; // it is among the links
        link = await call("GET", `downloads/${link.id}`);
      }
      const ready = result(link, close);
      form.replaceWith(ready);
      if (link.url) follow(link.url);
      ready.focus();
    }
  });
}

// The server answers with an attachment, so the page stays; an error is a failed download, not a page of JSON.
export function follow(url) {
  h("a", { href: nearby(url), download: "" }).click();
}

export async function copy(url) {
  // Over plain HTTP a browser has no clipboard for pages.
  if (navigator.clipboard) await navigator.clipboard.writeText(url);
  else {
    const text = h("textarea.unseen", { value: url });
    (document.querySelector("dialog[open]") ?? document.body).append(text);
    text.select();
    document.execCommand("copy");
    text.remove();
  }
  toast("The link is copied.");
}

export function size(link) {
  return link.bytes === null ? `${bytes(link.source_bytes)} before compression` : bytes(link.bytes);
}

function planning(close) {
  return h("div", h("p", { role: "status" }, "Finding out what goes into the archive. The download begins by itself."),
    h("progress", { "aria-label": "Planning" }),
    h("p.quiet", "You may close this: the link will be among the links."),
    h("div.actions", button("Close", () => close())),
  );
}

function result(link, close) {
  if (!link.url) {
    return h("div", { tabindex: "-1" }, h("p.failure", { role: "alert" }, icon("alert"), link.error?.detail ?? `The link is ${link.state}.`));
  }
  const url = h("input", { value: link.url, readonly: "", "aria-label": "Link", onfocus: (event) => event.target.select() });
  return h(
    "div",
    { tabindex: "-1" },
    h("p", { role: "status" }, h("strong", link.filename), ` is on its way: ${count(link.entries, "entry").replace(/entrys$/, "entries")}, ${size(link)}.`),
    h("p.quiet", link.resumable ? "If it breaks, your browser goes on where it stopped." : "A compressed download cannot go on where it broke."),
    h("div.joined", url, button("Copy", () => copy(link.url), { glyph: "copy" })),
    h("p.quiet", `The link works until ${date(link.expires_at)}.`),
    h("div.actions", button("Done", () => close(), { class: "primary" })),
  );
}
