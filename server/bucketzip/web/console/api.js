// The server's API for everybody else here: where the session has ended, the user signs in and the call goes on.

import { send } from "./http.js";
import { signIn } from "./session.js";

// The answer's JSON. Throws ApiError, and AbortError where `options.signal` says so.
export async function call(method, path, options) {
	for (;;) {
		try {
			return await send(method, path, options);
		} catch (error) {
			if (error.status !== 401) throw error;
		}
		await signIn();
	}
}

// POSTs to the path. The same again, where no answer came, is not done twice.
export function poster(path) {
	let last, key;
	return async (body) => {
		if (JSON.stringify(body) !== last) key = crypto.getRandomValues(new Uint32Array(4)).join("-");
		last = JSON.stringify(body);
		const answer = await call("POST", path, { body, headers: { "Idempotency-Key": key } });
		last = null;
		return answer;
	};
}

// A page of the `objects` or `totals` below a prefix; `path` is `bucket/prefix`.
export function below(path, what, after, signal, limit = {}) {
	const [bucket, prefix] = path.split(/\/(.*)/s);
	const query = new URLSearchParams({ prefix, ...(after && { after }), ...limit });
	return call("GET", `buckets/${encodeURIComponent(bucket)}/${what}?${query}`, { signal });
}

// A link as the server told it, by the address that this page came by: it may know another one of its own.
export function nearby(url) {
	return url.replace(/^.*\/(?=[dr]\/)/, "");
}

// For as long as the view of `signal` is shown, and somebody looks.
export async function repeat(seconds, task, signal) {
	while (!signal.aborted) {
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
		if (!signal.aborted && !document.hidden) await task();
	}
}
