// How the server is: what it reads with, where, and how much of it is in use.

import { call, repeat } from "./api.js";
import { send } from "./http.js";
import { h, icon, problem, skeleton } from "./dom.js";
import { bytes, date, duration, number, percent } from "./format.js";

const LOOK_SECONDS = 5;

export function server(_, signal) {
  const content = h("div", skeleton(3));
  load();
  repeat(LOOK_SECONDS, load, signal);
  return { title: "Server", element: h("section", h("h1", { tabindex: "-1" }, "Server"), content) };

  async function load() {
    try {
      const [told, ready] = await Promise.all([
        call("GET", "system", { signal }),
        send("GET", "readyz", { signal }).catch((error) => error),
      ]);
      content.replaceChildren(readiness(ready), panels(told));
    } catch (error) {
      if (!signal.aborted) content.replaceChildren(problem(error, load));
    }
  }
}

function readiness(ready) {
  if (ready instanceof Error) return problem(ready);
  return h("p.ready", icon("check"), "Ready to serve");
}

function panels(told) {
  const { credentials, budget, jobs } = told;
  const active = ["queued", "planning", "running", "finishing"].filter((state) => jobs[state]).map((state) => `${number(jobs[state])} ${state}`);
  return h("div.panels", panel("Reads with", [
      ["Credentials", credentials.source ?? "none"],
      ["As", credentials.principal],
      ["Until", credentials.expires_at && date(credentials.expires_at)],
      ["Trouble", credentials.error?.detail],
      ["Region", told.region],
      ["Endpoint", told.endpoint],
    ]),
    panel(
      "At work",
      [
        ["Downloads now", number(told.downloads.active)],
        ["Archives now", active.join(", ") || "none"],
        ["Archives done", `${number(jobs.succeeded)} succeeded, ${number(jobs.failed)} failed`],
        ["Memory for content", `${bytes(budget.used_bytes)} of ${bytes(budget.bytes)}`],
      ],
      h("meter", { min: 0, max: budget.bytes, high: budget.bytes * 0.9, value: budget.used_bytes, "aria-label": `Memory in use: ${percent(budget.used_bytes, budget.bytes)} %` }),
    ),
    panel("Machine", [
      ["bucketzip", told.version],
      ["Python", told.python],
      ["Host", told.hostname],
      ["Processes", number(told.processes)],
      ["Up for", duration(told.uptime_seconds)],
      ["State has left", bytes(told.state.bytes_free)],
    ]),
    probes(told.probes),
  );
}

function panel(title, facts, ...more) {
  const given = facts.filter(([, text]) => text);
  return h("section.card", h("h2", title), h("dl", given.map(([term, text]) => h("div", h("dt", term), h("dd", text)))), more);
}

// Whether S3 makes archives without the bytes passing through here, as was tried out by bucket.
function probes(tried) {
  return h("section.card", h("h2", "Copies inside S3"),
    tried.length
      ? h("ul.probes", tried.map(({ bucket, into, proven, detail }) =>
          h("li", icon(proven ? "check" : "alert"), h("span", h("strong", into && into !== bucket ? `${bucket} to ${into}` : bucket), h("span.quiet", proven ? "S3 copies large objects itself" : (detail ?? "not proven")))),
        ))
      : h("p.quiet", "Nothing is known yet: each bucket is tried out by its first archive."),
  );
}
