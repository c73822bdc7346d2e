// Asks, again and again, and has the answers drawn.
import {alerts, backups, certificates, changes, hosts, Samples, verdict} from "./model.js";
import {edges, figure, fill, h, icon, map, plain, row} from "./draw.js";
import {pace, Plots, questions, spans} from "./plots.js";

const LOOK = 3000;      // milliseconds between two looks at the site
const PATIENCE = 8000;  // and how long an answer may take
const get = (id) => document.getElementById(id);

class Refusal extends Error {}

/** Ask for a path, and return what Prometheus found.
    @throws {Refusal} with a sentence for the operator. */
async function ask(path) {
  let answer;
  try {
    answer = await fetch(path, {signal: AbortSignal.timeout(PATIENCE), headers: {Accept: "application/json"}});
  } catch (error) {
    throw new Refusal(error.name === "TimeoutError" ? "The monitoring host does not answer in time." : "The monitoring host does not answer.");
  }
  if (answer.status === 401) throw new Refusal("You are not logged in any more: load this page again.");
  const body = await answer.json().catch(() => null);
  if (answer.status === 502 || answer.status === 504) throw new Refusal(`${path.includes("silent") ? "Alertmanager" : "Prometheus"} does not answer.`);
  if (!answer.ok) throw new Refusal(body?.error ? `Prometheus says: ${body.error}` : `The monitoring host answers ${answer.status}.`);
  return body;
}

/** How long ago, or at what time, for people. */
function age(time, now = Date.now() / 1000) {
  const past = Math.max(0, now - time);
  if (past < 90) return "a moment ago";
  if (past < 5400) return `${Math.round(past / 60)} min ago`;
  if (past < 129600) return `${Math.round(past / 3600)} h ago`;
  return `${Math.round(past / 86400)} days ago`;
}
const clock = (time) => new Date(1000 * time).toLocaleTimeString("en-GB");
const moment = (time, long) => long ? new Date(1000 * time).toLocaleString("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"}) : clock(time);

/** Again and again, one at a time, never two of the same at once, and not while nobody looks. */
function every(milliseconds, work) {
  let timer;
  const run = async () => {
    clearTimeout(timer);
    try { if (!document.hidden) await work(); } finally { timer = setTimeout(run, milliseconds()); }
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clearTimeout(timer); run(); } });
  run();
  return run;
}

let site, plots, shown = [], answered = 0, spoken = "";

// --- How it is ------------------------------------------------------------------------------------
function headline({state, text, why}) {
  get("verdict").dataset.state = state;
  fill(get("verdict-text"), text, () => text);
  fill(get("verdict-why"), why, () => why);
  const mark = get("verdict").querySelector("use");
  mark.setAttribute("href", `#state-${state}`);
  get("icon").href = `icon-${state}.svg`;
  document.title = `${text} · ${site.name}`;
  // A screen reader is told of changes, not of every look.
  if (spoken !== text) get("spoken").textContent = spoken = text;
}

function figures(samples) {
  const milliseconds = (value) => value === undefined ? undefined : value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`;
  const errors = samples.get("errors") ?? (samples.get("requests") === undefined ? undefined : 0);
  const shownNow = [
    ["requests/s", figure(samples.get("requests"), "rate")],
    ["errors/s", figure(errors, "rate")],
    ["latency, half", figure(milliseconds(samples.get("p50")), "text")],
    ["latency, 99 of 100", figure(milliseconds(samples.get("p99")), "text")],
    ["sessions", figure(samples.get("sessions"), "count")],
  ];
  fill(get("figures"), shownNow, () => shownNow.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function rows(place, found, nothing) {
  fill(place, found, () => found.length ? h("ul.rows", {}, found.map(row)) : nothing);
}

async function lookNow() {
  let samples;
  try {
    samples = new Samples((await ask("api/now")).data.result);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    document.body.dataset.stale = "";
    get("live").dataset.late = "";
    get("notice").hidden = false;
    const since = answered ? ` What is drawn below was so at ${clock(answered)}.` : "";
    fill(get("notice"), error.message + since, () => error.message + since);
    headline({state: "unknown", text: "Not known", why: error.message});
    if (!answered) {
      drawMap(new Samples([]));
      for (const place of ["backup", "certificates"]) fill(get(place), "unknown", () => plain("unknown", "Not known."));
    }
    return;
  }
  delete document.body.dataset.stale;
  delete get("live").dataset.late;
  get("notice").hidden = true;
  answered = Date.now() / 1000;
  drawMap(samples);
  headline(verdict(samples, site, shown));
  figures(samples);
  rows(get("backup"), backups(samples, site, (time) => age(time)), h("p.quiet", {}, "This site has none."));
  rows(get("certificates"), certificates(samples), h("p.quiet", {}, "Nothing is known of any."));
}

function drawMap(samples) {
  shown = hosts(samples, site);
  map(shown);
  edges(shown);
}

function drawLive() {
  const late = answered ? Math.round(Date.now() / 1000 - answered) : 0;
  get("live-text").textContent = !answered ? "waiting for the first answer" : late < 2 ? `live, ${clock(answered)}` : `last answer ${late} s ago`;
}

// --- Alerts -----------------------------------------------------------------------------------------
function runbook(link) {
  if (/^https?:\/\//.test(link)) return h("a", {href: link, rel: "noreferrer"}, "runbook");
  const [file, anchor] = link.replace(/^docs\//, "").split("#");
  return link && site.docs ? h("a", {href: `docs.html?${file}#${anchor ?? ""}`}, "runbook") : h("span", {}, link);
}

