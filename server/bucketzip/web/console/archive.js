// Asking for an archive in a bucket: a job of the server.

import { call } from "./api.js";
import { asking, choice, COMPRESSION, field, ON_MISSING, Once, show } from "./dialog.js";
import { h, toast } from "./dom.js";
import { selection } from "./selection.js";

const CAN_COMPRESS = false; // what the server takes for archives
const IF_EXISTS = [
  ["fail", "Stop and tell me"],
  ["rename", "Take another name", "“ (2)” is put in front of the extension."],
  ["replace", "Replace it", "Only once the new archive is complete."],
];

export function archiveDialog() {
  const once = new Once();
  const [first] = selection.marks.keys();
  const bucket = h("input", { name: "bucket", value: first.split("/")[0], list: "buckets-known", required: "", autocapitalize: "none", spellcheck: "false" });
  const key = h("input", { name: "key", value: `${selection.name}.zip`, required: "", spellcheck: "false" });
  const known = h("datalist", { id: "buckets-known" });
  call("GET", "buckets").then(
    ({ buckets }) => known.append(...buckets.map(({ name }) => h("option", { value: name }))),
    () => {}, // names can be typed
  );
  return show("Archive to a bucket", (close) =>
    asking(
      "Archive",
      close,
      async (fields) => {
        await ask(fields);
        close();
        location.hash = "#/archives";
      },
      field("Bucket", bucket),
      field("Key", key, "Where the archive is put, such as archives/2026.zip"),
      choice("If there is an object already", "if_exists", IF_EXISTS),
      CAN_COMPRESS && choice("Compression", "compression", COMPRESSION),
      choice("An object that cannot be read", "on_missing", ON_MISSING),
      known,
    ),
  );

  async function ask({ bucket: name, key: path, ...fields }) {
    const body = { ...fields, destination: `s3://${name}/${path}`, sources: selection.sources() };
    await call("POST", "archives", { body, headers: once.headers(body) });
    toast("The archive is under way.");
  }
}
