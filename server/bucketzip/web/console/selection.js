// What is chosen: marks on objects and folders. The nearest mark at or above a path decides, so a folder may be chosen
// without some of what lies in it. A path is `bucket/key`; that of a folder ends with a slash.

import { below } from "./api.js";
import { lastPart } from "./format.js";

const COUNTED_AT_ONCE = 3;

class Selection extends EventTarget {
	// By path: {path, on, entries, bytes, counting, error, ending}; `ending` is an AbortController.
	marks = new Map();
	#waiting = [];
	#active = 0;

	has(path) {
		return (this.marks.get(path) ?? this.#above(path))?.on ?? false;
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
			within.forEach((other) => this.#drop(other));
			if ((this.#above(path)?.on ?? false) !== on) this.#mark(path, on, bytes);
		}
		this.dispatchEvent(new Event("marks"));
	}

	clear() {
		for (const path of this.marks.keys()) this.#drop(path);
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

	#above(path) {
		return this.marks.get(above(path).find((each) => this.marks.has(each)));
	}

	#drop(path) {
		this.marks.get(path)?.ending.abort();
		this.marks.delete(path);
	}

	#mark(path, on, bytes) {
		const counting = isFolder(path);
		const mark = { path, on, entries: counting ? 0 : 1, bytes, counting, error: null, ending: new AbortController() };
		this.marks.set(path, mark);
		if (counting) this.#waiting.push(mark);
		this.#countNext();
	}

	async #countNext() {
		if (this.#active === COUNTED_AT_ONCE || !this.#waiting.length) return;
		const mark = this.#waiting.shift();
		this.#active += 1;
		await this.#count(mark).catch((error) => Object.assign(mark, { error }));
		mark.counting = false;
		this.dispatchEvent(new Event("totals"));
		this.#active -= 1;
		this.#countNext();
	}

	async #count(mark) {
		let after;
		do {
			const page = await below(mark.path, "totals", after, mark.ending.signal);
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
const above = (path) => [...path.slice(0, -1).matchAll("/")].map(({ index }) => path.slice(0, index + 1)).reverse();

// The glob of what lies there in the folder, and of nothing else.
const globOf = (path, folder) => `/${path.slice(folder.length).replace(/[*?[\]\\]/g, "\\$&")}`;
