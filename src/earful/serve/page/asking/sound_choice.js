/** The sound that is asked about: files dropped or chosen, the microphone, or one that the server has. */

import { ApiError, get, put } from "../api.js";
import { labelField, openDialog } from "../choice.js";
import { afterPause, button, el, field, refill } from "../dom.js";
import { createPlayer, inPieces } from "../player.js";
import { createSpectrogram, fetchGrey, fit } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatLength, formatTime, parseTime } from "../times.js";
import { LONGEST_S, canRecord, record } from "./recorder.js";
import { W } from "./texts.js";

const A = W.ask;
const LONGEST_PICTURE_S = 600, ZOOM_FROM_S = 12;
const ENDINGS = /\.(wav|wave|flac|mp3|ogg|oga|opus|m4a|aac|aif|aiff|aifc|au|caf|w64|webm|mp4)$/i;

let count = 0;

/**
 * Make the chooser of a sound, with its picture, a player, and the stretch that is meant.
 * @param {Object} options
 * @param {Object} options.context of the screen
 * @param {{source?: string, start_s?: number, end_s?: number}} [options.given] what to begin with
 * @param {boolean} [options.several] whether several files may be chosen at once
 * @param {(how: "sound"|"stretch"|"files") => void} options.onChoose another sound, stretch or files are chosen
 * @returns {{node: HTMLElement, audio: Object|null, files: File[], give: (file: File, spoken?: boolean) => Promise<void>, toggle: () => void, focus: () => void, destroy: () => void}}
 *   `audio`: `{source, start_s, end_s}` as the server takes it, `null` without a sound; `files`: several that were chosen
 */
