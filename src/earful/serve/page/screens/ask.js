/** Ask: a sound or several, a question or labels, and answers with all that they stand on. */

import { get, post, stream } from "../api.js";
import { createAnswer, textOf } from "../asking/answer.js";
import { askEach } from "../asking/batch.js";
import { askLabels } from "../asking/labels_dialog.js";
import { addressOf, createSoundChoice } from "../asking/sound_choice.js";
import { W } from "../asking/texts.js";
import { button, el, field, refill, select } from "../dom.js";
import { bindKeys } from "../keys.js";
import { T } from "../texts.js";

const A = W.ask;
const MOST_LABELS = 500, MOST_BEFORE = 20;
let kept = {}; // the address of the last visit, as long as the page lives

export const screen = { id: "ask", title: T.app.screens.ask, mount };

function mount(root, context) {
  const { status } = context;
  const own = status.task, ofIndex = Object.keys(status.index?.labels ?? {}), writes = status.model && status.model !== "none";
  const given = context.params.size ? Object.fromEntries(context.params) : kept;
  const first = { way: own && !["classify", "multilabel"].includes(own.kind) ? (own.kind === "caption" ? "describe" : "ask") : "classify", among: own ? "own" : "index", labels: "", q: "", shots: "", free: "", always: "" };
  const asked = { ...first, ...given };
  let running = null, batching = null, last = null, before = [], ended = false;

  const sound = createSoundChoice({
    context, several: true, onChoose: chosen,
    given: { source: given.source, start_s: Number(given.start), end_s: Number(given.end) },
  });
  const text = (name, props) => el("input", { type: "text", value: asked[name], ...props, on: { input: () => { asked[name] = inputs[name].value; keep(); }, keydown: enter } });
  const inputs = {
    labels: text("labels", { placeholder: A.labelsHint(ofIndex), maxlength: "4000" }),
    q: text("q", { placeholder: own?.question || A.questionHint, maxlength: "2000" }),
  };
  const tick = (name, caption) => {
    const box = el("input", { type: "checkbox", checked: Boolean(asked[name]), on: { change: () => { asked[name] = box.checked ? "1" : ""; keep(); } } });
    return el("label", { class: "row tick" }, box, caption);
  };
  const set = (name) => (value) => { asked[name] = value; keep(); fields(); };
  const ways = select(Object.entries(A.ways), asked.way, set("way"));
  const amongs = [own ? ["own", A.amongTask(own.name)] : null, ofIndex.length <= MOST_LABELS ? ["index", A.amongIndex(ofIndex.length)] : null, ["labels", A.amongOwn]].filter(Boolean);
  const among = el("div", {});
  const words = el("div", { class: "row bottom grow" }), more = el("div", { class: "row bottom fill" });
  const go = button(A.go, () => run(), { class: "strong", key: "Enter", disabled: true });
  const stop = button(T.app.cancel, cancel, { hidden: true, key: "Esc" });
  const progress = el("p", { class: "faint", hidden: true }), result = el("section", { class: "stack result", "aria-label": A.batchTitle }), earlier = el("section", { class: "stack" }), batch = el("div", {});
  root.append(el("div", { class: "stack" }, el("h1", {}, A.title), sound.node,
    el("div", { class: "row bottom asking" }, field(A.way, ways), words, go, stop),
    el("details", { open: Boolean(asked.shots || asked.free || asked.always) }, el("summary", {}, A.options), more),
    batch, progress, result, earlier, el("small", { class: "faint hint" }, A.keysHint)));
  offer(amongs);
  fields();
  get("tasks").then(({ tasks }) => { if (!ended) offer([...amongs, ...tasks.filter((one) => ["classify", "multilabel"].includes(one.kind) && one.name !== own?.name).map((one) => [`task:${one.name}`, A.builtIn(one.name)])]); }, () => {});

  function offer(options) {
    if (!options.some(([key]) => key === asked.among) && !asked.among.startsWith("task:")) asked.among = options[0][0];
    refill(among, field(A.among, select(options, asked.among, set("among"))));
  }

  function fields() {
    refill(words, asked.way === "classify" ? [among, asked.among === "labels" ? el("div", { class: "grow" }, field(A.labels, inputs.labels)) : null]
      : asked.way === "ask" ? el("div", { class: "grow" }, field(A.question, inputs.q)) : null);
    const shots = [["", A.shotsAuto], asked.way !== "classify" && writes ? ["0", A.shotsNone] : null, ...[1, 2, 4, 8, 16, 32].map((n) => [String(n), String(n)])].filter(Boolean);
    refill(more, field(A.shots, select(shots, asked.shots, set("shots"), { title: A.shotsHint })),
      asked.way === "classify" ? tick("always", A.always) : writes ? tick("free", A.freeText) : null);
  }

  function enter(event) { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); run(); } }

  function keep() {
    const audio = sound.audio;
    kept = Object.fromEntries(Object.entries({ ...asked, ...addressOf(audio) }).filter(([name, value]) => value !== undefined && value !== (first[name] ?? "")));
    context.replace(kept);
  }

  function chosen(how) {
    keep();
    ready();
    if (how === "stretch") return;
    running?.abort();
    forget();
    // One of several may be opened while the rest is asked about.
    if (how === "files") { batching?.abort(); refill(batch); }
  }

  function forget() {
    for (const one of [last, ...before]) one?.view.destroy();
    last = null;
    before = [];
    refill(result);
    refill(earlier);
  }

  function ready() {
    go.disabled = sound.files.length ? Boolean(batching) : Boolean(running) || !sound.audio;
    stop.hidden = !running && !batching;
  }

  function cancel() { (running ?? batching)?.abort(); }

  /** Path and body of a question about a sound; null, with the reason said, where something is missing. */
  function question(more_) {
    const shots = asked.shots === "" ? {} : { shots: Number(asked.shots) };
    if (asked.way !== "classify") {
      if (asked.way === "ask" && !asked.q.trim() && !own?.question) { inputs.q.focus(); context.say(A.noQuestion, "bad"); return null; }
      const body = { question: asked.way === "ask" ? asked.q.trim() : "", ...(asked.free ? { free_text: true } : {}), ...shots };
      return { path: "ask", body, title: asked.way === "ask" ? asked.q.trim() || own.question : A.described };
    }
    const named = [...new Set(asked.labels.split(/[,;\n]/).map((one) => one.trim()).filter(Boolean))];
    if (asked.among === "labels" && !named.length) { inputs.labels.focus(); context.say(A.noLabels, "bad"); return null; }
    const which = asked.among === "labels" ? { labels: named } : asked.among.startsWith("task:") ? { task: asked.among.slice(5) } : asked.among === "index" && own ? { labels: ofIndex } : {};
    const caption = asked.among === "labels" ? named.join(", ") : among.querySelector("select").selectedOptions[0]?.textContent ?? "";
    return { path: "classify", body: { ...which, ...shots, ...(asked.always ? { always_answer: true } : {}), ...more_ }, title: A.classified(caption) };
  }

  async function run(more_ = {}) {
    if (go.disabled) { if (!running && !batching) { sound.focus(); context.say(A.noSound, "bad"); } return; }
    const wanted = question(more_);
    if (!wanted) return;
    if (sound.files.length) { runEach(wanted); return; }
    running = new AbortController();
    ready();
    try {
      await runOne(wanted, sound.audio, running.signal);
    } catch (error) {
      refill(result, el("p", { class: error.name === "AbortError" ? "faint" : "bad", role: "alert" }, error.name === "AbortError" ? A.cancelled : error.message));
    } finally {
      running = null;
      if (!ended) ready();
    }
  }

  async function runEach(wanted) {
    const mine = batching = new AbortController();
    const each = askEach({ files: sound.files, context, signal: mine.signal, onOpen: (file) => sound.give(file), question: (audio) => [wanted.path, { ...wanted.body, audio }] });
    refill(batch, each.node);
    ready();
    await each.done.catch(context.fail);
    if (batching === mine) batching = null;
    if (!ended) ready();
  }

  async function runOne(wanted, audio, signal) {
    setAside();
    const said = el("p", { class: "answer" }), began = performance.now();
    let note = context.status.is_loaded ? A.asking : A.loading, failed = null, answered = null;
    const tell = () => { progress.textContent = note + A.seconds(Math.round((performance.now() - began) / 1000)); };
    const clock = setInterval(tell, 500);
    refill(result, said);
    progress.hidden = false;
    tell();
    try {
      await stream(wanted.path, (kind, data) => {
        if (kind === "text") said.append(data.text);
        else if (kind === "progress") { note = A.weighing(data.done, data.total); tell(); }
        else if (kind === "answer") answered = data;
        else if (kind === "error") failed = data.error;
      }, { body: { ...wanted.body, audio }, signal });
    } finally { clearInterval(clock); progress.hidden = true; }
    context.refreshStatus().catch(() => {});
    if (ended) return;
    if (!answered) { refill(result, el("p", { class: "bad", role: "alert" }, failed?.message ?? T.errors.gone)); return; }
    const actions = [answered.abstained && wanted.path === "classify" && !wanted.body.always_answer ? button(A.anyway, () => run({ always_answer: true })) : null,
      status.read_only || !status.index ? null : button(A.save, save, { key: "b" })];
    last = { answer: answered, audio, title: wanted.title, view: createAnswer(answered, { fail: context.fail, actions }) };
    refill(result, last.view.node);
    if (result.getBoundingClientRect().top > innerHeight * 0.6) result.scrollIntoView({ block: "start" });
    context.say(A.answered(textOf(answered)), "good");
    // What follows is typed over it.
    if (wanted.path === "ask" && document.activeElement === inputs.q) inputs.q.select();
  }

  // The answer so far goes below, with all that it stood on.
  function setAside() {
    if (!last) return;
    last.view.retire();
    before.unshift(last);
    last = null;
    while (before.length > MOST_BEFORE) before.pop().view.destroy();
    refill(earlier, el("h2", {}, A.before), before.map((one) => el("details", { class: "card" }, el("summary", {}, el("span", {}, one.title, " ", el("b", {}, textOf(one.answer)))), one.view.node)));
  }

  function save() {
    if (!last || status.read_only) return;
    const { answer, audio } = last;
    askLabels({
      title: A.save, hint: A.saveHint, confirm: T.app.keep,
      known: [...new Set([...answer.labels, ...Object.keys(context.status.index?.labels ?? {})])],
      fields: { group: [A.group, "", A.groupHint], licence: [A.licence, "", A.licenceHint] },
      save: async (said) => {
        const row = await post("index/rows", { audio, ...said });
        context.say(A.saved(row.labels.join(", "), row.not_labels.join(", ")), "good");
        context.refreshStatus().catch(() => {});
      },
    });
  }

  const unbind = bindKeys({ " ": () => sound.toggle(), b: save, Escape: cancel, ...Object.fromEntries(Array.from("123456789", (key, place) => [key, () => last?.view.play(place)])) });
  return () => { ended = true; running?.abort(); batching?.abort(); unbind(); sound.destroy(); forget(); };
}
