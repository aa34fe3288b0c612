// One run on the page: its plan as a tree that fills in, progress, results, held calls to answer, the reply.

import { events, request } from "./api.js";
import { announce, clean, fault, h, label } from "./dom.js";
import { argument, bytes } from "./figures.js";
import { held } from "./held.js";
import { say } from "./words.js";

const MARKS = { waiting: "○", running: "◐", held: "?", done: "✓", failed: "✗", denied: "✗", skipped: "–" };

/** Shows a run of `path` with `body` in a new card, and follows it to its end. */
export function run(path, body) {
  const card = new Card();
  card.done = card.follow(path, body);
  return card;
}

class Card {
  constructor() {
    this.steps = new Map();
    this.shown = [];
    this.streams = new Map();
    this.calls = new Map();
    this.id = "";
    this.tree = h("div.plan");
    this.note = h("p.note", { hidden: true });
    this.results = h("div.results");
    this.held = h("div");
    this.reply = h("p.reply", { hidden: true });
    this.state = h("span.state");
    this.stop = h("button.quiet", { type: "button", say: "stop", click: () => this.cancel() });
    this.element = h("article.card", {}, this.tree, this.note, this.results, this.held, this.reply,
      h("footer", {}, this.state, this.stop));
  }

  async follow(path, body) {
    this.element.setAttribute("aria-busy", "true");
    this.stop.hidden = false;
    label(this.state, "running");
    try {
      for await (const event of events(path, body)) this.take(event);
    } catch (error) {
      this.results.append(fault(error));
      this.finish("run_failed");
    }
    this.stop.hidden = true;
    this.note.hidden = true;
    this.element.removeAttribute("aria-busy");
  }

  take(event) {
    this.id = event.run || this.id;
    const step = this.steps.get(event.step);
    switch (event.event) {
      case "plan": this.plan(event.plan); break;
      case "decision": step?.set({ allow: "running", deny: "denied" }[event.decision] ?? "held"); break;
      case "progress": this.progress(event, step); break;
      case "text": this.text(event); break;
      case "result": this.result(event, step); break;
      case "error": this.error(event, step); break;
      case "held": this.hold(event, step); break;
      case "reply": this.say(event.text); break;
      case "end": this.end(event); break;
    }
  }

  plan(plan) {
    this.steps.clear();
    this.note.hidden = true;
    const listed = plan.steps ?? [];
    if (!listed.length) return;
    const top = h("ul");
    const branches = new Map();
    for (const one of listed) {
      const step = new Step(one);
      this.steps.set(one.id, step);
      const parent = branches.get(one.after?.at(-1));
      if (parent && !parent.branch) parent.item.append(parent.branch = h("ul"));
      (parent?.branch ?? top).append(step.item);
      branches.set(one.id, step);
    }
    this.tree.replaceChildren(h("h3", { say: "plan" }), top);
    announce(say("plan_told", listed.length));
  }

  progress(event, step) {
    if (step) { step.progress(event); return; }
    this.note.hidden = false;
    if (event.message === "planning") label(this.note, "planning");
    else if (event.boot) label(this.note, "starting", [event.message]);
    else { delete this.note.dataset.say; this.note.textContent = clean(event.message); }
  }

  text(event) {
    if (!this.streams.has(event.step)) {
      const made = h("pre.stream", { "aria-label": event.syscall, tabindex: "0" });
      this.streams.set(event.step, made);
      this.results.append(made);
    }
    this.streams.get(event.step).append(clean(event.text));
  }

  result(event, step) {
    step?.set("done");
    const text = clean(event.text).replace(/^\n+|\s+$/g, "");
    this.shown.push(text);
    if (!text || this.streams.has(event.step)) return;
    if (this.steps.size > 1) this.results.append(h("h3", { say: "result_of", args: [event.step] }));
    this.results.append(h("pre", { tabindex: "0", "aria-label": say("result_of", event.syscall) }, text));
  }

  error(event, step) {
    step?.set({ denied: "denied", refused: "denied", skipped: "skipped" }[event.kind] ?? "failed");
    this.results.append(fault(event));
  }

  hold(event, step) {
    step?.set("held");
    if (this.calls.has(event.approval)) return;
    const shown = held(event, (answer, reason) => {
      step?.set(answer === "no" ? "denied" : "running");
      return this.follow(`/v1/approvals/${encodeURIComponent(event.approval)}`, { answer, reason });
    });
    this.calls.set(event.approval, shown);
    this.held.append(shown);
    announce(say("held_told", event.syscall));
  }

  say(text) {
    const said = clean(text).trim();
    const known = this.shown.join("\n");
    if (!said || known.includes(said)) return;
    this.reply.hidden = false;
    this.reply.textContent = said;
    announce(said);
  }

  end(event) {
    for (const step of this.steps.values()) step.end(event.waiting?.length > 0);
    const ended = event.ok ? "run_done" : event.exit_code === 130 ? "run_stopped" : "run_failed";
    this.finish(event.waiting?.length ? "run_waits" : ended);
    document.dispatchEvent(new CustomEvent("ended"));
  }

  finish(key) {
    label(this.state, key);
    this.state.dataset.state = key;
    if (key !== "run_waits" && this.reply.hidden) announce([say(key), ...this.shown.slice(-1)].join(". "));
  }

  async cancel() {
    if (!this.id) return;
    this.stop.disabled = true;
    const path = `/v1/runs/${encodeURIComponent(this.id)}/cancel`;
    await request("POST", path, {}).catch((error) => this.results.append(fault(error)));
    this.stop.disabled = false;
  }
}

class Step {
  constructor(step) {
    this.branch = null;
    this.mark = h("span.mark", { "aria-hidden": "true" });
    this.told = h("span.unseen");
    this.bar = h("progress", { hidden: true, "aria-label": step.syscall });
    this.far = h("span.far");
    const args = Object.entries(step.args ?? {}).map(([name, said]) => h("span.arg", {}, `${name}=${argument(said)}`));
    const after = step.after?.length ? h("span.after", { say: "after", args: [step.after.join(", ")] }) : null;
    this.item = h("li.step", {}, h("div", {}, this.mark, h("span.id", {}, step.id), h("code", {}, step.syscall),
      ...args, after, this.told, this.bar, this.far));
    this.set("waiting");
  }

  set(state) {
    this.state = state;
    this.item.dataset.state = state;
    this.mark.textContent = MARKS[state];
    label(this.told, `step_${state}`);
    if (state !== "running") { this.bar.hidden = true; this.far.textContent = ""; }
  }

  progress(event) {
    if (this.state !== "running") this.set("running");
    this.bar.hidden = false;
    if (event.total) Object.assign(this.bar, { max: event.total, value: event.done ?? 0 });
    else this.bar.removeAttribute("value");
    const show = event.unit === "B" ? bytes : (count) => String(count);
    const far = event.total ? ` ${show(event.done ?? 0)} / ${show(event.total)}` : "";
    this.far.textContent = clean((event.message ?? "") + far);
  }

  end(waits) {
    if (this.state === "waiting" && !waits) this.set("skipped");
    if (this.state === "running") this.set(waits ? "waiting" : "failed");
  }
}
