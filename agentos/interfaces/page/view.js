// What the views share: a title, a place for what is under way, and a picture that is asked for anew.

import { fault, h } from "./dom.js";
import { run } from "./run.js";

/** A view with a title, a place for runs that its buttons start, and what `parts` holds. */
export function view(title, ...parts) {
  const active = h("div.active");
  const wrong = h("div");
  const element = h("section.view", {}, h("h1", { say: title, tabindex: "-1" }), wrong, active, ...parts);
  return {
    element,
    /** Runs a call and shows it above the rest. */
    start(syscall, args) {
      const card = run(`/v1/syscalls/${encodeURIComponent(syscall)}`, { args });
      active.replaceChildren(card.element);
      card.element.scrollIntoView({ block: "nearest" });
      return card;
    },
    /** Asks for figures; what goes wrong is shown in their place. */
    async tell(work) {
      try {
        await work();
        wrong.replaceChildren();
      } catch (error) {
        if (!wrong.textContent || wrong.dataset.told !== error.message) wrong.replaceChildren(fault(error));
        wrong.dataset.told = error.message;
      }
    },
  };
}
