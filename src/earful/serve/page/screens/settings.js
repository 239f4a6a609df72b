/** Settings: who labels, and how sounds are shown and played; kept in this browser. */

import { W } from "../asking/texts.js";
import { el, field, refill, select } from "../dom.js";
import { DEFAULTS, choose, setting } from "../settings.js";
import { COLOURS, palette } from "../spectrogram.js";
import { T } from "../texts.js";

const S = W.settings;

export const screen = { id: "settings", title: T.app.screens.settings, mount };

function mount(root, context) {
  const shown = new Map();

  function number(name, { min, max, step, write = String }) {
    const out = el("output", { class: "number" }, write(setting(name)));
    const input = el("input", { type: "range", min, max, step, on: { input: () => { choose(name, Number(input.value)); out.textContent = write(setting(name)); preview(); } } });
    input.value = setting(name);
    shown.set(name, () => { input.value = setting(name); out.textContent = write(setting(name)); });
    return el("label", { class: "field wide" }, el("span", {}, S.names[name]), el("span", { class: "row" }, input, out));
  }

  function pick(name, options, numeric = false) {
    const node = select(options.map(([value, text]) => [String(value), text]), String(setting(name)), (next) => { choose(name, numeric ? Number(next) : next); preview(); });
    shown.set(name, () => { node.value = String(setting(name)); });
    return field(S.names[name], node);
  }

  const reviewer = el("input", { type: "text", maxlength: "100", placeholder: context.status.reviewer, autocomplete: "off", on: { change: () => choose("reviewer", reviewer.value.trim()) } });
  reviewer.value = setting("reviewer");
  shown.set("reviewer", () => { reviewer.value = setting("reviewer"); });
  const autoplay = el("input", { type: "checkbox", checked: setting("autoplay"), on: { change: () => choose("autoplay", autoplay.checked) } });
  shown.set("autoplay", () => { autoplay.checked = setting("autoplay"); });
  const strip = el("canvas", { width: 256, height: 24, class: "scale", role: "img", "aria-label": S.scale });

  function preview() {
    const pen = strip.getContext("2d"), colours = palette(), image = pen.createImageData(256, 24);
    for (let at = 0; at < 256 * 24; at += 1) image.data.set(colours.subarray((at % 256) * 4, (at % 256) * 4 + 4), at * 4);
    pen.putImageData(image, 0, 0);
  }

  const group = (title, ...children) => el("section", { class: "card stack" }, el("h2", {}, title), el("div", { class: "choices" }, children));
  root.append(el("div", { class: "stack" }, el("h1", {}, S.title), el("p", { class: "faint" }, S.hint),
    group(S.person, field(S.names.reviewer, reviewer, S.reviewerHint), pick("keys", Object.entries(S.keys)), pick("theme", Object.entries(S.themes))),
    group(S.picture, pick("colours", COLOURS.map((name) => [name, S.colours[name] ?? name])), strip,
      number("contrast", { min: 0.5, max: 3, step: 0.1, write: (value) => value.toFixed(1) }), number("floor", { min: 0, max: 0.7, step: 0.02, write: (value) => `${Math.round(100 * value)} %` }),
      pick("n_fft", [[0, S.auto], ...[256, 512, 1024, 2048, 4096].map((n) => [n, S.samples(n)])], true),
      pick("fmin_hz", [0, 100, 250, 500, 1000, 2000, 5000, 10000, 15000].map((hz) => [hz, S.hz(hz)]), true),
      pick("fmax_hz", [[0, S.highest], ...[1000, 2000, 4000, 6000, 8000, 12000, 16000, 24000, 48000, 96000].map((hz) => [hz, S.hz(hz)])], true),
      number("context_s", { min: 0, max: 5, step: 0.25, write: (value) => `${value.toFixed(2)} s` })),
    group(S.sound, number("volume", { min: 0, max: 4, step: 0.1, write: (value) => `${Math.round(100 * value)} %` }), el("label", { class: "row tick" }, autoplay, S.names.autoplay)),
    el("div", { class: "row" }, el("button", { type: "button", on: { click: reset } }, S.reset), el("span", { class: "faint" }, S.version(context.status)))));
  preview();

  function reset() {
    for (const [name, value] of Object.entries(DEFAULTS)) choose(name, value);
    for (const draw of shown.values()) draw();
    preview();
    context.say(S.done, "good");
  }

  return () => refill(root);
}
