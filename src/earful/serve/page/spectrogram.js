/** Spectrograms: grey levels of the server, coloured and laid out here, with a box, a selection and a cursor. */

import { raw, remembered } from "./api.js";
import { clamp, el, ink, perFrame, refill } from "./dom.js";
import { onChoice, setting } from "./settings.js";
import { T } from "./texts.js";
import { formatTime, ticks } from "./times.js";

const MAPS = {
  grey: [[0, 0, 0], [255, 255, 255]],
  inverted: [[255, 255, 255], [0, 0, 0]],
  dusk: [[9, 10, 20], [27, 24, 62], [38, 52, 104], [34, 92, 126], [36, 130, 128], [78, 166, 112], [156, 196, 94], [228, 214, 116], [255, 246, 208]],
};

/** Names of the colour maps. */
export const COLOURS = Object.keys(MAPS);

/**
 * Make the colours of the 256 levels under the present settings, RGBA.
 * A level below `floor` is background; `contrast` is the slope about the middle of the rest.
 * @returns {Uint8ClampedArray} of 1,024
 */
export function palette(name = setting("colours"), contrast = setting("contrast"), floor = setting("floor")) {
  const stops = MAPS[name] ?? MAPS.dusk;
  const table = new Uint8ClampedArray(1024);
  for (let level = 0; level < 256; level += 1) {
    const risen = Math.max(level / 255 - floor, 0) / (1 - floor);
    const at = clamp(0.5 + (risen - 0.5) * contrast, 0, 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let band = 0; band < 3; band += 1) {
      table[level * 4 + band] = stops[low][band] + (stops[low + 1][band] - stops[low][band]) * (at - low);
    }
    table[level * 4 + 3] = 255;
  }
  return table;
}

let colours = palette(), version = 0;
onChoice((name) => {
  if (!["colours", "contrast", "floor"].includes(name)) return;
  colours = palette();
  version += 1;
});

/**
 * Grey levels of a stretch.
 * @typedef {{levels: Uint8Array, width: number, height: number, from: number, to: number, lowHz: number, highHz: number}} Grey
 *   row 0 is the highest; `from` and `to` are seconds of the recording
 */

/** Read a grey PNG of a Response; times and band are the caller's to add. */
export async function readGrey(response) {
  const image = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  image.close();
  const { data } = pen.getImageData(0, 0, width, height);
  const levels = new Uint8Array(width * height);
  for (let at = 0; at < levels.length; at += 1) levels[at] = data[at * 4];
  return { levels, width, height };
}

const KEPT = 40;
const greys = new Map();

/**
 * Fetch the spectrogram of a stretch, kept among the last 40.
 * @param {{source: string, start_s: number, end_s: number, width?: number, height?: number}} view
 * @returns {Promise<Grey>}
 */
export function fetchGrey({ source, start_s, end_s, width = 768, height = 256 }, signal) {
  const params = { start_s: start_s.toFixed(3), end_s: end_s.toFixed(3), width, height, ...request() };
  const key = JSON.stringify([source, params]);
  return remembered(greys, key, KEPT, () => raw(`spectrogram/${encodeURIComponent(source)}`, params, signal).then(async (response) => ({
    ...(await readGrey(response)), from: number(response, "X-Start-S", start_s), to: number(response, "X-End-S", end_s),
    lowHz: number(response, "X-Low-Hz", 0), highHz: number(response, "X-High-Hz", 0),
  })));
}

const number = (response, name, other) => Number(response.headers.get(name) ?? other);

// A range is cut out of the whole picture here; only a narrow one at the bottom is asked for by itself.
function request() {
  const most = setting("fmax_hz");
  return { n_fft: setting("n_fft") || undefined, fmax: most && most <= 6000 ? most : undefined };
}

/** Band that the settings show of a picture, in Hz. */
export function shownBand(lowHz, highHz) {
  const high = setting("fmax_hz") ? Math.min(setting("fmax_hz"), highHz) : highHz;
  const low = Math.min(Math.max(setting("fmin_hz"), lowHz), high * 0.9);
  return [low, high];
}

