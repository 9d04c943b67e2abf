// Numbers, sizes and times as people read them.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
const NUMBER = new Intl.NumberFormat("en-GB");
const TENTHS = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const number = (value) => NUMBER.format(value);

export const count = (value, noun) => `${NUMBER.format(value)} ${noun}${value === 1 ? "" : "s"}`;

export function bytes(value) {
  let unit = 0;
  let amount = value;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  if (unit === 0) return value === 1 ? "1 byte" : `${value} bytes`;
  return `${amount < 100 ? TENTHS.format(amount) : NUMBER.format(Math.round(amount))} ${UNITS[unit]}`;
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return seconds < 10 && seconds % 1 ? `${TENTHS.format(seconds)} s` : `${whole} s`;
  const [larger, smaller, first, second] =
    whole < 3600
      ? [whole / 60, whole % 60, "min", "s"]
      : whole < 86400
        ? [whole / 3600, (whole % 3600) / 60, "h", "min"]
        : [whole / 86400, (whole % 86400) / 3600, "d", "h"];
  const rest = Math.floor(smaller);
  return `${Math.floor(larger)} ${first}${rest ? ` ${rest} ${second}` : ""}`;
}

export const date = (text) => DATE.format(new Date(text));

// "in 3 h 5 min" or "3 h 5 min ago".
export function distance(text) {
  const seconds = (new Date(text) - Date.now()) / 1000;
  return seconds > 0 ? `in ${duration(Math.ceil(seconds))}` : `${duration(Math.ceil(-seconds))} ago`;
}

export const percent = (done, of) => (of ? Math.floor((100 * done) / of) : 0);

// The last part of a key or of a folder's path.
export const lastPart = (path) => path.replace(/\/$/, "").split("/").pop();
