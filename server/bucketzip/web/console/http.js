// One request to the server, and its errors as the user is to read them.

const UNREACHABLE = {
	error: "server_unreachable",
	detail: "The server does not answer. Does it run, and is this machine on its network?",
};

export class ApiError extends Error {
	constructor({ error: code, detail, request_id: requestId }, status) {
		super(detail);
		const title = code.replaceAll("_", " ").replace(/^s3\b|^./, (start) => start.toUpperCase());
		Object.assign(this, { title, status, requestId });
	}
}

// The answer's JSON. Throws ApiError, and AbortError where `signal` says so.
export async function send(method, path, { body, signal, headers } = {}) {
	let response;
	try {
		response = await fetch(path, {
			method,
			signal,
			headers: {
				"X-Requested-With": "bucketzip", // which no page of another origin can send
				...(body && { "Content-Type": "application/json" }),
				...headers,
			},
			body: body && JSON.stringify(body),
		});
	} catch (error) {
		throw error.name === "AbortError" ? error : new ApiError(UNREACHABLE, 0);
	}
	if (response.status === 204) return null;
	const told = await response.json().catch(() => null);
	if (response.ok && told) return told;
	const detail = `Something between this page and bucketzip answered with HTTP ${response.status}.`;
	throw new ApiError(told?.error ? told : { error: "unexpected_answer", detail }, response.status);
}
