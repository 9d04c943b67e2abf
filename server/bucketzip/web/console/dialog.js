// Dialogs: the browser's own, so focus stays within and Escape closes; each is made for one use.

import { button, h, icon } from "./dom.js";

let numbers = 0;

// Shows a dialog; `fill` gets `close` and gives what is in it. Returns what `close` was called with, or undefined.
export function show(title, fill) {
  return new Promise((resolve) => {
    const id = `dialog-${(numbers += 1)}`;
    const close = (value) => {
      resolve(value);
      dialog.close();
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h("header", h("h2", { id }, title),
        button("", () => close(), { class: "plain", glyph: "close", "aria-label": "Close" }),
      ),
      fill(close),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Whether the user does want it.
export function sure(title, text, action) {
  return show(title, (close) =>
    h("div", h("p", text),
      h("div.actions", button("Leave it", () => close(false), { autofocus: "" }), button(action, () => close(true), { class: "danger" })),
    ),
  );
}

export function field(label, control, hint) {
  control.id ||= `field-${(numbers += 1)}`;
  if (hint) control.setAttribute("aria-describedby", `${control.id}-hint`);
  return h("div.field", h("label", { for: control.id }, label),
    control,
    hint && h("p.quiet", { id: `${control.id}-hint` }, hint),
  );
}

// One of several: [[value, label, hint]], the first of which is chosen.
export function choice(legend, name, options) {
  return h("fieldset", h("legend", legend),
    options.map(([value, label, hint], index) =>
      h("label.option", h("input", { type: "radio", name, value, checked: index === 0 }),
        h("span", h("strong", label), hint && h("span.quiet", hint)),
      ),
    ),
  );
}

export function select(name, options) {
  return h("select", { name }, options.map(([value, label]) => h("option", { value }, label)));
}

// A form that asks the server: `ask` gets the fields, and what it throws is told above the buttons.
export function asking(label, close, ask, ...fields) {
  const failure = h("p.failure", { role: "alert" });
  const submit = h("button.primary", label);
  return h(
    "form",
    { onsubmit },
    fields,
    failure,
    h("div.actions", button("Cancel", () => close()), submit),
  );

  async function onsubmit(event) {
    event.preventDefault();
    failure.textContent = "";
    submit.disabled = true;
    submit.prepend(h("i.busy"));
    try {
      await ask(Object.fromEntries(new FormData(event.target)));
    } catch (error) {
      failure.replaceChildren(icon("alert"), h("span", h("strong", `${error.title ?? "This page has a fault"}: `), error.message));
    } finally {
      submit.disabled = false;
      submit.querySelector(".busy")?.remove();
    }
  }
}

// What each request of ours asks for, whatever becomes of it.
export const ON_MISSING = [
  ["fail", "Stop and tell me", "The archive is complete, or there is none."],
  ["skip", "Leave it out", "MISSING.txt in the archive lists what is not there."],
];
export const COMPRESSION = [
  ["store", "None", "Fastest. A download has an exact length and goes on where it broke."],
  ["auto", "Where it is worth it", "Text gets smaller, photos and videos stay as they are."],
  ["deflate", "Everything", "Smallest, and the most work."],
];

// The same for the same request: asked again after an answer was lost, it is not made twice.
export class Once {
  #body = "";
  #key = "";

  headers(body) {
    const text = JSON.stringify(body);
    if (text !== this.#body) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      this.#key = Array.from(random, (each) => each.toString(16).padStart(2, "0")).join("");
      this.#body = text;
    }
    return { "Idempotency-Key": this.#key };
  }
}
