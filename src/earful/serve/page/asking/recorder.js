/** Microphone: what it hears as a WAV of 16-bit samples, made in the page without any codec. */

import { W } from "./texts.js";

export const LONGEST_S = 30;

/** Whether this page may ask for a microphone: browsers allow it to this machine and to HTTPS alone. */
export const canRecord = () => Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode);

/**
 * Record until it is stopped, or for 30 s.
 * @param {{level: (peak: number, time_s: number) => void}} on called ten times a second or so
 * @returns {Promise<{stop: () => Promise<Blob>, done: Promise<Blob>}>} `done` resolves when `stop` is called or the time is over
 */
export async function record(on) {
  let heard;
  try {
    heard = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? W.ask.micRefused : W.ask.micMissing(error.message));
  }
  const sound = new AudioContext();
  const pieces = [];
  let n = 0, peak = 0, told = 0, finish;
  const done = new Promise((resolve) => { finish = resolve; });
  const end = () => {
    for (const track of heard.getTracks()) track.stop();
    const rate = sound.sampleRate;
    sound.close();
    finish(toWav(pieces, Math.min(n, LONGEST_S * rate), rate));
    return done;
  };
  try {
    await sound.audioWorklet.addModule(new URL("./recorder-worklet.js", import.meta.url));
  } catch (error) {
    end();
    throw error;
  }
  const node = new AudioWorkletNode(sound, "earful-recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  let over = false;
  node.port.addEventListener("message", ({ data }) => {
    if (over) return;
    pieces.push(data);
    n += data.length;
    for (const sample of data) peak = Math.max(peak, Math.abs(sample));
    if (n - told > sound.sampleRate / 10) {
      told = n;
      on.level(peak, n / sound.sampleRate);
      peak = 0;
    }
    if (n >= LONGEST_S * sound.sampleRate) { over = true; end(); }
  });
  node.port.start();
  sound.createMediaStreamSource(heard).connect(node);
  return { done, stop: () => { if (!over) { over = true; end(); } return done; } };
}

function toWav(pieces, n, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * n));
  const word = (at, text) => { for (let i = 0; i < 4; i += 1) bytes.setUint8(at + i, text.charCodeAt(i)); };
  word(0, "RIFF"); bytes.setUint32(4, 36 + 2 * n, true); word(8, "WAVE");
  word(12, "fmt "); bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, rate, true); bytes.setUint32(28, 2 * rate, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  word(36, "data"); bytes.setUint32(40, 2 * n, true);
  let at = 0;
  for (const piece of pieces) {
    for (const sample of piece) {
      if (at >= n) break;
      bytes.setInt16(44 + 2 * at, Math.round(Math.max(-1, Math.min(sample, 1)) * 32767), true);
      at += 1;
    }
  }
  return new Blob([bytes.buffer], { type: "audio/wav" });
}
