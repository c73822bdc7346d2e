// How it was: one plot for each question, all of them over the same span and with one cursor.
import {fill, h, svg} from "./draw.js";

const count = (v) => v === null || v === undefined ? "–" : v >= 100 ? Math.round(v).toLocaleString("en") : Number(v.toFixed(v < 10 ? 2 : 1)).toString();
const seconds = (v) => v === null || v === undefined ? "–" : v < 1 ? `${count(1000 * v)} ms` : `${count(v)} s`;
const percent = (v) => v === null || v === undefined ? "–" : `${count(v)} %`;

// By name: title, what it counts, how a value is written, which label names a line, and the least top of the scale.
const PLOTS = {
  requests: ["Requests", "answers a second, by class", count, "code", 1],
  errors: ["Errors", "share of answers that are a server's error", percent, () => "5xx", 1],
  latency: ["Latency", "until the application had an answer", seconds, "is", 0.01],
  sessions: ["Sessions", "open at the load balancers", count, "instance", 1],
  lag: ["Replication lag", "seconds behind the primary", seconds, "instance", 1],
  cpu: ["Processor", "busy", percent, "instance", 100],
  memory: ["Memory", "used", percent, "instance", 100],
  disk: ["Disk", "used, of the fullest file system", percent, "instance", 100],
};
const SPANS = {"15m": ["15 min", 900, 5], "1h": ["1 h", 3600, 15], "6h": ["6 h", 21600, 60], "1d": ["1 day", 86400, 300], "7d": ["7 days", 604800, 1800], "30d": ["30 days", 2592000, 7200]};
const DASHES = [[], [9, 4], [3, 3], [12, 4, 3, 4], [1, 4]];
// Classes of answers keep their colours, whichever of them there are.
const CODES = ["2xx", "3xx", "4xx", "5xx", "1xx", "other"];

export const spans = (names) => names.filter((name) => SPANS[name]).map((name) => [name, SPANS[name][0]]);
/** Seconds between two looks: a point of the plot, but at least five. */
export const pace = (span) => Math.max(5, SPANS[span][2]);
export const questions = Object.keys(PLOTS);

const colour = (index) => getComputedStyle(document.documentElement).getPropertyValue(`--line${index % 8}`).trim();
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A moment under a plot: the day where ticks are days apart, and at midnight. */
function when(tick, between) {
  const date = new Date(1000 * tick), midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (between >= 86400 || (midnight && between >= 3600)) return date.toLocaleDateString("en-GB", {day: "numeric", month: "short"});
  return date.toTimeString().slice(0, 5);
}

/** Series on one grid of time; null where nothing is known, so that a gap is a gap. */
function grid(result, span, now) {
  const [, length, step] = SPANS[span], end = Math.floor(now / step) * step, begin = end - Math.floor(length / step) * step;
  const times = [];
  for (let time = begin; time <= end; time += step) times.push(time);
  const lines = result.map(({values}) => {
    const line = new Array(times.length).fill(null);
    for (const [time, value] of values) {
      const at = Math.round((time - begin) / step), number = Number(value);
      if (at >= 0 && at < line.length && Number.isFinite(number)) line[at] = number;
    }
    return line;
  });
  return [times, ...lines];
}

function style(name, label, all, site) {
  if (label === "code") return {colour: CODES.indexOf(name) < 0 ? 7 : [2, 0, 5, 1, 7, 7][CODES.indexOf(name)], dash: CODES.indexOf(name) < 0 ? 1 : [0, 1, 2, 0, 3, 4][CODES.indexOf(name)]};
  const hosts = [...site.loadbalancers, ...site.webservers, ...site.databases, ...site.monitoring].map((each) => each.name);
  const index = hosts.includes(name) ? hosts.indexOf(name) : all.indexOf(name);
  return {colour: index, dash: index % DASHES.length};
}

