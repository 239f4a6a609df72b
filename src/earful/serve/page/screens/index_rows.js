/** Index: what it holds, what is doubtful in it, and its rows to hear, relabel and remove. */

import { get, patch, post, remove } from "../api.js";
import { labelField, openDialog } from "../choice.js";
import { afterPause, button, el, field, hashOf, refill, select } from "../dom.js";
import { createPlayer } from "../player.js";
import { createSpectrogram, fetchGrey } from "../spectrogram.js";
import { T } from "../texts.js";
import { formatLength } from "../times.js";

const R = T.rows;
const A_PAGE = 50;

export const screen = { id: "index", title: T.app.screens.index, mount };

function mount(root, context) {
  const { status } = context;
  if (!status.index) {
    root.append(el("div", { class: "empty" }, el("h2", {}, R.none)));
    return null;
  }
  let label = context.params.get("label") ?? "", words = "", cursor = "", shown = null, asked = 0, ended = false;
  const only = context.params.get("row");
  const about = el("section", { class: "card stack" }, T.app.loading), health = el("section", { class: "card stack" });
  const body = el("tbody"), told = el("p", { class: "faint grow", "aria-live": "polite" }), detail = el("div", {});
  const more = button(T.app.more, () => load(true), { hidden: true });
  const undoButton = button(R.undo, undo, { disabled: true });
  const search = el("input", { type: "search", placeholder: R.searchHint, maxlength: "200", on: { input: afterPause(() => { words = search.value.trim(); load(); }, 250) } });
  const pick = el("select", { on: { change: () => { label = pick.value; load(); } } });
  const player = createPlayer({ error: context.fail, time: (at) => shown?.picture.setCursor(at), state: (state) => { if (shown) shown.play.firstChild.textContent = state === "playing" || state === "loading" ? T.sound.pause : T.sound.play; } });
  root.append(el("div", { class: "columns" }, el("div", { class: "stack" }, about, health),
    el("section", { class: "stack" }, el("div", { class: "row bottom" }, field(R.label, pick), field(R.search, search), told, status.read_only ? null : undoButton), detail,
      el("div", { class: "scroll" }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, Object.values(R.columns).map((one) => el("th", { scope: "col" }, one)))), body)), more)));

  async function summary() {
    const found = await get("index");
    if (ended) return;
    const counts = Object.entries(found.labels), denied = counts.some(([, one]) => one.negative);
    refill(pick, el("option", { value: "" }, R.all), counts.map(([name]) => el("option", { value: name, selected: name === label }, name)));
    pick.value = label;
    undoButton.disabled = !found.n_undo;
    const most = Math.max(1, ...counts.map(([, one]) => one.positive));
    refill(about, el("h1", {}, found.name), el("p", { class: "meta faint" }, R.about(found.n ?? status.index.n, counts.length, found.bytes, status.index.embedder)),
      el("div", { class: "counts" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, R.label), el("th", { scope: "col", class: "number" }, R.positive), denied ? el("th", { scope: "col", class: "number" }, R.negative) : null, el("th", {}))),
        el("tbody", {}, counts.map(([name, one]) => el("tr", {}, el("th", { scope: "row" }, button(name, () => { label = name; pick.value = name; load(); }, { class: "plain" })),
          el("td", { class: "number" }, one.positive), denied ? el("td", { class: "number" }, one.negative || "") : null, el("td", {}, el("meter", { min: 0, max: most, value: one.positive, "aria-hidden": "true" }))))))));
  }

  refill(health, el("div", { class: "row" }, el("h2", { class: "grow" }, R.health), button(R.check, () => check(false)), button(R.checkAudio, () => check(true))), el("p", { class: "faint" }, R.healthHint));

  async function check(audio) {
    const note = el("p", { class: "faint", "aria-live": "polite" }, audio ? R.listening : R.checking);
    refill(health, el("h2", {}, R.health), note);
    try {
      const found = await get("index/health", { audio });
      if (ended) return;
      const kinds = Object.groupBy(found.findings, (one) => one.kind);
      refill(health, el("div", { class: "row" }, el("h2", { class: "grow" }, R.health), button(R.check, () => check(false)), button(R.checkAudio, () => check(true))),
        el("p", {}, R.accuracy(found.accuracy, found.n_asked)), found.findings.length ? null : el("p", { class: "good" }, R.healthy),
        Object.entries(kinds).map(([kind, list]) => el("details", {}, el("summary", {}, R.kinds[kind] ?? kind, " ", el("b", {}, found.n_of[kind] ?? list.length)),
          el("ul", { class: "findings" }, list.slice(0, 50).map((one) => el("li", {}, el("p", {}, one.what), el("small", { class: "faint" }, one.next),
            el("div", { class: "row" }, one.sources.slice(0, 4).map((id, place) => button(R.showMe(one.ids[place]), () => open(id), { class: "plain" })))))))),
        el("a", { class: "button", href: hashOf("review", { scan: "index" }) }, R.review));
    } catch (error) { note.textContent = error.message; note.className = "bad"; }
  }

  async function load(further = false) {
    const mine = ++asked;
    if (!further) cursor = "";
    try {
      const page = await get("index/rows", { label, q: words, cursor, limit: A_PAGE });
      if (mine !== asked || ended) return;
      cursor = page.cursor ?? "";
      more.hidden = !cursor;
      told.textContent = R.count(page.n);
      if (!further) body.replaceChildren();
      body.append(...page.rows.map(line));
      if (!further && !page.rows.length) refill(body, el("tr", {}, el("td", { colspan: 5, class: "faint" }, R.noRows)));
    } catch (error) { if (mine === asked) context.fail(error); }
  }

  function line(row) {
    return el("tr", { data: { id: row.id } }, el("td", {}, button(row.exemplar, () => open(row.id), { class: "plain" })), el("td", {}, named(row)),
      el("td", { class: "number" }, row.duration_s ? formatLength(row.duration_s) : ""), el("td", {}, row.group), el("td", {}, row.meta.reviewer ?? ""));
  }

  const named = (row) => [row.labels.join(", "), row.not_labels.length ? el("span", { class: "bad" }, ` ${T.evidence.not(row.not_labels.join(", "))}`) : null];

  async function open(id) {
    let row;
    try { row = await get(`index/rows/${id}`); } catch (error) { context.fail(error); return; }
    if (ended) return;
    shown?.picture.destroy();
    player.stop();
    const length = Math.min(row.duration_s || 60, 60), piece = { source: row.id, start_s: 0, end_s: length };
    const play = button(T.sound.play, () => player.toggle(), { class: "strong" });
    const picture = createSpectrogram({ label: row.exemplar, select: false, onClick: (at) => player.play(at) });
    shown = { row, picture, play };
    picture.setRange(0, length);
    picture.setLimits(0, length);
    fetchGrey({ ...piece, width: 1024, height: 192 }).then((grey) => picture.setPictures([grey]), (error) => picture.setMessage(error.message));
    player.load(piece);
    refill(detail, el("article", { class: "card stack", "aria-label": row.exemplar },
      el("div", { class: "row" }, el("b", { class: "grow" }, row.exemplar), button(T.app.close, () => { player.stop(); picture.destroy(); shown = null; refill(detail); }, { class: "plain" })),
      el("div", { class: "middle" }, picture.node),
      el("p", { class: "meta" }, named(row), el("span", { class: "faint" }, R.details(row))),
      el("div", { class: "row" }, play, el("a", { class: "button", href: hashOf("search", { source: row.id }) }, T.evidence.moreLike),
        status.read_only ? null : [button(R.relabel, () => relabel(row)), button(R.remove, () => drop(row), { class: "no" })])));
    detail.scrollIntoView({ block: "nearest" });
    player.play();
  }

  function relabel(row) {
    const chosen = [...row.labels], denied = [...row.not_labels];
    const lists = [chosen, denied].map(() => el("div", { class: "row chips" })), problem = el("p", { class: "bad" });
    const draw = () => [chosen, denied].forEach((own, place) => refill(lists[place], own.map((name) => button(`${name} ×`, () => { own.splice(own.indexOf(name), 1); draw(); }, { "aria-label": T.ask.drop(name) }))));
    const known = Object.keys(context.status.index.labels);
    const negative = el("input", { type: "checkbox" });
    const choice = labelField({ labels: known, onPick: (name) => {
      const [own, other] = negative.checked ? [denied, chosen] : [chosen, denied];
      if (!own.includes(name)) own.push(name);
      if (other.includes(name)) other.splice(other.indexOf(name), 1);
      choice.input.value = "";
      choice.input.dispatchEvent(new Event("input"));
      draw();
    } });
    const keep = button(T.app.keep, async () => {
      keep.disabled = true;
      try {
        await patch(`index/rows/${row.id}`, { labels: chosen, not_labels: denied });
        opened.close();
        context.say(R.changed(row.exemplar), "good");
        await again(row.id);
      } catch (error) { problem.textContent = error.message; keep.disabled = false; }
    }, { class: "strong" });
    draw();
    const opened = openDialog(R.relabelTitle(row.exemplar), [el("small", { class: "faint" }, R.there), lists[0], el("small", { class: "faint" }, R.notThere), lists[1], el("label", { class: "row" }, negative, R.asNegative), choice.node, problem], { confirm: keep, closeText: T.app.cancel });
    choice.input.focus();
  }

  async function drop(row) {
    try {
      await remove(`index/rows/${row.id}`);
      player.stop();
      shown?.picture.destroy();
      shown = null;
      refill(detail);
      context.say(R.removed(row.exemplar), "good");
      await again();
    } catch (error) { context.fail(error); }
  }

  async function undo() {
    try {
      const back = await post("index/undo", {});
      context.say(R.undone(back.exemplar), "good");
      await again(back.row ? back.id : undefined);
    } catch (error) { context.fail(error); }
  }

  async function again(id) {
    await Promise.all([context.refreshStatus(), summary(), load()]);
    if (id) await open(id);
  }

  summary().catch(context.fail);
  load();
  if (only) open(only);
  const later = afterPause(() => { summary().catch(() => {}); load(); }, 400);
  context.onChange("commit", later);
  context.onChange("index", later);
  return () => { ended = true; later.cancel(); shown?.picture.destroy(); player.destroy(); };
}
