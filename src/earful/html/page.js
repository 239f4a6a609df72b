for (const head of document.querySelectorAll("table:not(.confusion) thead th")) head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.ariaSort !== "descending";
  for (const other of head.parentNode.children) other.ariaSort = null;
  head.ariaSort = down ? "descending" : "ascending";
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), gap = Number(x) - Number(y);
    const order = Number.isNaN(gap) ? x.localeCompare(y) : gap;
    return down ? -order : order;
  });
  body.append(...rows);
});

const sounds = JSON.parse(document.getElementById("sounds").textContent);
const listen = document.getElementById("listen"), player = listen.querySelector("audio");
const told = listen.querySelector(".told");
let playing = null;
const mark = one => {
  playing?.classList.remove("playing");
  (playing = one)?.classList.add("playing");
};
player.addEventListener("ended", () => mark(null));
document.addEventListener("click", event => {
  const one = event.target.closest("[data-sound]");
  if (!one) return;
  const again = one === playing && !player.paused;
  player.pause();
  mark(again ? null : one);
  told.textContent = one.querySelector("title")?.textContent ?? one.ariaLabel.slice(5);
  if (again) return;
  if (sounds[one.dataset.sound]) {
    player.src = sounds[one.dataset.sound];
    player.play().catch(() => {});
  } else player.removeAttribute("src");
});

const map = document.querySelector("svg.map");
if (map) {
  const clouds = name => [...map.querySelectorAll("[data-name]")].filter(
    one => one.dataset.name === name);
  for (const key of document.querySelectorAll(".key [data-name]")) {
    const own = clouds(key.dataset.name);
    key.addEventListener("click", () => {
      const shown = key.ariaPressed !== "true";
      key.ariaPressed = shown;
      for (const one of own) one.classList.toggle("hidden", !shown);
    });
    for (const [name, on] of [["pointerenter", true], ["focus", true], ["pointerleave", false],
      ["blur", false]]) key.addEventListener(name, () => {
      map.classList.toggle("dimmed", on);
      for (const one of own) one.classList.toggle("lit", on);
    });
  }
  const whole = map.viewBox.baseVal.width, high = map.viewBox.baseVal.height;
  let [x, y, zoom] = [0, 0, 1];
  const show = () => {
    x = Math.min(Math.max(x, 0), whole - whole / zoom);
    y = Math.min(Math.max(y, 0), high - high / zoom);
    map.setAttribute("viewBox", [x, y, whole / zoom, high / zoom].join(" "));
    map.style.setProperty("--shrink", 1 / zoom);
  };
  // The place in [0, 1] of the map that stays where it is.
  const zoomBy = (factor, across = 0.5, up = 0.5) => {
    const before = zoom;
    zoom = Math.min(Math.max(zoom * factor, 1), 30);
    x += across * (whole / before - whole / zoom);
    y += up * (high / before - high / zoom);
    show();
  };
  for (const button of document.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => zoomBy(Number(button.dataset.zoom)));
  map.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = map.getBoundingClientRect();
    zoomBy(event.deltaY < 0 ? 1.25 : 0.8, (event.clientX - box.left) / box.width,
      (event.clientY - box.top) / box.height);
  }, {passive: false});
  map.addEventListener("pointermove", event => {
    if (event.buttons !== 1 || zoom === 1) return;
    x -= event.movementX * whole / zoom / map.clientWidth;
    y -= event.movementY * high / zoom / map.clientHeight;
    show();
  });
  // The arrows go from mark to mark, Enter plays.
  const points = [...map.querySelectorAll("[data-sound]")];
  let at = -1;
  map.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (step) {
      points[at]?.classList.remove("chosen");
      at = (at + step + points.length) % points.length;
      points[at].classList.add("chosen");
      told.textContent = points[at].querySelector("title").textContent;
    } else if (event.key === "Enter" && points[at])
      points[at].dispatchEvent(new Event("click", {bubbles: true}));
    else return;
    event.preventDefault();
  });
}
