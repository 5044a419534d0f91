// Lengths of time and the state of an account as a person says them: as core/spans.py and core/telling.py do.

const UNITS = [["d", 86400, 3600], ["h", 3600, 60], ["min", 60, 1]];
const MONTH_S = 28 * 86400;
const JUST_NOW_MS = 600000;
const RENEWAL = "renewal-";
const EMPTY_POOL =
  "no account yet; add one with: seatpool login codex, seatpool login copilot, or seatpool account import PATH";

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [unit, size, smaller] of UNITS) {
    if (whole + Math.floor(smaller / 2) >= 2 * size) return `${Math.floor((whole + size / 2) / size)} ${unit}`;
  }
  return `${whole} s`;
}

export function closely(seconds) {
  const minutes = Math.max(0, Math.round(seconds / 60));
  let days = Math.floor(minutes / 1440);
  let hours = days ? Math.round((minutes % 1440) / 60) : Math.floor((minutes % 1440) / 60);
  if (hours === 24) [days, hours] = [days + 1, 0];
  const parts = [[days, "d"], [hours, "h"], [days ? 0 : minutes % 60, "min"]];
  return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 min";
}

export const since = (moment, now) => (now - Date.parse(moment)) / 1000;
export const ago = (moment, now) => (moment ? `${span(since(moment, now))} ago` : "never");
export const percent = (share) => `${Math.round(share * 100)}%`;
export const isOver = (w, now) => w.resets_at !== null && Date.parse(w.resets_at) <= now;

export const limit = (w) => (w.length_s && w.length_s < MONTH_S ? `${w.bucket} (${span(w.length_s)})` : w.bucket);

export function quota(w, now) {
  if (w.unlimited) return `${w.bucket} unlimited`;
  if (isOver(w, now)) return `${limit(w)} reset since`;
  const resets = w.resets_at ? `, resets in ${span(-since(w.resets_at, now))}` : "";
  const old = w.stale || now - Date.parse(w.observed_at) > JUST_NOW_MS;
  const seen = old ? ` (seen ${ago(w.observed_at, now)}${w.stale ? ", stale" : ""})` : "";
  return `${limit(w)} ${percent(w.left)}${resets}${seen}`;
}

function outOfUse(reason) {
  return reason.startsWith(RENEWAL) ? `has to sign in again: ${reason.slice(RENEWAL.length)}` : `disabled: ${reason}`;
}

export function state(row, now) {
  if (row.state === "foreign") return [`not yours to use: ${row.owner}'s`];
  if (row.disabled_reason !== null) return [outOfUse(row.disabled_reason)];
  const rests = row.cooldowns.map((c) => `${c.of ? `${c.of} ` : ""}cooling ${span(-since(c.until, now))}: ${c.reason}`);
  const instead = row.substituted.map(
    (s) => `${s.model} for ${s.asked}: ${s.requests} in 24 h, last ${ago(s.last_at, now)}`);
  const unknown = row.unknown_refusals.map(
    (u) => `unknown refusal ${u.status || "in a message"} ${u.code}: ${u.requests} in 7 days, last ${ago(u.last_at, now)}`);
  return [...(row.state === "cooling" ? [] : [row.state]), ...rests, ...instead, ...unknown];
}

export const today = (row) => (row.share_today ? `${percent(row.share_today)} (${row.requests_today})` : "-");

export function summary(report) {
  if (!report.accounts.length) return EMPTY_POOL;
  const ready = report.accounts.filter((row) => row.state === "ready" || row.state === "editor").length;
  const flying = report.accounts.reduce((sum, row) => sum + row.in_flight, 0);
  return `${ready} of ${report.accounts.length} accounts ready, ${flying} in flight, ${report.requests_today} requests today`;
}

export const took = (ms) => (ms === null ? "-" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
export const clock = (moment) => new Date(moment).toLocaleTimeString([], { hour12: false });

export function began(moment, now) {
  const day = (of) => new Date(of).toLocaleDateString();
  return day(moment) === day(now) ? clock(moment) : `${day(moment)} ${clock(moment)}`;
}

export function tokens(line) {
  if (line.input_tokens === null && line.output_tokens === null) return "-";
  const cached = line.cached_tokens ? ` (${line.cached_tokens} cached)` : "";
  return `${line.input_tokens ?? "?"}${cached} in, ${line.output_tokens ?? "?"} out`;
}
