// Models: what there is, what is in memory, loading and unloading.

import { request } from "./api.js";
import { h, table } from "./dom.js";
import { bytes, seconds } from "./figures.js";
import { view } from "./view.js";
import { named, say } from "./words.js";

export function models() {
  const budgets = h("div.budgets");
  const button = (row, key, syscall) => h("button.quiet", {
    type: "button", say: key, "aria-description": row.model, click: () => page.start(syscall, { model: row.model }),
  });
  const list = table([
    { key: "model", text: (row) => row.model + (row.kernel ? ` (${say("kernel")})` : "") },
    { key: "state", text: (row) => named(row.live?.state ?? row.state), mark: (row) => row.live?.state ?? row.state },
    { key: "size", text: (row) => bytes(row.size), number: true },
    { key: "engine", text: (row) => [row.engine, row.live?.device].filter(Boolean).join(", ") || "–" },
    { key: "speed", text: (row) => row.live ? row.live.tokens_per_second.toFixed(0) : "–", number: true },
    { key: "leaves", text: (row) => row.live?.expires_in == null ? "–" : seconds(row.live.expires_in), number: true },
    {
      key: "action", sign: (row) => `${row.state} ${Boolean(row.live)}`,
      acts: (row) => [row.live ? button(row, "unload", "models.unload") : button(row, "load", "models.load")],
    },
  ], (row) => row.model, "models");
  const page = view("models", budgets, list.element);
  return {
    element: page.element,
    tick: () => page.tell(async () => {
      const seen = await request("GET", "/v1/ps?state=all");
      list.fill(seen.models);
      budgets.replaceChildren(...seen.budgets.map((one) => h("p", {},
        h("meter", { min: "0", max: String(one.budget || 1), value: String(one.used), "aria-hidden": "true" }),
        h("span", { say: "budget", args: [one.kind, bytes(one.used), bytes(one.budget)] }))));
    }),
  };
}
