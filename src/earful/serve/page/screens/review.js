/** Review: one item after another, labelled by single keys. */

import { ApiError, get, onConnection, remove, request, sendLabel, takeBack } from "../api.js";
import { askLabel, askText, openDialog } from "../choice.js";
import { afterPause, button, clamp, el, field, refill, select } from "../dom.js";
import { allEvents } from "../events.js";
import { bindKeys } from "../keys.js";
import { createOverview } from "../overview.js";
import { MOST_S, SPEEDS, createPlayer, fetchSound } from "../player.js";
import { choose, onChoice, setting } from "../settings.js";
import { createSpectrogram, fetchGrey, fit } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatClock, formatLength, formatTime } from "../times.js";

const R = T.review;
const AHEAD = 3;
const PICTURE = { width: 1024, height: 256 };

export const screen = { id: "review", title: T.app.screens.review, mount };

function mount(root, context) {
  const { status } = context;
  const names = [...status.scans.map((one) => one.name), ...(status.index?.n ? ["index"] : [])];
  if (!names.length) {
    root.append(el("div", { class: "empty" }, el("h2", {}, R.noScans), el("p", {}, R.noScansHint)));
    return null;
  }
  const asked = context.params.get("scan") || setting("scan");
  const scan = names.includes(asked) ? asked : names[0];
  const indexed = Object.keys(status.index?.labels ?? {}).sort();
  const known = scan === "index" ? indexed : status.scans.find((one) => one.name === scan)?.labels ?? [];
  const labels = [...new Set([...(status.task?.labels ?? []), ...known, ...indexed])];
  const lookedFor = status.scans.find((one) => one.name === scan)?.looked_for ?? known;
  let label = context.params.get("label") ?? (scan === setting("scan") ? setting("label") : "");
  if (!labels.includes(label)) label = "";
  let strategy = Object.hasOwn(R.strategies, setting("strategy")) ? setting("strategy") : "mix";

  let entry = null; // what is shown: {item, piece, near, box, comment, flagged, shownAt}
  let ahead = [], asking = null, progress = null, elsewhere = null, ended = false, over = false, resets = 0, heard = null;
  const said = []; // own labels of this page, oldest first: {entry, label, polarity, sent: Promise}
  const undoneHere = new Set();
  const busy = new Set(); // ids of items whose label is on its way
  const eventsOf = new Map();
  const missedOf = new Map(); // missed events that were marked here, by recording

  // What is on the screen.
  const question = el("h1", {});
  const meta = el("p", { class: "meta faint" });
  const chips = el("span", { class: "row chips" });
  const gesture = el("p", { class: "gesture", hidden: true }, T.sound.gesture);
  const picture = createSpectrogram({ label: T.sound.spectrogram, zoom: false, onClick: (at) => player.piece && player.play(at),
    onSelect: () => {}, onBox: (box) => { if (entry) entry.box = box; }, onRange: look });
  const player = createPlayer({
    time: (at) => { picture.setCursor(at); strip.setCursor(at); },
    state: (state) => { playButton.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; if (state === "playing") gesture.hidden = true; },
    blocked: () => { gesture.hidden = false; },
    error: (error) => picture.setMessage(`${R.silent}: ${error.message}`),
  });
  const nearPicture = createSpectrogram({ label: R.nearest, select: false, onClick: (at) => nearPlayer.play(at) });
  const nearPlayer = createPlayer({
    time: (at) => nearPicture.setCursor(at), blocked: () => { gesture.hidden = false; }, error: context.fail,
    state: (state) => nearButton.setAttribute("aria-pressed", String(state === "playing")),
  });
  const strip = createOverview({ onJump: jump });
  const bar = el("progress", { max: 1, value: 0, "aria-label": T.app.screens.review });
  const tally = el("span", { class: "tally number" });
  const palette = el("div", { class: "palette", role: "group", "aria-label": R.palette });
  const nearTitle = el("p", { class: "meta faint" });
  const act = (text, key, work, props = {}) => button(text, work, { key, ...props });
  const playButton = act(T.sound.play, "space", () => player.toggle(), { class: "strong" });
  const nearButton = act(T.sound.play, "e", playNearest);
  const speedText = el("span", { class: "number faint" });
  const back = button(R.backToItem, home, { hidden: true, key: "Esc", class: "strong" });
  const flagButton = act(R.flag, "f", flag);
  const commentButton = act(R.comment, "c", comment);
  const decisions = el("div", { class: "row decisions" },
    act(R.yes, "y", () => answer("positive"), { class: "yes" }), act(R.no, "n", () => answer("negative"), { class: "no" }),
    act(R.unsure, "?", () => answer("unknown"), { class: "unsure" }), act(R.skip, "s", () => answer("skip")), act(R.undo, "u", undo));
  const item = el("article", { class: "item" },
    el("div", { class: "row head" }, question, chips, el("span", { class: "grow" }), back), meta,
    el("div", { class: "big" }, picture.node, gesture),
    el("div", { class: "row tools" }, playButton, act(R.again, "r", repeat),
      act("½", "[", () => speed(-1), { "aria-label": R.slower }), speedText, act("2×", "]", () => speed(1), { "aria-label": R.faster }),
      act("+", "z", () => zoom(0.5), { "aria-label": R.zoomIn }), act("−", "x", () => zoom(2), { "aria-label": R.zoomOut }),
      act("⇤", "a", () => widen(1, 0), { "aria-label": R.left }), act("⇥", "d", () => widen(0, 1), { "aria-label": R.right }),
      el("span", { class: "grow" }), commentButton, flagButton, act(R.missed, "m", missed)));
  const near = el("section", { class: "card near" }, el("div", { class: "row" }, el("h2", { class: "grow" }, R.nearest), nearButton), nearTitle, el("div", { class: "small" }, nearPicture.node));
  const nothing = el("div", { class: "empty", hidden: true });
  const work = el("div", { class: "work" }, item, el("aside", { class: "stack" }, near, palette), decisions, strip.node);
  root.append(el("div", { class: "row bottom top" },
    field(R.scan, select(names.map((one) => [one, one === "index" ? R.index : one]), scan, (next) => { choose("scan", next); context.navigate("review", { scan: next }); })),
    field(R.label, select([["", R.all], ...lookedFor.map((one) => [one, one])], label, (next) => { label = next; choose("label", next); restart(); })),
    field(R.strategy, select(Object.entries(R.strategies), strategy, (next) => { strategy = next; choose("strategy", next); restart(); })),
    act(R.help, "h", help, { class: "keyhelp" }), el("span", { class: "grow" }), el("div", { class: "progress" }, tally, bar)), work, nothing);
  work.hidden = true;

  // The queue.
  const skipped = () => [entry, ...ahead].filter(Boolean).map((one) => one.item.item).concat([...busy]);

  async function more() {
    if (asking || ended || ahead.length >= AHEAD) return asking;
    const mine = resets;
    asking = get("queue", { scan, label, strategy, n: AHEAD + 1 - ahead.length, skip: skipped().join(",") }).then((found) => {
      if (mine !== resets || ended) return;
      take(found.items);
      over = !found.items.length;
      report(found.progress);
      if (!entry && ahead.length) next();
      else if (!entry) empty();
    }, (error) => { if (mine === resets && !(error instanceof ApiError && error.gone)) context.fail(error); if (!entry) empty(error); })
      .finally(() => { asking = null; });
    return asking;
  }

  function take(items) {
    const have = new Set(skipped());
    ahead.push(...items.filter((one) => !have.has(one.item)).map(prepare));
  }

  function restart() {
    resets += 1;
    asking = null;
    ahead = [];
    entry = null;
    player.stop();
    more();
  }

  /** Everything of an item that can be fetched before it is shown. */
  function prepare(item) {
    const around = setting("context_s"), all = item.duration_s ?? item.end_s + around;
    const lacks = Math.max(0, 2 - (item.end_s - item.start_s + 2 * around)) / 2;
    let [start_s, end_s] = fit(item.start_s - around - lacks, item.end_s + around + lacks, { from: 0, to: all });
    if (end_s - start_s > MOST_S) end_s = start_s + MOST_S;
    // A row has no surroundings: a short one would fill the picture, ends and all.
    const whole = item.source?.startsWith("x-") && item.start_s <= 0.01 && item.end_s >= all - 0.01;
    const wide = whole ? Math.max(all * 1.2, 1) : end_s - start_s, from = whole ? (all - wide) / 2 : start_s;
    const made = { item, whole, view: [from, from + wide], piece: { source: item.source, start_s, end_s }, near: null, box: { from: item.start_s, to: item.end_s }, comment: "", flagged: false };
    const example = item.nearest;
    if (example?.source) made.near = { source: example.source, start_s: Math.max(0, example.start_s - 0.3), end_s: Math.min(example.end_s + 0.3, example.start_s + 20) };
    if (!item.missing && item.source) {
      for (const piece of [made.piece, made.near].filter(Boolean)) {
        fetchGrey({ ...piece, ...PICTURE }).catch(() => {});
        fetchSound({ ...piece, speed: player.speed }).catch(() => {});
      }
    }
    return made;
  }

  // Showing an item.
  function next() {
    entry = null;
    if (ahead.length) show(ahead.shift());
    else if (over) empty();
    else { player.stop(); refill(question, R.waiting); }
    more();
  }

  function show(made) {
    entry = made;
    elsewhere = heard = null;
    refine.cancel();
    nothing.hidden = true;
    work.hidden = false;
    const { item: one, piece } = made;
    made.shownAt = performance.now();
    refill(question, one.guess ? [R.guess, " ", el("em", {}, one.guess), "?"] : R.noGuess);
    refill(meta, el("span", {}, one.recording), " · ", el("span", { class: "number" }, made.whole ? `${R.whole}, ${formatLength(one.end_s - one.start_s)}` : formatTime(one.start_s, 2)),
      one.starts_at ? ` · ${formatClock(one.starts_at)}` : null, one.site ? ` · ${one.site}` : null);
    describe();
    report(progress); // it counts the label that is asked about
    work.classList.toggle("missing", Boolean(one.missing));
    picture.setMessage(one.missing ? R.missing : "");
    for (const control of decisions.querySelectorAll(".yes, .no, .unsure")) control.disabled = (!one.guess && !control.matches(".unsure")) || one.missing || status.read_only;
    for (const control of item.querySelectorAll(".tools button")) control.disabled = Boolean(one.missing);
    picture.setLimits(0, one.duration_s ?? Infinity);
    picture.setEvents(missedOf.get(one.source) ?? []);
    picture.setCursor(null);
    picture.setSelection(null);
    picture.setPictures([]);
    picture.setRange(...made.view);
    picture.setBox(made.box, { fixed: one.missing });
    paint(picture, piece, made);
    player.load(piece);
    nearPlayer.load(made.near ?? piece);
    if (setting("autoplay") && !one.missing && one.source) player.play();
    near.classList.toggle("none", !made.near);
    refill(nearTitle, one.nearest ? [one.nearest.name, one.nearest.similarity === null ? null : ` · ${R.similarity(one.nearest.similarity)}`, made.near ? null : ` · ${R.goneExample}`] : R.noNearest);
    nearButton.disabled = !made.near;
    nearPicture.setPictures([]);
    nearPicture.setBox(made.near ? { from: one.nearest.start_s, to: one.nearest.end_s } : null, { fixed: true });
    if (made.near) { nearPicture.setRange(made.near.start_s, made.near.end_s); paint(nearPicture, made.near, made); }
    showStrip();
    drawPalette();
  }

  function describe() {
    const { item: one } = entry;
    refill(chips, one.queue === "random" ? el("span", { class: "badge warn", title: R.randomTitle }, R.random) : null,
      entry.flagged ? el("span", { class: "badge warn" }, R.flagged) : null,
      one.said?.length ? el("span", { class: "badge" }, R.said(one.said)) : null,
      el("small", { class: "faint" }, [one.score === null || one.score === undefined ? "" : R.score(one.score, one.threshold),
        one.probability === null || one.probability === undefined ? "" : R.probability(one.probability), one.queue === "random" ? "" : one.why, entry.comment && `“${entry.comment}”`].filter(Boolean).join(" · ")));
    flagButton.setAttribute("aria-pressed", String(entry.flagged));
    commentButton.setAttribute("aria-pressed", String(Boolean(entry.comment)));
  }

  function paint(where, piece, made) {
    if (made.item.missing && where === picture) return;
    fetchGrey({ ...piece, ...PICTURE }).then((grey) => {
      if (made !== entry) return;
      made.base ??= where === picture && !elsewhere ? grey : undefined;
      where.setPictures(where === picture ? [made.base, grey].filter(Boolean) : [grey]);
    }, (error) => { if (made === entry && error.name !== "AbortError") where.setMessage(error.message); });
  }

  function empty(error) {
    player.stop();
    entry = null;
    work.hidden = true;
    nothing.hidden = false;
    refill(nothing, el("h2", {}, error ? R.waiting : R.done), el("p", {}, error ? error.message : R.doneHint));
  }

  function drawPalette() {
    const off = status.read_only || entry?.item.missing;
    const counts = progress?.by_label ?? {};
    refill(palette, labels.slice(0, 9).map((one, at) => button(one, () => decide(one, "positive"),
      { key: String(at + 1), disabled: off, class: one === entry?.item.guess ? "guess" : null, title: counts[one] ? R.tally(one, counts[one]) : null })),
      button(R.other, other, { key: "0", disabled: off, title: labels.length > 9 ? R.more(labels.length - 9) : null }));
  }

  function report(next) {
    if (!next) return;
    progress = next;
    const one = label || entry?.item.guess, mine = one && next.by_label?.[one] ? R.tally(one, next.by_label[one]) : "";
    tally.textContent = [R.progress(next, mine), next.n_disputed ? R.disputed(next.n_disputed) : ""].filter(Boolean).join(", ");
    tally.title = [next.n_peaks ? R.peaks(next.n_peaks) : "",
      ...Object.entries(next.precision ?? {}).filter(([, p]) => p.n).map(([name, p]) => R.precision(name, p))].filter(Boolean).join("\n");
    bar.max = Math.max(next.n_items, 1);
    bar.value = next.n_reviewed;
  }

  // Deciding.
  function answer(polarity) {
    if (!entry) return;
    if (!entry.item.guess && polarity !== "skip" && polarity !== "unknown") { context.say(R.noGuessKey); return; }
    decide(entry.item.guess || labels[0] || T.app.unnamed, polarity);
  }

  function decide(name, polarity) {
    const made = entry;
    if (!made) return;
    if (status.read_only) { context.say(R.readOnly, "bad"); return; }
    if (elsewhere) { home(); return; }
    if (made.item.missing && polarity !== "skip") { context.say(R.onlySkip, "bad"); return; }
    if (!labels.includes(name)) labels.push(name);
    const { item: one, box } = made, moved = box.from !== one.start_s || box.to !== one.end_s;
    const body = { scan, item: one.item, label: name, polarity, source: one.queue === "random" ? "random" : "review",
      queue: one.queue, seen_ms: Math.min(Math.round(performance.now() - made.shownAt), 86400000), comment: made.comment, flagged: made.flagged,
      // As it is shown: detectors may have been fitted since.
      guess: one.guess, score: one.score, threshold: one.threshold,
      start_s: moved ? round(box.from) : one.start_s, end_s: moved ? round(box.to) : one.end_s };
    busy.add(one.item);
    const record = { entry: made, label: name, polarity, sent: sendLabel(body) };
    said.push(record);
    mark(one.source, { item: one.item, start_s: box.from, end_s: box.to, polarity });
    next();
    record.sent.then((kept) => {
      if (kept) { report(kept.progress); if (kept.change?.text) context.say(kept.change.text, "good"); }
    }, (error) => {
      said.splice(said.indexOf(record), 1);
      mark(one.source, { item: one.item, start_s: box.from, end_s: box.to, polarity: "" });
      if (error.status === 409) { context.say(R.conflict(error.message), "bad"); return; }
      context.say(R.refused(error.message), "bad");
      ahead.unshift(made);
      if (!entry) next();
    }).finally(() => { busy.delete(one.item); more(); });
  }

  let undoing = Promise.resolve();
  function undo() { undoing = undoing.then(takeLast).catch(context.fail); return undoing; }

  async function takeLast() {
    if (status.read_only) { context.say(R.readOnly, "bad"); return; }
    const record = said.pop();
    let seq = null;
    if (record) {
      const kept = await record.sent;
      if (kept) seq = kept.label.seq;
      else if (takeBack()) { context.say(R.takenBack); if (record.entry) restore(record.entry); else record.drop?.(); return; }
    }
    seq ??= await lastOfMine();
    if (seq === null) { context.say(R.nothingToUndo); return; }
    const done = await remove(`labels/${seq}`, { scan });
    undoneHere.add(seq);
    report(done.progress);
    context.say(R.undone(done.label.label, done.label.polarity), "good");
    if (record?.entry) restore(record.entry);
    else if (done.item && done.label.source !== "missed") restore(prepare(done.item));
    else { eventsOf.clear(); record?.drop?.(); }
  }

  /** Number of this reviewer's last label that was not taken back, also of an earlier visit. */
  async function lastOfMine() {
    const newest = (await get("labels", { scan })).labels;
    const found = last(newest);
    if (found !== null || newest.length < 2000) return found;
    const lines = [];
    for (let after = 0, more_ = true; more_;) {
      const page = await get("labels", { scan, after });
      lines.push(...page.labels);
      after = page.last_seq;
      more_ = page.more;
    }
    return last(lines);
  }

  function last(lines) {
    const undone = new Set([...undoneHere, ...lines.filter((one) => one.undo).map((one) => one.undo)]);
    const me = setting("reviewer") || status.reviewer;
    return lines.findLast((one) => !one.undo && one.label && one.reviewer === me && !undone.has(one.seq) && one.source !== "import" && one.source !== "resolve")?.seq ?? null;
  }

  function restore(made) {
    // What was on the screen comes again right after.
    ahead = ahead.filter((one) => one.item.item !== made.item.item);
    if (entry && entry.item.item !== made.item.item) ahead.unshift(entry);
    mark(made.item.source, { item: made.item.item, start_s: made.box.from, end_s: made.box.to, polarity: "" });
    show(made);
  }

  async function other() {
    const made = entry, name = await askLabel(labels, R.chooseTitle);
    if (name && made === entry) decide(name, "positive");
  }

  async function comment() {
    const made = entry;
    if (!made) return;
    const text = await askText(R.commentLabel, made.comment, R.commentHint);
    if (text !== null) { made.comment = text; if (made === entry) describe(); }
  }

  function flag() { if (entry) { entry.flagged = !entry.flagged; describe(); } }

  async function missed() {
    const source = entry?.item.source;
    if (!source || entry.item.missing) return;
    if (status.read_only) { context.say(R.readOnly, "bad"); return; }
    const half = (entry.item.end_s - entry.item.start_s) / 2, at = player.time ?? (picture.range.from + picture.range.to) / 2;
    const [from, to] = picture.selection ? [picture.selection.from, picture.selection.to]
      : fit(at - half, at + half, { from: 0, to: entry.item.duration_s ?? Infinity });
    picture.setSelection({ from, to });
    player.pause();
    const name = await askLabel(labels, R.missedHint(`${formatTime(from, 2)} – ${formatTime(to, 2)}`));
    if (!name) return;
    try {
      const record = { entry: null, label: name, polarity: "positive", sent: sendLabel({ scan, source_id: source, start_s: round(from), end_s: round(to), label: name, polarity: "positive", source: "missed" }) };
      said.push(record);
      const kept = await record.sent;
      context.say(R.missedKept(name, formatTime(from, 2)), "good");
      if (kept) report(kept.progress);
      picture.setSelection(null);
      const one = { id: kept?.label.item, from, to, label: name, state: "positive" };
      missedOf.set(source, [...(missedOf.get(source) ?? []), one]);
      record.drop = () => {
        missedOf.set(source, missedOf.get(source).filter((other) => other !== one));
        if (entry?.item.source === source && !elsewhere) picture.setEvents(missedOf.get(source));
      };
      if (entry?.item.source === source && !elsewhere) picture.setEvents(missedOf.get(source));
      (await eventsFor(source)).push(one);
      if (elsewhere && entry?.item.source === source) picture.setEvents((await eventsFor(source)).filter((other) => other.id !== entry.item.item));
      showStrip();
    } catch (error) { said.pop(); context.fail(error); }
  }

  // Looking and listening.
  const refine = afterPause(() => {
    if (!entry || ended) return;
    const { from, to } = picture.range, piece = { source: entry.item.source, start_s: round(from), end_s: round(to) };
    paint(picture, piece, entry);
    if (player.state === "playing") player.element.addEventListener("ended", () => player.load(piece), { once: true });
    else player.load(piece);
    if (heard !== null) { player.load(piece); player.play(heard); heard = null; }
  }, 150);

  function look(from, to) {
    if (!entry || entry.item.missing) return;
    const [low, high] = fit(from, Math.min(to, from + MOST_S), { from: 0, to: entry.item.duration_s ?? Infinity });
    picture.setRange(round(low), round(high));
    strip.setWindow(low, high);
    refine();
  }

  function zoom(by) {
    const { from, to } = picture.range, inside = entry && !elsewhere;
    const at = inside ? clamp((entry.box.from + entry.box.to) / 2, from, to) : (from + to) / 2;
    const wide = clamp((to - from) * by, 0.1, MOST_S), part = (at - from) / (to - from);
    look(at - part * wide, at + (1 - part) * wide);
  }

  function widen(left, right) {
    const { from, to } = picture.range;
    look(Math.max(0, from - left), to + right);
  }

  function repeat() { if (player.piece && !entry?.item.missing) player.play(player.piece.start_s); }
  function playNearest() { if (entry?.near) nearPlayer.state === "playing" ? nearPlayer.pause() : nearPlayer.play(entry.near.start_s); }

  function speed(by) {
    player.speed = SPEEDS[clamp(SPEEDS.indexOf(player.speed) + by, 0, SPEEDS.length - 1)];
    nearPlayer.speed = player.speed;
    tellSpeed();
    if (player.piece && player.state !== "playing" && !entry?.item.missing) player.play();
  }
  const tellSpeed = () => { speedText.textContent = player.speed < 1 ? `1/${1 / player.speed}×` : `${player.speed}×`; };

  async function jump(at) {
    if (!entry) return;
    elsewhere ??= { from: picture.range.from, to: picture.range.to };
    back.hidden = false;
    const wide = clamp(elsewhere.to - elsewhere.from, 6, 20);
    picture.setPictures(entry.base ? [entry.base] : []);
    player.stop();
    heard = at;
    look(at - wide / 2, at + wide / 2);
    context.say(R.elsewhere(formatTime(at)));
    const source = entry.item.source, events = await eventsFor(source);
    if (elsewhere && entry?.item.source === source) picture.setEvents(events.filter((one) => one.id !== entry.item.item));
  }

  function home() {
    if (!entry || !elsewhere) return;
    elsewhere = heard = null;
    back.hidden = true;
    refine.cancel();
    const { start_s, end_s } = entry.piece;
    picture.setEvents(missedOf.get(entry.item.source) ?? []);
    picture.setSelection(null);
    picture.setRange(start_s, end_s);
    strip.setWindow(start_s, end_s);
    player.load(entry.piece);
    paint(picture, entry.piece, entry);
  }

  async function eventsFor(source) {
    if (!eventsOf.has(source)) {
      eventsOf.set(source, allEvents({ scan, source }).catch((error) => { eventsOf.delete(source); throw error; }));
    }
    return eventsOf.get(source);
  }

  async function showStrip() {
    const made = entry, { item: one, piece } = made;
    back.hidden = !elsewhere;
    strip.node.hidden = !one.source?.startsWith("r-") || !one.duration_s || scan === "index";
    if (strip.node.hidden) return;
    const current = { from: one.start_s, to: one.end_s, state: "", current: true };
    const same = strip.recording?.source === one.source;
    strip.show({ source: one.source, duration_s: one.duration_s, missing: one.missing, events: same ? undefined : [current] });
    if (!elsewhere) strip.setWindow(piece.start_s, piece.end_s);
    const events = await eventsFor(one.source).catch(() => []);
    if (made !== entry) return;
    strip.setEvents([...events.filter((each) => each.id !== one.item), { ...current, state: events.find((each) => each.id === one.item)?.state ?? "" }]);
  }

  function mark(source, { item: id, start_s, end_s, polarity }) {
    eventsOf.get(source)?.then((events) => {
      const found = events.find((one) => one.id === id);
      if (found) found.state = polarity;
      else if (polarity) events.push({ id, from: start_s, to: end_s, label: "", state: polarity });
    }, () => {});
  }

  function help() {
    const line = ([keys, text]) => [el("dt", {}, keys.split("  ").map((key) => [el("kbd", {}, key), " "])), el("dd", {}, text)];
    openDialog(R.keysTitle, [el("dl", { class: "keys" }, R.keys.map(line), setting("keys") === "birdnet" ? R.birdnetKeys.map(line) : null)]);
  }

  const can = (work) => () => { if (entry) work(); };
  const keys = {
    ...Object.fromEntries(Array.from({ length: 9 }, (_, at) => [String(at + 1), can(() => labels[at] && decide(labels[at], "positive"))])),
    0: can(other), y: can(() => answer("positive")), n: can(() => answer("negative")), "?": can(() => answer("unknown")),
    s: can(() => answer("skip")), ArrowRight: can(() => answer("skip")), u: undo, ArrowLeft: undo,
    " ": can(() => { if (!entry.item.missing) player.toggle(); }), r: repeat, e: playNearest, "[": () => speed(-1), "]": () => speed(1),
    z: can(() => zoom(0.5)), x: can(() => zoom(2)), a: can(() => widen(1, 0)), d: can(() => widen(0, 1)),
    ",": () => picture.nudge("to", -0.05), ".": () => picture.nudge("to", 0.05), "<": () => picture.nudge("from", -0.05), ">": () => picture.nudge("from", 0.05),
    c: can(comment), f: can(flag), m: can(missed), h: help, Escape: () => (elsewhere ? home() : picture.setSelection(null)),
    ArrowUp: can(() => setting("keys") === "birdnet" && answer("positive")), ArrowDown: can(() => setting("keys") === "birdnet" && answer("negative")),
  };
  if (setting("keys") !== "birdnet") { delete keys.ArrowUp; delete keys.ArrowDown; }
  const ends = [bindKeys(keys), onChoice((name) => {
    if (["n_fft", "fmin_hz", "fmax_hz"].includes(name) && entry) paint(picture, entry.piece, entry);
  }), onConnection(({ online, kept }) => { report(kept?.progress); if (online) more(); })];

  context.onChange("refit", async (data) => {
    if (data.scan !== scan) return;
    // The order is new; what is on the screen stays, and what is fetched stays until the new is here.
    const mine = (resets += 1);
    asking = null;
    const found = await get("queue", { scan, label, strategy, n: AHEAD + 1, skip: [entry?.item.item, ...busy].filter(Boolean).join(",") }).catch(() => null);
    if (!found || mine !== resets || ended) { more(); return; }
    ahead = [];
    take(found.items);
    eventsOf.clear();
    report(found.progress);
    if (!entry) next();
    else showStrip();
  });
  for (const kind of ["label", "undo"]) {
    context.onChange(kind, (data) => {
      const one = data.label ?? data;
      if (data.scan !== scan || !one.item || one.reviewer === (setting("reviewer") || status.reviewer)) return;
      if (data.progress) report(data.progress);
      ahead = ahead.filter((each) => each.item.item !== one.item || each.item.queue === "disputed" || each.item.queue === "second");
      more();
    });
  }

  // Others need not wait two minutes for what this page leaves.
  const release = () => request("POST", "queue/release", { params: { scan }, keepalive: true }).catch(() => {});
  addEventListener("pagehide", release);
  ends.push(() => removeEventListener("pagehide", release));

  tellSpeed();
  more();
  return () => {
    ended = true;
    refine.cancel();
    release();
    for (const end of ends) end();
    for (const part of [player, nearPlayer, picture, nearPicture, strip]) part.destroy();
  };
}

const round = (s) => Math.round(s * 1000) / 1000;
