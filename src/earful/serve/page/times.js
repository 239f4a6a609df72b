/** Times as people write them. */

/**
 * Write a place in a recording: `formatTime(3723.5)` -> `1:02:03.5`.
 * @param {number} time_s
 * @param {number} [digits] after the decimal mark
 */
export function formatTime(time_s, digits = 0) {
  const scale = 10 ** digits;
  const all = Math.round(Math.max(time_s, 0) * scale);
  const seconds = Math.floor(all / scale);
  const rest = digits ? `.${String(all % scale).padStart(digits, "0")}` : "";
  const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60, s = String(seconds % 60).padStart(2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${s}${rest}` : `${m}:${s}${rest}`;
}

/** Read `1:02:03`, `2:03.5` or `90.5` as seconds; null where it is no time. */
export function parseTime(text) {
  const match = /^\s*(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:[.,]\d+)?)\s*$/.exec(text);
  if (!match) return null;
  const [, h = 0, m = 0, s] = match;
  const seconds = Number(String(s).replace(",", "."));
  if (match[2] !== undefined && seconds >= 60) return null;
  return Number(h) * 3600 + Number(m) * 60 + seconds;
}

/** Write a length: `0.63 s`, `12 min`, `3 h 5 min`. */
export function formatLength(length_s) {
  if (length_s < 10) return `${length_s.toFixed(2)} s`;
  if (length_s < 120) return `${Math.round(length_s)} s`;
  const minutes = Math.round(length_s / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min` : ""}`.trim();
}

/**
 * Write when a moment was, in the zone that the recorder wrote (never this browser's).
 * @param {string|null} starts_at ISO 8601 with or without an offset
 * @param {number} [later_s] seconds after it
 */
export function formatClock(starts_at, later_s = 0) {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?$/.exec(starts_at ?? "");
  if (!match) return "";
  const date = new Date(Date.parse(`${match[1]}T${match[2]}Z`) + Math.round(later_s) * 1000);
  if (Number.isNaN(date.getTime())) return "";
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/**
 * Places of ticks on an axis: the roundest that are at least `least` apart.
 * @param {number} from
 * @param {number} to
 * @param {number} least
 * @param {boolean} [time] steps of 1, 2, 5, 15, 30 seconds and minutes instead of tens
 */
export function ticks(from, to, least, time = false) {
  if (!(to > from) || !(least > 0)) return [];
  const tens = 10 ** Math.floor(Math.log10(least));
  const steps = [1, 2, 5, 10].map((n) => n * tens);
  const clock = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const step = time && least > 1 ? clock.find((one) => one >= least) ?? steps.find((one) => one >= least)
    : steps.find((one) => one >= least * 0.999);
  const places = [];
  for (let at = Math.ceil(from / step - 1e-9); at * step <= to + step * 1e-9; at += 1) places.push(at * step);
  return places;
}
