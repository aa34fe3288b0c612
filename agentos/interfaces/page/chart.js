// Curves, drawn as SVG.

import { h, svg } from "./dom.js";
import { short } from "./figures.js";
import { say } from "./words.js";

const HEIGHT = 220;
const EDGE = { left: 52, right: 12, top: 10, bottom: 30 };
const MOST = 800;
const FACTOR = 20;

/**
 * Curves in one picture; empty where there is no point.
 * @param {{title: string, x: string, series: {name: string, points: [number, number][]}[],
 *   least?: number, most?: number, figure?: (n: number) => string, at?: (n: number) => string}} given
 * @param {number} width in CSS pixels
 */
export function chart(given, width) {
  const finite = (points) => thinned(points.filter((point) => point.every(Number.isFinite)));
  const series = given.series.map((one) => ({ ...one, points: finite(one.points) })).filter((one) => one.points.length);
  if (!series.length) return null;
  const figure = given.figure ?? short;
  const all = series.flatMap((one) => one.points);
  const log = given.least === undefined && logarithmic(all.map((point) => point[1]));
  const [left, right] = span(all.map((point) => point[0]));
  let [low, high] = span(all.map((point) => log ? Math.log10(point[1]) : point[1]));
  low = given.least ?? low;
  high = given.most ?? high;
  if (high === low) { high += Math.abs(high) * 0.1 || 1; low -= Math.abs(low) * 0.1 || 1; }
  const wide = Math.max(260, Math.round(width));
  const [across, up] = [wide - EDGE.left - EDGE.right, HEIGHT - EDGE.top - EDGE.bottom];
  const floor = HEIGHT - EDGE.bottom;
  const x = (value) => EDGE.left + across * (right === left ? 0.5 : (value - left) / (right - left));
  const y = (value) => floor - up * ((log ? Math.log10(value) : value) - low) / (high - low);
  const drawn = svg("svg", {
    viewBox: `0 0 ${wide} ${HEIGHT}`, width: wide, height: HEIGHT, role: "img",
    "aria-label": spoken(given, series, figure),
  });
  for (const tick of ticks(low, high, 4, log)) {
    const at = y(tick);
    drawn.append(svg("line", { class: "grid", x1: EDGE.left, x2: wide - EDGE.right, y1: at, y2: at }),
      svg("text", { x: EDGE.left - 6, y: at + 4, "text-anchor": "end" }, figure(tick)));
  }
  for (const tick of ticks(left, right, wide > 500 ? 7 : 4, false)) {
    drawn.append(svg("text", { x: x(tick), y: floor + 15, "text-anchor": "middle" }, (given.at ?? short)(tick)));
  }
  drawn.append(svg("line", { class: "axis", x1: EDGE.left, x2: wide - EDGE.right, y1: floor, y2: floor }),
    svg("text", { class: "name", x: wide - EDGE.right, y: HEIGHT - 2, "text-anchor": "end" }, given.x));
  series.forEach((one, number) => {
    const style = `curve c${number % 6}`;
    drawn.append(svg("path", { class: style, d: path(one.points, x, y) }));
    if (one.points.length <= 30) {
      const dot = ([at, value]) => svg("circle", { class: style, cx: x(at), cy: y(value), r: 2.5 });
      drawn.append(...one.points.map(dot));
    }
  });
  const legend = h("ul.legend", {}, ...series.map((one, number) =>
    h("li", {}, sample(number), one.name, h("b", {}, figure(one.points.at(-1)[1])))));
  return h("figure", {}, h("figcaption", {}, given.title + (log ? ` (${say("log_scale")})` : "")), legend, drawn);
}

/** One figure of a training run over its updates; what a run did again after it was cut short counts once. */
export function curve(events, name, heldOut = false) {
  let found = new Map();
  for (const event of events) {
    if (!Number.isInteger(event.step)) continue;
    if (event.kind === "resume") found = new Map([...found].filter(([step]) => step <= event.step));
    let said = event.kind === "step" && !heldOut ? event[name] : undefined;
    if (heldOut) said = event.metric?.[name];
    if (said && typeof said === "object") said = said.value;
    if (Number.isFinite(said)) found.set(event.step, said);
  }
  return [...found].sort((one, other) => one[0] - other[0]);
}

/** At most `MOST` points, the least and the greatest of every stretch among them. */
export function thinned(points) {
  if (points.length <= MOST) return points;
  const kept = new Set([0, points.length - 1]);
  const parts = MOST / 2 - 1;
  for (let part = 0; part < parts; part++) {
    let least = Math.floor(part * points.length / parts);
    let most = least;
    for (let at = least; at < Math.floor((part + 1) * points.length / parts); at++) {
      if (points[at][1] < points[least][1]) least = at;
      if (points[at][1] > points[most][1]) most = at;
    }
    kept.add(least).add(most);
  }
  return [...kept].sort((one, other) => one - other).map((at) => points[at]);
}

function path(points, x, y) {
  const put = ([at, value], number) => `${number ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  return points.map(put).join("");
}

function sample(number) {
  const line = svg("path", { class: `curve c${number % 6}`, d: "M1 5H21" });
  return svg("svg", { width: 22, height: 10, "aria-hidden": "true" }, line);
}

function span(values) {
  const wider = ([least, most], value) => [Math.min(least, value), Math.max(most, value)];
  return values.reduce(wider, [Infinity, -Infinity]);
}

function logarithmic(values) {
  const [least, most] = span(values);
  return least > 0 && most / least >= FACTOR;
}

/** Round numbers between two, about so many. */
function ticks(low, high, many, log) {
  if (log) {
    const whole = [];
    for (let power = Math.ceil(low); power <= high; power++) whole.push(10 ** power);
    return whole.length >= 2 ? whole : [10 ** low, 10 ** high];
  }
  const rough = (high - low) / many || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((factor) => size * factor >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) {
    found.push(Number(at.toPrecision(12)));
  }
  return found;
}

function spoken(given, series, figure) {
  const parts = series.map(({ name, points }) => `${name}: ${figure(points[0][1])} → ${figure(points.at(-1)[1])}`);
  return `${given.title}. ${parts.join("; ")}`;
}
