// The page of a run: charts, the map, nearest pairs, rows and rejects.
"use strict";

(async () => {
  const report = page.read("report");
  const others = { lineage: report.lineage, artifacts: page.unpack("artifacts") };
  page.start();
  for (const spec of report.charts) {
    const place = document.querySelector(`[data-charts="${spec.group}"]`);
    if (!place) continue;
    place.append(charts.card(spec, (label) => {
      if (!others.rows) return;
      others.rows.only(spec.facet, label);
      others.rows.close();
      location.hash = "rows";
    }));
    const heading = document.querySelector(`[data-heading="${spec.group}"]`);
    if (heading) heading.hidden = false;
  }

  for (const root of document.querySelectorAll(".explorer")) {
    const name = root.dataset.table;
    others[name] = new Explorer(root, name, await page.unpack(`${name}-index`), others);
  }
  const open = ({ detail: { part, rest } }) => { if (rest && others[part] instanceof Explorer) others[part].show(rest); };
  document.addEventListener("part", open);
  page.route();
  if (report.map) {
    drawMap(report.map, others.rows);
    document.addEventListener("part", ({ detail }) => { if (detail.part === "diversity") listPairs(report.map, others.rows); });
    if (location.hash.startsWith("#diversity")) listPairs(report.map, others.rows);
  }
  document.documentElement.dataset.ready = "true";
})();

/** The map, coloured by a field of few values. */
function drawMap(map, rows) {
  const root = document.getElementById("map");
  const canvas = page.el("canvas", { role: "img", "aria-label": `Map of ${map.points.length} rows by likeness; the nearest pairs are listed below.` });
  const facets = rows.index.facets.filter((facet) => !facet.codes.some(Array.isArray));
  const chosen = page.el("select", { onchange: () => { chart.data.datasets = sets(); chart.update("none"); } },
    page.el("option", { value: "" }, "nothing"), ...facets.map((facet) => page.el("option", { value: facet.name }, facet.name.replaceAll("_", " "))));
  const hues = charts.palette.length - 1, shapes = ["circle", "rectRot"];
  const most = hues * shapes.length;
  const best = facets.find((facet) => facet.values.length <= most);
  if (best) chosen.value = best.name;

  function sets() {
    const facet = facets.find((one) => one.name === chosen.value);
    const groups = new Map();
    map.points.forEach(([x, y], number) => {
      const code = facet ? facet.codes[map.places[number]] : 0;
      const group = code === null || code >= most ? most : code;
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push({ x, y, number });
    });
    return [...groups].sort(([a], [b]) => a - b).map(([group, data]) => ({
      label: !facet ? "rows" : group === most ? "others" : charts.short(facet.values[group]),
      data, backgroundColor: `${charts.palette[group === most ? hues : group % hues]}${map.points.length > 800 ? "b0" : "f0"}`, pointStyle: shapes[Math.floor(group / hues)] || "circle",
      radius: (map.points.length > 800 ? 2.5 : 4) + (group >= hues && group < most ? 1 : 0), hoverRadius: 6,
    }));
  }

  let chart = null;
  const hint = page.el("p", { class: "quiet", "aria-live": "polite" }, "\u00a0");
  const config = {
    type: "scatter", data: { datasets: sets() },
    options: {
      responsive: true, maintainAspectRatio: false, animation: false,
      plugins: { legend: { display: facets.length > 0, position: "bottom", labels: { usePointStyle: true, boxHeight: 8 } }, tooltip: { enabled: false } },
      scales: { x: { grace: "5%", ticks: { display: false }, grid: { display: false } }, y: { grace: "5%", ticks: { display: false }, grid: { display: false } } },
      onHover: async (event, elements) => {
        canvas.style.cursor = elements.length ? "pointer" : "";
        if (!elements.length) return;
        const place = map.places[at(elements[0]).number];
        hint.textContent = preview(await rows.body(place), 180);
      },
      onClick: (event, elements) => { if (elements.length) rows.go(map.places[at(elements[0]).number]); },
    },
  };
  const at = (element) => chart.data.datasets[element.datasetIndex].data[element.index];
  root.append(page.el("label", { class: "controls" }, "Colour by ", chosen), page.el("div", { class: "box" }, canvas), hint);
  charts.draw(canvas, config, (drawn) => { chart = drawn; });
}

async function listPairs(map, rows) {
  const root = document.getElementById("pairs");
  if (root.childElementCount) return;
  const pairs = map.pairs.slice(0, 50);
  root.append(page.el("p", { class: "quiet" }, `Rows and the row nearest to each, by cosine: the ${pairs.length} pairs that are most alike.`));
  for (const [a, b, cosine] of pairs) {
    const side = async (place) => page.el("button", { type: "button", onclick: () => rows.go(place) }, preview(await rows.body(place), 260));
    root.append(page.el("div", { class: "pair" }, page.el("span", { class: "n" }, cosine.toFixed(3)), await side(a), await side(b)));
  }
}
