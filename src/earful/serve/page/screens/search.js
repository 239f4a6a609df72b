/** Search: exemplars like a sound, or of what a sentence says. */

import { get, post } from "../api.js";
import { createEvidence, linksOf } from "../asking/evidence.js";
import { addressOf, createSoundChoice } from "../asking/sound_choice.js";
import { W } from "../asking/texts.js";
import { button, el, field, hashOf, refill, select } from "../dom.js";
import { bindKeys } from "../keys.js";
import { T } from "../texts.js";

const S = W.search;
const A_PAGE = 20;
let kept = {}; // the address of the last visit, as long as the page lives

export const screen = { id: "search", title: T.app.screens.search, mount };

function mount(root, context) {
  const { status } = context;
  const labels = Object.keys(status.index?.labels ?? {});
  const given = context.params.size ? Object.fromEntries(context.params) : kept;
  const wanted = { text: "", label: "", split: "", where: "", ...given };
  let asked = 0, page = 0, evidence = null, sound = null, running = null;
  const enter = (act) => (event) => { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); act(); } };
  const text = el("input", { type: "search", value: wanted.text, placeholder: S.hint, maxlength: "2000", on: { keydown: enter(byText) } });
  const where = el("input", { type: "text", value: wanted.where, maxlength: "2000", spellcheck: "false", placeholder: S.whereHint, on: { keydown: enter(filter) } });
  const label = select([["", S.all], ...labels.map((one) => [one, one])], wanted.label, filter);
  const split = select([["", S.allSplits]], "", filter), splits = el("div", { hidden: true }, field(S.split, split));
  const told = el("p", { class: "faint", role: "status" }), notes = el("ul", { class: "notes" }), results = el("div", {});
  const more = button(T.app.more, () => { page += 1; run(true); }, { hidden: true });
  const stop = button(T.app.cancel, () => running?.abort(), { hidden: true });
  const place = el("div", {});
  const tabs = el("div", { class: "row", role: "group", "aria-label": S.by }, button(S.byText, () => way("text", true)), button(S.bySound, () => way("sound")));
  const words = el("div", { class: "row bottom" }, el("div", { class: "grow" }, field(S.text, text)), button(S.go, byText, { class: "strong", key: "Enter" }));
  root.append(el("div", { class: "stack" }, el("div", { class: "row" }, el("h1", { class: "grow" }, S.title), tabs), place,
    el("details", { open: Boolean(wanted.label || wanted.split || wanted.where) }, el("summary", {}, S.filters), el("div", { class: "row bottom fill" }, field(S.label, label), splits,
      el("div", { class: "grow" }, field(S.where, where)), button(S.apply, filter), button(S.clear, clear, { class: "plain" }))),
    el("div", { class: "row" }, told, stop), notes, results, more));
  let now = given.source ? "sound" : "text";
  way(now);
  if (now === "text" && text.value) run();
  get("index").then((found) => {
    refill(split, [["", S.allSplits], ...found.splits.map((one) => [one, one])].map(([value, name]) => el("option", { value }, name)));
    split.value = wanted.split;
    splits.hidden = !found.splits.length;
  }, () => {});

  function way(next, focus = false) {
    now = next;
    for (const [one, node] of [["text", tabs.children[0]], ["sound", tabs.children[1]]]) node.setAttribute("aria-pressed", String(one === now));
    if (now === "sound") {
      sound ??= createSoundChoice({
        context, given: { source: given.source, start_s: Number(given.start), end_s: Number(given.end) },
        onChoose: () => run(),
      });
      refill(place, sound.node);
    } else { refill(place, words); if (focus || matchMedia("(hover: hover)").matches) text.focus(); }
  }

  function keep() {
    const audio = now === "sound" ? sound?.audio : null;
    Object.assign(wanted, { text: now === "text" ? text.value.trim() : "", label: label.value, split: split.value || wanted.split, where: where.value.trim(), ...addressOf(audio) });
    kept = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== "" && value !== undefined));
    context.replace(kept);
  }

  function byText() { if (text.value.trim()) run(); else text.focus(); }
  function filter() { wanted.split = split.value; if (!run()) keep(); }
  function clear() {
    label.value = split.value = where.value = wanted.split = "";
    filter();
  }

  /** Search for what the form says; false where it says nothing yet. */
  function run(further = false) {
    const audio = now === "sound" ? sound?.audio : null;
    if (now === "sound" ? !audio : !text.value.trim()) { told.textContent = S.ask; return false; }
    keep();
    find(audio, further);
    return true;
  }

  async function find(audio, further) {
    if (!further) page = 0;
    const mine = ++asked;
    running?.abort();
    running = new AbortController();
    more.disabled = true;
    stop.hidden = false;
    told.textContent = context.status.is_loaded ? S.searching : S.loading;
    refill(notes);
    where.removeAttribute("aria-invalid");
    try {
      const body = { ...(audio ? { audio } : { text: wanted.text }), k: A_PAGE, page, label: wanted.label ? [wanted.label] : [], split: wanted.split ? [wanted.split] : [], where: wanted.where };
      const found = await post("search", body, { signal: running.signal });
      if (mine !== asked) return;
      if (!further) {
        evidence?.destroy();
        evidence = createEvidence({ fail: context.fail, compares: found.compares, actions: (hit) => [...linksOf(hit), el("a", { class: "button", href: hashOf("index", { row: hit.source }) }, S.row)] });
        refill(results, evidence.node);
      }
      evidence.add(found.evidence);
      told.textContent = found.evidence.length || further ? S.found(A_PAGE * page + found.evidence.length, found.query, found.more) : S.none;
      refill(notes, found.notes.map((one) => el("li", {}, one)));
      more.hidden = !found.more;
      if (!context.status.is_loaded) context.refreshStatus().catch(() => {});
    } catch (error) {
      if (mine !== asked) return;
      if (further) page -= 1;
      told.textContent = error.name === "AbortError" ? W.ask.cancelled : "";
      if (error.name !== "AbortError") refill(notes, el("li", { class: "bad", role: "alert" }, error.message));
      if (error.field === "where") where.setAttribute("aria-invalid", "true");
    } finally {
      if (mine === asked) { more.disabled = false; stop.hidden = true; }
    }
  }

  const unbind = bindKeys({ "/": () => way("text", true), " ": () => sound?.toggle(), ...Object.fromEntries(Array.from("123456789", (key, at) => [key, () => evidence?.play(at)])) });
  return () => { asked += 1; running?.abort(); unbind(); sound?.destroy(); evidence?.destroy(); };
}
