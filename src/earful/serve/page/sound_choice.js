/** The sound that is asked about: a file dropped or chosen, the microphone, or one that the server knows. */

import { ApiError, get, put } from "./api.js";
import { button, el, refill } from "./dom.js";
import { createPlayer, inPieces } from "./player.js";
import { LONGEST_S, canRecord, record } from "./recorder.js";
import { createSpectrogram, fetchGrey } from "./spectrogram.js";
import { T } from "./texts.js";
import { formatLength, formatTime } from "./times.js";

const A = T.ask;
const LONGEST_PICTURE_S = 600;

/**
 * Make the chooser of a sound, with its picture, a player, and a drag for the stretch that is meant.
 * @param {Object} options
 * @param {Object} options.context of the screen
 * @param {string} [options.source] one to begin with
 * @param {(chosen: {source: string, name: string}|null) => void} options.onChoose
 * @returns {{node: HTMLElement, audio: Object|null, take: (source: string) => Promise<void>, toggle: () => void, destroy: () => void}}
 *   `audio`: `{source, start_s, end_s}` as the server takes it, `null` without a sound
 */
export function createSoundChoice({ context, source = "", onChoose }) {
  const input = el("input", { type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg,.m4a", id: "sound-file", class: "file", on: { change: () => { if (input.files[0]) upload(input.files[0]); input.value = ""; } } });
  const drop = el("div", { class: "drop", on: {
    dragover: (event) => { event.preventDefault(); drop.dataset.over = ""; },
    dragleave: () => { delete drop.dataset.over; },
    drop: (event) => { event.preventDefault(); delete drop.dataset.over; const [file] = event.dataTransfer.files; if (file) upload(file); },
  } });
  const told = el("p", { class: "faint", "aria-live": "polite" });
  const meter = el("meter", { min: 0, max: 1, low: 0.05, high: 0.97, optimum: 0.5, hidden: true, "aria-label": A.level });
  const mic = button(A.microphone, toggleMicrophone, { disabled: !canRecord(), title: canRecord() ? null : A.micInsecure });
  const given = el("div", { class: "stack", hidden: true });
  const name = el("b", {}), stretch = el("span", { class: "number faint" });
  const whole = button(A.whole, () => { picture.setSelection(null); show(); }, { class: "plain", hidden: true });
  const playButton = button(T.sound.play, () => self.toggle(), { class: "strong", key: "space" });
  const picture = createSpectrogram({ label: A.picture, onClick: (at) => { player.load(inPieces(chosen.source, at, end())); player.play(at); }, onSelect: () => show() });
  const player = createPlayer({
    time: (at) => picture.setCursor(at), error: context.fail,
    state: (state) => { playButton.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; },
  });
  let chosen = null, recording = null, ended = false, asked = 0;

  refill(drop, el("div", { class: "row" }, el("label", { for: "sound-file", class: "button strong" }, A.choose), input, mic, meter, el("span", { class: "faint" }, canRecord() ? A.dropHint : `${A.dropHint} ${A.micInsecure}`)), told);
  refill(given, el("div", { class: "row" }, name, stretch, whole, el("span", { class: "grow" }), playButton), el("div", { class: "middle" }, picture.node), el("small", { class: "faint" }, A.stretchHint));
  const node = el("section", { class: "card stack sound" }, drop, given);

  const all = () => chosen.duration_s ?? LONGEST_PICTURE_S;
  const begin = () => picture.selection?.from ?? 0;
  const end = () => picture.selection?.to ?? all();

  function show() {
    const picked = picture.selection;
    stretch.textContent = picked ? `${formatTime(picked.from, 2)} – ${formatTime(picked.to, 2)}` : chosen.duration_s ? formatLength(chosen.duration_s) : "";
    whole.hidden = !picked;
    player.load(inPieces(chosen.source, begin(), end()));
  }

  async function upload(file) {
    const most = context.status.limits?.max_upload_bytes;
    if (most && file.size > most) { told.textContent = A.tooLarge(file.name, file.size, most); return; }
    const mine = ++asked;
    told.textContent = A.sending(file.name);
    try {
      const sent = await put(`uploads/${encodeURIComponent(file.name || "recording.wav")}`, file, { type: file.type.startsWith("audio/") ? file.type : "application/octet-stream" });
      if (mine === asked && !ended) choose(sent);
    } catch (error) {
      if (mine === asked) told.textContent = A.refused(file.name, error.message);
      if (!(error instanceof ApiError)) throw error;
    }
  }

  async function toggleMicrophone() {
    if (recording) { recording.stop(); return; }
    try {
      recording = await record({ level: (peak, time_s) => { meter.value = peak; told.textContent = A.recording(Math.max(0, LONGEST_S - time_s)); } });
    } catch (error) { told.textContent = error.message; return; }
    meter.hidden = false;
    mic.firstChild.textContent = A.stop;
    mic.setAttribute("aria-pressed", "true");
    const blob = await recording.done;
    recording = null;
    meter.hidden = true;
    mic.firstChild.textContent = A.microphone;
    mic.setAttribute("aria-pressed", "false");
    if (!ended) upload(new File([blob], A.micName, { type: "audio/wav" }));
  }

  function choose(next) {
    chosen = next;
    told.textContent = "";
    given.hidden = false;
    name.textContent = next.name;
    const length = Math.min(all(), LONGEST_PICTURE_S);
    picture.setSelection(null);
    picture.setCursor(null);
    picture.setLimits(0, length);
    picture.setRange(0, length);
    picture.setPictures([]);
    picture.setMessage(T.app.loading);
    show();
    fetchGrey({ source: next.source, start_s: 0, end_s: length, width: 1024, height: 192 }).then(
      (grey) => { if (chosen === next) { picture.setMessage(""); picture.setPictures([grey]); } },
      (error) => { if (chosen === next) picture.setMessage(error.message); });
    onChoose(next);
  }

  const self = {
    node,
    get audio() {
      if (!chosen) return null;
      const picked = picture.selection;
      return picked ? { source: chosen.source, start_s: picked.from, end_s: picked.to } : { source: chosen.source };
    },
    async take(id) {
      const mine = ++asked;
      const found = id.startsWith("x-") ? await get(`index/rows/${id}`) : id.startsWith("u-")
        ? (await get("uploads")).uploads.find((one) => one.id === id) : await get(`recordings/${id}`);
      if (mine !== asked || ended) return;
      if (found) choose({ source: id, name: found.name ?? found.recording, duration_s: found.duration_s });
      else told.textContent = A.goneUpload;
    },
    toggle() { if (chosen) player.toggle(); },
    destroy() {
      ended = true;
      recording?.stop();
      player.destroy();
      picture.destroy();
    },
  };
  if (source) self.take(source).catch(context.fail);
  return self;
}
