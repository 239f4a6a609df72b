/** Whole recordings: overview pictures in tiles, and a strip with the marks of all events to jump by. */

import { raw } from "./api.js";
import { clamp, el, ink, perFrame } from "./dom.js";
import { onChoice } from "./settings.js";
import { STATES, coloured, drawMark, readGrey } from "./spectrogram.js";
import { T } from "./texts.js";
import { formatTime } from "./times.js";

const TILE = 1024;
const STEP_S = 0.186;
const recordings = new Map();

/**
 * Overview of one recording: a coarse picture of all of it, and finer tiles where one looks closer. Both come
 * in the background; nothing is asked for twice.
 * @typedef {Object} Overview
 * @property {() => (Grey|null)} coarse the whole, once it is there; at most 4,096 columns
 * @property {(from: number, to: number, width: number) => Grey[]} pictures what is there of a range shown `width`
 *   pixels wide, coarse below fine; what is missing is asked for
 * @property {(listener: () => void) => (() => void)} onMore calls when a picture came; returns what ends it
 * @property {Error|null} failure why there is no picture
 */

/** Overview of a recording of a scan, shared by all who ask (kept for the last 6). */
export function overviewOf(source, duration_s) {
  const kept = recordings.get(source);
  if (kept) return kept;
  const made = makeOverview(source, duration_s);
  recordings.set(source, made);
  while (recordings.size > 6) {
    const [oldest, one] = recordings.entries().next().value;
    one.stop();
    recordings.delete(oldest);
  }
  return made;
}

function makeOverview(source, duration_s) {
  const tiles = new Map(), asked = new Set(), listeners = new Set(), ended = new AbortController();
  let whole = null, step_s = STEP_S, failure = null;
  const more = perFrame(() => { for (const listener of listeners) listener(); });

  async function fetchTile(column, n, pool) {
    const response = await raw(`overview/${encodeURIComponent(source)}`, { column, n, pool: pool > 1 ? pool : undefined }, ended.signal);
    const { headers } = response, grey = await readGrey(response);
    const wide = Number(headers.get("X-Step-S")) || STEP_S * pool;
    step_s = wide / pool;
    return { ...grey, mel: true, from: column * wide, to: Math.min((column + grey.width) * wide, Math.max(duration_s, wide)),
      lowHz: Number(headers.get("X-Low-Hz") ?? 0), highHz: Number(headers.get("X-High-Hz") ?? 0) };
  }

  async function want(key, column, pool) {
    if (asked.has(key)) return;
    asked.add(key);
    try {
      tiles.set(key, await fetchTile(column, TILE, pool));
      while (tiles.size > 48) tiles.delete(tiles.keys().next().value);
      more();
    } catch { /* the coarse picture stays; the next look asks again */ }
    asked.delete(key);
  }

  const coarsest = Math.max(1, Math.ceil(duration_s / STEP_S / 2000));
  fetchTile(0, 4096, coarsest).then((grey) => { whole = grey; more(); }, (error) => {
    if (error.name === "AbortError") return;
    failure = error;
    recordings.delete(source);
    more();
  });
  return {
    get failure() { return failure; },
    coarse: () => whole,
    pictures(from, to, width) {
      if (!whole) return [];
      const wanted = Math.max((to - from) / step_s / Math.max(width, 200), 1);
      const pool = 4 ** Math.floor(Math.log(wanted) / Math.log(4) + 1e-9);
      if (pool >= coarsest) return [whole];
      const found = [whole], wide = TILE * pool * step_s;
      const last = Math.floor(Math.min(to, duration_s - step_s * pool) / wide);
      for (let at = Math.floor(Math.max(from, 0) / wide); at <= last; at += 1) {
        const key = `${pool}:${at}`, grey = tiles.get(key);
        if (grey) found.push(grey);
        else want(key, at * TILE, pool);
      }
      return found;
    },
    onMore(listener) { listeners.add(listener); return () => listeners.delete(listener); },
    stop: () => ended.abort(),
  };
}

const LANE = 16;

/**
 * Make a strip of a whole recording: its overview, the marks of all events in a lane below, the range in view.
 *
 * Click, drag or the arrow keys and Enter choose a place; `PageUp`, `PageDown`, `Home`, `End` too.
 * @param {Object} options
 * @param {string} [options.label] its name for screen readers
 * @param {(time_s: number) => void} options.onJump
 * @returns {Object} `node`; `show({source, duration_s, events, missing?})` with events
 *   `{from, to, label, state, current?}` sorted by time; `setEvents(events)`; `setWindow(from, to)`;
 *   `setCursor(time|null)`; `destroy()`
 */
