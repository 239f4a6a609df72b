/** Requests to the server, its changes, and labels that wait while it is gone. */

import { setting } from "./settings.js";
import { T } from "./texts.js";

export const MOST_WAITING = 200;
const GONE = new Set([401, 429, 502, 503, 504]);
const waiting = [];
const watchers = new Set();
let online = true, locked = false, retry = 0, sending = false, pause = 1000;

/** Name of this tab: leases of the queue keep two tabs apart. */
export const CLIENT = tabName();

function tabName() {
  const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (n) => n.toString(16).padStart(2, "0")).join("");
  try {
    // A reload keeps its leases; a copied tab has a history of its own, yet the same storage.
    const again = performance.getEntriesByType("navigation")[0]?.type === "reload";
    const name = (again && sessionStorage.getItem("earful.client")) || fresh();
    sessionStorage.setItem("earful.client", name);
    return name;
  } catch { return fresh(); }
}

/**
 * An answer that is an error. `status` 0: no answer at all.
 * `code`, `message` and `field` are the server's; `message` is a sentence to show.
 */
export class ApiError extends Error {
  constructor(status, { code = "", message = "", field = null } = {}) {
    super(message || T.errors.status(status));
    Object.assign(this, { status, code, field });
  }

  /** Whether it is worth another try: the server is away or busy. */
  get gone() { return this.status === 0 || GONE.has(this.status); }
}

/** Path below /api with its query; empty, null and undefined values are left out. */
export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.append(name, String(value));
  }
  const text = query.toString();
  return `/api/${path}${text ? `?${text}` : ""}`;
}

/**
 * Make a request and return the Response; every failure is an ApiError, save an abort.
 * @param {string} method
 * @param {string} path below /api
 * @param {{params?: Object, body?: any, type?: string, accept?: string, signal?: AbortSignal}} [options]
 *   `body` is sent as JSON unless `type` names what it is (then a Blob or buffer)
 */
export async function request(method, path, { params, body, type, accept, signal, keepalive } = {}) {
  const headers = { "X-Earful-Client": CLIENT, Accept: accept ?? "application/json" };
  // A header holds ASCII only; names of people do not.
  if (setting("reviewer")) headers["X-Earful-Reviewer"] = encodeURIComponent(setting("reviewer"));
  if (body !== undefined) headers["Content-Type"] = type ?? "application/json";
  const sent = body === undefined || type ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(address(path, params), { method, headers, body: sent, signal, keepalive, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    lost();
    throw new ApiError(0, { code: "gone", message: T.errors.gone });
  }
  if (response.ok) {
    found();
    return response;
  }
  const told = await response.json().catch(() => ({}));
  if (response.status === 401) lost(true);
  throw new ApiError(response.status, told.error ?? {});
}

const json = async (answer) => {
  const response = await answer;
  return response.status === 204 ? null : response.json();
};

/** The five verbs; each returns the parsed JSON, and takes `options` as `request` does. */
export const get = (path, params, options) => json(request("GET", path, { ...options, params }));
export const post = (path, body, options) => json(request("POST", path, { ...options, body }));
export const put = (path, body, options) => json(request("PUT", path, { ...options, body }));
export const patch = (path, body, options) => json(request("PATCH", path, { ...options, body }));
export const remove = (path, params, options) => json(request("DELETE", path, { ...options, params }));

/** Get bytes: an image, a sound, a file; returns the Response for its headers. */
export const raw = (path, params, signal) => request("GET", path, { params, signal, accept: "*/*" });

/**
 * What a map keeps under a key, else what `make` promises; the least recently used go.
 * @param {Map<string, Promise>} map
 * @param {number} most how many are kept
 * @param {(gone: Promise) => void} [forget] told of each that goes
 */
export function remembered(map, key, most, make, forget) {
  let kept = map.get(key);
  map.delete(key);
  if (!kept) {
    kept = make();
    kept.catch(() => map.delete(key));
  }
  map.set(key, kept);
  while (map.size > most) {
    const [oldest, gone] = map.entries().next().value;
    map.delete(oldest);
    forget?.(gone);
  }
  return kept;
}

/**
 * Read server-sent events until the server ends them.
 * @param {string} path below /api
 * @param {(kind: string, data: any) => void} onEvent
 * @param {{body?: any, params?: Object, signal?: AbortSignal, onOpen?: () => void}} [options] with `body` it is a POST
 */
export async function stream(path, onEvent, { body, params, signal, onOpen } = {}) {
  const response = await request(body === undefined ? "GET" : "POST", path,
    { body, params, signal, accept: "text/event-stream" });
  onOpen?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = (text + value).replaceAll("\r\n", "\n");
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) tell(part, onEvent);
  }
}