class Plot {
  constructor(question, site) {
    this.question = question;
    this.site = site;
    const [title, what] = PLOTS[question];
    this.area = h("div.area");
    this.table = h("table.values");
    this.summary = h("span", {}, what);
    this.figure = h("figure.panel.plot", {id: `plot-${question}`}, h("figcaption", {}, h("h3", {}, title), this.summary), this.area, this.table);
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.area);
  }
  size() { return {width: this.area.clientWidth, height: this.area.clientHeight}; }

  say(text) {
    this.plot?.destroy();
    this.plot = this.shape = null;
    this.area.replaceChildren(h("p.quiet", {}, text));
    this.table.said = undefined;
    this.table.replaceChildren();
  }

  show(result, span, now, marks) {
    const [, , written, label] = PLOTS[this.question];
    this.marks = marks;
    const name = typeof label === "function" ? label : (metric) => metric[label] ?? "all";
    const rank = (metric) => label === "code" ? CODES.indexOf(metric.code) : 0;
    const hosts = [...this.site.loadbalancers, ...this.site.webservers, ...this.site.databases, ...this.site.monitoring].map((each) => each.name);
    const sorted = result.map((series) => ({...series, name: name(series.metric)}))
      // A class of answers that never came is no line.
      .filter((series) => label !== "code" || series.name === "2xx" || series.values.some(([, value]) => Number(value) > 0))
      .sort((a, b) => rank(a.metric) - rank(b.metric) || hosts.indexOf(a.name) - hosts.indexOf(b.name) || a.name.localeCompare(b.name));
    if (!sorted.length) return this.say("No data: nothing was recorded in this time.");
    const data = grid(sorted, span, now), names = sorted.map((series) => series.name);
    const shape = JSON.stringify([names, matchMedia("(prefers-color-scheme: dark)").matches]);
    if (this.plot && this.shape === shape) this.plot.setData(data);
    else this.draw(data, names, shape);
    this.numbers(data, names, written);
    return undefined;
  }

  draw(data, names, shape) {
    const [title, , written, label, least] = PLOTS[this.question];
    this.plot?.destroy();
    this.area.replaceChildren();
    this.shape = shape;
    this.styles = names.map((name) => style(name, label, names, this.site));
    const ink = variable("--soft"), line = variable("--line"), font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = {stroke: ink, font, grid: {stroke: line, width: 1}, ticks: {show: false}};
    this.plot = new uPlot({
      ...this.size(),
      padding: [10, 16, 0, 0],
      legend: {show: false},
      cursor: {sync: {key: "history"}, drag: {x: false, y: false}, points: {size: 6}, y: false},
      scales: {x: {time: true}, y: {range: (_, low, high) => [0, Math.max(least, (high ?? 0) * (least === 100 ? 1 : 1.12))]}},
      axes: [
        {...axis, size: 24, space: 62, values: (_, ticks, __, ___, between) => ticks.map((tick) => when(tick, between))},
        {...axis, size: 54, space: 34, values: (_, ticks) => ticks.map((tick) => tick === 0 ? "0" : written(tick))},
      ],
      series: [{}, ...this.styles.map(({colour: index, dash}) => ({stroke: colour(index), width: 1.9, dash: DASHES[dash], spanGaps: false, points: {show: false}}))],
      hooks: {
        draw: [(plot) => this.drawMarks(plot)],
        setCursor: [(plot) => this.point(plot.cursor.idx)],
      },
    }, data, this.area);
    this.plot.root.setAttribute("role", "img");
    this.plot.root.setAttribute("aria-label", `${title}: a plot; its values are in the table below`);
  }

  drawMarks(plot) {
    const {ctx, bbox} = plot, ratio = devicePixelRatio;
    const own = (this.marks ?? []).filter((mark) => mark.time >= plot.scales.x.min && mark.time <= plot.scales.x.max);
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = variable("--ink");
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = ratio;
    ctx.font = `${10 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "center";
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    let last = -Infinity;
    for (const mark of own) {
      const x = Math.round(plot.valToPos(mark.time, "x", true));
      if (x - last < 7 * ratio) continue;
      last = x;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(mark.sign, x, bbox.top - 1 * ratio);
    }
    ctx.restore();
  }

  /** Each line's name, and its value now (or under the cursor), its mean, and its highest. */
  numbers(data, names, written) {
    this.data = data;
    this.written = written;
    fill(this.table, [this.shape, data.map((line) => line.slice(-1)), data.length && data.map((line) => line[0])], () => {
      this.current = names.map(() => h("td"));
      return [
        h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "line"), this.when = h("th", {scope: "col"}, "now"), h("th", {scope: "col"}, "mean"), h("th", {scope: "col"}, "highest"))),
        h("tbody", {}, names.map((name, index) => {
          const known = data[index + 1].filter((value) => value !== null), {colour: hue, dash} = this.styles[index];
          const sample = svg("path", {d: "M0 4h26", stroke: `var(--line${hue % 8})`, "stroke-dasharray": DASHES[dash].join(" ") || "none"});
          return h("tr", {}, h("th", {scope: "row"}, svg("svg", {viewBox: "0 0 26 8", "aria-hidden": "true"}, sample), name), this.current[index],
            h("td", {}, written(known.length ? known.reduce((a, b) => a + b, 0) / known.length : null)), h("td", {}, written(known.length ? Math.max(...known) : null)));
        })),
      ];
    });
    this.point(this.plot.cursor.idx);
  }

  point(index) {
    if (!this.data || !this.current) return;
    const at = index ?? this.data[0].length - 1;
    // The latest point may not be there yet; the one before is "now" as well.
    const value = (line) => index === null || index === undefined ? line[at] ?? line[at - 1] ?? line[at - 2] ?? null : line[at];
    this.current.forEach((cell, i) => { cell.textContent = this.written(value(this.data[i + 1])); });
    this.when.textContent = index === null || index === undefined ? "now" : new Date(1000 * this.data[0][at]).toTimeString().slice(0, 8);
  }
}

export class Plots {
  constructor(place, site) {
    this.all = questions.map((question) => new Plot(question, site));
    place.append(...this.all.map((plot) => plot.figure));
  }
  get(question) { return this.all.find((plot) => plot.question === question); }
}