const painted = new WeakMap();

/** A canvas of the picture in the present colours; made once for each choice of colours. */
export function coloured(grey) {
  const kept = painted.get(grey);
  if (kept?.version === version) return kept.canvas;
  const canvas = kept?.canvas ?? new OffscreenCanvas(grey.width, grey.height);
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(grey.width, grey.height);
  const words = new Uint32Array(image.data.buffer), table = new Uint32Array(colours.buffer);
  for (let at = 0; at < words.length; at += 1) words[at] = table[grey.levels[at]];
  pen.putImageData(image, 0, 0);
  painted.set(grey, { canvas, version });
  return canvas;
}

/** Colours and shapes of events by their state: [custom property, shape]. */
export const STATES = {
  "": ["--unreviewed", "bar"], positive: ["--good", "up"], negative: ["--bad", "cross"],
  unknown: ["--warn", "diamond"], skip: ["--mute", "dot"], disputed: ["--warn", "split"],
};

/** Draw the mark of a state with its middle at (x, y), `r` pixels each way. */
export function drawMark(pen, shape, x, y, r) {
  pen.beginPath();
  if (shape === "up") { pen.moveTo(x - r, y + r); pen.lineTo(x, y - r); pen.lineTo(x + r, y + r); pen.closePath(); pen.fill(); }
  else if (shape === "diamond") { pen.moveTo(x, y - r); pen.lineTo(x + r, y); pen.lineTo(x, y + r); pen.lineTo(x - r, y); pen.closePath(); pen.fill(); }
  else if (shape === "dot") { pen.arc(x, y, r * 0.6, 0, 7); pen.fill(); }
  else if (shape === "bar") { pen.rect(x - r * 0.35, y - r, r * 0.7, 2 * r); pen.fill(); }
  else {
    pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r);
    if (shape === "cross") { pen.moveTo(x + r, y - r); pen.lineTo(x - r, y + r); }
    else { pen.moveTo(x - r, y + r); pen.lineTo(x - r, y - r); pen.lineTo(x + r, y - r); }
    pen.stroke();
  }
}

/** A small canvas with a mark, for legends and lists. */
export function markIcon(state) {
  const canvas = el("canvas", { width: 24, height: 24, class: "mark", "aria-hidden": "true" });
  const pen = canvas.getContext("2d"), [colour, shape] = STATES[state] ?? STATES[""];
  pen.fillStyle = pen.strokeStyle = ink(colour);
  pen.lineWidth = 4;
  drawMark(pen, shape, 12, 12, 8);
  return canvas;
}

/**
 * Make a picture of a stretch with axes in kHz and seconds.
 *
 * Drag selects (with Shift, or on its handles, it moves the box's ends); a click is a place; with `zoom`
 * the wheel and two fingers change the range.
 * @param {Object} options
 * @param {string} options.label its name for screen readers
 * @param {boolean} [options.axes] default true
 * @param {boolean} [options.zoom] wheel zooms, Shift and wheel or a sideways wheel moves
 * @param {boolean} [options.select] a drag selects; default true
 * @param {(time_s: number) => void} [options.onClick]
 * @param {(range: {from: number, to: number}) => void} [options.onSelect] at the end of a drag
 * @param {(box: {from: number, to: number}) => void} [options.onBox] while and after its ends are moved
 * @param {(from: number, to: number) => void} [options.onRange] the person zoomed or moved; the caller sets it
 * @returns {Object} `node`; `setRange(from, to)`, `range`; `setPictures([Grey…])` painted in that order, stretched
 *   to their times; `setBox({from, to}|null, {fixed?})`, `box`; `setSelection(range|null)`, `selection`;
 *   `setEvents([{from, to, label, state, current?}…])`; `setCursor(time|null)`; `setMode("select"|"pan")` for
 *   drags; `setLimits(from, to)`; `setMessage(text)`; `redraw()`; `destroy()`
 */
