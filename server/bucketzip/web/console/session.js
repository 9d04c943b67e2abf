// Who uses this page. Signing in is a dialog above whatever is there, so nothing is lost when a session ends.

import { failure, h } from "./dom.js";
import { send } from "./http.js";

export const session = { user: null };

let asking = null;

// Returns once somebody is signed in; many may wait at once.
export function signIn() {
	asking ??= ask().finally(() => {
		asking = null;
	});
	return asking;
}

export async function signOut() {
	await send("DELETE", "session");
	location.reload(); // which forgets what was chosen, too
}

function ask() {
	const again = session.user !== null;
	const field = (id, label, attributes) =>
		h("div.field", h("label", { for: id }, label), h("input", { id, required: "", ...attributes }));
	const failed = h("div");
	const submit = h("button.primary", "Sign in");
	return new Promise((resolve) => {
		const form = h(
			"form",
			{ onsubmit },
			h("p.brand", h("img", { src: "console/icon.svg", alt: "", width: 36, height: 36 }), "bucketzip"),
			h("h1", { id: "sign-in" }, again ? "Your session has ended" : "Sign in"),
			again && h("p.quiet", "Sign in to go on; what you have chosen is kept."),
			field("user-key", "User key", { autocomplete: "username", autocapitalize: "none", spellcheck: "false" }),
			field("user-secret", "Secret", { type: "password", autocomplete: "current-password" }),
			failed,
			submit,
			h("p.quiet", "On the server, ", h("code", "bucketzip user show-initial"), " tells those of the first user."),
		);
		const dialog = h("dialog", { class: again ? "sign-in" : "sign-in first", "aria-labelledby": "sign-in" }, form);
		// A browser closes it at the second Escape, whatever a page says.
		dialog.addEventListener("cancel", (event) => event.preventDefault());
		dialog.addEventListener("close", () => dialog.isConnected && dialog.showModal());
		document.body.append(dialog);
		dialog.showModal();

		async function onsubmit(event) {
			event.preventDefault();
			const [key, secret] = form.querySelectorAll("input");
			submit.disabled = true;
			try {
				await begin(key.value.trim(), secret.value.trim());
				dialog.remove();
				resolve();
			} catch (error) {
				failed.replaceChildren(failure(error));
				secret.select();
			}
			submit.disabled = false;
		}
	});
}

async function begin(userKey, userSecret) {
	const { user } = await send("POST", "session", { body: { user_key: userKey, user_secret: userSecret } });
	await send("GET", "session").catch((error) => {
		if (error.status !== 401) throw error;
		throw new Error("The browser kept no cookie. Allow it, and come by https if the server’s public URL has that.");
	});
	if (session.user !== null && session.user !== user) location.reload(); // what is there is another’s
	session.user = user;
}
