// Who uses this page. Signing in is a dialog above whatever is there, so nothing is lost when a session ends.

import { asking, field, show } from "./dialog.js";
import { h, tellError } from "./dom.js";
import { send } from "./http.js";

const LOST = "The browser kept no cookie. Allow it, and come by https if the server’s public URL has that.";

export const session = { user: null };

let signing = null;

// Returns once somebody is signed in; many may wait at once.
export function signIn() {
	signing ??= ask().finally(() => {
		signing = null;
	});
	return signing;
}

export function signOut() {
	send("DELETE", "session").then(() => location.reload(), tellError); // which forgets what was chosen, too
}

function ask() {
	const again = session.user !== null;
	const logo = h("img", { src: "console/icon.svg", alt: "", width: 36, height: 36 });
	const input = (name, attributes) => h("input", { name, required: "", ...attributes });
	const key = { autocomplete: "username", autocapitalize: "none", spellcheck: "false", autofocus: "" };
	const secret = input("user_secret", { type: "password", autocomplete: "current-password" });
	const fields = [
		again && h("p.quiet", "Sign in to go on; what you have chosen is kept."),
		field("User key", input("user_key", key)),
		field("Secret", secret),
		h("p.quiet", "On the server, ", h("code", "bucketzip user show-initial"), " tells those of the first user."),
	];
	return show(
		[logo, again ? "Your session has ended" : "Sign in to bucketzip"],
		(close) => asking((given) => begin(given).then(close), fields, h("button.primary", "Sign in")),
		{ mayLeave: false, class: again ? "sign-in" : "sign-in first" },
	);

	async function begin(given) {
		const trimmed = Object.entries(given).map(([name, text]) => [name, text.trim()]);
		try {
			const { user } = await send("POST", "session", { body: Object.fromEntries(trimmed) });
			await send("GET", "session").catch((error) => {
				throw error.status === 401 ? new Error(LOST) : error;
			});
			if (session.user !== null && session.user !== user) location.reload(); // what is there is another’s
			session.user = user;
		} catch (error) {
			secret.select();
			throw error;
		}
	}
}
