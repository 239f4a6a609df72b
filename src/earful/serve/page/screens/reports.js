/** Reports: pages that earful wrote beside the index and the scans, and tables to take away. */

import { address, get } from "../api.js";
import { W } from "../asking/texts.js";
import { button, el, field, refill, select } from "../dom.js";
import { T } from "../texts.js";

const R = W.reports;

export const screen = { id: "reports", title: T.app.screens.reports, mount };

function mount(root, context) {
  const { scans } = context.status;
  const list = el("ul", { class: "reports" }), frame = el("div", {});
  let scan = scans[0]?.name ?? "", format = "csv", ended = false;
  const take = el("a", { class: "button strong", download: "" }, R.download);
  const point = () => take.setAttribute("href", address("export", { scan, format }));
  root.append(el("div", { class: "stack" }, el("h1", {}, R.title),
    scans.length ? el("section", { class: "card stack" }, el("h2", {}, R.export), el("div", { class: "row bottom" },
      field(R.scan, select(scans.map((one) => [one.name, one.name]), scan, (next) => { scan = next; point(); })),
      field(R.format, select(Object.entries(R.formats), format, (next) => { format = next; point(); })), take), el("small", { class: "faint" }, R.exportHint)) : null,
    el("section", { class: "card stack" }, el("h2", {}, R.pages), list), frame));
  point();

  get("reports").then(({ reports }) => {
    if (ended) return;
    refill(list, reports.length ? reports.map((one) => el("li", { class: "row" }, button(one.name, () => open(one), { class: "plain" }),
      el("small", { class: "faint grow" }, R.about(one)), el("a", { class: "button", href: address(`reports/${one.id}`), target: "_blank", rel: "noopener" }, R.newTab)))
      : [el("li", { class: "faint" }, R.none), ...R.how.map((line) => el("li", {}, el("code", {}, line)))]);
  }, context.fail);

  function open(one) {
    // Its own policy keeps what it runs from all of ours.
    refill(frame, el("iframe", { src: address(`reports/${one.id}`), title: one.name, sandbox: "allow-scripts allow-popups", class: "report" }));
    frame.scrollIntoView({ block: "start" });
  }

  return () => { ended = true; };
}
