/** The page's frame: navigation, the screen that the address names, what is said below, and the server's absence. */

import { ApiError, followChanges, get, onConnection } from "./api.js";
import { el, hashOf, refill } from "./dom.js";
import { onChoice, setting } from "./settings.js";
import { T } from "./texts.js";

/**
 * Screens in the order of the navigation, each read when somebody goes there: a module that exports
 * `screen = {id, title, mount(root, context) -> unmount}`; its title is also in T.app.screens.
 */
const SCREENS = {
  review: () => import("./screens/review.js"),
  recordings: () => import("./screens/recordings.js"),
  ask: () => import("./screens/ask.js"),
  search: () => import("./screens/search.js"),
  index: () => import("./screens/index_rows.js"),
  reports: () => import("./screens/reports.js"),
  settings: () => import("./screens/settings.js"),
};
const FIRST = "review";

const nav = el("nav", { "aria-label": T.app.nav });
const who = el("a", { class: "who", href: "#/settings" });
const offline = el("div", { class: "offline", role: "alert", hidden: true });
const main = el("main", { id: "main", tabindex: "-1" });
const said = el("output", { class: "said", "aria-live": "polite" });
const listeners = new Map();

let status = null, unmount = null, shown = "", told = 0;

/**
 * What a screen is given besides its root.
 * - `status`: the last answer of GET /api/status; `refreshStatus()` asks again
 * - `params`: URLSearchParams of the address (`#/review?scan=night.scan`)
 * - `navigate(id, params)` goes to a screen; `replace(params)` changes the address and nothing else
 * - `say(text, kind)` writes into the status bar; kind `"good"`, `"bad"` or none
 * - `fail(error)` says what an error says, and lets an abort pass
 * - `onChange(kind, listener)` calls `listener(data)` at the server's changes of that kind (`label`, `undo`,
 *   `refit`, `commit`, `index`, `job`); returns what ends it. All end when the screen is left.
 */
function makeContext(params) {
  const ends = [];
  return {
    get status() { return status; },
    params,
    refreshStatus,
    navigate: (id, query) => { location.hash = hashOf(id, query); },
    replace: (query) => { shown = hashOf(shown.split("?")[0].slice(2), query); history.replaceState(null, "", shown); },
    say,
    fail,
    onChange(kind, listener) {
      const end = listen(kind, listener);
      ends.push(end);
      return end;
    },
    end: () => { for (const end of ends) end(); },
  };
}

function say(text, kind = "") {
  told += 1;
  const mine = told;
  said.dataset.kind = kind;
  said.textContent = text;
  // A later look should not take it for news; what went wrong stays.
  if (kind !== "bad") setTimeout(() => { if (mine === told) said.dataset.kind = "old"; }, 6000);
}

function fail(error) {
  if (error?.name === "AbortError") return;
  if (!(error instanceof ApiError)) console.warn(error);
  say(error?.message ?? String(error), "bad");
}

function listen(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(listener);
  return () => listeners.get(kind).delete(listener);
}

function changed(kind, data = {}) {
  const { change } = T.app;
  if (kind === "refit") say(change.refit(data.label, data.n_events_before, data.n_events_after), "good");
  else if (kind === "commit") say(data.ok === false ? data.text : change.commit(data.n_rows, data.n_removed), data.ok === false ? "bad" : "good");
  else if (kind === "index" && data.text) say(data.text);
  else if (kind === "job" && data.text) say(data.text);
  for (const listener of listeners.get(kind) ?? []) listener(data);
}

async function refreshStatus() {
  status = await get("status");
  describe();
  return status;
}

function describe() {
  const name = setting("reviewer") || status?.reviewer || "";
  refill(who, status?.read_only ? el("b", { class: "badge" }, T.app.readOnly) : null, name || T.app.unnamed);
  who.title = name ? T.app.reviewer(name) : T.app.noReviewer;
  who.setAttribute("aria-label", who.title);
}

function connected({ online, locked, n_waiting: waits, refused }) {
  const was = !offline.hidden;
  offline.hidden = online && !waits;
  refill(offline, online ? null : el("b", {}, locked ? T.app.locked : T.app.offline), online ? null : ` ${locked ? T.app.lockedHint : T.app.offlineHint}`,
    waits ? ` ${T.app.waits(waits)}` : null);
  if (refused) say(T.app.refused(refused), "bad");
  else if (was && offline.hidden) say(T.app.back, "good");
}

async function route() {
  // A link that was opened with its token keeps it out of the history.
  const hash = location.hash.startsWith("#/") ? location.hash : hashOf(FIRST);
  if (hash === shown) return;
  const [path, query] = hash.slice(2).split("?");
  const id = Object.hasOwn(SCREENS, path) ? path : FIRST;
  // What was said belongs to the screen where it was said.
  if (shown && said.dataset.kind) said.dataset.kind = "gone";
  unmount?.();
  unmount = null;
  shown = hash;
  document.title = `${T.app.screens[id]} · ${T.app.name}`;
  for (const link of nav.querySelectorAll("a")) {
    link.toggleAttribute("aria-current", false);
    if (link.dataset.id !== id) continue;
    link.setAttribute("aria-current", "page");
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  const root = el("section", { class: `screen ${id}`, "aria-label": T.app.screens[id] });
  refill(main, root);
  const context = makeContext(new URLSearchParams(query ?? ""));
  try {
    if (!status) refill(root, el("p", { class: "faint" }, T.app.loading));
    const [{ screen }] = await Promise.all([SCREENS[id](), status ?? refreshStatus()]);
    if (shown !== hash) return;
    refill(root);
    const leave = screen.mount(root, context);
    unmount = () => { context.end(); leave?.(); };
  } catch (error) {
    fail(error);
    refill(root, el("p", { class: "bad" }, T.app.failed(error.message)));
    if (error instanceof ApiError && error.gone) {
      shown = "";
      const end = onConnection(({ online }) => { if (online) { queueMicrotask(() => end()); route(); } });
    }
  }
}

function dress() {
  const theme = setting("theme");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function start() {
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  dress();
  refill(nav, Object.keys(SCREENS).map((id) => el("a", { href: hashOf(id), data: { id } }, T.app.screens[id])));
  document.body.append(
    el("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, T.app.skip),
    el("header", {}, el("b", { class: "brand" }, T.app.name), nav, who), offline, main, el("footer", {}, said));
  onChoice((name) => { if (name === "theme") dress(); if (name === "reviewer") describe(); });
  onConnection(connected);
  addEventListener("hashchange", route);
  // Space after a click should play, not press the same button again; keyboards keep their place.
  main.addEventListener("click", (event) => { if (event.detail) event.target.closest("button")?.blur(); });
  route();
  followChanges(changed);
}

start();