function alert(a) {
  const state = !a.firing ? "unknown" : a.severity === "critical" ? "bad" : "warn";
  const status = [a.firing ? a.severity : "not yet", a.silenced && "silenced", a.follows && "follows from another"].filter(Boolean).join(", ");
  const meta = h("p.meta", {}, h("span", {}, status), h("time", {datetime: new Date(1000 * a.since).toISOString(), title: moment(a.since, true)}, `since ${clock(a.since)}`),
    a.runbook ? runbook(a.runbook) : "");
  return row({state, title: a.name.replace(/(?<=[a-z])(?=[A-Z])/g, " "), text: a.summary || a.where, extra: [meta]});
}

async function lookAlerts() {
  let found, unheard = "";
  try {
    const [active, silent] = await Promise.all([ask("api/alerts"), ask("api/silent").catch((error) => { unheard = error.message; return null; })]);
    found = alerts(active.data.alerts, silent);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    get("alerts-count").textContent = "?";
    fill(get("alerts"), error.message, () => plain("unknown", `Not known. ${error.message}`));
    return;
  }
  get("alerts-count").textContent = found.filter((a) => a.firing).length;
  fill(get("alerts"), [found, unheard], () => [
    unheard ? plain("warn", `${unheard} Nobody is told of what fires.`) : "",
    found.length ? h("ul.rows", {}, found.map(alert)) : plain("good", "None fires."),
  ].filter(Boolean));
}

// --- How it was -------------------------------------------------------------------------------------
const span = () => document.querySelector("#spans input:checked").value;

async function lookBack() {
  const chosen = span(), path = (question) => `api/past/${question}/${chosen}`;
  let marks = [];
  try {
    marks = changes((await ask(path("marks"))).data.result);
    drawChanges(marks, chosen);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    fill(get("changes"), error.message, () => plain("unknown", `Not known. ${error.message}`));
  }
  await Promise.all(questions.map(async (question) => {
    try {
      const answer = await ask(path(question));
      if (chosen === span()) plots.get(question).show(answer.data.result, chosen, Date.now() / 1000, marks);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      plots.get(question).say(error.message);
    }
  }));
}

function drawChanges(marks, chosen) {
  const latest = marks.slice(-40).reverse(), long = !["15m", "1h", "6h"].includes(chosen);
  fill(get("changes"), [latest, long], () => latest.length
    ? h("ol", {}, latest.map((mark) => h("li", {}, h("span.glyph", {"aria-hidden": "true"}, mark.sign), h("time", {datetime: new Date(1000 * mark.time).toISOString()}, moment(mark.time, long)), h("span", {}, mark.text))))
    : h("p.quiet", {}, "Nothing, in this time."));
}

// --- Begin ------------------------------------------------------------------------------------------
async function begin() {
  site = await ask("site.json");
  document.title = site.name;
  const chosen = spans(site.spans).some(([name]) => name === location.hash.slice(1)) ? location.hash.slice(1) : "1h";
  get("spans").append(...spans(site.spans).map(([name, text]) =>
    h("label", {}, h("input", {type: "radio", name: "span", value: name, checked: name === chosen}), text)));
  plots = new Plots(get("plots"), site);
  every(() => LOOK, lookNow);
  every(() => 5000, lookAlerts);
  const again = every(() => 1000 * pace(span()), lookBack);
  get("spans").addEventListener("change", () => { history.replaceState(null, "", `#${span()}`); again(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(() => edges(shown)).observe(get("canvas"));
  setInterval(drawLive, 500);
}

begin().catch((error) => {
  get("notice").hidden = false;
  get("notice").textContent = error instanceof Refusal ? error.message : `This page does not work: ${error.message}`;
  throw error;
});
