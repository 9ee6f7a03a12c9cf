// Charts from plain data, each with its numbers as a table for those who cannot see it.
"use strict";

const charts = {
  palette: ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999"],
  drawn: new Set(),

  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },

  /**
   * A card with a bar or line chart.
   * spec: title, labels, values or series [{name, values}], line, flat (bars lie), note, facet; pick(label) on a click.
   */
  card(spec, pick) {
    const series = spec.series || [{ name: spec.title, values: spec.values }];
    const canvas = page.el("canvas", { role: "img", "aria-label": charts.spoken(spec, series) });
    const box = page.el("div", { class: "box" }, canvas);
    const card = page.el("article", { class: `card chart${spec.flat ? " tall" : ""}` },
      page.el("h3", {}, spec.title), box, charts.table(spec, series));
    if (spec.note) card.insertBefore(page.el("p", { class: "quiet" }, spec.note), box);
    if (spec.flat) card.style.setProperty("--height", `${(series.length > 1 ? 84 : 46) + spec.labels.length * 26}px`);
    const options = {
      responsive: true, maintainAspectRatio: false, animation: false, indexAxis: spec.flat ? "y" : "x",
      plugins: { legend: { display: series.length > 1, position: "bottom" } },
      scales: {
        x: { stacked: !spec.line, grid: { display: Boolean(spec.flat) }, ticks: { maxRotation: 0, autoSkipPadding: 12 } },
        y: { stacked: !spec.line, grid: { display: !spec.flat }, beginAtZero: true, ticks: {} },
      },
      interaction: { mode: "index", intersect: false, axis: spec.flat ? "y" : "x" },
    };
    if (spec.flat) options.scales.y.ticks = { autoSkip: false, callback: (value) => charts.short(spec.labels[value]) };
    if (spec.line) options.scales.y.max = spec.max === undefined ? 1 : spec.max;
    if (spec.facet && pick) {
      options.onClick = (event, elements) => elements.length && pick(spec.labels[elements[0].index]);
      options.onHover = (event, elements) => { canvas.style.cursor = elements.length ? "pointer" : ""; };
    }
    const datasets = series.map((one, place) => {
      const colour = charts.palette[place % charts.palette.length];
      return spec.line
        ? { label: one.name, data: one.values, borderColor: colour, backgroundColor: colour, borderWidth: series.length > 1 && !place ? 1 : 2.5,
            pointRadius: series.length > 1 && one.values.length > 1 ? 0 : 3 }
        : { label: one.name, data: one.values, backgroundColor: colour, maxBarThickness: 26, borderRadius: 2,
            barPercentage: 0.96, categoryPercentage: spec.flat ? 0.8 : 0.96 };
    });
    charts.draw(canvas, { type: spec.line ? "line" : "bar", data: { labels: spec.labels, datasets }, options });
    return card;
  },

  /** Draws when the canvas is first seen: charts in a part that is not shown have no size. */
  draw(canvas, config, then) {
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      charts.theme();
      const chart = new Chart(canvas, config);
      charts.drawn.add(chart);
      canvas.dataset.drawn = "true";
      if (then) then(chart);
    }).observe(canvas.parentElement);
  },

  theme() {
    Chart.defaults.color = charts.colour("--muted");
    Chart.defaults.borderColor = charts.colour("--line");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
  },

  table(spec, series) {
    const details = page.el("details", {}, page.el("summary", {}, "Numbers"));
    details.addEventListener("toggle", () => {
      if (details.children.length > 1) return;
      const head = page.el("tr", {}, page.el("th", {}, ""), ...series.map((one) => page.el("th", { class: "n" }, series.length > 1 ? one.name : "rows")));
      const rows = spec.labels.map((label, place) => page.el("tr", {}, page.el("th", { scope: "row" }, label),
        ...series.map((one) => page.el("td", { class: "n" }, page.number(one.values[place])))));
      details.append(page.el("table", { class: "plain" }, page.el("thead", {}, head), page.el("tbody", {}, ...rows)));
    });
    return details;
  },

  spoken(spec, series) {
    const highest = series[0].values.reduce((best, value, place, all) => (value > all[best] ? place : best), 0);
    return `${spec.title}: ${spec.line ? "line" : "bar"} chart of ${spec.labels.length} values, highest at ${spec.labels[highest]}.`;
  },

  short(text, length = 26) {
    return text.length > length ? `${text.slice(0, length - 1)}…` : text;
  },
};

document.addEventListener("theme", () => {
  charts.theme();
  for (const chart of charts.drawn) {
    for (const scale of Object.values(chart.options.scales || {})) {
      scale.ticks.color = Chart.defaults.color;
      scale.grid.color = Chart.defaults.borderColor;
    }
    chart.options.plugins.legend.labels.color = Chart.defaults.color;
    chart.update("none");
  }
});
