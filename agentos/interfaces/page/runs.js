// Training runs and their curves.

import { request } from "./api.js";
import { chart, curve } from "./chart.js";
import { h, table } from "./dom.js";
import { seconds, short } from "./figures.js";
import { view } from "./view.js";
import { named, say } from "./words.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const QUALITY = ["accuracy", "macro_f1", "perplexity"];

export function runs() {
  const drawing = h("div");
  let opened = null;
  const list = table([
    { key: "run", text: (row) => row.run },
    { key: "kind", text: (row) => row.kind },
    { key: "state", text: state, mark: (row) => row.state },
    { key: "model", text: (row) => row.model },
    { key: "data", text: (row) => row.dataset },
    { key: "loss", text: (row) => short(row.loss), number: true },
    { key: "metric", text: (row) => row.metric || "–" },
    { key: "time", text: (row) => seconds(row.seconds), number: true },
    {
      key: "action", sign: () => "",
      acts: (row) => [h("button.quiet", {
        type: "button", say: "curves", "aria-description": row.run, click: (event) => open(row, event.currentTarget),
      })],
    },
  ], (row) => row.run, "runs");
  const page = view("runs", drawing, list.element);

  function open(row, from) {
    const charts = h("div.charts");
    const title = h("h2", { say: "curves_of", args: [row.run], tabindex: "-1" });
    const shut = () => { opened = null; drawing.replaceChildren(); from.focus(); };
    opened = { run: row.run, charts, final: false, events: [] };
    const close = h("button.quiet", { type: "button", say: "close", click: shut });
    drawing.replaceChildren(h("section.panel", {}, title, close, charts));
    title.focus();
    page.tell(read);
  }

  async function read(listed = []) {
    const now = opened;
    if (!now || now.final) return;
    now.events = (await request("GET", `/v1/training/${encodeURIComponent(now.run)}/events`)).events;
    now.final = ENDED.has(listed.find((row) => row.run === now.run)?.state);
    draw();
  }

  function draw() {
    if (!opened) return;
    const { charts, events } = opened;
    const room = charts.clientWidth || 600;
    const width = room > 860 ? room / 2 - 16 : room;
    const of = (title, series) => chart({ title: say(title), x: say("update"), series }, width);
    const drawn = [
      of("chart_loss", [
        { name: say("training"), points: curve(events, "loss") },
        { name: say("held_out"), points: curve(events, "loss", true) },
      ]),
      of("chart_quality", QUALITY.map((name) => ({ name, points: curve(events, name, true) }))),
      of("chart_rate", [{ name: say("chart_rate"), points: curve(events, "rate") }]),
      of("chart_speed", [{ name: say("chart_speed"), points: curve(events, "tokens_per_second") }]),
    ].filter(Boolean);
    charts.replaceChildren(...(drawn.length ? drawn : [h("p.empty", { say: "no_points" })]));
  }

  return {
    element: page.element,
    redraw: draw,
    tick: () => page.tell(async () => {
      const listed = (await request("GET", "/v1/training")).runs;
      list.fill(listed);
      await read(listed);
    }),
  };
}

function state(row) {
  const far = row.state === "running" && row.done != null ? ` ${Math.round(100 * row.done)} %` : "";
  return named(row.state) + far;
}
