// What is chosen: marks on objects and folders. The nearest mark at or above a path decides, so a folder may be chosen
// without some of what lies in it. A path is `bucket/key`; that of a folder ends with a slash.

import { below } from "./api.js";
import { lastPart } from "./format.js";

const COUNTED_AT_ONCE = 3;

class Selection extends EventTarget {
	// By path: {path, on, entries, bytes, counting, error}.
	marks = new Map();
	#waiting = [];
	#counters = 0;

	has(path) {
		const nearest = [path, ...above(path)].find((each) => this.marks.has(each));
		return this.marks.get(nearest)?.on ?? false;
	}

	// The folders that are chosen in part.
	get mixed() {
		return new Set([...this.marks.keys()].flatMap(above));
	}

	toggle(path) {
		this.set([{ path }], !this.has(path));
	}

	// `items` have a path and, for objects, bytes.
	set(items, on) {
		for (const { path, bytes = 0 } of items) {
			const within = isFolder(path) ? [...this.marks.keys()].filter((other) => other.startsWith(path)) : [path];
			within.forEach((other) => this.marks.delete(other));
			if (this.has(path) !== on) this.#mark(path, on, bytes);
		}
		this.dispatchEvent(new Event("marks"));
	}

	clear() {
		this.marks.clear();
		this.dispatchEvent(new Event("marks"));
	}

	get total() {
		const total = { entries: 0, bytes: 0, counting: false, error: null };
		for (const { on, entries, bytes, counting, error } of this.marks.values()) {
			total.entries += on ? entries : -entries;
			total.bytes += on ? bytes : -bytes;
			total.counting ||= counting;
			total.error ??= error;
		}
		return total;
	}

	// As the API takes them. A folder keeps its name in the archive, and what lies in it its place below that.
	sources() {
		const paths = [...this.marks.keys()];
		const sources = new Map(paths.filter((path) => this.has(path)).map((path) => [path, this.#source(path)]));
		for (const path of paths.filter((each) => !this.has(each))) {
			const folder = above(path).find((each) => sources.has(each));
			(sources.get(folder).exclude ??= []).push(globOf(path, folder));
		}
		return [...sources.values()];
	}

	get name() {
		const [path, ...more] = [...this.marks.keys()].filter((each) => this.has(each));
		if (more.length) return lastPart(above(path)[0] ?? "buckets");
		return isFolder(path) ? lastPart(path) : lastPart(path).replace(/(.)\.[^.]*$/, "$1");
	}

	#source(path) {
		const folders = above(path);
		const highest = folders.findLast((each) => this.marks.get(each)?.on) ?? path;
		const place = path.slice((above(highest)[0] ?? "").length);
		const into = place.slice(0, Math.max(0, place.lastIndexOf("/")));
		const prefix = into ? { prefix: into } : {};
		// With a star at its end, the URL of an object would be that of all keys that begin so.
		if (path.endsWith("*")) return { url: `s3://${folders[0]}`, include: [globOf(path, folders[0])], ...prefix };
		return { url: `s3://${path}`, ...prefix };
	}

	#mark(path, on, bytes) {
		const counting = isFolder(path);
		const mark = { path, on, entries: counting ? 0 : 1, bytes, counting, error: null };
		this.marks.set(path, mark);
		if (counting) this.#waiting.push(mark);
		if (this.#counters < COUNTED_AT_ONCE) this.#countAll();
	}

	async #countAll() {
		this.#counters += 1;
		for (let mark; (mark = this.#waiting.shift()); ) {
			await this.#count(mark).catch((error) => Object.assign(mark, { error, counting: false }));
			this.dispatchEvent(new Event("totals"));
		}
		this.#counters -= 1;
	}

	async #count(mark) {
		let after;
		while (mark.counting && this.marks.get(mark.path) === mark) { // else it was taken back
			const page = await below(mark.path, "totals", after);
			mark.entries += page.entries;
			mark.bytes += page.bytes;
			mark.counting = Boolean(page.next);
			after = page.next;
			this.dispatchEvent(new Event("totals"));
		}
	}
}

export const selection = new Selection();

const isFolder = (path) => path.endsWith("/");

// The folders that a path lies in, the nearest first.
const above = (path) => [...path.slice(0, -1).matchAll("/")].map(({ index }) => path.slice(0, index + 1)).reverse();

// The glob of what lies there in the folder, and of nothing else.
const globOf = (path, folder) => `/${path.slice(folder.length).replace(/[*?[\]\\]/g, "\\$&")}`;
