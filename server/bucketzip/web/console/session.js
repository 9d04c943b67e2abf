// Who uses this page. Signing in is a dialog above whatever is there, so nothing of it is lost when a session ends.

import { h, icon } from "./dom.js";
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
  const failure = h("p.failure", { role: "alert" });
  const key = h("input", { id: "user-key", name: "username", autocomplete: "username", required: "", spellcheck: "false", autocapitalize: "none" });
  const secret = h("input", { id: "user-secret", type: "password", autocomplete: "current-password", required: "" });
  const submit = h("button.primary.wide", "Sign in");
  return new Promise((resolve) => {
    const form = h(
      "form",
      { onsubmit },
      h("p.brand", h("img", { src: "console/icon.svg", alt: "", width: 36, height: 36 }), "bucketzip"),
      h("h1", { id: "sign-in-title" }, again ? "Your session has ended" : "Sign in"),
      h("p.quiet", again ? "Sign in to go on where you were. What you have chosen is kept." : "ZIP archives of your buckets, from your own server.",
      ),
      h("div.field", h("label", { for: "user-key" }, "User key"), key),
      h("div.field", h("label", { for: "user-secret" }, "Secret"), secret),
      failure,
      submit,
      h("details.quiet", h("summary", "Where do I find them?"),
        h("p", "On the server, ", h("code", "bucketzip user show-initial"), " tells those of the first user, and ", h("code", "bucketzip user add"), " makes others."),
      ),
    );
    const dialog = h("dialog", { class: again ? "sign-in" : "sign-in first", "aria-labelledby": "sign-in-title" }, form);
    // A browser closes it at the second Escape, whatever a page says.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => dialog.isConnected && dialog.showModal());
    document.body.append(dialog);
    dialog.showModal();
    key.focus();

    async function onsubmit(event) {
      event.preventDefault();
      failure.textContent = "";
      submit.disabled = true;
      try {
        await begin(key.value.trim(), secret.value.trim());
        dialog.remove();
        resolve();
      } catch (error) {
        failure.replaceChildren(icon("alert"), error.message);
        secret.select();
      } finally {
        submit.disabled = false;
      }
    }
  });
}

async function begin(userKey, userSecret) {
  const before = session.user;
  const told = await send("POST", "session", { body: { user_key: userKey, user_secret: userSecret } });
  await send("GET", "session").catch((error) => {
    if (error.status !== 401) throw error;
    throw new Error("The browser did not keep the session: allow cookies here, and come by https if the server's public URL does.");
  });
  if (before !== null && before !== told.user) location.reload(); // what is there is another's
  session.user = told.user;
}