export function createSoundChoice({ context, given = {}, several = false, onChoose }) {
  const id = `sound-file-${(count += 1)}`;
  const input = el("input", { type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg,.m4a", multiple: several, id, class: "file", on: { change: () => { offer([...input.files]); input.value = ""; } } });
  const drop = el("div", { class: "drop", on: {
    dragover: (event) => { event.preventDefault(); drop.dataset.over = ""; },
    dragleave: () => { delete drop.dataset.over; },
    drop: (event) => { event.preventDefault(); delete drop.dataset.over; filesOf(event.dataTransfer).then(offer, context.fail); },
  } });
  const told = el("p", { class: "told", role: "status" });
  const meter = el("meter", { min: 0, max: 1, low: 0.05, high: 0.97, optimum: 0.5, hidden: true, "aria-label": A.level });
  const mic = button(A.microphone, toggleMicrophone, { disabled: !canRecord(), title: canRecord() ? null : A.micInsecure });
  const card = el("div", { class: "stack", hidden: true });
  const name = el("b", {}), length = el("span", { class: "number faint" });
  const ends = ["from", "to"].map((end) => el("input", { type: "text", class: "time", maxlength: "12", autocomplete: "off", title: A.stretchTime, on: { focus: (event) => event.target.select(), change: readEnds, keydown: (event) => { if (event.key === "Enter") readEnds(); } } }));
  const whole = button(A.whole, () => pick(null), { class: "plain", hidden: true });
  const playButton = button(T.sound.play, () => self.toggle(), { class: "strong", key: "space" });
  const zooming = el("div", { class: "row zooming", hidden: true }, [[A.zoomOut, "−", 2, 0], [A.zoomIn, "+", 0.5, 0], [A.earlier, "←", 1, -0.5], [A.later, "→", 1, 0.5]].map(
    ([text, sign, by, aside]) => button(sign, () => zoom(by, aside), { "aria-label": text, title: text })));
  const picture = createSpectrogram({ label: A.picture, zoom: true, onRange: setView, onClick: (at) => { player.load(inPieces(chosen.source, at, end())); player.play(at); }, onSelect: (range) => pick(range) });
  const player = createPlayer({
    time: (at) => picture.setCursor(at), error: context.fail,
    state: (state) => { playButton.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; },
  });
  let chosen = null, files = [], recording = null, ended = false, asked = 0;

  refill(drop, el("div", { class: "row" }, el("label", { for: id, class: "button strong" }, A.choose), input, mic, meter, button(A.here, chooseHere),
    el("span", { class: "faint hint" }, A.dropHint), canRecord() ? null : el("span", { class: "faint" }, A.micInsecure)), told);
  refill(card, el("div", { class: "row" }, playButton, el("span", {}, name, " ", length), el("span", { class: "grow" }), zooming,
    el("div", { class: "row times" }, field(A.from, ends[0]), field(A.to, ends[1]), whole)), el("div", { class: "middle" }, picture.node), el("small", { class: "faint hint" }, A.stretchHint));
  const node = el("section", { class: "card stack sound", "aria-label": A.title }, drop, card);

  const all = () => chosen.duration_s ?? LONGEST_PICTURE_S;
  const begin = () => picture.selection?.from ?? 0;
  const end = () => picture.selection?.to ?? all();

  function tell(text, bad = false) {
    told.textContent = text;
    told.classList.toggle("bad", bad);
    told.setAttribute("role", bad ? "alert" : "status");
  }

  // The stretch.

  function pick(range, quietly = false) {
    picture.setSelection(range);
    ends.forEach((one, at) => { one.value = range ? formatTime(at ? range.to : range.from, 2) : ""; one.removeAttribute("aria-invalid"); });
    whole.hidden = !range;
    player.load(inPieces(chosen.source, begin(), end()));
    if (!quietly) onChoose("stretch");
  }

  function readEnds() {
    const [from, to] = ends.map((one) => (one.value.trim() ? parseTime(one.value) : undefined));
    if (from === undefined && to === undefined) { tell(""); pick(null); return; }
    const range = { from: from ?? 0, to: Math.min(to ?? all(), all()) };
    const bad = from === null || to === null || !(range.from < range.to);
    for (const one of ends) one.setAttribute("aria-invalid", String(bad));
    tell(bad ? A.badStretch : "", bad);
    if (bad) return;
    pick(range);
    if (range.from < picture.range.from || range.to > picture.range.to) setView(range.from - (range.to - range.from), range.to + (range.to - range.from));
  }

  // The view.

  const look = afterPause(paint, 120);

  function setView(from, to) {
    const middle = (from + to) / 2, half = Math.min(to - from, LONGEST_PICTURE_S) / 2;
    picture.setRange(...fit(middle - half, middle + half, { from: 0, to: all() }));
    look();
  }

  function zoom(by, aside) {
    const { from, to } = picture.range, wide = to - from;
    setView((from + to) / 2 - (wide * by) / 2 + aside * wide, (from + to) / 2 + (wide * by) / 2 + aside * wide);
  }

  async function paint() {
    const mine = chosen, { from, to } = picture.range;
    try {
      const grey = await fetchGrey({ source: mine.source, start_s: from, end_s: Math.min(to, all()), width: 1024, height: 192 });
      if (chosen !== mine || ended) return;
      picture.setMessage("");
      picture.setPictures([grey]);
    } catch (error) { if (chosen === mine && !ended) picture.setMessage(error.message); }
  }

  // Where sounds come from.

  function offer(list) {
    if (!list.length) return;
    const sounds = list.length === 1 ? list : list.filter((one) => one.type.startsWith("audio/") || ENDINGS.test(one.name));
    if (!sounds.length) { tell(A.noAudio, true); return; }
    if (sounds.length === 1 || !several) { self.give(sounds[0]); return; }
    asked += 1;
    files = sounds;
    chosen = null;
    card.hidden = true;
    player.stop();
    tell([A.several(sounds.length), list.length > sounds.length ? A.leftOut(list.length - sounds.length) : ""].filter(Boolean).join(" "));
    onChoose("files");
  }

  async function toggleMicrophone() {
    if (recording) { recording.stop(); return; }
    mic.disabled = true;
    try {
      recording = await record({ level: (peak, time_s) => { meter.value = peak; tell(A.recording(Math.max(0, LONGEST_S - time_s))); } });
    } catch (error) { tell(error.message, true); return; } finally { mic.disabled = false; }
    if (ended) { recording.stop(); return; }
    player.pause();
    meter.hidden = false;
    mic.firstChild.textContent = A.stop;
    mic.setAttribute("aria-pressed", "true");
    const blob = await recording.done;
    recording = null;
    meter.hidden = true;
    mic.firstChild.textContent = A.microphone;
    mic.setAttribute("aria-pressed", "false");
    if (!ended) self.give(new File([blob], A.micName, { type: "audio/wav" }), true);
  }

  async function chooseHere() {
    try {
      const [{ uploads }, ...pages] = await Promise.all([get("uploads"), ...context.status.scans.map((scan) => get("recordings", { scan: scan.name, limit: 500 }))]);
      const known = new Map(uploads.map((one) => [A.uploaded(one.name), one.source]));
      for (const [at, { recordings }] of pages.entries()) {
        for (const one of recordings) if (one.source && !one.missing) known.set(A.recorded(one.recording, context.status.scans[at].name), one.source);
      }
      if (!known.size) { tell(A.hereNone); return; }
      const choice = labelField({ labels: [...known.keys()], fresh: false, name: A.here, hint: A.hereHint, onPick: (text) => { opened.close(); take(known.get(text)).catch(context.fail); } });
      const opened = openDialog(A.here, [choice.node], { closeText: T.app.cancel });
      choice.input.focus();
    } catch (error) { context.fail(error); }
  }

  async function take(source, range = null) {
    const mine = ++asked;
    let found;
    if (source.startsWith("x-")) found = await get(`index/rows/${source}`);
    else if (source.startsWith("u-")) found = (await get("uploads")).uploads.find((one) => one.id === source);
    else found = await recordingOf(source);
    if (mine !== asked || ended) return;
    if (!found) { tell(source.startsWith("u-") ? A.goneUpload : A.noScan, true); return; }
    choose({ source, name: found.name ?? found.recording, duration_s: found.duration_s }, range);
  }

  async function recordingOf(source) {
    for (const { name: scan } of context.status.scans) {
      try { return (await get(`recordings/${source}`, { scan })).recording; } catch (error) { if (error.status !== 404) throw error; }
    }
    return null;
  }

  function choose(next, range = null) {
    chosen = next;
    files = [];
    tell("");
    card.hidden = false;
    name.textContent = next.name;
    length.textContent = next.duration_s ? formatLength(next.duration_s) : "";
    zooming.hidden = all() < ZOOM_FROM_S;
    picture.setCursor(null);
    picture.setLimits(0, all());
    picture.setPictures([]);
    picture.setMessage(T.app.loading);
    pick(range, true);
    const wide = range ? Math.max((range.to - range.from) * 2, 10) : LONGEST_PICTURE_S, middle = range ? (range.from + range.to) / 2 : wide / 2;
    picture.setRange(...fit(middle - wide / 2, middle + wide / 2, { from: 0, to: all() }));
    paint();
    onChoose("sound");
  }

  const self = {
    node,
    get audio() {
      if (!chosen) return null;
      const picked = picture.selection;
      return picked ? { source: chosen.source, start_s: picked.from, end_s: picked.to } : { source: chosen.source };
    },
    get files() { return files; },
    async give(file, spoken = false) {
      const mine = ++asked;
      tell(A.sending(file.name));
      try {
        const sent = await sendFile(file, context);
        if (mine === asked && !ended) choose(sent);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (mine === asked && !ended) tell(spoken && error.code === "silent" ? A.micSilent : A.refused(file.name, error.message), true);
      }
    },
    toggle() { if (chosen) player.toggle(); },
    focus: () => input.focus(),
    destroy() {
      ended = true;
      look.cancel();
      recording?.stop();
      player.destroy();
      picture.destroy();
    },
  };
  if (given.source) take(given.source, given.end_s > given.start_s ? { from: given.start_s, to: given.end_s } : null).catch((error) => tell(error.message, true));
  return self;
}

/** A sound as parameters of an address: `source`, and `start` and `end` of a stretch. */
export function addressOf(audio) {
  const second = (time_s) => (time_s === undefined ? undefined : String(Math.round(time_s * 1000) / 1000));
  return { source: audio?.source, start: second(audio?.start_s), end: second(audio?.end_s) };
}

/**
 * Send a file, and return what the server says of it.
 * @throws {ApiError} also where it is larger than the server takes
 */
export function sendFile(file, context, signal) {
  const most = context.status.limits?.max_upload_bytes;
  if (most && file.size > most) throw new ApiError(413, { code: "too_large", message: A.tooLarge(file.name, file.size, most) });
  const type = file.type.startsWith("audio/") ? file.type : "application/octet-stream";
  return put(`uploads/${encodeURIComponent(file.name || A.micName)}`, file, { type, signal });
}

/** Files that were dropped, with those in folders, by their names. */
async function filesOf(given) {
  const entries = [...given.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((one) => one.isDirectory)) return [...given.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) { found.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); })); return; }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return found.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}
