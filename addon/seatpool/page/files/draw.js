// Elements, and the plots as inline SVG. Text only ever becomes text: nothing is parsed as HTML.

import { clock, closely, percent, took } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const element = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const shape = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

const named = (node) => node.dataset?.name;
const is = (node, next) => node.nodeName === next.nodeName && named(node) === named(next);

// Makes children what others are, and leaves alone what has not changed: what is being pressed, read out or marked would
// be lost with its element. Children with a `data-name` are known by it, others by their place.
export function become(parent, children) {
  const known = new Map([...parent.childNodes].filter(named).map((node) => [named(node), node]));
  for (const [i, next] of children.entries()) {
    const node = known.get(named(next)) ?? parent.childNodes[i];
    known.delete(named(next));
    if (!node || !is(node, next)) {
      parent.insertBefore(next, parent.childNodes[i] ?? null);
      continue;
    }
    if (node !== parent.childNodes[i]) parent.insertBefore(node, parent.childNodes[i]);
    if (!node.isEqualNode(next)) alter(node, next);
  }
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
}

function alter(node, next) {
  if (node.nodeType === Node.TEXT_NODE) {
    node.data = next.data;
    return;
  }
  for (const { name } of [...node.attributes]) if (!next.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of next.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  become(node, [...next.childNodes]);
}

export function bar(left, kind) {
  return shape("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "whole", width: 100, height: 8 }),
    shape("rect", { class: kind, width: (left * 100).toFixed(1), height: 8 }));
}

const plot = (width, height, told, ...shapes) =>
  shape("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, ...told }, ...shapes);
const short = (name) => { // by what a person takes for a character
  const letters = [...new Intl.Segmenter().segment(name)].map((each) => each.segment);
  return letters.length > 15 ? `${letters.slice(0, 14).join("")}\u2026` : name;
};
const text = (x, y, words, anchor = "start") => shape("text", { x, y, "text-anchor": anchor }, words);

const LEFT = 110, TOP = 8, LANE = 26, TRACK = 9, TRACKS = 4, BESIDE = 90;
const STEPS_S = [5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400];

export const isRefusal = (sent) => sent.status !== null && sent.status >= 400;
const kindOf = (line) =>
  line.outcome === "ok" || line.outcome === "left" ? "served" : line.attempts.some(isRefusal) ? "refused" : "broken";

// Time from left to right, a lane for each account. A request is a bar on the lane of who served it, beside those that
// were under way with it; a dashed line leads there from the lane of who refused it. `wide`: pixels there are for it.
export function timeline(lines, report, now, wide) {
  const names = report.accounts.map((row) => row.name);
  const oldest = lines.length ? Math.min(...lines.map((line) => Date.parse(line.began_at))) : now - 60000;
  const length = Math.max(now - Math.max(oldest, now - 3600000) + 2000, 30000), begin = now - length;
  const x = (at) => LEFT + Math.max(0, Math.min(1, (at - begin) / length)) * (wide - LEFT - 8);
  const drawn = tracked(lines, names, begin);
  const tops = new Map();
  let bottom = TOP;
  for (const name of names) {
    tops.set(name, bottom);
    bottom += LANE + TRACK * (Math.max(1, ...drawn.filter((each) => each.line.account === name).map((each) => each.track + 1)) - 1);
  }
  const y = (name, track = 0) => tops.get(name) + LANE / 2 + TRACK * track;
  const shapes = [];
  const step = (STEPS_S.find((s) => length / 1000 / s <= Math.max(1, Math.min(7, (wide - LEFT) / BESIDE))) ?? 86400) * 1000;
  for (let at = Math.ceil(begin / step) * step; at <= now; at += step) {
    shapes.push(shape("line", { class: "tick", x1: x(at), x2: x(at), y1: TOP, y2: bottom }));
    shapes.push(text(x(at), bottom + 14, clock(at), "middle"));
  }
  for (const name of names) {
    shapes.push(shape("line", { class: "lane", x1: LEFT, x2: wide - 8, y1: y(name), y2: y(name) }));
    shapes.push(text(LEFT - 8, y(name) + 4, short(name), "end"));
  }
  let switches = 0;
  for (const { line, began, ended, track } of drawn) {
    const first = x(began), last = Math.max(x(ended), first + 1), served = y(line.account, track);
    const stops = line.attempts.filter((sent) => names.includes(sent.account));
    for (const [i, sent] of stops.slice(0, -1).entries()) {
      const next = stops[i + 1], from = y(sent.account), to = i + 2 === stops.length ? served : y(next.account);
      if (next.account === sent.account) continue;
      switches += 1;
      shapes.push(shape("line", { class: "switch", x1: first, x2: first, y1: from, y2: to }));
      shapes.push(shape("line", { class: "sent refused", x1: first, x2: first, y1: from, y2: from }));
    }
    const words = `${clock(began)} ${line.account}: ${line.outcome}, ${took(line.total_ms)}; ${line.why}`;
    shapes.push(shape("line", { class: `sent ${kindOf(line)}`, x1: first, x2: last, y1: served, y2: served }, shape("title", {}, words)));
  }
  const label = `${drawn.length} requests on ${names.length} accounts since ${clock(begin)}, ${switches} switches; the table of requests tells of the latest`;
  return plot(wide, bottom + 20, { role: "img", "aria-label": label }, ...shapes);
}

// Those that can be seen, each on the first track of its account's lane that is free when it begins.
function tracked(lines, names, begin) {
  const busy = new Map(names.map((name) => [name, Array(TRACKS).fill(0)]));
  const seen = lines.filter((line) => names.includes(line.account)).map((line) => {
    const began = Date.parse(line.began_at);
    return { line, began, ended: began + line.total_ms };
  });
  return seen.filter((each) => each.ended >= begin).sort((a, b) => a.began - b.began).map((each) => {
    const tracks = busy.get(each.line.account);
    const free = tracks.findIndex((until) => until <= each.began);
    const track = free < 0 ? TRACKS - 1 : free;
    tracks[track] = each.ended;
    return { ...each, track };
  });
}

// What was left, what is likely to be, and its range.
export function outlook(told, now) {
  const width = 320, height = 84, low = 66;
  const reset = Date.parse(told.resets_at);
  const begin = told.past.length ? Math.min(Date.parse(told.past[0].at), now - (reset - now) / 4) : now - (reset - now) / 4;
  const x = (at) => 4 + ((Date.parse(at) - begin) / (reset - begin)) * (width - 8);
  const y = (left) => low - left * (low - 6);
  const curve = (points, of) => points.map((p) => `${x(p.at).toFixed(1)},${y(p[of]).toFixed(1)}`).join(" ");
  const last = told.past.at(-1);
  const past = last ? [...told.past, { at: new Date(now).toISOString(), left: told.ahead[0]?.likely ?? last.left }] : [];
  const band = told.range_known
    ? shape("polygon", { class: "range", points: `${curve(told.ahead, "most")} ${curve([...told.ahead].reverse(), "least")}` })
    : null;
  const away = (moment) => closely((Date.parse(moment) - now) / 1000);
  const when = told.runs_out_at === null ? `lasts: ${percent(told.ahead.at(-1).likely)} left at the reset`
    : Date.parse(told.runs_out_at) <= now ? "is empty" : `runs out in ${away(told.runs_out_at)}`;
  const range = !told.range_known || told.earliest === null || when === "is empty" ? ""
    : told.latest === null ? ` (in ${away(told.earliest)}, or lasts)` : ` (in ${away(told.earliest)} to ${away(told.latest)})`;
  const words = ` ${when}${range}; resets in ${away(told.resets_at)}`;
  const drawn = plot(width, height, { "aria-hidden": "true" }, // its caption says the same
    shape("line", { class: "lane", x1: 4, x2: width - 4, y1: y(0), y2: y(0) }),
    shape("line", { class: "lane", x1: 4, x2: width - 4, y1: y(1), y2: y(1) }),
    band,
    shape("polyline", { class: "past", points: curve(past, "left") }),
    shape("polyline", { class: "likely", points: curve(told.ahead, "likely") }),
    shape("line", { class: "tick", x1: x(new Date(now).toISOString()), x2: x(new Date(now).toISOString()), y1: 2, y2: low }),
    text(Math.max(x(new Date(now).toISOString()), 14), height - 4, "now", "middle"));
  return element("figure", { "data-name": `${told.account} ${told.bucket}` }, drawn, element("figcaption", {}, element("strong", {}, `${told.account} ${told.bucket}`), words));
}
