/** Search: exemplars like a sound, or of what a sentence says. */

import { post } from "../api.js";
import { button, el, field, refill, select } from "../dom.js";
import { createEvidence, moreLike } from "../evidence.js";
import { bindKeys } from "../keys.js";
import { createSoundChoice } from "../sound_choice.js";
import { T } from "../texts.js";

const S = T.search;
const A_PAGE = 20;

export const screen = { id: "search", title: T.app.screens.search, mount };

function mount(root, context) {
  const { status } = context;
  const labels = Object.keys(status.index?.labels ?? {});
  let asked = 0, page = 0, evidence = null, sound = null, label = context.params.get("label") ?? "";
  const text = el("input", { type: "search", value: context.params.get("text") ?? "", placeholder: S.hint, maxlength: "2000", on: { keydown: (event) => { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); byText(); } } } });
  const where = el("input", { type: "text", maxlength: "2000", spellcheck: "false", placeholder: S.whereHint, on: { keydown: (event) => { if (event.key === "Enter") { event.preventDefault(); run(); } } } });
  const told = el("p", { class: "faint", "aria-live": "polite" }), notes = el("ul", { class: "notes" }), results = el("div", {});
  const more = button(T.app.more, () => { page += 1; run(true); }, { hidden: true });
  const place = el("div", {});
  const tabs = el("div", { class: "row", role: "group", "aria-label": S.by }, button(S.byText, () => way("text")), button(S.bySound, () => way("sound")));
  const words = el("div", { class: "row bottom" }, el("div", { class: "grow" }, field(S.text, text)), button(S.go, byText, { class: "strong" }));
  let now = context.params.get("source") ? "sound" : "text";
  root.append(el("div", { class: "stack" }, el("div", { class: "row" }, el("h1", { class: "grow" }, S.title), tabs), place,
    el("details", {}, el("summary", {}, S.filters), el("div", { class: "row bottom" },
      field(S.label, select([["", S.all], ...labels.map((one) => [one, one])], label, (next) => { label = next; run(); })),
      el("div", { class: "grow" }, field(S.where, where, S.whereExample)), button(S.apply, () => run()))),
    told, notes, results, more));
  way(now);
  if (now === "text" && text.value) byText();

  function way(next) {
    now = next;
    for (const [one, node] of [["text", tabs.children[0]], ["sound", tabs.children[1]]]) node.setAttribute("aria-pressed", String(one === now));
    if (now === "sound") {
      sound ??= createSoundChoice({ context, source: context.params.get("source") ?? "", onChoose: ({ source }) => { context.replace({ source }); run(); } });
      refill(place, sound.node, el("div", { class: "row end" }, button(S.go, () => run(), { class: "strong" })));
    } else { refill(place, words); text.focus(); }
  }

  function byText() {
    if (!text.value.trim()) { text.focus(); return; }
    context.replace({ text: text.value.trim() });
    run();
  }

  async function run(further = false) {
    const audio = now === "sound" ? sound?.audio : null;
    if (now === "sound" ? !audio : !text.value.trim()) return;
    if (!further) page = 0;
    const mine = ++asked;
    more.disabled = true;
    told.textContent = status.is_loaded ? S.searching : S.loading;
    try {
      const found = await post("search", { ...(audio ? { audio } : { text: text.value.trim() }), k: A_PAGE, page, label: label ? [label] : [], where: where.value.trim() });
      if (mine !== asked) return;
      if (!further) {
        evidence?.destroy();
        evidence = createEvidence({ fail: context.fail, compares: found.compares, actions: (hit) => [moreLike(hit), el("a", { class: "button", href: `#/index?${new URLSearchParams({ row: hit.source })}` }, S.row)] });
        refill(results, evidence.node);
      }
      evidence.add(found.evidence);
      told.textContent = found.evidence.length || further ? S.found(A_PAGE * page + found.evidence.length, found.query, found.more) : S.none;
      refill(notes, found.notes.map((one) => el("li", {}, one)));
      more.hidden = !found.more;
      context.refreshStatus().catch(() => {});
    } catch (error) {
      if (mine === asked) { told.textContent = ""; context.fail(error); refill(notes, el("li", { class: "bad" }, error.message)); }
    } finally { more.disabled = false; }
  }

  const unbind = bindKeys({ "/": () => { way("text"); text.focus(); }, " ": () => sound?.toggle(), ...Object.fromEntries(Array.from("123456789", (key, at) => [key, () => evidence?.play(at)])) });
  return () => { asked += 1; unbind(); sound?.destroy(); evidence?.destroy(); };
}
