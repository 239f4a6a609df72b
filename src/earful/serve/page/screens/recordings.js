/** Recordings: what a scan heard, file by file; one recording to look through, listen to and mark. */

import { get, remove, sendLabel, takeBack } from "../api.js";
import { askLabel } from "../choice.js";
import { afterPause, button, clamp, el, field, refill, select, svg } from "../dom.js";
import { allEvents } from "../events.js";
import { bindKeys } from "../keys.js";
import { createOverview, overviewOf } from "../overview.js";
import { MOST_S, createPlayer, inPieces } from "../player.js";
import { onChoice, setting } from "../settings.js";
import { createSpectrogram, fetchGrey, fit, markIcon } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatClock, formatLength, formatTime, parseTime } from "../times.js";

const R = T.recordings;
/** Shorter ranges are shown as spectrograms of their own, longer ones from the overview. */
const FINE_S = 45;

export const screen = { id: "recordings", title: T.app.screens.recordings, mount };

function mount(root, context) {
  const { scans } = context.status;
  if (!scans.length) {
    root.append(el("div", { class: "empty" }, el("h2", {}, R.noScans), el("p", {}, R.noScansHint)));
    return null;
  }
  const asked = context.params.get("scan") || setting("scan");
  const scan = scans.find((one) => one.name === asked) ?? scans[0];
  const source = context.params.get("source");
  return source ? mountOne(root, context, scan, source) : mountList(root, context, scan);
}

// The list.

function mountList(root, context, scan) {
  let rows = [], order = ["recording", 1], most = 100, ended = false;
  const body = el("tbody"), told = el("p", { class: "faint", "aria-live": "polite" }, T.app.loading), chart = el("section", { class: "stack" });
  const more = button(T.app.more, () => { most += 200; draw(); }, { hidden: true });
  const search = el("input", { type: "search", placeholder: R.searchHint, "aria-label": R.search, on: { input: () => { most = 100; draw(); } } });
  const heads = Object.entries(R.columns).map(([key, text]) => {
    const name = key === "name" ? "recording" : key;
    return el("th", { scope: "col", class: ["duration_s", "n_events"].includes(key) ? "number" : null, data: { key: name } },
      button(text, () => { order = [name, order[0] === name ? -order[1] : 1]; draw(); }, { class: "plain" }));
  });
  let label = "";
  root.append(el("div", { class: "stack" },
    el("div", { class: "row bottom" }, scanField(context, scan), field(R.search, search), el("span", { class: "grow" }), told),
    el("div", { class: "scroll" }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, heads)), body)), more,
    el("div", { class: "card stack" }, el("div", { class: "row" }, el("h2", { class: "grow" }, R.hours),
      select([["", R.allLabels], ...(scan.looked_for ?? scan.labels).map((one) => [one, one])], "", (next) => { label = next; hours(); }, { "aria-label": R.label })), chart)));

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((one) => words.every((word) => one.text.includes(word)));
    const [key, way] = order;
    found.sort((a, b) => way * (typeof a[key] === "number" && typeof b[key] === "number" ? a[key] - b[key] : String(a[key] ?? "").localeCompare(String(b[key] ?? ""), "en", { numeric: true })));
    for (const head of heads) head.setAttribute("aria-sort", head.dataset.key !== key ? "none" : way > 0 ? "ascending" : "descending");
    told.textContent = R.count(found.length, rows.length);
    more.hidden = found.length <= most;
    refill(body, found.length ? found.slice(0, most).map((one) => line(one)) : el("tr", {}, el("td", { colspan: heads.length, class: "faint" }, R.none)));
  }

  function line(one) {
    const open = one.source && one.status !== "failed" && one.status !== "skipped", gone = open && one.missing;
    return el("tr", { class: gone ? "gone" : null },
      el("td", {}, open ? el("a", { href: `#/recordings?${new URLSearchParams({ scan: scan.name, source: one.source })}` }, one.recording) : one.recording),
      el("td", {}, one.site || ""), el("td", { class: "time" }, formatClock(one.starts_at)),
      el("td", { class: "number" }, one.duration_s ? formatLength(one.duration_s) : ""), el("td", { class: "number", data: { unit: R.columns.n_events } }, one.n_events ?? ""),
      el("td", {}, el("span", { class: gone ? "bad" : one.status === "ok" ? "good" : one.status === "failed" ? "bad" : "warn" }, gone ? R.gone : one.status), one.reason ? el("small", { class: "reason" }, one.reason) : null));
  }

  async function load() {
    for (let cursor; !ended;) {
      const page = await get("recordings", { scan: scan.name, cursor, limit: 500 });
      rows = rows.concat(page.recordings.map((one) => ({ ...one, text: [one.recording, one.site, one.status, one.reason].join(" ").toLowerCase() })));
      draw();
      cursor = page.cursor;
      if (!cursor) return;
    }
  }

  async function hours() {
    try { refill(chart, hoursChart(await get("hours", { scan: scan.name, label }))); } catch (error) { refill(chart, el("p", { class: "bad" }, error.message)); }
  }

  load().catch((error) => { told.textContent = error.message; });
  hours();
  const ends = [bindKeys({ "/": () => search.focus() })];
  return () => { ended = true; for (const end of ends) end(); };
}

