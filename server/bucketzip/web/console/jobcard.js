// One job: how far it is, what came of it, and what can be done about it.

import { call, nearby } from "./api.js";
import { sure } from "./dialog.js";
import { announce, button, h, icon, toast } from "./dom.js";
import { copy } from "./download.js";
import { bytes, count, date, distance, duration, lastPart, number, percent } from "./format.js";
import { Sparkline } from "./sparkline.js";

const OVER = new Set(["succeeded", "failed", "cancelled"]);
const ANNOUNCED_PERCENT = 25;

export class JobCard {
  #name = h("h2", null);
  #chip = h("span.chip");
  #where = h("p.quiet.path");
  #bar = h("progress", { max: 100 });
  #numbers = h("p.numbers");
  #rate = new Sparkline();
  #actions = h("div.actions");
  #more = h("div.more");
  #running = h("div.running", this.#bar, this.#rate.element);
  element = h("li.card", h("header", h("div.titled", this.#name, this.#where), this.#chip, this.#actions),
    this.#running,
    this.#numbers,
    this.#more,
  );
  #quarter = 0;

  constructor(id, onchange) {
    this.id = id;
    this.onchange = onchange;
  }

  get isOver() {
    return OVER.has(this.job.state);
  }

  update(job) {
    const before = this.job?.state;
    this.job = job;
    const name = lastPart(job.destination);
    if (before !== job.state) {
      this.#name.textContent = name;
      this.#where.textContent = job.destination;
      this.#chip.textContent = job.cancel_reason && !this.isOver ? "cancelling" : job.state;
      this.#chip.dataset.state = job.state;
      this.#bar.setAttribute("aria-label", `Progress of ${name}`);
      this.#running.hidden = this.isOver;
      if (before) announce(`${name}: ${job.state}`);
      if (before && job.state === "succeeded") toast(`${name} is ready.`);
    }
    this.#showProgress(name);
    if (before !== job.state || this.isOver) this.#showRest(name);
  }

  #showProgress(name) {
    const { bytes: done, of_bytes: of, entries, of_entries: ofEntries, bytes_per_second: rate, seconds_left: left } = this.job.progress;
    if (this.isOver) return;
    if (of === null) {
      this.#bar.removeAttribute("value");
      this.#numbers.textContent = this.job.state === "queued" ? "Waits for its turn" : "Finding out what goes in";
      return;
    }
    const part = percent(done, of);
    this.#bar.value = part;
    if (rate !== null) this.#rate.add(rate);
    this.#numbers.replaceChildren(
      h("strong", `${part} %`),
      ...[
        `${bytes(done)} of ${bytes(of)}`,
        `${number(entries)} of ${count(ofEntries, "object")}`,
        rate !== null && `${bytes(rate)}/s`,
        left !== null && `${duration(left)} left`,
      ]
        .filter(Boolean)
        .map((text) => h("span", text)),
    );
    const quarter = Math.floor(part / ANNOUNCED_PERCENT);
    if (quarter > this.#quarter && part < 100) announce(`${name}: ${part} percent`);
    this.#quarter = quarter;
  }

  #showRest(name) {
    const { job } = this;
    const { result } = job;
    const shown = JSON.stringify([job.state, job.result, job.error, job.notes, job.deliveries]);
    if (shown === this.shown) return; // what is open stays so
    this.shown = shown;
    this.#actions.replaceChildren(
      ...(!this.isOver ? [button("Cancel", () => this.#cancel(name), { "aria-label": `Cancel ${name}` })] : []),
      ...(result?.link
        ? [
            button("Copy link", () => copy(result.link), { glyph: "copy", "aria-label": `Copy the link to ${name}` }),
            h("a.button.primary", { href: nearby(result.link), target: "_blank", rel: "noopener", "aria-label": `Download ${name}` }, icon("download"), "Download"),
          ]
        : []),
    );
    if (this.isOver) this.#numbers.replaceChildren(...this.#outcome().map((text) => h("span", text)));
    this.#more.replaceChildren(
      ...(job.error ? [h("p.failure", icon("alert"), h("span", job.error.detail))] : []),
      ...(result?.skipped.count ? [this.#skipped(result.skipped)] : []),
      ...(result || job.notes.length ? [this.#details()] : []),
    );
  }

  #outcome() {
    const { job } = this;
    const { result } = job;
    if (!result) return [`${job.state} ${distance(job.finished_at)}`];
    const inside = result.bytes && percent(result.copied_bytes, result.bytes);
    return [
      bytes(result.bytes),
      count(result.entries, "object"),
      `in ${duration(result.seconds)}`,
      inside ? `${inside} % copied inside S3` : "",
      distance(job.finished_at),
    ].filter(Boolean);
  }

  #skipped({ count: left, objects }) {
    const list = h("ul.skipped");
    const fill = (some) =>
      list.replaceChildren(...some.map(({ url, reason }) => h("li", h("span.path", url), h("span.quiet", reason))));
    fill(objects);
    const all = async () => {
      if (objects.length < left) fill((await call("GET", `archives/${this.id}`)).result.skipped.objects);
    };
    return h("details.warned", { ontoggle: all }, h("summary", icon("alert"), `${count(left, "object")} left out`), list);
  }

  #details() {
    const { notes, created_at: created, result } = this.job;
    const facts = [["Asked for", date(created)]];
    if (result) {
      facts.push(
        ["Phases", Object.entries(result.phases).map(([phase, seconds]) => `${phase} ${duration(seconds)}`).join(", ")],
        ["Bytes", `${bytes(result.copied_bytes)} copied inside S3, ${bytes(result.built_bytes)} through this server`],
        ["Requests to S3", `${number(Object.values(result.requests).reduce((sum, each) => sum + each, 0))}, about $${result.list_price_usd.toPrecision(2)}`],
        ["CRC-32, ETag", `${result.crc32}, ${result.etag}`],
      );
      if (result.link) facts.push(["Link works until", date(result.link_expires_at)]);
    }
    return h("details", h("summary", "Details"),
      h("dl", facts.map(([term, text]) => h("div", h("dt", term), h("dd", text)))),
      notes.map((note) => h("p.quiet", note)),
    );
  }

  async #cancel(name) {
    const yes = await sure("Cancel this archive?", `${name} is not finished, and nothing of it stays in the bucket.`, "Cancel the archive");
    if (!yes) return;
    try {
      this.onchange(await call("DELETE", `archives/${this.id}`));
    } catch (error) {
      toast(error.message);
    }
  }
}