export function createOverview({ label = T.sound.overview, onJump }) {
  const canvas = el("canvas");
  const pen = canvas.getContext("2d");
  const view = el("i", { class: "window", hidden: true });
  const cursor = el("i", { class: "cursor", hidden: true });
  const times = el("div", { class: "ends", "aria-hidden": "true" });
  const strip = el("div", {
    class: "strip", role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": "0", "aria-valuenow": "0",
    on: { keydown: step, pointerdown: press, pointermove: hover, pointerleave: () => hint("") },
  }, canvas, view, cursor);
  const tip = el("span", { class: "tip" });
  const node = el("div", { class: "overview" }, strip, times);
  let recording = null, overview = null, events = [], end = null, focus = 0, shown = null;

  const percent = (at) => `${clamp((at / recording.duration_s) * 100, 0, 100)}%`;
  const timeAt = (event) => {
    const { left, width } = strip.getBoundingClientRect();
    return clamp((event.clientX - left) / width, 0, 1) * recording.duration_s;
  };

  const redraw = perFrame(() => {
    const density = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(strip.clientWidth * density), height = Math.round(strip.clientHeight * density);
    if (!width || !height || !recording) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    pen.clearRect(0, 0, width, height);
    const lane = LANE * density, tall = height - lane;
    pen.fillStyle = ink("--picture");
    pen.fillRect(0, 0, width, tall);
    const grey = overview?.coarse();
    if (grey) pen.drawImage(coloured(grey), 0, 0, (grey.to / recording.duration_s) * width, tall);
    pen.fillStyle = ink("--soft");
    pen.fillRect(0, tall, width, lane);
    const x = (one) => ((one.from + one.to) / 2 / recording.duration_s) * width;
    pen.lineWidth = 1.6 * density;
    // What was said lies over what was not, and the current one over all.
    const rank = (one) => (one.current ? 2 : one.state ? 1 : 0);
    const last = events.filter((one) => one.current);
    for (const one of events.toSorted((a, b) => rank(a) - rank(b))) {
      const [colour, shape] = STATES[one.state] ?? STATES[""];
      pen.fillStyle = pen.strokeStyle = ink(colour);
      drawMark(pen, shape, x(one), tall + lane / 2, 4 * density);
    }
    pen.strokeStyle = ink("--ink");
    pen.lineWidth = 1.5 * density;
    for (const one of last) pen.strokeRect(x(one) - 6 * density, tall + density, 12 * density, lane - 2 * density);
  });

  function layOut() {
    view.hidden = !shown;
    if (shown && recording) {
      view.style.left = percent(shown.from);
      view.style.width = `${clamp(((shown.to - shown.from) / recording.duration_s) * 100, 0.2, 100)}%`;
    }
  }

  function press(event) {
    if (event.button || !recording) return;
    focus = timeAt(event);
    strip.setPointerCapture(event.pointerId);
    tell();
    onJump(focus);
  }

  function hover(event) {
    if (!recording) return;
    if (strip.hasPointerCapture(event.pointerId) && event.buttons) { focus = timeAt(event); onJump(focus); }
    hint(formatTime(timeAt(event)));
  }

  const hint = (text) => { tip.textContent = text; };

  function step(event) {
    if (!recording || event.ctrlKey || event.altKey || event.metaKey) return;
    const by = { ArrowLeft: -0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
    if (by) focus = clamp(focus + by * recording.duration_s, 0, recording.duration_s);
    else if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    tell();
    if (event.key === "Enter") onJump(focus);
    else self.setCursor(focus);
  }

  function tell() {
    strip.setAttribute("aria-valuenow", Math.round(focus));
    strip.setAttribute("aria-valuetext", T.units.of(formatTime(focus), formatTime(recording.duration_s)));
  }

  const watcher = new ResizeObserver(() => redraw());
  watcher.observe(strip);
  const endChoice = onChoice(() => redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  const self = {
    node,
    get recording() { return recording; },
    show(next) {
      const same = recording && next.source === recording.source;
      recording = next;
      events = next.events ?? events;
      if (!same) {
        end?.();
        focus = 0;
        overview = next.missing ? null : overviewOf(next.source, next.duration_s);
        end = overview?.onMore(redraw);
        shown = null;
        self.setCursor(null);
      }
      strip.setAttribute("aria-valuemax", Math.round(next.duration_s));
      times.replaceChildren(el("span", {}, formatTime(0)), tip, el("span", {}, formatTime(next.duration_s)));
      tell();
      layOut();
      redraw();
    },
    setEvents(next) { events = next; redraw(); },
    setWindow(from, to) { shown = { from, to }; focus = (from + to) / 2; layOut(); if (recording) tell(); },
    setCursor(time) { cursor.hidden = time === null; if (time !== null && recording) cursor.style.left = percent(time); },
    destroy() { end?.(); watcher.disconnect(); endChoice(); },
  };
  return self;
}