function scanField(context, scan) {
  return field(R.scan, select(context.status.scans.map((one) => [one.name, one.name]), scan.name, (next) => context.navigate("recordings", { scan: next })));
}

/**
 * Make a chart of events by hour of day: a row of bars for each site, hours that were recorded shaded.
 * @param {{sites: Array<{site: string, n_events: number[], hours: number[]}>, unknown: {n_events: number}}} counts
 */
export function hoursChart({ sites, unknown }) {
  const most = Math.max(1, ...sites.flatMap((one) => one.n_events)), tall = 34;
  const bar = (n, x, wide) => svg("rect", { class: "n", x, width: wide, y: tall - Math.max((n / most) * tall, 1.5), height: Math.max((n / most) * tall, 1.5) });
  const rows = sites.map(({ site, n_events: counts, hours: heard }) => el("div", { class: "row" }, el("span", { class: "site" }, site || T.app.unnamed),
    svg("svg", { viewBox: `0 0 240 ${tall}`, preserveAspectRatio: "none", role: "img", "aria-label": R.hoursOf(site, counts) }, counts.map((n, hour) => svg("g", {},
      svg("rect", { class: heard[hour] > 0 ? "heard" : "hit", x: hour * 10, y: 0, width: 10, height: tall }), n ? bar(n, hour * 10 + 1, 8) : null,
      svg("title", {}, R.hoursCell(site, hour, n, heard[hour])))))));
  return el("div", { class: "hours" }, rows.length ? rows : el("p", { class: "faint" }, R.hoursNone),
    rows.length ? el("div", { class: "row" }, el("span", { class: "site faint" }, R.hour), el("div", { class: "scale", "aria-hidden": "true" }, [0, 6, 12, 18, 24].map((hour) => el("span", {}, hour)))) : null,
    unknown?.n_events ? el("p", { class: "faint" }, R.hoursUnknown(unknown.n_events)) : null);
}

// One recording.

