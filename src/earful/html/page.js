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
for (const chart of document.querySelectorAll("figure[data-players]")) {
  const wanted = JSON.parse(document.getElementById(chart.id + "-players").textContent);
  const player = chart.querySelector("audio"), told = chart.querySelector(".told");
  const playing = mark => {
    for (const other of chart.querySelectorAll(".playing")) other.classList.remove("playing");
    mark.classList.add("playing");
  };
  chart.addEventListener("click", event => {
    const mark = event.target.closest("[data-id]"), key = event.target.closest("button[data-name]");
    if (key) {
      const off = key.classList.toggle("off");
      for (const one of chart.querySelectorAll("svg.chart [data-name]"))
        if (one.dataset.name === key.dataset.name) one.classList.toggle("hidden", off);
    }
    if (!mark) return;
    playing(mark);
    told.textContent = mark.querySelector("title").textContent;
    if (wanted[mark.dataset.id]) {
      player.src = wanted[mark.dataset.id];
      player.play().catch(() => {});
    } else player.removeAttribute("src");
  });
}
