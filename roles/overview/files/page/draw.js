// Puts what is known into the document. Nothing is redrawn that says the same as before.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("p.quiet", {id: "x"}, "text", child, ...). Text is never read as HTML. */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== ""));
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const icon = (state) => svg("svg", {class: "state", "aria-hidden": "true"}, svg("use", {href: `#state-${state}`}));

/** Fill a place with new children, unless what they are made from is what it was made from before. */
export function fill(place, data, make) {
  const said = JSON.stringify(data);
  if (place.said === said) return;
  place.said = said;
  place.replaceChildren(...[make()].flat());
}

const WORDS = {good: "good", warn: "degraded", bad: "failed", unknown: "not known"};

export function figure(value, kind) {
  if (value === undefined) return "–";
  if (kind === "text") return value;
  if (kind === "seconds") return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} s`;
  if (kind === "rate") return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
  return Math.round(value).toLocaleString("en");
}

function meter(name, share) {
  const percent = share === undefined ? undefined : Math.round(100 * share);
  const bar = svg("svg", {viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true"}, svg("rect", {width: percent ?? 0, height: 4}));
  return h("div.meter", {"data-high": percent >= 90}, h("span", {}, h("span", {}, name), h("span", {}, percent === undefined ? "–" : `${percent} %`)), bar);
}

function card(it) {
  return [
    h("header", {}, icon(it.state), h("h4", {}, it.name), h("span.word", {}, it.word)),
    it.why ? h("p.why", {}, it.why) : "",
    it.facts.length ? h("dl.facts", {}, it.facts.map(([name, value, kind]) => h("div", {}, h("dt", {}, name), h("dd", {}, figure(value, kind))))) : "",
    h("div.meters", {}, Object.entries(it.meters).map(([name, share]) => meter(name, share))),
    it.badges.length ? h("p.badges", {}, it.badges.map((b) => h(`span.badge${b.main ? ".main" : ""}`, {"data-state": b.state}, b.text))) : "",
  ].filter(Boolean);
}

/** The cards of every host; they stay where they are, only what they say changes. */
export function map(all) {
  for (const it of all) {
    const list = document.querySelector(`[data-tier=${it.tier}] ul`);
    let place = document.getElementById(`host-${it.name}`);
    if (!place) {
      place = h("li.host", {id: `host-${it.name}`});
      list.append(place);
    }
    place.dataset.state = it.state;
    place.title = it.address;
    place.setAttribute("aria-label", `${it.name}, ${it.address}: ${it.word}, ${WORDS[it.state]}`);
    const {routes, seenBy, ...shown} = it;
    fill(place, {...shown, meters: Object.values(it.meters).map((m) => m && Math.round(100 * m))}, () => card(it));
  }
}

// --- Lines between hosts: who sends what to whom, as each sender itself says ------------------------
function box(name, canvas) {
  const place = document.getElementById(`host-${name}`);
  if (!place) return null;
  const outer = canvas.getBoundingClientRect(), inner = place.getBoundingClientRect();
  return {left: inner.left - outer.left, right: inner.right - outer.left, top: inner.top - outer.top, bottom: inner.bottom - outer.top, middle: (inner.top + inner.bottom) / 2 - outer.top};
}

function across(from, to, shift, kind, cross) {
  const y1 = from.middle + shift, y2 = to.middle + shift, bend = (to.left - from.right) / 2;
  const path = svg("path", {class: `edge ${kind}`, d: `M${from.right} ${y1}C${from.right + bend} ${y1} ${to.left - bend} ${y2} ${to.left} ${y2}`});
  if (!cross) return [path];
  const x = to.left - 14, y = y2 - (y2 - y1) * 0.03;
  return [path, svg("path", {class: "cross", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8`})];
}

function follows(primary, replica, rank, broken) {
  const out = 16 + 12 * rank, y1 = primary.middle - 8 + 5 * rank, y2 = replica.middle, x1 = primary.right, x2 = replica.right;
  const path = svg("path", {class: `edge ${broken ? "broken" : "replication"}`, d: `M${x1} ${y1}C${x1 + out * 1.4} ${y1} ${x2 + out * 1.4} ${y2} ${x2 + 8} ${y2}`});
  const end = broken ? svg("path", {class: "cross", d: `M${x2 + 6} ${y2 - 4}l8 8m0-8l-8 8`}) : svg("path", {class: "arrow", d: `M${x2 + 1} ${y2}l9 -4.5v9z`});
  return [path, end];
}

export function edges(all) {
  const canvas = document.getElementById("canvas"), place = document.getElementById("edges");
  if (getComputedStyle(place).display === "none") return;
  const at = Object.fromEntries(all.map((it) => [it.name, box(it.name, canvas)]));
  const tier = (name) => all.filter((it) => it.tier === name && at[it.name]);
  const drawn = [];
  for (const lb of tier("loadbalancers")) for (const web of tier("webservers")) {
    const state = web.seenBy[lb.name];
    if (state === undefined && lb.state !== "bad") continue;
    const broken = lb.state === "bad" || state !== "UP";
    const idle = !broken && !lb.holds && tier("loadbalancers").some((other) => other.holds);
    drawn.push(...across(at[lb.name], at[web.name], 0, broken ? "broken" : idle ? "idle" : "", broken));
  }
  const sends = tier("webservers");
  for (const db of tier("databases")) for (const {from, kind, state} of db.routes) {
    const web = sends.find((it) => it.name === from);
    if (!web) continue;
    const wanted = kind === "write" ? db.primary : !db.primary || state === "UP";
    if (!wanted) continue;
    const broken = state !== "UP" || web.state === "bad";
    drawn.push(...across(at[web.name], at[db.name], kind === "write" ? -5 : 5, broken ? "broken" : kind === "read" ? "read" : "", broken));
  }
  const databases = tier("databases"), primary = databases.find((it) => it.primary && !it.down);
  if (primary) databases.filter((it) => it !== primary && !it.primary && it.state !== "unknown")
    .forEach((it, rank) => drawn.push(...follows(at[primary.name], at[it.name], rank, it.down || it.word === "stopped")));
  // Whole lines first, broken ones over them.
  place.replaceChildren(...drawn.sort((a, b) => a.classList.contains("broken") - b.classList.contains("broken") || a.classList.contains("cross") - b.classList.contains("cross")));
}

export const row = ({state, title, text, extra = []}) => h("li.row", {"data-state": state},
  icon(state), h("strong", {}, title, h("span.spoken", {}, ` (${WORDS[state]})`)), text ? h("p", {}, text) : "", extra);

export const plain = (state, text) => h("p.plain", {"data-state": state}, icon(state), h("span", {}, text));
