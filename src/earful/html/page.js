for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => {
  const table = head.closest("table"), body = table.tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.dataset.down !== "yes";
  for (const other of head.parentNode.children) delete other.dataset.down;
  head.dataset.down = down ? "yes" : "no";
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), gap = Number(x) - Number(y);
    const order = Number.isNaN(gap) ? x.localeCompare(y) : gap;
    return down ? -order : order;
  });
  body.append(...rows);
});
for (const source of document.querySelectorAll("script.figure")) {
  const figure = JSON.parse(source.textContent);
  const target = document.getElementById(source.dataset.of);
  Plotly.newPlot(target, figure.data, figure.layout, {responsive: true, displaylogo: false});
  if (figure.players) target.on("plotly_click", told => {
    const wanted = figure.players[told.points[0].customdata?.[0] ?? -1];
    const player = document.getElementById(source.dataset.of + "-player");
    if (wanted) { player.src = wanted; player.play().catch(() => {}); }
  });
}
