// Asking for an archive in a bucket: a job of the server.

import { call, poster } from "./api.js";
import { asking, choice, field, options, show } from "./dialog.js";
import { announce, button, h } from "./dom.js";
import { selection } from "./selection.js";

export function archiveDialog() {
	const post = poster("archives");
	const [first] = selection.marks.keys();
	const bucket = h("input", { name: "bucket", value: first.split("/")[0], list: "known", required: "" });
	const key = h("input", { name: "key", value: `${selection.name}.zip`, required: "" });
	const known = h("datalist", { id: "known" });
	const suggest = ({ buckets }) => known.append(...buckets.map(({ name: value }) => h("option", { value })));
	call("GET", "buckets").then(suggest, () => {}); // names can be typed, too
	return show("Archive to a bucket", (close) => {
		const form = [
			field("Bucket", bucket),
			field("Key", key, "Where the archive is put, such as archives/2026.zip"),
			choice("An object that is there already", "if_exists", [
				["fail", "Stop and tell me"],
				["rename", "Take another name", "With “ (2)” at its end"],
				["replace", "Replace it", "Once the new one is complete"],
			]),
			...options(),
			known,
		];
		return asking(ask, form, h("button.primary", "Archive"), button("Cancel", () => close()));

		async function ask({ bucket: name, key: path, ...fields }) {
			await post({ ...fields, destination: `s3://${name}/${path}`, sources: selection.sources() });
			close();
			announce("The archive is under way", "check");
			location.hash = "#/archives";
		}
	});
}
