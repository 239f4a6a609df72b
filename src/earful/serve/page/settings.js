/** What a person has chosen, kept in this browser. */

const KEY = "earful.settings";

/** Settings and what they are until somebody chooses. */
export const DEFAULTS = Object.freeze({
  reviewer: "", // "": the server's --reviewer
  theme: "auto", // auto | light | dark
  colours: "dusk", // dusk (viridis-like) | grey | inverted
  contrast: 1, // slope of level to brightness, 0.5 to 3
  floor: 0.1, // levels below this are background, 0 to 0.7
  n_fft: 0, // 256 to 4096 samples; 0: the server's choice
  fmin_hz: 0,
  fmax_hz: 0, // 0: the highest there is
  volume: 1, // 0 to 4
  autoplay: true,
  keys: "earful", // earful | birdnet
  context_s: 1.5, // seconds shown before and after an event
  scan: "", label: "", strategy: "mix", // the last queue
});

const listeners = new Set();
let chosen = read();

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return Object.fromEntries(Object.entries(kept).filter(
      ([name, value]) => name in DEFAULTS && typeof value === typeof DEFAULTS[name]));
  } catch { return {}; }
}

/** Value of a setting. */
export const setting = (name) => chosen[name] ?? DEFAULTS[name];

/** Keep a choice, and tell those who asked; a browser that keeps nothing still has it for this page. */
export function choose(name, value) {
  if (!(name in DEFAULTS) || Object.is(setting(name), value)) return;
  chosen = { ...chosen, [name]: value };
  try { localStorage.setItem(KEY, JSON.stringify(chosen)); } catch { /* a private window */ }
  for (const listener of listeners) listener(name, value);
}

/** Call `listener(name, value)` at every choice, also one made in another tab; returns what ends that. */
export function onChoice(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  const before = chosen;
  chosen = read();
  for (const name of Object.keys(DEFAULTS)) {
    if (Object.is(before[name], chosen[name])) continue;
    for (const listener of listeners) listener(name, setting(name));
  }
});
