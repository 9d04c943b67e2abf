// The archives in buckets: jobs, as they go on.

import { call, repeat } from "./api.js";
import { button, empty, h, problem, skeleton } from "./dom.js";
import { JobCard } from "./jobcard.js";

const PAGE = 20;
const LOOK_SECONDS = 4;
// A browser opens six connections to a server, for all of its tabs together.
const MOST_STREAMS = 2;

export function archives(_, signal) {
  const cards = new Map();
  const streams = new Map();
  const list = h("ul.cards");
  const content = h("div", skeleton(3));
  const next = button("Show more", () => load(next.after), { class: "more", hidden: "" });
  load();
  repeat(LOOK_SECONDS, () => load(), signal);
  signal.addEventListener("abort", closeAll);
  document.addEventListener("visibilitychange", () => (document.hidden ? closeAll() : stream()), { signal });
  return { title: "Archives", element: h("section", h("h1", { tabindex: "-1" }, "Archives"), content, next) };

  async function load(after) {
    try {
      const page = await call("GET", `archives?limit=${PAGE}${after ? `&after=${after}` : ""}`, { signal });
      for (const job of page.archives) if (!streams.has(job.id)) show(job);
      if (after || !next.after) Object.assign(next, { after: page.next, hidden: !page.next });
      content.replaceChildren(...(cards.size ? [list] : [nothing()]));
      stream();
    } catch (error) {
      if (!signal.aborted && !cards.size) content.replaceChildren(problem(error, () => load()));
    }
  }

  function show(job) {
    const card = cards.get(job.id) ?? new JobCard(job.id, show);
    card.update(job);
    if (cards.has(job.id)) return;
    // The newest first, whenever they come.
    const older = [...cards.values()].find((other) => other.job.created_at < job.created_at);
    cards.set(job.id, card);
    list.insertBefore(card.element, older?.element ?? null);
    sort();
  }

  function sort() {
    const sorted = [...cards].sort(([, one], [, other]) => other.job.created_at.localeCompare(one.job.created_at));
    cards.clear();
    for (const [id, card] of sorted) cards.set(id, card);
  }

  // Those that run are told as they change; the rest is looked at now and then.
  function stream() {
    if (signal.aborted || document.hidden) return;
    for (const [id, card] of cards) {
      if (streams.size === MOST_STREAMS) return;
      if (card.isOver || streams.has(id)) continue;
      const source = new EventSource(`archives/${id}/events`);
      streams.set(id, source);
      const told = (event) => {
        card.update(JSON.parse(event.data));
        if (card.isOver) close(id);
      };
      source.addEventListener("state", told);
      source.addEventListener("progress", told);
      source.addEventListener("error", () => source.readyState === EventSource.CLOSED && close(id));
    }
  }

  function close(id) {
    streams.get(id).close();
    streams.delete(id);
  }

  function closeAll() {
    for (const id of streams.keys()) close(id);
  }
}

function nothing() {
  return empty("archive", "No archives yet", h("a", { href: "#/" }, "Choose objects or folders"), " and press “Archive to…”: the archive is written into a bucket, and you can watch it here.");
}
