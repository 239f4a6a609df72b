/** Ask: a sound, a question or labels, and an answer with all that it stands on. */

import { post, stream } from "../api.js";
import { labelField, openDialog } from "../choice.js";
import { button, el, field, refill, select } from "../dom.js";
import { createEvidence, moreLike } from "../evidence.js";
import { bindKeys } from "../keys.js";
import { createSoundChoice } from "../sound_choice.js";
import { T } from "../texts.js";

const A = T.ask;
const MOST_BARS = 8, LEAST = 0.005;
let kept = { way: "classify", labels: "", question: "" }; // as long as the page lives

export const screen = { id: "ask", title: T.app.screens.ask, mount };

function mount(root, context) {
  const { status } = context;
  const own = status.task;
  let way = kept.way, running = null, last = null;
  const sound = createSoundChoice({ context, source: context.params.get("source") ?? "", onChoose: ({ source }) => { context.replace({ source }); ready(); } });
  const labels = el("input", { type: "text", value: kept.labels, placeholder: A.labelsHint(own?.labels ?? Object.keys(status.index?.labels ?? {})), maxlength: "4000", on: { keydown: enter } });
  const question = el("input", { type: "text", value: kept.question, placeholder: A.questionHint, maxlength: "2000", on: { keydown: enter } });
  const ways = select(Object.entries(A.ways), way, (next) => { way = next; fields(); });
  const words = el("div", { class: "grow" });
  const go = button(A.go, run, { class: "strong", key: "Enter", disabled: true });
  const stop = button(T.app.cancel, () => running?.abort(), { hidden: true });
  const result = el("section", { class: "stack", "aria-live": "polite" });
  const evidence = createEvidence({ fail: context.fail, actions: (hit) => [moreLike(hit)] });
  root.append(el("div", { class: "stack" }, el("h1", {}, A.title), sound.node,
    el("div", { class: "row bottom" }, field(A.way, ways), words, go, stop), result));
  fields();

  function fields() {
    refill(words, way === "classify" ? field(A.labels, labels, own ? A.taskLabels(own.name) : A.indexLabels) : way === "ask" ? field(A.question, question) : null);
  }

  function enter(event) { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); run(); } }
  function ready() { go.disabled = !sound.audio || Boolean(running); }

  async function run() {
    const { audio } = sound;
    if (!audio || running) return;
    kept = { way, labels: labels.value, question: question.value };
    if (way === "ask" && !question.value.trim()) { question.focus(); context.say(A.noQuestion, "bad"); return; }
    const named = labels.value.split(/[,;\n]/).map((one) => one.trim()).filter(Boolean);
    const body = way === "classify" ? { audio, ...(named.length ? { labels: [...new Set(named)] } : {}) } : { audio, question: way === "ask" ? question.value.trim() : "" };
    running = new AbortController();
    go.disabled = true;
    stop.hidden = false;
    const said = el("p", { class: "answer" }), note = el("p", { class: "faint" }, status.is_loaded ? A.asking : A.loading);
    refill(result, said, note);
    evidence.clear();
    try {
      let failed = null, answered = null;
      await stream(way === "classify" ? "classify" : "ask", (kind, data) => {
        if (kind === "text") said.append(data.text);
        else if (kind === "progress") note.textContent = A.weighing(data.done, data.total);
        else if (kind === "answer") answered = data;
        else if (kind === "error") failed = data.error;
      }, { body, signal: running.signal });
      if (failed) refill(result, el("p", { class: "bad" }, failed.message));
      else if (answered) show(answered, audio);
      else refill(result, el("p", { class: "bad" }, T.errors.gone));
      context.refreshStatus().catch(() => {});
    } catch (error) {
      refill(result, el("p", { class: error.name === "AbortError" ? "faint" : "bad" }, error.name === "AbortError" ? A.cancelled : error.message));
    } finally {
      running = null;
      stop.hidden = true;
      ready();
    }
  }

  function show(answer, audio) {
    last = { answer, audio };
    const scores = (answer.scores ?? []).toSorted((a, b) => b.score - a.score);
    const doubt = answer.abstained ? el("p", { class: "warn" }, A.abstained(answer.reason)) : null;
    refill(result,
      el("div", { class: "row" }, el("p", { class: "answer" }, answer.text || answer.labels.join(", ") || A.nothing),
        answer.confidence === null ? null : el("span", { class: "badge" }, A.confidence(answer.confidence)), el("span", { class: "grow" }),
        status.read_only ? null : button(A.save, save, { key: "b" })),
      doubt, scores.length > 1 ? bars(scores) : null,
      answer.notes.length || answer.caveat ? el("ul", { class: "notes" }, [...answer.notes, answer.caveat].filter(Boolean).map((one) => el("li", {}, one))) : null,
      el("small", { class: "faint" }, A.by(answer.model, answer.evidence.length)),
      answer.evidence.length ? el("h2", {}, A.evidence) : null, evidence.node);
    evidence.add(answer.evidence);
  }

  function bars(scores) {
    const most = Math.max(...scores.map((one) => one.score), 1e-9);
    const rows = (some) => some.map(({ label, score }) => el("tr", {}, el("th", { scope: "row" }, label),
      el("td", {}, el("meter", { min: 0, max: 1, value: score / Math.max(most, 1) })), el("td", { class: "number" }, A.percent(score))));
    const n = Math.max(2, Math.min(MOST_BARS, scores.filter((one) => one.score >= LEAST).length));
    const body = el("tbody", {}, rows(scores.slice(0, n)));
    const rest = scores.slice(n);
    return el("div", { class: "scores" }, el("table", {}, el("caption", { class: "faint" }, A.scores), body),
      rest.length ? button(A.rest(rest.length), (event) => { body.append(...rows(rest)); event.currentTarget.remove(); }, { class: "plain" }) : null);
  }

  function save() {
    if (!last || status.read_only) return;
    const known = [...new Set([...last.answer.labels, ...Object.keys(status.index?.labels ?? {})])];
    const picked = [], shown = el("div", { class: "row chips" });
    const group = el("input", { type: "text", maxlength: "200" }), problem = el("p", { class: "bad" });
    const draw = () => refill(shown, picked.map((label) => button(`${label} ×`, () => { picked.splice(picked.indexOf(label), 1); draw(); }, { "aria-label": A.drop(label) })));
    const choice = labelField({ labels: known, onPick: (label) => { if (!picked.includes(label)) picked.push(label); choice.input.value = ""; choice.input.dispatchEvent(new Event("input")); draw(); } });
    const keep = button(A.saveIt, async () => {
      if (!picked.length) { problem.textContent = A.noLabel; return; }
      keep.disabled = true;
      try {
        const row = await post("index/rows", { audio: last.audio, labels: picked, group: group.value.trim() });
        opened.close();
        context.say(A.saved(row.labels.join(", ")), "good");
        context.refreshStatus().catch(() => {});
      } catch (error) { problem.textContent = error.message; keep.disabled = false; }
    }, { class: "strong" });
    const opened = openDialog(A.save, [el("p", { class: "faint" }, A.saveHint), shown, choice.node, field(A.group, group, A.groupHint), problem], { confirm: keep, closeText: T.app.cancel });
    choice.input.focus();
  }

  const unbind = bindKeys({ " ": () => sound.toggle(), b: save, ...Object.fromEntries(Array.from("123456789", (key, place) => [key, () => evidence.play(place)])) });
  return () => { running?.abort(); unbind(); sound.destroy(); evidence.destroy(); };
}
