// Dialogs: the browser’s own, so focus stays within.

import { button, h, once, problem } from "./dom.js";

const live = document.getElementById("live");
let numbers = 0;

// Shows a dialog with what `fill(close)` gives. Returns what `close` was called with, or undefined where the user left it,
// if they may.
export function show(title, fill, { mayLeave = true, ...attributes } = {}) {
	return new Promise((resolve) => {
		const id = `dialog-${(numbers += 1)}`;
		const leave = mayLeave && button("", () => close(), { class: "plain", glyph: "close", "aria-label": "Close" });
		const heading = h("h2", { id, tabindex: "-1" }, title);
		const dialog = h("dialog", { "aria-labelledby": id, ...attributes }, h("header", heading, leave), fill(close));
		dialog.addEventListener("cancel", (event) => mayLeave || event.preventDefault());
		// A browser closes it at the second Escape, whatever a page says.
		dialog.addEventListener("close", () => (mayLeave ? close() : dialog.isConnected && open()));
		document.body.append(dialog);
		open();

		function open() {
			dialog.showModal();
			dialog.append(live); // what is outside is not told
			(dialog.querySelector("[autofocus]") ?? heading).focus();
		}

		function close(value) {
			dialog.close();
			dialog.remove();
			(document.querySelector("dialog") ?? document.body).append(live);
			resolve(value);
		}
	});
}

// Ends something, if the user does want it. Returns what `ending` does.
export const end = (title, text, action, ending) =>
	show(title, (close) => {
		const leave = button("Leave it", () => close(), { autofocus: "" });
		return asking(async () => close(await ending()), [h("p", text)], h("button.danger", action), leave);
	});

export function field(label, control, hint) {
	const id = `field-${(numbers += 1)}`;
	control.id = id;
	if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
	return h("div.field", h("label", { for: id }, label), control, hint && h("p.quiet", { id: `${id}-hint` }, hint));
}

// One of several [value, label, hint], the first of which is chosen.
export const choice = (legend, name, options) =>
	h(
		"fieldset",
		h("legend", legend),
		options.map(([value, label, hint], index) => {
			const box = h("input", { type: "radio", name, value, checked: index === 0 && "" });
			return h("label.option", box, h("span", label, hint && h("span.quiet", hint)));
		}),
	);

// What a download and an archive in a bucket can both be asked for.
export const options = () => [
	choice("Compression", "compression", [
		["store", "None", "Exact length; goes on where it broke"],
		["auto", "Where worth it", "Text shrinks, photos stay as they are"],
		["deflate", "Everything", "Smallest, and the most work"],
	]),
	choice("An object that cannot be read", "on_missing", [
		["fail", "Stop and tell me", "All of it, or nothing"],
		["skip", "Leave it out", "MISSING.txt inside lists it"],
	]),
];

// A form: `ask` gets its fields, and what that throws is told above the buttons.
export function asking(ask, fields, submit, ...others) {
	const failed = h("div");
	return h("form", { onsubmit }, fields, failed, h("div.actions", others, submit));

	function onsubmit(event) {
		event.preventDefault();
		const given = Object.fromEntries(new FormData(event.target));
		once(submit, async () => {
			failed.replaceChildren();
			await ask(given).catch((error) => failed.append(problem(error)));
			failed.scrollIntoView({ block: "nearest" });
		});
	}
}
