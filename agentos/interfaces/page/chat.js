// The conversation: a sentence, and what comes of it.

import { h } from "./dom.js";
import { run } from "./run.js";

export function chat() {
  const talk = h("div.talk", { role: "log", tabindex: "0", called: "conversation" });
  const box = h("textarea", {
    id: "sentence", rows: "1", maxlength: "10000", "aria-describedby": "how", autocomplete: "off", hint: "ask_hint",
  });
  let end = true;
  // What grows stays in sight, unless the person has gone back to read.
  const growing = new ResizeObserver(() => { if (end) talk.scrollTop = talk.scrollHeight; });
  talk.addEventListener("scroll", () => { end = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40; });
  const empty = h("div.examples", {}, h("p", { say: "try" }), ...["try_1", "try_2", "try_3"].map((key) =>
    h("button.quiet", { type: "button", say: key, click: (event) => send(event.currentTarget.textContent) })));
  talk.append(empty);
  const form = h("form.ask", { submit: (event) => { event.preventDefault(); send(box.value); } },
    h("label.unseen", { for: "sentence", say: "ask" }), box, h("button.first", { type: "submit", say: "send" }),
    h("p.unseen", { id: "how", say: "send_how" }));
  box.addEventListener("keydown", (event) => {
    // While characters are being composed, as in Chinese, Enter chooses and does not send.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      send(box.value);
    }
  });
  box.addEventListener("input", fit);

  function fit() {
    box.rows = Math.min(8, Math.max(1, box.value.split("\n").length));
  }

  function send(said) {
    const sentence = said.trim();
    if (!sentence) return;
    box.value = "";
    fit();
    empty.remove();
    const card = run("/v1/runs", { text: sentence });
    const turn = h("section.turn", {}, h("p.said", {}, h("span.unseen", { say: "you" }), sentence), card.element);
    talk.append(turn);
    end = true;
    growing.observe(turn);
    box.focus();
  }

  const title = h("h1.unseen", { id: "title", say: "chat", tabindex: "-1" });
  const element = h("section.view.chat", { "aria-labelledby": "title" }, title, talk, form);
  return { element, focus: () => box.focus() };
}
