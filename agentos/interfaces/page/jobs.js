// Jobs: where they are, their output, ending them and running them again.

import { request } from "./api.js";
import { clean, h, label, table } from "./dom.js";
import { bytes, percent, seconds } from "./figures.js";
import { view } from "./view.js";
import { named } from "./words.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);

export function jobs() {
  const output = h("div");
  let opened = null;
  const act = (row, key, click) => h("button.quiet", { type: "button", say: key, "aria-description": row.name, click });
  const list = table([
    { key: "job", text: (row) => row.id },
    { key: "name", text: (row) => row.name },
    { key: "state", text: (row) => named(row.state), mark: (row) => row.state },
    { key: "progress", text: (row) => percent(row.progress), number: true },
    { key: "time", text: (row) => seconds(row.runtime), number: true },
    { key: "user", text: (row) => row.user },
    { key: "note", text: (row) => row.reason || "–" },
    {
      key: "action", sign: (row) => row.state,
      acts: (row) => [
        act(row, "logs", (event) => open(row.id, event.currentTarget)),
        ENDED.has(row.state) ? null : act(row, "cancel", () => page.start("jobs.cancel", { job: row.id })),
      ],
    },
  ], (row) => row.id, "jobs");
  const page = view("jobs", output, list.element);

  function open(job, from) {
    const text = h("pre.log", { tabindex: "0" });
    const lost = h("p.note", { hidden: true });
    const title = h("h2", { say: "logs_of", args: [job], tabindex: "-1" });
    const shut = () => { opened = null; output.replaceChildren(); from.focus(); };
    opened = { job, text, lost, state: "" };
    const close = h("button.quiet", { type: "button", say: "close", click: shut });
    output.replaceChildren(h("section.panel", {}, title, close, text, lost));
    title.focus();
    page.tell(read);
  }

  async function read() {
    const now = opened;
    if (!now || ENDED.has(now.state)) return;
    const said = await request("GET", `/v1/jobs/${encodeURIComponent(now.job)}/logs?tail=500`);
    now.state = said.state;
    const below = now.text.scrollHeight - now.text.scrollTop - now.text.clientHeight < 30;
    if (said.text.trim()) {
      delete now.text.dataset.say;
      now.text.textContent = clean(said.text);
    } else label(now.text, "quiet");
    if (below) now.text.scrollTop = now.text.scrollHeight;
    now.lost.hidden = !said.lost;
    if (said.lost) label(now.lost, "lost", [bytes(said.lost)]);
  }

  return {
    element: page.element,
    tick: () => page.tell(async () => {
      list.fill((await request("GET", "/v1/jobs")).jobs);
      await read();
    }),
  };
}