function tell(part, onEvent) {
  let kind = "message";
  const data = [];
  for (const line of part.split("\n")) {
    if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  if (!data.length) return;
  let value = data.join("\n");
  try { value = JSON.parse(value); } catch { /* plain text */ }
  onEvent(kind, value);
}

/** Follow /api/changes as long as the page lives, also over restarts of the server. */
export async function followChanges(onEvent) {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15000)) {
    try {
      await stream("changes", onEvent, { onOpen: () => { wait = 500; } });
    } catch (error) {
      if (error instanceof ApiError && !error.gone) return;
      if (!(error instanceof ApiError)) lost();
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

// The server's absence, and the labels that wait for it.

/**
 * Call `watcher({online, locked, n_waiting, refused?, kept?})` at once and when that changes; returns what ends it.
 * `locked`: it answers, and does not know this page's token. `kept` is the server's answer to a label that had waited, `refused` the sentences of those that it refused.
 */
export function onConnection(watcher) {
  watchers.add(watcher);
  watcher(connection());
  return () => watchers.delete(watcher);
}

const connection = () => ({ online, locked, n_waiting: waiting.filter((one) => one.late).length });
const announce = (more) => { for (const watcher of watchers) watcher({ ...connection(), ...more }); };

function lost(refused = false) {
  locked = refused;
  for (const one of waiting) { one.late = true; one.resolve(null); }
  if (online) { online = false; pause = 1000; }
  announce();
  retry ||= setTimeout(() => {
    retry = 0;
    pause = Math.min(pause * 1.5, 10000);
    get("status").catch(() => {});
  }, pause);
}

function found() {
  if (!online) { online = true; announce(); }
  flush();
}

/**
 * Send a label, after those before it; while the server is gone it waits here and is sent later with its own time.
 * @param {Object} body of POST /api/labels
 * @returns {Promise<Object|null>} the server's answer, or null when the label waits; it throws an ApiError where
 *   the label is refused (409: leased to somebody else), or 200 wait already
 */
export async function sendLabel(body) {
  if (waiting.length >= MOST_WAITING) throw new ApiError(0, { code: "full", message: T.errors.full(MOST_WAITING) });
  const one = { body, at: new Date().toISOString(), late: !online };
  const answer = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
  waiting.push(one);
  if (online) flush();
  else { one.resolve(null); announce(); }
  return answer;
}

/** Take back the last label if it still waits; its body, or null. */
export function takeBack() {
  // The first one may be on its way to the server just now.
  if (!waiting.at(-1)?.late || (sending && waiting.length === 1)) return null;
  const { body } = waiting.pop();
  announce();
  return body;
}

async function flush() {
  if (sending) return;
  sending = true;
  const refused = [];
  while (waiting.length) {
    // It stays in the list until the server has it: leaving the page still warns.
    const one = waiting[0];
    try {
      const kept = await post("labels", one.late ? { ...one.body, at: one.at } : one.body);
      one.resolve(kept);
      if (one.late) announce({ kept });
    } catch (error) {
      if (error.gone) { sending = false; lost(error.status === 401); break; }
      if (one.late) refused.push(error.message);
      one.reject(error);
    }
    waiting.shift();
    if (one.late) announce();
  }
  sending = false;
  if (refused.length) announce({ refused });
}

addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
