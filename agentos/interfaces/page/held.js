// A call that waits for a person: exactly what would run, and the two answers.

import { clean, fault, h, label } from "./dom.js";
import { argument } from "./figures.js";

let count = 0;

/**
 * A held call.
 * @param {object} call as the stream or the list of approvals has it
 * @param {(answer: string, reason: string) => Promise<void>} answer
 */
export function held(call, answer) {
  const number = ++count;
  const args = Object.entries(call.args ?? call.arguments ?? {}).filter(([, said]) => said !== null);
  const rows = args.flatMap(([name, said]) => [
    h("dt", {}, name),
    h("dd", {}, h("code", {}, argument(said)),
      call.outside?.[name] ? h("strong.outside", { say: "outside", args: [clean(call.outside[name])] }) : null),
  ]);
  const reason = h("input", {
    id: `reason-${number}`, type: "text", maxlength: "500", autocomplete: "off", hint: "reason",
  });
  const told = h("p.told", { hidden: true });
  const buttons = h("div.answer", {},
    h("button.first", { type: "button", say: "approve", click: () => give("once") }),
    h("label.unseen", { for: `reason-${number}`, say: "reason" }), reason,
    h("button.danger", { type: "button", say: "refuse", click: () => give("no") }));
  reason.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) give("no"); });
  const element = h("section.held", { "aria-labelledby": `held-${number}` },
    h("h3", { id: `held-${number}`, say: "held" }),
    h("p", {}, h("code.big", {}, call.syscall)),
    h("dl", {}, ...rows,
      ...(call.user ? [h("dt", { say: "who" }), h("dd", {}, call.user)] : []),
      h("dt.plain", { say: "effect" }), h("dd", {}, call.effect ?? ""),
      h("dt.plain", { say: "why" }), h("dd", {}, call.reason ?? "")),
    buttons, told);

  async function give(said) {
    for (const one of buttons.querySelectorAll("button, input")) one.disabled = true;
    try {
      await answer(said, reason.value.trim());
      buttons.remove();
      element.classList.add("answered");
      told.hidden = false;
      label(told, said === "no" ? "refused" : "approved");
    } catch (error) {
      for (const one of buttons.querySelectorAll("button, input")) one.disabled = false;
      element.append(fault(error));
    }
  }
  return element;
}
