/** Index: what it holds, what is doubtful in it, and its rows to hear, relabel and remove. */

import { get, patch, post, remove } from "../api.js";
import { placeOf } from "../asking/evidence.js";
import { askLabels } from "../asking/labels_dialog.js";
import { W } from "../asking/texts.js";
import { afterPause, button, el, field, hashOf, refill, select } from "../dom.js";
import { bindKeys } from "../keys.js";
import { MOST_S, createPlayer } from "../player.js";
import { createSpectrogram, fetchGrey } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatLength } from "../times.js";

const R = W.rows;
const A_PAGE = 50;

export const screen = { id: "index", title: T.app.screens.index, mount };

function mount(root, context) {
  const { status } = context;
  if (!status.index) {
    root.append(el("div", { class: "empty" }, el("h2", {}, R.none)));
    return null;
  }
  const wanted = { label: "", not: "", q: "", row: "", ...Object.fromEntries(context.params) };
  let cursor = "", shown = null, asked = 0, opening = 0, ended = false, leaving = "", sides = [];
  const about = el("section", { class: "card stack" }, T.app.loading), health = el("section", { class: "card stack" });
  const body = el("tbody"), told = el("p", { class: "faint grow", role: "status" }), detail = el("div", {});
  const more = button(T.app.more, () => load(true), { hidden: true });
  const undoButton = button(R.undo, undo, { disabled: true, key: "u" });
  const search = el("input", { type: "search", value: wanted.q, placeholder: R.searchHint, maxlength: "200", on: { input: afterPause(() => { wanted.q = search.value.trim(); load(); }, 250) } });
  const pick = el("select", { on: { change: () => only(...sides[pick.selectedIndex]) } });
  const player = createPlayer({ error: context.fail, time: (at) => shown?.picture.setCursor(at), state: (state) => { if (shown) shown.play.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; } });
  root.append(el("div", { class: "columns" }, el("div", { class: "stack" }, about, health),
    el("section", { class: "stack" }, el("div", { class: "row bottom fill" }, field(R.label, pick), el("div", { class: "grow" }, field(R.search, search)), told, status.read_only ? null : undoButton), detail,
      el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": R.tableOf }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, Object.entries(R.columns).map(([key, one]) => el("th", { scope: "col", class: key === "length" ? "number" : null }, one)))), body)), more)));

  /** List the rows of a label, or those that deny it. */
  function only(label = "", not = "") {
    Object.assign(wanted, { label, not });
    pick.selectedIndex = sides.findIndex(([one, other]) => one === label && other === not);
    load();
    const { top, bottom } = told.getBoundingClientRect();
    if (top > innerHeight || bottom < 0) told.scrollIntoView({ block: "center" });
  }

  async function summary() {
    const found = await get("index");
    if (ended) return;
    const counts = Object.entries(found.labels), denied = counts.filter(([, one]) => one.negative);
    sides = [["", ""], ...counts.filter(([, one]) => one.positive).map(([name]) => [name, ""]), ...denied.map(([name]) => ["", name])];
    refill(pick, sides.map(([name, not]) => el("option", {}, not ? W.evidence.not(not) : name || R.all)));
    pick.selectedIndex = Math.max(0, sides.findIndex(([name, not]) => name === wanted.label && not === wanted.not));
    undoButton.disabled = !found.n_undo;
    const most = Math.max(1, ...counts.map(([, one]) => one.positive));
    const head = (text, number) => el("th", { scope: "col", class: number ? "number" : null }, text);
    refill(about, el("h1", {}, found.name), el("p", { class: "meta faint" }, R.about(found.n ?? status.index.n, counts.length, found.bytes, status.index.embedder), R.fingerprint(found)),
      el("div", { class: "counts" }, el("table", {}, el("thead", {}, el("tr", {}, head(R.label), head(R.positive, true), denied.length ? head(R.negative, true) : null, el("td", {}))),
        el("tbody", {}, counts.map(([name, one]) => el("tr", {}, el("th", { scope: "row" }, button(name, () => only(name), { class: "plain" })),
          el("td", { class: "number" }, one.positive), denied.length ? el("td", { class: "number" }, one.negative ? button(String(one.negative), () => only("", name), { class: "plain", "aria-label": R.denied(one.negative, name) }) : null) : null,
          el("td", {}, el("meter", { min: 0, max: most, value: one.positive, "aria-hidden": "true" }))))))));
  }

  const checks = () => el("div", { class: "row" }, el("h2", { class: "grow" }, R.health), button(R.check, () => check(false)), button(R.checkAudio, () => check(true)));
  refill(health, checks(), el("p", { class: "faint" }, R.healthHint));

  async function check(audio) {
    const note = el("p", { class: "faint", role: "status" }, audio ? R.listening : R.checking), ending = new AbortController();
    refill(health, el("div", { class: "row" }, el("h2", { class: "grow" }, R.health), button(T.app.cancel, () => ending.abort())), note);
    try {
      const found = await get("index/health", { audio }, { signal: ending.signal });
      if (ended) return;
      const kinds = Object.entries(Object.groupBy(found.findings, (one) => one.kind));
      refill(health, checks(), found.n_asked ? el("p", {}, R.accuracy(found.accuracy, found.n_asked)) : null, found.findings.length ? null : el("p", { class: "good" }, R.healthy),
        kinds.map(([kind, list]) => el("details", {}, el("summary", {}, el("span", {}, R.kinds[kind] ?? kind, " ", el("b", {}, found.n_of[kind] ?? list.length))), findings(list))),
        kinds.length ? el("a", { class: "button", href: hashOf("review", { scan: "index" }) }, R.review) : null);
    } catch (error) { refill(health, checks(), el("p", error.name === "AbortError" ? { class: "faint" } : { class: "bad", role: "alert" }, error.name === "AbortError" ? W.ask.cancelled : error.message)); }
  }

  function findings(list) {
    const node = el("ul", { class: "findings", tabindex: "0", "aria-label": R.health });
    const add = (from) => {
      const some = list.slice(from, from + A_PAGE).map((one) => el("li", {}, el("p", {}, one.what), el("small", { class: "faint" }, one.next),
        el("div", { class: "row" }, one.sources.slice(0, 4).map((id, at) => button(R.showMe(one.ids[at]), () => open(id), { class: "plain" })))));
      const rest = list.length - from - some.length;
      node.append(...some, ...(rest > 0 ? [el("li", {}, button(R.moreFindings(rest), (event) => { event.currentTarget.closest("li").remove(); add(from + A_PAGE); }))] : []));
    };
    add(0);
    return node;
  }

  async function load(further = false) {
    const mine = ++asked;
    if (!further) { cursor = ""; keep(); }
    try {
      const page = await get("index/rows", { label: wanted.label, not_label: wanted.not, q: wanted.q, cursor, limit: A_PAGE });
      if (mine !== asked || ended) return;
      cursor = page.cursor ?? "";
      more.hidden = !cursor;
      told.textContent = R.count(page.n);
      if (!further) body.replaceChildren();
      body.append(...page.rows.map(line));
      if (!further && !page.rows.length) refill(body, el("tr", {}, el("td", { colspan: 5, class: "faint" }, R.noRows)));
    } catch (error) { if (mine === asked) context.fail(error); }
  }

  function keep() { context.replace(wanted); }

  function mark() { for (const one of body.children) one.classList.toggle("current", one.dataset.id === shown?.row.id); }

  function line(row) {
    return el("tr", { data: { id: row.id }, class: row.id === shown?.row.id ? "current" : null }, el("td", {}, button(row.exemplar, () => open(row.id), { class: "plain" })), el("td", {}, named(row)),
      el("td", { class: "number" }, row.duration_s ? formatLength(row.duration_s) : ""), el("td", {}, row.group), el("td", {}, row.meta.reviewer ?? ""));
  }

  const named = (row) => [row.labels.join(", "), row.not_labels.length ? el("span", { class: "bad" }, ` ${W.evidence.not(row.not_labels.join(", "))}`) : null];

  async function open(id, hear = true) {
    const mine = ++opening;
    let row;
    try { row = await get(`index/rows/${id}`); } catch (error) { context.fail(error); return; }
    if (ended || mine !== opening) return;
    close();
    const length = Math.min(row.duration_s || MOST_S, MOST_S), piece = { source: row.id, start_s: 0, end_s: length };
    const play = button(T.sound.play, () => player.toggle(), { class: "strong" });
    const picture = createSpectrogram({ label: row.exemplar, select: false, onClick: (at) => player.play(at) });
    shown = { row, picture, play };
    wanted.row = row.id;
    keep();
    mark();
    picture.setRange(0, length);
    picture.setLimits(0, length);
    fetchGrey({ ...piece, width: 1024, height: 192 }).then((grey) => picture.setPictures([grey]), (error) => picture.setMessage(error.message));
    player.load(piece);
    refill(detail, el("article", { class: "card stack", "aria-label": row.exemplar },
      el("div", { class: "row" }, el("b", { class: "grow" }, row.exemplar), button(T.app.close, () => { close(); keep(); }, { class: "plain" })),
      el("div", { class: "middle" }, picture.node),
      el("p", { class: "meta" }, named(row), el("span", { class: "faint" }, R.details(row))),
      el("div", { class: "row" }, play, el("a", { class: "button", href: hashOf("search", { source: row.id }) }, W.evidence.moreLike), el("a", { class: "button", href: hashOf("ask", { source: row.id }) }, R.askAbout),
        row.recording ? el("a", { class: "button", href: placeOf(row.recording) }, W.evidence.inRecording) : null,
        status.read_only ? null : [button(R.relabel, () => relabel(row)), button(R.remove, () => drop(row), { class: "no" })])));
    detail.scrollIntoView({ block: "nearest" });
    if (hear) player.play();
  }

  function close() {
    player.stop();
    shown?.picture.destroy();
    shown = null;
    wanted.row = "";
    refill(detail);
    mark();
  }

  function relabel(row) {
    askLabels({
      title: R.relabelTitle(row.exemplar), known: Object.keys(context.status.index.labels), labels: row.labels, not_labels: row.not_labels,
      fields: { group: [R.group, row.group, W.ask.groupHint] }, confirm: T.app.keep,
      save: async (said) => {
        await patch(`index/rows/${row.id}`, said);
        context.say(R.changed(row.exemplar), "good");
        await again(row.id);
      },
    });
  }

  async function drop(row) {
    leaving = row.id;
    try {
      await remove(`index/rows/${row.id}`);
      close();
      context.say(R.removed(row.exemplar), "good");
      await again();
    } catch (error) { context.fail(error); } finally { leaving = ""; }
  }

  async function undo() {
    try {
      const back = await post("index/undo", {});
      context.say(back.row ? R.undone(back.exemplar) : R.gone(back.exemplar), "good");
      if (!back.row && (shown?.row.id === back.id || wanted.row === back.id)) { opening += 1; close(); }
      await again(back.row ? back.id : undefined);
    } catch (error) { context.fail(error); }
  }

  async function again(id) {
    await Promise.all([context.refreshStatus(), summary(), load()]);
    if (id) await open(id, false);
  }

  summary().catch(context.fail);
  load();
  if (wanted.row) open(wanted.row, false);
  const later = afterPause(() => {
    summary().catch(() => {});
    load();
    // Its row may be what went; what this page removes is told by the one who does.
    const { row } = shown ?? {};
    if (row && row.id !== leaving) get(`index/rows/${row.id}`).catch((error) => { if (error.status === 404 && shown?.row === row) { close(); keep(); context.say(R.gone(row.exemplar)); } });
  }, 400);
  context.onChange("commit", later);
  context.onChange("index", later);
  const unbind = bindKeys({ "/": () => search.focus(), " ": () => { if (shown) player.toggle(); }, u: () => { if (!undoButton.disabled && !status.read_only) undo(); }, Escape: () => { close(); keep(); } });
  return () => { ended = true; unbind(); later.cancel(); shown?.picture.destroy(); player.destroy(); };
}
