// The page: log-in, the views, and the clock that asks for figures while somebody looks.

import { key, request } from "./api.js";
import { chat } from "./chat.js";
import { decisions, waiting } from "./decisions.js";
import { announce, fault, h, translate } from "./dom.js";
import { jobs } from "./jobs.js";
import { forget, look, machine } from "./machine.js";
import { models } from "./models.js";
import { runs } from "./runs.js";
import { language, say, switchLanguage, words } from "./words.js";

const VIEWS = { chat, models, jobs, runs, machine, decisions };
const TICK = 2000;
const SLOW = 5;

const place = document.getElementById("view");
const login = document.getElementById("login");
let me = null;
let made = {};
let current = null;
let beats = 0;
let busy = false;

async function enter() {
  document.getElementById("wrong").replaceChildren();
  let status;
  try {
    [me, status] = [await request("GET", "/v1/me"), await request("GET", "/v1/status")];
  } catch (error) {
    locked(error.status === 401 ? error.message : "");
    if (error.status !== 401) document.getElementById("wrong").replaceChildren(...fault(error).childNodes);
    if (error.status === 503) setTimeout(enter, TICK);
    return;
  }
  document.body.classList.remove("locked");
  login.hidden = true;
  made = {};
  about(status);
  show();
  beat();
}

function locked(message) {
  key.forget();
  forget();
  current = null;
  me = null;
  document.body.classList.add("locked");
  place.replaceChildren();
  login.hidden = false;
  document.getElementById("wrong").textContent = message;
  document.getElementById("key").focus();
}

function about(status) {
  const model = typeof status.model === "object" ? status.model?.name : status.model;
  const role = Object.hasOwn(words, me.role) ? h("span", { say: me.role }) : h("span", {}, me.role);
  document.getElementById("about").replaceChildren(h("b", {}, me.user), role, h("span.model", {}, model ?? ""));
}

function show() {
  if (!me) return;
  const name = Object.hasOwn(VIEWS, location.hash.slice(1)) ? location.hash.slice(1) : "chat";
  made[name] ??= VIEWS[name](me);
  const before = current;
  current = made[name];
  place.replaceChildren(current.element);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${say(name)} · agentos`;
  translate(place);
  if (current.focus) current.focus();
  else if (before) current.element.querySelector("h1").focus();
  current.tick?.();
}

/** Asks for what is shown every two seconds, and every ten for what is not, while the page is in sight. */
async function beat() {
  if (!me || document.hidden || busy) return;
  busy = true;
  try {
    await current?.tick?.();
    if (beats++ % SLOW === 0) {
      if (current !== made.machine) await look();
      await count();
    }
  } catch {
    // What is shown says itself what is wrong with it.
  } finally {
    busy = false;
  }
}

async function count() {
  const seen = await waiting();
  const many = seen.calls.length + seen.replies.length;
  const badge = document.getElementById("count");
  badge.hidden = !many;
  badge.textContent = String(many);
}

function speak() {
  document.documentElement.lang = language();
  document.getElementById("language").textContent = say("language");
  document.getElementById("language").lang = language() === "en" ? "zh-CN" : "en";
  translate();
}

login.addEventListener("submit", (event) => {
  event.preventDefault();
  const box = document.getElementById("key");
  key.keep(box.value.trim());
  box.value = "";
  enter();
});
document.getElementById("leave").addEventListener("click", () => locked(""));
document.getElementById("language").addEventListener("click", () => {
  switchLanguage();
  speak();
  current?.tick?.();
  current?.redraw?.();
  announce(say("language"));
});
document.addEventListener("locked", (event) => { if (me) locked(event.detail); });
document.addEventListener("ended", () => { current?.tick?.(); count().catch(() => {}); });
document.addEventListener("visibilitychange", beat);
addEventListener("hashchange", show);
addEventListener("resize", () => current?.redraw?.());
setInterval(beat, TICK);

speak();
if (key.get()) enter();
else locked("");
