// The rate of a job over the last while, as a line.

import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 28;
const MOST_SAMPLES = 120;

export class Sparkline {
	#samples = [];
	#line = svg("polyline", {});
	element = svg("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, this.#line);

	add(rate) {
		this.#samples = [...this.#samples, rate].slice(-MOST_SAMPLES);
		const top = Math.max(...this.#samples, 1);
		const step = WIDTH / Math.max(this.#samples.length - 1, 1);
		const points = this.#samples.map((sample, index) => `${index * step},${HEIGHT * (1 - sample / top)}`);
		this.#line.setAttribute("points", `0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`);
	}
}
