// What is chosen: marks on objects and folders. The nearest mark at or above a path decides, so a folder may be chosen
// without some of what lies in it. A path is `bucket/key`; that of a folder ends with a slash.

import { bucketPath, call } from "./api.js";
import { lastPart } from "./format.js";

const COUNTED_AT_ONCE = 3;

class Selection extends EventTarget {
  // path -> {path, on, folder, entries, bytes, state: "counting" | "known" | "failed", error, counting}
  marks = new Map();
  #waiting = [];
  #active = 0;

  has(path) {
    return this.marks.get(path)?.on ?? this.#above(path)?.on ?? false;
  }

  // The folders that are chosen in part.
  get mixed() {
    return new Set([...this.marks.keys()].flatMap(above));
  }

  toggle(path, { on = !this.has(path), bytes = 0 } = {}) {
    for (const other of this.marks.keys()) {
      if (other === path || (isFolder(path) && other.startsWith(path))) this.#drop(other);
    }
    if ((this.#above(path)?.on ?? false) !== on) this.#mark(path, on, bytes);
    this.dispatchEvent(new Event("marks"));
  }

  clear() {
    for (const path of this.marks.keys()) this.#drop(path);
    this.dispatchEvent(new Event("marks"));
  }

  get total() {
    const total = { entries: 0, bytes: 0, counting: false, failed: null };
    for (const mark of this.marks.values()) {
      total.entries += mark.on ? mark.entries : -mark.entries;
      total.bytes += mark.on ? mark.bytes : -mark.bytes;
      total.counting ||= mark.state === "counting";
      total.failed ??= mark.error;
    }
    return total;
  }

  // As the API takes them. A folder keeps its name in the archive, and what lies in it its place below that.
  sources() {
    const sources = new Map();
    for (const { path, on } of this.marks.values()) {
      if (on) sources.set(path, this.#source(path));
    }
    for (const { path, on } of this.marks.values()) {
      if (on) continue;
      const folder = above(path).find((each) => sources.has(each));
      (sources.get(folder).exclude ??= []).push(`/${escaped(path.slice(folder.length))}`);
    }
    return [...sources.values()];
  }

  // What an archive of it may be called.
  get name() {
    const chosen = [...this.marks.values()].filter((mark) => mark.on);
    const [only] = chosen;
    if (chosen.length === 1) return lastPart(only.path).replace(/(.)\.[^.]*$/, only.folder ? "$&" : "$1");
    return only ? lastPart(above(only.path)[0]) : "archive";
  }

  #source(path) {
    const highest = above(path).findLast((each) => this.marks.get(each)?.on) ?? path;
    const place = path.slice((above(highest)[0] ?? "").length);
    if (isFolder(path)) return { url: `s3://${path}`, prefix: place.replace(/\/$/, "") };
    const prefix = place.includes("/") ? { prefix: place.slice(0, place.lastIndexOf("/")) } : {};
    if (!path.endsWith("*")) return { url: `s3://${path}`, ...prefix };
    // With a star at its end, the URL of an object would be that of all keys that begin so.
    const folder = above(path)[0];
    return { url: `s3://${folder}`, include: [`/${escaped(path.slice(folder.length))}`], ...prefix };
  }

  #above(path) {
    const nearest = above(path).find((each) => this.marks.has(each));
    return this.marks.get(nearest);
  }

  #drop(path) {
    this.marks.get(path).counting.abort();
    this.marks.delete(path);
  }

  #mark(path, on, bytes) {
    const folder = isFolder(path);
    const state = folder ? "counting" : "known";
    const mark = { path, on, folder, entries: folder ? 0 : 1, bytes, state, error: null, counting: new AbortController() };
    this.marks.set(path, mark);
    if (!folder) return;
    this.#waiting.push(mark);
    this.#countNext();
  }

  async #countNext() {
    if (this.#active === COUNTED_AT_ONCE || !this.#waiting.length) return;
    const mark = this.#waiting.shift();
    this.#active += 1;
    try {
      await this.#count(mark);
      mark.state = "known";
    } catch (error) {
      mark.state = "failed";
      mark.error = error;
    }
    this.#active -= 1;
    this.#countNext();
    this.dispatchEvent(new Event("totals"));
  }

  async #count(mark) {
    const { signal } = mark.counting;
    const [, bucket, prefix] = mark.path.match(/^([^/]+)\/(.*)$/s);
    let after;
    do {
      const page = await call("GET", bucketPath(bucket, "totals", { prefix, after }), { signal });
      mark.entries += page.entries;
      mark.bytes += page.bytes;
      after = page.next;
      this.dispatchEvent(new Event("totals"));
    } while (after);
  }
}

export const selection = new Selection();

const isFolder = (path) => path.endsWith("/");

// The folders that a path lies in, the nearest first.
function above(path) {
  const folders = [];
  for (let end = path.lastIndexOf("/", path.length - 2); end >= 0; end = path.lastIndexOf("/", end - 1)) {
    folders.push(path.slice(0, end + 1));
  }
  return folders;
}

const escaped = (path) => path.replace(/[*?[\]\\]/g, "\\$&");
