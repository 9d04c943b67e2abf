// Buckets and folders, to choose from.

import { bucketPath, call } from "./api.js";
import { announce, button, empty, h, icon, problem, skeleton } from "./dom.js";
import { bytes, count, date, lastPart } from "./format.js";
import { selection } from "./selection.js";

const PAGE = 500;
const TYPING_MILLISECONDS = 250;

export const folderAddress = (path) => `#/s3/${path.split("/").map(encodeURIComponent).join("/")}`;

export function buckets(_, signal) {
  const content = h("div", skeleton());
  load();
  return { title: "Buckets", element: h("section", heading("Buckets"), content) };

  async function load() {
    content.replaceChildren(skeleton());
    try {
      const told = await call("GET", "buckets", { signal });
      const list = new Table("Buckets", signal);
      list.add(told.buckets.map(({ name, created_at: created }) => ({ path: `${name}/`, name, glyph: "bucket", modified: created })));
      const none = "The role of this server may list its buckets, and there is none.";
      const shown = told.buckets.length ? list.element : empty("bucket", "No bucket to be seen", told.detail ?? none);
      content.replaceChildren(h("div", shown, !told.complete && byName(told.buckets.length ? told.detail : null)));
    } catch (error) {
      if (!signal.aborted) content.replaceChildren(problem(error, load));
    }
  }
}

function byName(detail) {
  const name = h("input", { id: "bucket-name", required: "", placeholder: "my-bucket", autocapitalize: "none", spellcheck: "false" });
  const onsubmit = (event) => {
    event.preventDefault();
    location.hash = folderAddress(`${name.value.trim()}/`);
  };
  return h("form.by-name", { onsubmit },
    detail && h("p.quiet", detail),
    h("label", { for: "bucket-name" }, "Open a bucket by its name"),
    h("div.joined", name, h("button", "Open")),
  );
}

export function folder(path, signal) {
  const [, bucket, prefix] = path.match(/^([^/]+)\/(.*)$/s);
  const content = h("div", skeleton());
  const filter = h("input", { type: "search", placeholder: "Names that begin with…", "aria-label": "Names that begin with", oninput });
  let loading = new AbortController();
  let typing;
  signal.addEventListener("abort", () => loading.abort());
  load();
  return {
    title: lastPart(path),
    element: h("section", crumbs(path),
      h("div.bar", heading(lastPart(path)), filter, button("Refresh", load)),
      content,
    ),
  };

  function oninput() {
    clearTimeout(typing);
    typing = setTimeout(load, TYPING_MILLISECONDS);
  }

  function load() {
    loading.abort();
    loading = new AbortController();
    content.replaceChildren(skeleton());
    new Listing({ bucket, prefix, start: filter.value, content, signal: loading.signal }).more();
  }
}

// The pages of one folder, each loaded when its place comes into sight.
class Listing {
  constructor({ bucket, prefix, start, content, signal }) {
    Object.assign(this, { bucket, prefix, start, content, signal });
    this.table = new Table(prefix ? lastPart(prefix) : bucket, signal, start ? null : `${bucket}/${prefix}`);
    this.next = button("Show more", () => this.more(), { class: "more" });
    this.shown = h("p.quiet.shown");
    this.sight = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.more(), {
      rootMargin: "800px",
    });
    signal.addEventListener("abort", () => this.sight.disconnect());
  }

  async more() {
    if (this.loading) return;
    this.loading = true;
    this.next.disabled = true;
    this.sight.disconnect();
    try {
      const query = { prefix: this.prefix + this.start, limit: PAGE, after: this.after };
      const page = await call("GET", bucketPath(this.bucket, "objects", query), { signal: this.signal });
      this.#show(page);
    } catch (error) {
      if (this.signal.aborted) return;
      const failed = problem(error, () => (this.table.rows.length ? failed.remove() : null, this.more()));
      if (this.table.rows.length) this.content.append(failed);
      else this.content.replaceChildren(failed);
    } finally {
      this.loading = false;
      this.next.disabled = false;
    }
  }

  #show({ folders, objects, next }) {
    this.table.add([
      ...folders.map((key) => ({ path: `${this.bucket}/${key}`, name: lastPart(key), glyph: "folder" })),
      ...objects.map(({ key, bytes: size, modified, storage_class: kept }) => ({
        path: `${this.bucket}/${key}`,
        name: key.slice(this.prefix.length),
        glyph: "file",
        bytes: size,
        modified,
        kept,
      })),
    ]);
    this.after = next;
    const { length } = this.table.rows;
    if (!length && !next) return this.content.replaceChildren(this.#nothing());
    this.shown.textContent = next ? `${count(length, "name")} shown, there are more` : count(length, "name");
    announce(this.shown.textContent);
    if (!this.table.element.isConnected) this.content.replaceChildren(this.table.element, this.shown);
    if (!next) return this.next.remove();
    this.content.append(this.next);
    this.sight.observe(this.next);
  }

  #nothing() {
    return this.start
      ? empty("file", "No such name here", `Nothing in this folder begins with “${this.start}”.`)
      : empty("folder", "This folder is empty", "There is no object in it.");
  }
}

