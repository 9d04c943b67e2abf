// Numbers, sizes and times as people read them.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
const NUMBER = new Intl.NumberFormat("en-GB");
const TENTHS = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const SPANS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

export const number = (value) => NUMBER.format(value);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function bytes(value) {
	let unit = 0;
	for (; value >= 1024 && unit < UNITS.length - 1; unit += 1) value /= 1024;
	if (!unit) return count(value, "byte");
	return `${value < 100 ? TENTHS.format(value) : number(Math.round(value))} ${UNITS[unit]}`;
}

export function duration(seconds) {
	const [large, its, small, other] = SPANS.find(([least]) => seconds >= least) ?? [];
	if (!large) return seconds < 10 && seconds % 1 ? `${TENTHS.format(seconds)} s` : `${Math.round(seconds)} s`;
	const rest = Math.floor((seconds % large) / small);
	return `${Math.floor(seconds / large)} ${its}${rest ? ` ${rest} ${other}` : ""}`;
}

export const date = (text) => DATE.format(new Date(text));

export const ago = (text) => `${duration(Math.max(0, Math.ceil((Date.now() - new Date(text)) / 1000)))} ago`;

export const percent = (done, of) => (of ? Math.floor((100 * done) / of) : 0);

// The last part of a key or of a folder's path.
export const lastPart = (path) => path.replace(/\/$/, "").split("/").pop();