export function createSpectrogram(options) {
  const canvas = el("canvas");
  const pen = canvas.getContext("2d");
  const cursor = el("i", { class: "cursor", hidden: true });
  const chosen = el("i", { class: "chosen", hidden: true });
  const message = el("p", { class: "over", hidden: true });
  const handles = ["from", "to"].map((end) => el("span", {
    class: `handle ${end}`, role: "slider", tabindex: "0",
    "aria-label": end === "from" ? T.sound.start : T.sound.end, on: { keydown: (event) => nudge(event, end) },
  }));
  const box = el("div", { class: "box", hidden: true, role: "group", "aria-label": T.sound.event }, handles);
  const plot = el("div", { class: "plot", tabindex: options.axes === false ? null : "0", role: "group", "aria-label": options.label },
    canvas, box, chosen, cursor, message);
  const yAxis = el("div", { class: "y", "aria-hidden": "true" }), xAxis = el("div", { class: "x", "aria-hidden": "true" });
  const node = el("div", { class: `spectrogram${options.axes === false ? " bare" : ""}` }, yAxis, plot, xAxis);
  let range = { from: 0, to: 1 }, limits = { from: 0, to: Infinity }, pictures = [], events = [];
  let boxed = null, fixed = false, selection = null, mode = "select", active = "to", time = null;

  const span = () => range.to - range.from;
  const percent = (at) => ((at - range.from) / span()) * 100;
  const timeAt = (event) => {
    const { left, width } = plot.getBoundingClientRect();
    return clamp(range.from + ((event.clientX - left) / width) * span(), limits.from, limits.to);
  };

  const redraw = perFrame(() => {
    const density = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(plot.clientWidth * density), height = Math.round(plot.clientHeight * density);
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    pen.fillStyle = `rgb(${colours.slice(0, 3).join(" ")})`;
    pen.fillRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    const x = (at) => ((at - range.from) / span()) * width;
    const band = pictures.at(-1);
    const [low, high] = band?.highHz ? shownBand(band.lowHz, band.highHz) : [0, 0];
    for (const grey of pictures) {
      if (grey.to <= range.from || grey.from >= range.to) continue;
      let top = 0, tall = height;
      if (high && grey.highHz && !grey.mel) {
        top = ((high - grey.highHz) / (high - low)) * height;
        tall = ((grey.highHz - grey.lowHz) / (high - low)) * height;
      }
      pen.drawImage(coloured(grey), x(grey.from), top, x(grey.to) - x(grey.from), tall);
    }
    drawEvents(width, height, density, x);
    drawAxes(band?.mel ? 0 : low, band?.mel ? 0 : high);
  });

  function drawEvents(width, height, density, x) {
    if (!events.length) return;
    const dark = setting("colours") !== "inverted";
    pen.font = `${12 * density}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    const shown = events.filter((one) => one.to >= range.from && one.from <= range.to)
      .map((one) => ({ one, left: x(one.from), wide: Math.max(x(one.to) - x(one.from), 2 * density) }));
    for (const { one, left, wide } of shown) {
      pen.fillStyle = dark ? "#0009" : "#fffb";
      pen.fillRect(left, 0, Math.max(wide, 14 * density), 17 * density);
      // Of a whole night only the marks above fit; frames would hide what they frame.
      if (!one.current && wide < 8 * density) continue;
      pen.strokeStyle = dark ? "#fffc" : "#000c";
      pen.lineWidth = one.current ? 2.5 * density : density;
      pen.strokeRect(left, 0.5, wide, height - 1);
    }
    let free = -1;
    for (const { one, left, wide } of shown) {
      const [colour, shape] = STATES[one.state] ?? STATES[""];
      pen.fillStyle = pen.strokeStyle = ink(`${colour}${dark ? "-dark" : "-light"}`);
      pen.lineWidth = 2 * density;
      drawMark(pen, shape, left + 7 * density, 8.5 * density, 4 * density);
      const begin = left + 14 * density;
      if (begin < free || wide < 4 * density) continue;
      pen.fillStyle = dark ? "#fff" : "#000";
      pen.fillText(one.label, begin, 2.5 * density, 140 * density);
      free = begin + Math.min(pen.measureText(one.label).width, 140 * density) + 4 * density;
    }
  }

  function drawAxes(low, high) {
    if (options.axes === false) return;
    const wide = plot.clientWidth, tall = plot.clientHeight;
    const khz = high >= 2000;
    refill(yAxis, ticks(low, high, ((high - low) * 28) / tall).map((hz) => {
      const mark = el("span", {}, khz ? +(hz / 1000).toFixed(2) : Math.round(hz));
      mark.style.top = `${(1 - (hz - low) / (high - low)) * 100}%`;
      return mark;
    }), high ? el("b", {}, khz ? T.units.khz : T.units.hz) : null);
    const least = (span() * 72) / wide, digits = least < 0.1 ? 2 : least < 1 ? 1 : 0;
    refill(xAxis, ticks(range.from, range.to, least, true).filter((at) => at >= limits.from && at <= limits.to && percent(at) * wide > (range.to < 100 ? 1600 : 3200) && (100 - percent(at)) * wide > 3200).map((at) => {
      const mark = el("span", {}, range.to < 100 ? at.toFixed(digits) : formatTime(at, digits));
      mark.style.left = `${percent(at)}%`;
      return mark;
    }), range.to < 100 ? el("b", {}, T.units.second("").trim()) : null);
  }

  function place(node_, from, to) {
    const left = clamp(percent(from), -1, 101), right = clamp(percent(to), -1, 101);
    node_.style.left = `${left}%`;
    node_.style.width = `${right - left}%`;
  }

  function layOut() {
    box.hidden = !boxed || boxed.to < range.from || boxed.from > range.to;
    if (boxed) {
      place(box, boxed.from, boxed.to);
      for (const [at, end] of ["from", "to"].entries()) {
        handles[at].hidden = fixed;
        handles[at].setAttribute("aria-valuemin", limits.from.toFixed(2));
        if (Number.isFinite(limits.to)) handles[at].setAttribute("aria-valuemax", limits.to.toFixed(2));
        handles[at].setAttribute("aria-valuenow", boxed[end].toFixed(2));
        handles[at].setAttribute("aria-valuetext", formatTime(boxed[end], 2));
      }
    }
    chosen.hidden = !selection;
    if (selection) place(chosen, selection.from, selection.to);
    cursor.hidden = time === null || time < range.from || time > range.to;
    if (!cursor.hidden) cursor.style.left = `${percent(time)}%`;
  }

  function moveEnd(end, at) {
    const least = 0.02;
    boxed = end === "from" ? { ...boxed, from: clamp(at, limits.from, boxed.to - least) }
      : { ...boxed, to: clamp(at, boxed.from + least, limits.to) };
    active = end;
    layOut();
    options.onBox?.(boxed);
  }

  function nudge(event, end) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!step || !boxed || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    moveEnd(end, boxed[end] + step * (event.shiftKey ? 0.01 : 0.05));
  }

  // Pointers: one drags, two zoom.
  const fingers = new Map();
  let drag = null, pinch = null;

  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, event);
    plot.setPointerCapture(event.pointerId);
    if (fingers.size === 2 && options.zoom) {
      const [one, two] = [...fingers.values()];
      pinch = { ...range, apart: Math.max(Math.abs(one.clientX - two.clientX), 20), at: timeAt({ clientX: (one.clientX + two.clientX) / 2 }) };
      drag = null;
      return;
    }
    const at = timeAt(event), handle = event.target.closest?.(".handle");
    const end = handle ? (handle.classList.contains("from") ? "from" : "to")
      : event.shiftKey && boxed && !fixed ? (Math.abs(at - boxed.from) < Math.abs(at - boxed.to) ? "from" : "to") : "";
    drag = { x: event.clientX, at, end, moved: false, ...range, pan: !end && options.zoom && (mode === "pan" || (event.pointerType === "touch" && mode !== "touch-select")) };
    if (end) event.preventDefault();
  });
  plot.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event);
    if (pinch && fingers.size === 2) {
      const [one, two] = [...fingers.values()];
      const wide = (pinch.to - pinch.from) * (pinch.apart / Math.max(Math.abs(one.clientX - two.clientX), 20));
      const { left, width } = plot.getBoundingClientRect();
      const part = ((one.clientX + two.clientX) / 2 - left) / width;
      ask(pinch.at - part * wide, pinch.at + (1 - part) * wide);
      return;
    }
    if (!drag) return;
    if (Math.abs(event.clientX - drag.x) > 4) drag.moved = true;
    if (!drag.moved) return;
    const at = timeAt(event);
    if (drag.end) moveEnd(drag.end, at);
    else if (drag.pan) {
      const shift = ((drag.x - event.clientX) / plot.clientWidth) * (drag.to - drag.from);
      ask(drag.from + shift, drag.to + shift);
    } else if (options.select !== false) self.setSelection({ from: Math.min(drag.at, at), to: Math.max(drag.at, at) });
  });
  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (pinch) { if (!fingers.size) pinch = null; return; }
    const was = drag;
    drag = null;
    if (!was || event.type === "pointercancel") return;
    if (!was.moved) { if (!was.end) options.onClick?.(was.at); }
    else if (!was.end && !was.pan && selection && options.select !== false) options.onSelect?.(selection);
  };
  plot.addEventListener("pointerup", lift);
  plot.addEventListener("pointercancel", lift);
  if (options.zoom) {
    plot.addEventListener("wheel", (event) => {
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      const aside = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
      if (aside) {
        const shift = (aside * unit * span()) / plot.clientWidth;
        ask(range.from + shift, range.to + shift);
      } else {
        const at = timeAt(event), by = Math.exp(clamp(event.deltaY * unit, -300, 300) * 0.002);
        ask(at - (at - range.from) * by, at + (range.to - at) * by);
      }
    }, { passive: false });
  }

  function ask(from, to) {
    const [low, high] = fit(from, to, limits);
    options.onRange?.(low, high);
  }

  const watcher = new ResizeObserver(() => redraw());
  watcher.observe(plot);
  const endChoice = onChoice(() => redraw());

  const self = {
    node,
    plot,
    get range() { return range; },
    get box() { return boxed; },
    get selection() { return selection; },
    get width() { return plot.clientWidth; },
    setRange(from, to) { range = { from, to: Math.max(to, from + 1e-3) }; layOut(); redraw(); },
    setLimits(from, to) { limits = { from, to }; },
    setPictures(next) { pictures = next; redraw(); },
    setEvents(next) { events = next; redraw(); },
    setBox(next, { fixed: still = false } = {}) { boxed = next; fixed = still; active = "to"; layOut(); },
    nudge(end, by) { if (boxed && !fixed) moveEnd(end ?? active, boxed[end ?? active] + by); },
    setSelection(next) { selection = next; layOut(); },
    setCursor(next) { time = next; layOut(); },
    setMode(next) { mode = next; plot.dataset.mode = next; },
    setMessage(text) { message.hidden = !text; message.textContent = text ?? ""; },
    ask,
    redraw,
    destroy() { watcher.disconnect(); endChoice(); },
  };
  self.setMode("select");
  return self;
}

/** Move and shorten a range so that it lies within limits and holds at least 50 ms: `[from, to]`. */
export function fit(from, to, limits) {
  const wide = clamp(to - from, 0.05, Math.max(limits.to - limits.from, 0.05));
  const middle = (from + to) / 2;
  const low = clamp(middle - wide / 2, limits.from, Math.max(limits.to - wide, limits.from));
  return [low, low + wide];
}