function mountOne(root, context, scan, source) {
  const say = context.say;
  let row = null, events = [], ended = false, overview = null, endMore = null, base = [];
  const chosen = { label: "", review: "" };
  const head = el("div", { class: "row" }, el("a", { class: "button", href: `#/recordings?${new URLSearchParams({ scan: scan.name })}` }, R.back));
  const title = el("h1", {}, T.app.loading), meta = el("p", { class: "meta faint" });
  head.append(title);
  const view = createSpectrogram({ label: T.sound.spectrogram, zoom: true, onRange: look, onClick: (at) => { view.setSelection(null); listen(at); }, onSelect: selected });
  const strip = createOverview({ onJump: (at) => center(at) });
  const player = createPlayer({
    time: (at) => { view.setCursor(at); strip.setCursor(at); if (at !== null && (at > view.range.to || at < view.range.from)) follow(at); },
    state: (state) => { playButton.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; },
    blocked: () => say(T.sound.gesture), error: context.fail,
  });
  const act = (text, key, work, props = {}) => button(text, work, { key, ...props });
  const playButton = act(T.sound.play, "space", toggle, { class: "strong" });
  const jump = el("input", { type: "text", inputmode: "numeric", size: 9, placeholder: R.jumpHint, "aria-label": R.jump, on: { keydown: (event) => { if (event.key === "Enter") jumpTo(); } } });
  const where = el("span", { class: "number faint range" });
  const panButton = button(R.pan, () => {
    const pan = panButton.getAttribute("aria-pressed") !== "true";
    panButton.setAttribute("aria-pressed", String(pan));
    view.setMode(pan ? "pan" : touch ? "touch-select" : "select");
  }, { "aria-pressed": "false", title: R.mode });
  const touch = matchMedia("(pointer: coarse)").matches;
  const chosenText = el("span", { class: "number" });
  const selection = el("div", { class: "row selection", hidden: true }, chosenText, act(R.labelIt, "m", labelSelection, { class: "strong" }), button(R.playIt, playSelection), act(R.clear, "Esc", clear));
  const asked = el("span", {});
  const verdict = el("div", { class: "row verdict", hidden: true }, asked, act(T.review.yes, "y", () => judge("positive"), { class: "yes" }), act(T.review.no, "n", () => judge("negative"), { class: "no" }),
    act(T.review.unsure, "?", () => judge("unknown"), { class: "unsure" }), act(T.review.undo, "u", undo));
  const said = []; // own labels of this visit, oldest first: {one, before, sent: Promise}
  const body = el("tbody"), found = el("span", { class: "faint", "aria-live": "polite" });
  const moreRows = button(T.app.more, () => { most += 300; draw(); }, { hidden: true });
  let most = 200;
  root.append(el("div", { class: "stack one" }, head, meta, strip.node, el("div", { class: "big" }, view.node),
    el("div", { class: "row tools" }, playButton, act("+", null, () => zoom(0.5), { "aria-label": R.zoomIn, title: R.zoomIn }), act("−", null, () => zoom(2), { "aria-label": R.zoomOut, title: R.zoomOut }), act(R.all, "0", all),
      act("←", null, () => shift(-0.5), { "aria-label": R.earlier }), act("→", null, () => shift(0.5), { "aria-label": R.later }),
      act("⇤", "k", () => step(-1), { "aria-label": R.previous }), act("⇥", "j", () => step(1), { "aria-label": R.next }), panButton,
      el("label", { class: "row jump" }, el("span", { class: "faint" }, R.jump), jump), where),
    selection, verdict, el("small", { class: "faint hint" }, R.keysHint),
    el("div", { class: "row bottom" }, field(R.label, select([["", R.allLabels], ...scan.labels.map((one) => [one, one])], "", (next) => { chosen.label = next; filter(); })),
      field(R.review, select([["any", R.anyReview], ...Object.entries(T.polarity).map(([key, text]) => [key, text])], "any", (next) => { chosen.review = next === "any" ? null : next; filter(); })), found),
    el("div", { class: "scroll events" }, el("table", {}, el("thead", {}, el("tr", {}, Object.entries(R.eventColumns).map(([key, text]) => el("th", { scope: "col", class: ["start", "length", "score"].includes(key) ? "number" : null }, text)))), body)), moreRows));
  chosen.review = null;

  const limits = () => ({ from: 0, to: row.duration_s });
  const shown = () => events.filter((one) => (!chosen.label || one.label === chosen.label) && (chosen.review === null || one.state === chosen.review));

  function look(from, to) {
    if (!row) return;
    const [low, high] = fit(from, to, limits());
    view.setRange(low, high);
    strip.setWindow(low, high);
    where.textContent = `${formatTime(low, high - low < 30 ? 1 : 0)} – ${formatTime(high, high - low < 30 ? 1 : 0)}`;
    paint();
    refine();
    keep();
  }

  function paint() {
    const { from, to } = view.range;
    const tiles = overview ? overview.pictures(from, to, view.width) : [];
    // A spectrogram of its own is painted over the overview's tiles, which end where it begins.
    view.setPictures(to - from <= FINE_S ? (base.some((one) => one.to > from && one.from < to) ? base.filter((one) => one.to > from && one.from < to) : tiles) : tiles);
    if (overview?.failure && !tiles.length) view.setMessage(overview.failure.message);
    else view.setMessage("");
  }

  const refine = afterPause(() => {
    const { from, to } = view.range;
    if (ended || row.missing || to - from > FINE_S) { base = []; return; }
    const around = (to - from) * 0.25, start_s = Math.max(0, from - around), end_s = Math.min(row.duration_s, to + around);
    fetchGrey({ source, start_s, end_s, width: Math.round(clamp(view.width * 1.5, 256, 2048)), height: 256 }).then((grey) => {
      if (ended) return;
      base = [...base.slice(-2), grey];
      paint();
    }, context.fail);
  }, 120);

  const keep = afterPause(() => {
    const { from, to } = view.range;
    if (!ended) context.replace({ scan: scan.name, source, from: from.toFixed(2), to: to.toFixed(2) });
  }, 400);

  function center(at, wide = view.range.to - view.range.from) { look(at - wide / 2, at + wide / 2); }
  function zoom(by) {
    const { from, to } = view.range, cursor = player.time;
    const at = cursor !== null && cursor > from && cursor < to ? cursor : (from + to) / 2;
    look(at - (at - from) * by, at + (to - at) * by);
  }
  function shift(by) { const { from, to } = view.range; look(from + by * (to - from), to + by * (to - from)); }
  function all() { look(0, row.duration_s); }
  function follow(at) { if (player.state === "playing") { const wide = view.range.to - view.range.from; look(at - wide * 0.05, at + wide * 0.95); } }

  function listen(at) {
    if (row.missing) { say(R.gone, "bad"); return; }
    player.load(inPieces(source, at, row.duration_s));
    player.play();
  }
  function toggle() {
    if (player.piece && player.state !== "idle") player.toggle();
    else if (view.selection) playSelection();
    else listen(view.range.from);
  }

  function jumpTo() {
    const at = parseTime(jump.value);
    if (at === null) { say(R.badTime(jump.value), "bad"); jump.setAttribute("aria-invalid", "true"); return; }
    if (at > row.duration_s) { say(R.beyond(jump.value, formatTime(row.duration_s)), "bad"); jump.setAttribute("aria-invalid", "true"); return; }
    jump.removeAttribute("aria-invalid");
    center(at, Math.min(view.range.to - view.range.from, 20));
    view.setCursor(at);
    strip.setCursor(at);
  }

  function goTo(one) {
    center((one.from + one.to) / 2, clamp((one.to - one.from) * 6, 4, 20));
    for (const each of events) each.current = each === one;
    drawEvents();
    const line = body.querySelector(`tr[data-id="${CSS.escape(one.id)}"]`);
    for (const each of body.querySelectorAll("tr.current")) each.classList.remove("current");
    line?.classList.add("current");
    ask(one);
  }

  function ask(one) {
    verdict.hidden = !one || context.status.read_only || row.missing;
    if (one) refill(asked, T.review.guess, " ", el("b", {}, one.label), "?");
  }

  /** Say of the chosen event whether it is what it is called; its mark changes before the server answers. */
  async function judge(polarity) {
    const one = events.find((each) => each.current);
    if (!one) { say(R.chooseEvent); return; }
    if (context.status.read_only) { say(T.review.readOnly, "bad"); return; }
    const word = { one, before: one.state, sent: sendLabel({ scan: scan.name, item: one.id, label: one.label, polarity }) };
    said.push(word);
    turn(one, polarity);
    try {
      const kept = await word.sent;
      say(kept?.change?.text || R.judged(one.label, formatTime(one.from, 2), polarity), "good");
    } catch (error) {
      said.splice(said.indexOf(word), 1);
      turn(one, word.before);
      context.fail(error);
    }
  }

  async function undo() {
    const word = said.pop();
    if (!word) { say(T.review.nothingToUndo); return; }
    try {
      const kept = await word.sent;
      if (kept) await remove(`labels/${kept.label.seq}`, { scan: scan.name });
      else if (!takeBack()) throw new Error(T.errors.gone);
      turn(word.one, word.before);
      say(T.review.undone(word.one.label, kept?.label.polarity ?? ""), "good");
    } catch (error) { said.push(word); context.fail(error); }
  }

  function turn(one, state) {
    // The list may have come anew in the meantime.
    for (const each of new Set([one, ...events.filter((other) => other.id === one.id)])) each.state = state;
    drawEvents();
    draw();
  }

  function step(by) {
    const list = shown(), now = list.findIndex((one) => one.current), middle = (view.range.from + view.range.to) / 2;
    let at = now >= 0 ? now + by : by > 0 ? list.findIndex((one) => one.from > middle) : list.findLastIndex((one) => one.to < middle);
    if (now < 0 && at < 0) return;
    at = clamp(at, 0, list.length - 1);
    if (list[at]) goTo(list[at]);
  }

  function selected({ from, to }) {
    selection.hidden = false;
    chosenText.textContent = R.selected(formatTime(from, 2), formatTime(to, 2));
  }
  function clear() { selection.hidden = true; view.setSelection(null); }
  function playSelection() {
    const chosen_ = view.selection;
    if (!chosen_ || row.missing) return;
    player.load({ source, start_s: chosen_.from, end_s: Math.min(chosen_.to, chosen_.from + MOST_S) });
    player.play();
  }

  async function labelSelection() {
    if (!view.selection) {
      // By keys alone: a second from where it plays, or in the middle.
      const at = player.time ?? (view.range.from + view.range.to) / 2, [from, to] = fit(at - 0.5, at + 0.5, limits());
      view.setSelection({ from, to });
      selected({ from, to });
    }
    if (context.status.read_only) { say(T.review.readOnly, "bad"); return; }
    const { from, to } = view.selection;
    const label = await askLabel(scan.labels, T.review.missedHint(`${formatTime(from, 2)} – ${formatTime(to, 2)}`));
    if (!label || ended) return;
    try {
      const kept = await sendLabel({ scan: scan.name, source_id: source, start_s: round(from), end_s: round(to), label, polarity: "positive", source: "missed" });
      say(R.kept(label, formatTime(from, 2)), "good");
      clear();
      events.push({ id: kept?.label.item ?? "", event_id: kept?.label.item ?? "", from, to, start_s: from, end_s: to, label, score: null, state: "positive", starts_at: null });
      events.sort((a, b) => a.from - b.from);
      filter();
    } catch (error) { context.fail(error); }
  }

  function drawEvents() { const list = shown(); view.setEvents(list); strip.setEvents(list); }
  function filter() { most = 200; drawEvents(); draw(); }

  function draw() {
    const list = shown();
    found.textContent = R.events(list.length);
    moreRows.hidden = list.length <= most;
    refill(body, list.length ? list.slice(0, most).map((one) => el("tr", { data: { id: one.id }, class: one.current ? "current" : null },
      el("td", { class: "number" }, button(formatTime(one.from, 2), () => goTo(one), { class: "plain number" })),
      el("td", { class: "time" }, formatClock(row.starts_at, one.from).slice(11)), el("td", { class: "number" }, formatLength(one.to - one.from)),
      el("td", {}, one.label), el("td", { class: "number" }, one.score === null || one.score === undefined ? "" : one.score.toFixed(2)),
      el("td", {}, markIcon(one.state), T.polarity[one.state] ?? one.state))) : el("tr", {}, el("td", { colspan: 6, class: "faint" }, R.eventsNone)));
  }

  async function load() {
    const [about, list] = await Promise.all([get(`recordings/${encodeURIComponent(source)}`, { scan: scan.name }), allEvents({ scan: scan.name, source })]);
    if (ended) return;
    row = about.recording;
    events = list;
    refill(title, row.recording);
    refill(meta, [formatClock(row.starts_at), row.site, formatLength(row.duration_s), row.sample_rate ? `${row.sample_rate / 1000} ${T.units.khz}` : "", row.device, row.status === "ok" ? "" : row.status, row.reason]
      .filter(Boolean).join(" · "), row.missing ? el("b", { class: "bad" }, ` · ${R.gone}`) : null);
    view.setLimits(0, row.duration_s);
    overview = overviewOf(source, row.duration_s);
    endMore = overview.onMore(() => { if (row) paint(); });
    strip.show({ source, duration_s: row.duration_s, events: list });
    const from = Number(context.params.get("from") ?? NaN), to = Number(context.params.get("to") ?? NaN);
    if (to > from) look(from, to);
    else all();
    filter();
  }

  const guard = (work) => () => { if (row) work(); };
  const ends = [bindKeys(Object.fromEntries(Object.entries({
    " ": toggle, "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), z: () => zoom(0.5), x: () => zoom(2), 0: all, ArrowLeft: () => shift(-0.25), ArrowRight: () => shift(0.25),
    Home: () => center(0), End: () => center(row.duration_s), k: () => step(-1), j: () => step(1), y: () => judge("positive"), n: () => judge("negative"), "?": () => judge("unknown"), u: undo, m: labelSelection, Escape: clear, "/": () => jump.focus(),
  }).map(([key, work]) => [key, guard(work)]))),
  onChoice((name) => { if (["n_fft", "fmin_hz", "fmax_hz"].includes(name)) { base = []; refine(); } })];
  const reload = afterPause(async () => { const list = await allEvents({ scan: scan.name, source }).catch(() => null); if (!list || ended) return; const chosen_ = events.find((one) => one.current)?.id; events = list; for (const one of events) one.current = one.id === chosen_; ask(events.find((one) => one.current)); filter(); }, 800);
  for (const kind of ["label", "undo", "refit"]) ends.push(context.onChange(kind, (data) => { if (!data.scan || data.scan === scan.name) reload(); }));
  load().catch((error) => { refill(title, source); refill(meta, el("span", { class: "bad" }, error.message)); });
  return () => {
    ended = true;
    for (const later of [refine, keep, reload]) later.cancel();
    endMore?.();
    for (const end of ends) end();
    for (const part of [player, view, strip]) part.destroy();
  };
}

const round = (s) => Math.round(s * 1000) / 1000;
