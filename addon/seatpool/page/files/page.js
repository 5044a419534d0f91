// The page while it is looked at: what comes over /api/events is shown, and what is pressed is sent.

import { bar, become, element, isRefusal, outlook, timeline } from "./draw.js";
import { ago, began, isOver, quota, state, summary, today, tokens, took } from "./words.js";

const LOW = 0.1, SOME = 0.3, KEPT = 200, LATEST = 15, SILENT_MS = 40000, TOKEN = "seatpool-token";
const $ = (id) => document.getElementById(id);
let report = null, forecasts = [], ahead = 0;
const lines = new Map();
const now = () => Date.now() + ahead; // by the clock of the machine that seatpool runs on

// -- showing

function write(node, words) {
  if (node.textContent !== words) node.textContent = words; // else what is read out, or marked, would begin again
}

function quotaOf(row) {
  if (!row.windows.length) return ["not seen yet"];
  return [element("ul", {}, ...row.windows.map((w) => {
    const left = w.unlimited || isOver(w, now()) ? 1 : Math.min(1, Math.max(0, w.left));
    const kind = w.stale ? "stale" : left < LOW ? "low" : left < SOME ? "some" : "good";
    return element("li", {}, bar(left, kind), ` ${quota(w, now())}`);
  }))];
}

function button(row, what, words, more = "") {
  return element("button", { type: "button", "data-name": `${what} ${row.name}`, "data-account": row.name, "data-do": what, "aria-label": `${words}${more} ${row.name}` }, words);
}

function actionsOf(row) {
  const out = row.state === "paused" || row.state === "disabled";
  return element("div", { class: "actions" },
    out ? button(row, "resume", "resume") : button(row, "pause", "pause"),
    row.cooldowns.length ? button(row, "clear-cooldowns", "clear", " cooldowns") : null);
}

function rowOf(row) {
  const states = state(row, now()).flatMap((words, i) => (i ? [element("br"), words] : [words]));
  return element("tr", { "data-name": row.name, "data-state": row.state },
    element("th", { scope: "row" }, row.name),
    element("td", {}, row.provider),
    element("td", {}, row.plan ?? "-"),
    element("td", { class: `state ${row.state}` }, ...states),
    element("td", { class: "quota" }, ...quotaOf(row)),
    element("td", {}, row.in_flight ? String(row.in_flight) : "-"),
    element("td", { class: "whole" }, today(row)),
    element("td", { class: "whole" }, ago(row.last_used_at, now())),
    element("td", {}, actionsOf(row)));
}

// What has the keyboard keeps it.
function replace(body, rows) {
  const held = document.activeElement?.closest?.("tr") ? document.activeElement : null;
  const { account, do: what } = held?.dataset ?? {};
  become(body, rows);
  if (!account || held === document.activeElement) return;
  const buttons = [...body.querySelectorAll("button")].filter((each) => each.dataset.account === account);
  (buttons.find((each) => each.dataset.do === what) ?? buttons[0])?.focus();
}

const keyOf = (line) => `${line.request} ${line.began_at}`;

function lineRow(line) {
  const refused = line.attempts.filter(isRefusal).map((sent) => `${sent.account ?? "?"} ${sent.outcome}`);
  const outcome = refused.length && line.outcome === "ok" ? `ok, after ${refused.join(", ")}` : line.outcome;
  return element("tr", { "data-name": keyOf(line) },
    element("td", {}, element("time", { datetime: line.began_at }, began(line.began_at, now()))),
    element("th", { scope: "row" }, line.account ?? "nobody"),
    element("td", { class: "words" }, line.why),
    element("td", { class: "words" }, outcome),
    element("td", { class: "number" }, took(line.first_byte_ms)),
    element("td", { class: "number" }, took(line.total_ms)),
    element("td", { class: "whole" }, tokens(line)),
    element("td", {}, line.model ?? "-"));
}

function show() {
  if (report === null) return;
  write($("summary"), summary(report));
  replace($("rows"), report.accounts.map(rowOf));
  const told = [...lines.values()];
  $("requests").hidden = $("requests-told").hidden = !told.length;
  if (told.length) {
    become($("timeline"), [timeline(told, report, now(), $("timeline").clientWidth || 1000)]);
    replace($("latest"), told.slice(-LATEST).reverse().map(lineRow));
  }
  $("forecasts").hidden = !forecasts.length;
  become($("outlooks"), forecasts.map((each) => outlook(each, now())));
}

// -- hearing

let due = false;

function soon() { // many events make one picture
  if (due) return;
  due = true;
  setTimeout(() => { due = false; show(); }, 0);
}

function live(on) {
  $("live").className = on ? "on" : "off";
  write($("live"), on ? "live" : "not connected; trying again");
}

const TOLD = {
  report(told) {
    report = told;
    ahead = Date.parse(report.at) - Date.now();
    write($("problem"), "");
  },
  requests(told) {
    for (const line of told) lines.set(keyOf(line), line);
    for (const key of [...lines.keys()].slice(0, Math.max(0, lines.size - KEPT))) lines.delete(key);
  },
  forecasts(told) { forecasts = told; },
  trouble(told) { write($("problem"), told.problem); },
  here() {},
};

let source = null, heard = 0;

function listen() {
  source?.close();
  const mine = source = new EventSource("/api/events");
  heard = performance.now();
  mine.addEventListener("open", () => live(true));
  mine.addEventListener("error", () => setTimeout(() => { // most are over within a second
    if (mine !== source) return;
    live(mine.readyState === EventSource.OPEN);
    if (mine.readyState === EventSource.CLOSED) listen(); // it was refused, and tries no more by itself
  }, 3000));
  for (const [kind, hear] of Object.entries(TOLD)) {
    mine.addEventListener(kind, (event) => { heard = performance.now(); hear(JSON.parse(event.data)); soon(); });
  }
}

// While nobody sees the page it asks for nothing, and leaves the connection to others: a browser has six for a host.
function look() {
  if (!document.hidden) return listen();
  source?.close();
  source = null;
}

look();
document.addEventListener("visibilitychange", look);
setInterval(() => {
  if (source === null) return;
  if (performance.now() - heard > SILENT_MS) { // a connection that is gone may look as if it stood, as after a sleep
    live(false);
    listen();
  }
  show();
}, 1000);

// -- acting

const say = (words) => write($("said"), words);
const token = () => sessionStorage.getItem(TOKEN) ?? "";

async function send(path) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "x-seatpool-token": token() } });
    return { ok: answer.ok, denied: answer.status === 401 || answer.status === 403, words: (await answer.text()).trim() };
  } catch {
    return { ok: false, denied: false, words: "seatpool does not answer" };
  }
}

async function act(account, what) {
  if (!token()) {
    say("Enter the token first.");
    $("token").focus();
    return;
  }
  const came = await send(`/api/accounts/${encodeURIComponent(account)}/${what}`);
  if (came.denied) $("token").focus();
  say(came.ok ? `${account}: ${what.replace("-", " ")} done` : came.words);
}

$("rows").addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (pressed) act(pressed.dataset.account, pressed.dataset.do);
});
$("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  const came = token() ? await send("/api/token") : { ok: false, words: "Enter the token." };
  if (!came.ok) sessionStorage.removeItem(TOKEN);
  else $("token").value = "";
  say(came.ok ? "The token is right." : came.words);
});
$("forget").addEventListener("click", () => { sessionStorage.removeItem(TOKEN); say("Forgotten."); });
$("acting").hidden = false;
