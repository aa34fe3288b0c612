// What waits for a person: held calls, and replies under review.

import { request } from "./api.js";
import { clean, fault, h, label } from "./dom.js";
import { clock } from "./figures.js";
import { held } from "./held.js";
import { run } from "./run.js";
import { view } from "./view.js";

/** How much waits. */
export async function waiting() {
  const [calls, replies] = await Promise.all([request("GET", "/v1/approvals"), request("GET", "/v1/reviews")]);
  return { calls: calls.approvals, replies: replies.reviews, fault: replies.fault };
}

export function decisions(me) {
  const calls = h("div.decide");
  const replies = h("div.decide");
  const noCalls = h("p.empty", { say: "none_pending" });
  const noReplies = h("p.empty", { say: "no_reviews" });
  const broken = h("p.error", { hidden: true });
  const page = view("decisions", h("h2", { say: "approvals" }), calls, noCalls,
    h("h2", { say: "reviews" }), broken, replies, noReplies);

  function call(row) {
    const came = h("div");
    const shown = held(row, async (answer, reason) => {
      const card = run(`/v1/approvals/${encodeURIComponent(row.id)}`, { answer, reason });
      came.replaceChildren(h("h3", { say: "what_came" }), card.element);
      box.dataset.kept = "yes";
      await card.done;
    });
    const box = h("div", { "data-id": row.id }, shown, came);
    return box;
  }

  function reply(row) {
    const body = h("div");
    const field = { id: `why-${row.id}`, type: "text", maxlength: "500", autocomplete: "off", hint: "reason" };
    const reason = h("input", field);
    const told = h("p.told", { hidden: true });
    const buttons = h("div.answer", {},
      h("button.quiet", { type: "button", say: "read", click: read }),
      ...(me.role === "admin" ? [
        h("button.first", { type: "button", say: "release", click: () => decide("release", "released") }),
        h("label.unseen", { for: `why-${row.id}`, say: "reason" }), reason,
        h("button.danger", { type: "button", say: "refuse", click: () => decide("refuse", "refused") }),
      ] : []));
    const facts = [
      ["who", row.user], ["model", row.model], ["rule", row.rule], ["why", row.why], ["since", clock(row.created)],
    ];
    const box = h("section.held", { "data-id": row.id },
      h("h3", {}, row.id),
      h("dl", {}, ...facts.flatMap(([key, said]) => [h("dt.plain", { say: key }), h("dd", {}, said)])),
      body, buttons, told);

    async function read() {
      await attempt(async () => {
        const { text } = await request("GET", `/v1/reviews/${encodeURIComponent(row.id)}`);
        body.replaceChildren(text === null ? h("p.note", { say: "unread" }) : h("pre", { tabindex: "0" }, clean(text)));
      });
    }

    async function decide(what, word) {
      await attempt(async () => {
        await request("POST", `/v1/reviews/${encodeURIComponent(row.id)}/${what}`, { reason: reason.value.trim() });
        box.dataset.kept = "yes";
        buttons.remove();
        body.replaceChildren();
        told.hidden = false;
        label(told, word);
      });
    }

    async function attempt(work) {
      box.querySelector(".error")?.remove();
      try { await work(); } catch (error) { box.append(fault(error)); }
    }
    return box;
  }

  return {
    element: page.element,
    tick: () => page.tell(async () => {
      const seen = await waiting();
      fill(calls, seen.calls, call);
      fill(replies, seen.replies, reply);
      noCalls.hidden = Boolean(calls.children.length);
      noReplies.hidden = Boolean(replies.children.length);
      broken.hidden = !seen.fault;
      if (seen.fault) label(broken, "rules_broken", [seen.fault]);
    }),
  };
}

/** Adds what is new and takes away what is gone; what was answered here stays to be read. */
function fill(place, rows, make) {
  const there = new Map([...place.children].map((one) => [one.dataset.id, one]));
  for (const row of rows) if (!there.has(row.id)) place.append(make(row));
  const ids = new Set(rows.map((row) => row.id));
  for (const [id, one] of there) if (!ids.has(id) && !one.dataset.kept) one.remove();
}