// Names with a box each. `all` is the path that the box in the head stands for, if any.
class Table {
  rows = [];
  #last = null;

  constructor(label, signal, all = null) {
    this.all = all && h("input", { type: "checkbox", "aria-label": "Choose all of this folder", onclick: () => selection.toggle(all) });
    const column = (text, kind) => h("th", { role: "columnheader", scope: "col", class: kind }, text);
    this.element = h("table.list", { role: "table", "aria-label": label },
      h(
        "thead",
        { role: "rowgroup" },
        h("tr", { role: "row" }, column(this.all ?? h("span.unseen", "Chosen"), "pick"), column("Name", "name"), column("Size", "size"), column(all === null ? "Since" : "Changed", "time")),
      ),
    );
    this.allPath = all;
    selection.addEventListener("marks", () => this.refresh(), { signal });
  }

  add(items) {
    const rows = items.map((item, index) => this.#row(item, this.rows.length + index));
    this.rows.push(...rows);
    const group = h("tbody", { role: "rowgroup" }, ...rows.map((row) => row.element));
    group.style.setProperty("--rows", rows.length);
    this.element.append(group);
    this.refresh(rows);
  }

  refresh(rows = this.rows) {
    const { mixed } = selection;
    const boxes = rows.map(({ box, item }) => [box, item.path]);
    if (this.all) boxes.push([this.all, this.allPath]);
    for (const [box, path] of boxes) {
      const partly = mixed.has(path);
      box.checked = selection.has(path) && !partly;
      box.indeterminate = partly;
    }
  }

  #row(item, index) {
    const isFolder = item.path.endsWith("/");
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Choose ${isFolder ? `all of ${item.name}` : item.name}`,
      onclick: (event) => this.#pick(index, event.shiftKey),
    });
    const name = isFolder
      ? h("a", { href: folderAddress(item.path) }, item.name)
      : h("span.label", { onclick: (event) => (box.focus(), this.#pick(index, event.shiftKey)) }, item.name);
    const cell = (kind, ...children) => h("td", { role: "cell", class: kind }, ...children);
    const element = h(
      "tr",
      { role: "row" },
      cell("pick", box),
      cell("name", icon(item.glyph), name, item.kept && item.kept !== "STANDARD" && h("span.tag", item.kept)),
      cell("size", item.bytes === undefined ? "" : bytes(item.bytes)),
      cell("time", item.modified && h("time", { datetime: item.modified }, date(item.modified))),
    );
    return { item, box, element };
  }

  // With shift, all from the one before to this one.
  #pick(index, shift) {
    const on = selection.mixed.has(this.rows[index].item.path) || !selection.has(this.rows[index].item.path);
    const from = shift && this.#last !== null ? Math.min(this.#last, index) : index;
    const to = shift && this.#last !== null ? Math.max(this.#last, index) : index;
    for (const { item } of this.rows.slice(from, to + 1)) selection.toggle(item.path, { on, bytes: item.bytes });
    this.#last = index;
  }
}

const heading = (text) => h("h1", { tabindex: "-1" }, text);

function crumbs(path) {
  const parts = path.replace(/\/$/, "").split("/");
  const places = parts.slice(0, -1).map((part, index) => [part, folderAddress(`${parts.slice(0, index + 1).join("/")}/`)]);
  return h("nav.crumbs", { "aria-label": "Folders above" },
    h("ol", [["Buckets", "#/"], ...places].map(([text, href]) => h("li", h("a", { href }, text)))),
  );
}
