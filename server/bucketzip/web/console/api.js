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

// The address of what is told of a bucket: `objects` or `totals`. Of `query`, what is undefined is left out.
export function bucketPath(bucket, what, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return `buckets/${encodeURIComponent(bucket)}/${what}?${new URLSearchParams(given)}`;
}

// A link as the server told it, by the address that this page came by: it may know another one of its own.
export function nearby(url) {
  return url.replace(/^.*?\/(?=[dr]\/)/, "");
}

// For as long as the view of `signal` is shown: after each run of `task`, and only while somebody looks.
export async function repeat(seconds, task, signal) {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!signal.aborted && !document.hidden) await task();
  }
}
