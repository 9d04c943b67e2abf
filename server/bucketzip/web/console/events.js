// Jobs that run, told of as they change.

const MOST = 2; // a browser opens six connections to a server, for all of its tabs together

const sources = new Map(); // by a job's id

export const isFollowed = (id) => sources.has(id);

// Calls `told(job)` at each change, unless enough are followed; who looks now and then asks again.
export function follow(id, told) {
	if (isFollowed(id) || sources.size === MOST || document.hidden) return;
	const source = new EventSource(`archives/${id}/events`);
	sources.set(id, source);
	for (const event of ["state", "progress"]) source.addEventListener(event, ({ data }) => told(JSON.parse(data)));
	source.onerror = () => source.readyState === EventSource.CLOSED && leave(id);
}

export function leave(id) {
	sources.get(id)?.close();
	sources.delete(id);
}

export function leaveAll() {
	for (const id of sources.keys()) leave(id);
}

document.addEventListener("visibilitychange", () => document.hidden && leaveAll());
