// Dialogs: the browser’s own, so focus stays within and Escape closes.

import { call } from "./api.js";
import { button, failure, h, toast } from "./dom.js";

let numbers = 0;

// Shows a dialog with what `fill(close)` gives. Returns what `close` was called with, or undefined.
export function show(title, fill) {
	return new Promise((resolve) => {
		const id = `dialog-${(numbers += 1)}`;
		const close = (value) => {
			resolve(value);
			dialog.close();
		};
		const closing = button("", () => close(), { class: "plain", glyph: "close", "aria-label": "Close" });
		const dialog = h("dialog", { "aria-labelledby": id }, h("header", h("h2", { id }, title), closing), fill(close));
		dialog.addEventListener("close", () => {
			dialog.remove();
			resolve();
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}

// Ends what is at `path`, if the user does want it; what the server then tells of it, else undefined.
export async function end(path, title, text, action) {
	const sure = await show(title, (close) => {
		const no = button("Leave it", () => close(false), { autofocus: "" });
		return h("div", h("p", text), h("div.actions", no, button(action, () => close(true), { class: "danger" })));
	});
	return sure ? call("DELETE", path).catch((error) => toast(error.message, "alert")) : undefined;
}

export function field(label, control, hint) {
	control.id = `field-${(numbers += 1)}`;
	return h("div.field", h("label", { for: control.id }, label), control, hint && h("p.quiet", hint));
}

// One of several [value, label, hint], the first of which is chosen.
export const choice = (legend, name, options) =>
	h(
		"fieldset",
		h("legend", legend),
		options.map(([value, label, hint], index) => {
			const box = h("input", { type: "radio", name, value, checked: index === 0 });
			return h("label.option", box, h("span", label, hint && h("span.quiet", hint)));
		}),
	);

// A form: `ask` gets its fields, and what that throws is told above the buttons.
export function asking(label, close, ask, ...fields) {
	const failed = h("div");
	const submit = h("button.primary", label);
	return h("form", { onsubmit }, fields, failed, h("div.actions", button("Cancel", () => close()), submit));

	async function onsubmit(event) {
		event.preventDefault();
		failed.replaceChildren();
		submit.disabled = true;
		await ask(Object.fromEntries(new FormData(event.target))).catch((error) => failed.append(failure(error)));
		submit.disabled = false;
	}
}

// What both kinds of archive can be asked for.
export const compression = () =>
	choice("Compression", "compression", [
		["store", "None", "Exact length; goes on where it broke"],
		["auto", "Where worth it", "Text shrinks, photos stay as they are"],
		["deflate", "Everything", "Smallest, and the most work"],
	]);
export const onMissing = () =>
	choice("An object that cannot be read", "on_missing", [
		["fail", "Stop and tell me", "All of it, or nothing"],
		["skip", "Leave it out", "MISSING.txt inside lists it"],
	]);

// The same headers for the same request: where its answer was lost, it is not done twice.
export function once() {
	let last, key;
	return (body) => {
		if (JSON.stringify(body) !== last) key = crypto.getRandomValues(new Uint32Array(4)).join("-");
		last = JSON.stringify(body);
		return { "Idempotency-Key": key };
	};
}
