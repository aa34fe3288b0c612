// The machine: what it has, what is in use now, and over the time that this page has been open.

import { request } from "./api.js";
import { chart } from "./chart.js";
import { h, table } from "./dom.js";
import { bytes, percent } from "./figures.js";
import { view } from "./view.js";
import { say } from "./words.js";

const KEPT = 900;
const history = [];

/** Asks for the machine's figures, and keeps them for the curves. */
export async function look() {
  const seen = await request("GET", "/v1/top");
  history.push(seen.machine);
  if (history.length > KEPT) history.shift();
  return seen;
}

export function forget() {
  history.length = 0;
}

export function machine() {
  const gauges = h("div.gauges");
  const charts = h("div.charts");
  const list = table([
    { key: "process", text: (row) => row.name },
    { key: "pid", text: (row) => row.pid, number: true },
    { key: "cpu", text: (row) => percent(row.cpu), number: true },
    { key: "memory", text: (row) => bytes(row.memory), number: true },
  ], (row) => String(row.pid), "processes");
  const page = view("machine", gauges, charts, h("h2", { say: "processes" }), list.element);

  function gauge(key, args, share, more) {
    return h("div.gauge", {}, h("h2", { say: key, args }), h("b", {}, percent(share)),
      h("meter", { min: "0", max: "100", high: "90", value: String(share ?? 0), "aria-hidden": "true" }),
      h("p", {}, more));
  }

  function draw() {
    const now = history.at(-1);
    if (!now) return;
    const points = (read) => history.map((one) => [one.time - now.time, read(one)]);
    const gpus = now.gpus.flatMap((gpu, at) => [
      { name: say("gpu", gpu.index), points: points((one) => one.gpus[at]?.used) },
      { name: say("gpu_memory", gpu.index), points: points((one) => share(one.gpus[at])) },
    ]);
    const drawn = chart({
      title: say("chart_use"), x: say("ago"), least: 0, most: 100,
      figure: (value) => String(Math.round(value)),
      at: (value) => String(Math.abs(value)),
      series: [
        { name: say("cpu"), points: points((one) => one.each.length ? one.cpu.used : NaN) },
        { name: say("memory"), points: points((one) => one.memory.percent) }, ...gpus,
      ],
    }, (charts.clientWidth || 600) - 26);
    charts.replaceChildren(...(drawn ? [drawn] : []));
  }

  function show({ machine: now }) {
    const { cpu, memory } = now;
    const part = (some, all) => say("of", bytes(some), bytes(all));
    gauges.replaceChildren(
      gauge("cpu", [], now.each.length ? cpu.used : null, say("cores", cpu.cores)),
      gauge("memory", [], memory.percent, part(memory.used, memory.limit ?? memory.total)),
      ...now.gpus.map((gpu) => gauge("gpu", [gpu.index], gpu.used, part(gpu.memory_used, gpu.memory_total))),
      ...now.disks.slice(0, 3).map((disk) => gauge("disk", [disk.mount], disk.percent, part(disk.used, disk.total))),
    );
    list.fill(now.processes);
    draw();
  }

  return { element: page.element, redraw: draw, tick: () => page.tell(async () => show(await look())) };
}

function share(gpu) {
  return gpu?.memory_total ? 100 * gpu.memory_used / gpu.memory_total : NaN;
}
