/** Sound of stretches: one element plays at a time, with its place in the recording. */

import { raw, remembered } from "./api.js";
import { setting, onChoice } from "./settings.js";

const KEPT = 16;
const sounds = new Map(); // address -> Promise of a blob's address, oldest first

/** Speeds of play by `[` and `]`; the server writes the rate, so that ultrasound becomes audible. */
export const SPEEDS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2];

/** The most that the server gives of a sound at once, in seconds. */
export const MOST_S = 60;

/**
 * Fetch a stretch of sound ahead of its play.
 * @param {{source: string, start_s: number, end_s: number, speed?: number}} piece times in the recording
 * @returns {Promise<string>} a blob's address, kept among the last 16
 */
export function fetchSound({ source, start_s, end_s, speed = 1 }) {
  const params = { start_s: round(start_s), end_s: round(end_s), slow: speed === 1 ? undefined : 1 / speed };
  const key = JSON.stringify([source, params]);
  return remembered(sounds, key, KEPT, () => raw(`audio/${encodeURIComponent(source)}`, params)
    .then((response) => response.blob()).then((blob) => URL.createObjectURL(blob)),
  // What plays just now has been read already; a short delay keeps its tail.
  (address) => address.then((url) => setTimeout(() => URL.revokeObjectURL(url), 90000), () => {}));
}

const round = (s) => Math.round(s * 1000) / 1000;

let current = null; // the player that has the floor

/**
 * Make a player.
 * @param {Object} [on]
 * @param {(time_s: number|null) => void} [on.time] each frame of play, in seconds of the recording; null when over
 * @param {(state: "idle"|"loading"|"playing"|"paused") => void} [on.state]
 * @param {() => void} [on.blocked] the browser wants a gesture before it plays anything
 * @param {(error: Error) => void} [on.error]
 * @returns {{load, play, pause, toggle, stop, state, time, piece, speed, element, destroy}}
 *   `load(piece)` takes a stretch without playing it; `play(from_s?)` plays, by default from where it is paused or the
 *   start; `toggle()`; `stop()` forgets the place; `time` seconds of the recording or null; `speed` read and write
 */
export function createPlayer(on = {}) {
  const audio = new Audio();
  audio.preload = "auto";
  let piece = null, loaded = "", place = null, state = "idle", speed = 1, asked = 0, frame = 0;

  const tell = (next) => { if (state !== next) { state = next; on.state?.(state); } };
  const now = () => clampTo(piece, piece.start_s + audio.currentTime * speed);
  const tick = () => {
    if (state !== "playing") return;
    on.time?.(now());
    frame = requestAnimationFrame(tick);
  };
  let gain = null;
  const volume = () => {
    const wanted = setting("volume");
    // An element plays no louder than the file; a faint call needs more.
    if (wanted > 1 && !gain && typeof AudioContext !== "undefined") {
      const sound = new AudioContext();
      gain = sound.createGain();
      sound.createMediaElementSource(audio).connect(gain).connect(sound.destination);
    }
    audio.volume = gain ? 1 : Math.min(wanted, 1);
    if (gain) gain.gain.value = wanted;
  };
  const endChoice = onChoice((name) => { if (name === "volume") volume(); });

  audio.addEventListener("ended", () => {
    place = null;
    const next = piece?.next;
    if (next && next.start_s < next.end_s) { self.load(next); self.play(); return; }
    tell("idle");
    on.time?.(null);
  });
  audio.addEventListener("error", () => { if (loaded) { tell("idle"); on.error?.(new Error(audio.error?.message || loaded)); } });

  const self = {
    element: audio,
    get state() { return state; },
    get piece() { return piece; },
    get time() { return piece && (state === "playing" || state === "paused") ? now() : null; },
    get speed() { return speed; },
    set speed(next) {
      const at = self.time, was = state;
      speed = next;
      loaded = "";
      if (piece && was === "playing") self.play(at ?? undefined);
      else if (at !== null) place = at;
    },
    load(next) {
      asked += 1;
      audio.pause();
      piece = next;
      loaded = "";
      place = null;
      tell("idle");
    },
    async play(from) {
      if (!piece) return;
      const mine = ++asked, wanted = piece;
      if (current !== self) current?.pause();
      current = self;
      const start = from ?? place ?? wanted.start_s;
      place = null;
      try {
        if (!loaded) {
          tell("loading");
          const url = await fetchSound({ ...wanted, speed });
          if (mine !== asked) return;
          audio.src = url;
          loaded = url;
        }
        // A time at the very end would end at once.
        audio.currentTime = Math.max(0, Math.min(start, wanted.end_s - 0.01) - wanted.start_s) / speed;
        volume();
        gain?.context.resume();
        await audio.play();
        if (mine !== asked) return;
        tell("playing");
        cancelAnimationFrame(frame);
        tick();
        const after = wanted.next;
        if (after && after.start_s < after.end_s) fetchSound({ ...after, speed }).catch(() => {});
      } catch (error) {
        if (mine !== asked || error.name === "AbortError") return;
        tell("idle");
        if (error.name === "NotAllowedError") on.blocked?.();
        else on.error?.(error);
      }
    },
    pause() {
      asked += 1;
      if (state === "playing") { place = now(); audio.pause(); tell("paused"); }
      else if (state === "loading") tell("idle");
    },
    toggle() {
      if (state === "playing" || state === "loading") self.pause();
      else self.play();
    },
    stop() {
      self.pause();
      place = null;
      tell("idle");
      on.time?.(null);
    },
    destroy() {
      self.stop();
      endChoice();
      loaded = "";
      audio.removeAttribute("src");
      gain?.context.close();
    },
  };
  return self;
}

const clampTo = (piece, time) => Math.min(Math.max(time, piece.start_s), piece.end_s);

/**
 * Lay a long stretch out in pieces that follow each other without a gap to wait for.
 * @param {string} source
 * @param {number} from_s where play begins
 * @param {number} to_s where the recording ends
 * @param {number} [step_s] length of a piece
 */
export function inPieces(source, from_s, to_s, step_s = 20) {
  const piece = { source, start_s: from_s, end_s: Math.min(from_s + step_s, to_s) };
  Object.defineProperty(piece, "next", { enumerable: false, get: () => inPieces(source, piece.end_s, to_s, step_s) });
  return piece;
}
