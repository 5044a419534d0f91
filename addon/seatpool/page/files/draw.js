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

export function bar(left, kind) {
  return shape("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "whole", width: 100, height: 8 }),
    shape("rect", { class: kind, width: (left * 100).toFixed(1), height: 8 }));
}

const plot = (width, height, label, ...shapes) =>
  shape("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...shapes);
const text = (x, y, words, anchor = "start") => shape("text", { x, y, "text-anchor": anchor }, words);

const WIDE = 1000, LEFT = 110, TOP = 8, LANE = 26;
const STEPS_S = [5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400];

export const isRefusal = (sent) => sent.status !== null && sent.status >= 400;
const kindOf = (line) =>
  line.outcome === "ok" || line.outcome === "left" ? "served" : line.attempts.some(isRefusal) ? "refused" : "broken";

// Time from left to right, a lane for each account. A request is a bar on the lane of who served it; a dashed line
// leads there from the lane of who refused it.
export function timeline(lines, report, now) {
  const names = report.accounts.map((row) => row.name);
  const oldest = lines.length ? Math.min(...lines.map((line) => Date.parse(line.began_at))) : now - 60000;
  const from = Math.max(oldest, now - 3600000) - 2000;
  const length = Math.max(now - from, 30000), begin = now - length;
  const x = (at) => LEFT + Math.max(0, Math.min(1, (at - begin) / length)) * (WIDE - LEFT - 8);
  const y = (name) => TOP + LANE * (names.indexOf(name) + 0.5);
  const bottom = TOP + LANE * names.length;
  const shapes = [];
  const step = (STEPS_S.find((s) => length / 1000 / s <= 7) ?? 86400) * 1000;
  for (let at = Math.ceil(begin / step) * step; at <= now; at += step) {
    shapes.push(shape("line", { class: "tick", x1: x(at), x2: x(at), y1: TOP, y2: bottom }));
    shapes.push(text(x(at), bottom + 14, clock(at), "middle"));
  }
  for (const row of report.accounts) {
    shapes.push(shape("line", { class: "lane", x1: LEFT, x2: WIDE - 8, y1: y(row.name), y2: y(row.name) }));
    shapes.push(text(LEFT - 8, y(row.name) + 4, row.name.length > 15 ? `${row.name.slice(0, 14)}\u2026` : row.name, "end"));
  }
  let switches = 0;
  for (const line of lines) {
    const began = Date.parse(line.began_at), ended = began + line.total_ms;
    if (ended < begin) continue;
    const first = x(began), last = Math.max(x(ended), first + 1);
    const stops = line.attempts.filter((sent) => names.includes(sent.account));
    for (const [i, sent] of stops.slice(0, -1).entries()) {
      const next = stops[i + 1];
      shapes.push(shape("line", { class: "sent refused", x1: first, x2: first, y1: y(sent.account), y2: y(sent.account) }));
      if (next.account !== sent.account) {
        switches += 1;
        shapes.push(shape("line", { class: "switch", x1: first, x2: first, y1: y(sent.account), y2: y(next.account) }));
      }
    }
    if (!names.includes(line.account)) continue;
    const words = `${clock(began)} ${line.account}: ${line.outcome}, ${took(line.total_ms)}; ${line.why}`;
    shapes.push(shape("line", { class: `sent ${kindOf(line)}`, x1: first, x2: last, y1: y(line.account), y2: y(line.account) },
      shape("title", {}, words)));
  }
  const label = `${lines.length} requests on ${names.length} accounts since ${clock(begin)}, ${switches} switches; the table below tells each`;
  return plot(WIDE, bottom + 20, label, ...shapes);
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
  const range = !told.range_known || told.earliest === null ? ""
    : told.latest === null ? ` (in ${away(told.earliest)}, or lasts)` : ` (in ${away(told.earliest)} to ${away(told.latest)})`;
  const words = `${told.account}, ${told.bucket}: ${when}${range}`;
  const drawn = plot(width, height, `${words}; resets in ${away(told.resets_at)}`,
    shape("line", { class: "lane", x1: 4, x2: width - 4, y1: y(0), y2: y(0) }),
    shape("line", { class: "lane", x1: 4, x2: width - 4, y1: y(1), y2: y(1) }),
    band,
    shape("polyline", { class: "past", points: curve(past, "left") }),
    shape("polyline", { class: "likely", points: curve(told.ahead, "likely") }),
    shape("line", { class: "tick", x1: x(new Date(now).toISOString()), x2: x(new Date(now).toISOString()), y1: 2, y2: low }),
    text(Math.max(x(new Date(now).toISOString()), 14), height - 4, "now", "middle"),
    text(width - 4, height - 4, `resets in ${away(told.resets_at)}`, "end"));
  return element("figure", {}, drawn, element("figcaption", {}, element("strong", {}, `${told.account} ${told.bucket}`), ` ${when}${range}`));
}
