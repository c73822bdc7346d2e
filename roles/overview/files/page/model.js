// What Prometheus said, made into what an operator wants to know. No document, no clock: the same in, the same out.

const RANK = {good: 0, unknown: 1, warn: 2, bad: 3};
export const worst = (states) => states.reduce((a, b) => (RANK[b] > RANK[a] ? b : a), "good");
const list = (names) => names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
const one = (count, singular, plural) => `${count} ${count === 1 ? singular : plural}`;

const DAY = 86400;
const LAG = 10;             // seconds; from here on a replica is worth a look
const CERTIFICATE = [21, 7]; // days left: a look, alarm
const BACKUP = 1.5 * DAY;   // a day, and the time that one may take
const ARCHIVE = 300;        // seconds without a copy of the binary logs
const PROOF = 2 * DAY;
const SHOWN = "As clients see it";

/** The series of an answer, by the name of their question. */
export class Samples {
  constructor(result) {
    this.time = 0;
    this.by = new Map();
    for (const {metric, value} of result) {
      const {is, ...labels} = metric, number = Number(value[1]);
      this.time = Math.max(this.time, value[0]);
      if (!this.by.has(is)) this.by.set(is, []);
      this.by.get(is).push({labels, value: number});
    }
  }
  /** Those of a question whose labels are these. */
  all(question, labels = {}) {
    const wanted = Object.entries(labels);
    return (this.by.get(question) ?? []).filter((s) => wanted.every(([name, value]) => s.labels[name] === value));
  }
  /** The value of the first of them; undefined where nobody said so. */
  get(question, labels = {}) {
    const value = this.all(question, labels)[0]?.value;
    return Number.isFinite(value) ? value : undefined;
  }
}

/** A host of any tier before its tier has its say: does its exporter answer, how full is it? */
function host(samples, {name, address}, tier) {
  const node = samples.get("up", {job: "node", instance: name});
  const [cpu, memory, disk] = ["cpu", "memory", "disk"].map((what) => samples.get(what, {instance: name}));
  return {
    name, address, tier, state: "good", word: "serves", why: "", badges: [], facts: [],
    meters: {CPU: cpu, RAM: memory, disk},
    answers: node,
  };
}

const say = (it, state, word, why = "") => Object.assign(it, {state, word, why});

function loadBalancer(samples, site, record) {
  const it = host(samples, record, "loadbalancers");
  const haproxy = samples.get("up", {job: "haproxy", instance: it.name});
  const states = samples.all("vip", {instance: it.name});
  for (const address of site.vips) {
    if (states.some((s) => s.labels.address === address && s.labels.state === "MASTER")) {
      it.badges.push({text: `holds ${address}`, main: true});
    }
  }
  it.holds = it.badges.length > 0;
  const faults = states.filter((s) => s.labels.state === "FAULT" && site.vips.includes(s.labels.address));
  const probe = samples.all("probe", {instance: it.name}).filter((s) => s.labels.probe !== "redirect");
  it.facts.push(["sessions", samples.get("lb_sessions", {instance: it.name}), "count"]);
  it.facts.push(["requests/s", samples.get("lb_requests", {instance: it.name}), "rate"]);
  if (haproxy === undefined && it.answers === undefined) say(it, "unknown", "no data", "Prometheus knows nothing of it.");
  else if (it.answers === 0 && haproxy === 0) say(it, "bad", "down", "The host does not answer.");
  else if (haproxy === 0) say(it, "bad", "down", "HAProxy does not answer.");
  else if (probe.length && probe.every((s) => s.value === 0)) say(it, "bad", "fails", "Clients that ask it get no good answer.");
  else if (faults.length) say(it, "warn", "unfit", "keepalived finds it unfit to hold an address.");
  else if (it.answers === 0) say(it, "warn", "half seen", "HAProxy answers, the host's own numbers do not.");
  else if (site.vips.length && !states.length) say(it, "warn", "no keepalived", "Nothing is known of its virtual addresses.");
  else say(it, "good", it.holds || !site.vips.length ? "serves" : "stands by");
  return it;
}

function webServer(samples, site, record) {
  const it = host(samples, record, "webservers");
  const seen = samples.all("web", {server: it.name});
  it.seenBy = Object.fromEntries(seen.map((s) => [s.labels.instance, s.labels.state]));
  const has = (...states) => seen.filter((s) => states.includes(s.labels.state)).map((s) => s.labels.instance);
  const up = has("UP"), drained = has("DRAIN", "MAINT");
  it.facts.push(["weight", samples.get("web_weight", {server: it.name}), "count"]);
  it.facts.push(["sessions", samples.get("web_sessions", {server: it.name}), "count"]);
  it.facts.push(["requests/s", samples.get("web_requests", {server: it.name}), "rate"]);
  const silent = it.answers === 0 ? "The host does not answer." : "";
  if (!seen.length) say(it, "unknown", "no data", silent || "No load balancer says how it is.");
  else if (up.length === seen.length) {
    say(it, "good", "serves");
    const app = samples.get("up", {job: "app", instance: it.name});
    if (it.answers === 0) say(it, "warn", "half seen", "It serves, but its own numbers do not come.");
    else if (app === 0) say(it, "warn", "half seen", "It serves, but the application's numbers do not come.");
  } else if (up.length) say(it, "warn", "disputed", `Only ${list(up)} finds it fit.`);
  else if (drained.length === seen.length) say(it, "warn", "drained", "Out of rotation on purpose: it gets no new requests.");
  else say(it, "bad", "down", silent || "Its health check fails.");
  return it;
}

function database(samples, site, record) {
  const it = host(samples, record, "databases");
  const at = {instance: it.name};
  const server = samples.get("db_up", at), exporter = samples.get("up", {job: "mysqld", ...at});
  const writable = samples.get("db_writable", at), lag = samples.get("db_lag", at), replicates = samples.get("db_replicates", at);
  const routes = samples.all("route", {server: it.name});
  it.routes = routes.map(({labels: {instance, proxy, state}}) => ({from: instance, kind: proxy === "mysql-write" ? "write" : "read", state}));
  const used = (kind) => it.routes.filter((r) => r.kind === kind && r.state === "UP").length;
  it.primary = writable === 1 || (writable === undefined && used("write") > 0);
  it.lag = lag;
  const silentExporter = server === undefined && exporter === 0, routed = it.routes.some((r) => r.state === "UP");
  it.down = server === 0 || (silentExporter && !routed) || (server === undefined && it.answers === 0);
  const silent = it.answers === 0 ? "The host does not answer." : "The database server does not answer.";
  if (!it.down && server !== undefined) {
    it.badges.push({text: it.primary ? "primary" : "replica", main: it.primary});
    if (it.primary && samples.get("db_semi_sync", at) === 0 && site.databases.length > 1) it.badges.push({text: "commits wait for nobody", state: "warn"});
    it.facts.push(it.primary ? ["sessions", samples.get("route_sessions", {server: it.name}), "count"] : ["behind", lag, "seconds"]);
    if (!it.primary) it.facts.push(["sessions", samples.get("route_sessions", {server: it.name}), "count"]);
    it.facts.push(["queries/s", samples.get("db_queries", at), "rate"]);
  }
  if (server === undefined && !it.routes.length) say(it, "unknown", "no data", "Prometheus knows nothing of it.");
  else if (it.down) say(it, "bad", "down", silent);
  else if (silentExporter) say(it, "warn", "half seen", `It is used for ${used("write") ? "writes" : "reads"}, but its own numbers do not come.`);
  else if (it.primary) {
    if (it.routes.length && !used("write")) say(it, "warn", "not used", "It takes writes, but no web server leads them to it.");
    else if (it.answers === 0) say(it, "warn", "half seen", "Its database answers, the host's own numbers do not come.");
    else say(it, "good", "takes writes");
  } else if (replicates === 0) say(it, "bad", "stopped", "It does not follow the primary.");
  else if (it.answers === 0) say(it, "warn", "half seen", "Its database answers, the host's own numbers do not come.");
  else if (lag > LAG) say(it, "warn", "behind", `It is ${Math.round(lag)} s behind the primary.`);
  else if (it.routes.length && !used("read")) say(it, "warn", "not used", "It follows, but no web server reads from it.");
  else say(it, "good", "serves reads");
  return it;
}

function watcher(samples, site, record) {
  const it = host(samples, record, "monitoring");
  const targets = samples.all("up"), silent = targets.filter((s) => s.value === 0);
  const who = [...new Set(silent.map((s) => s.labels.instance))].sort();
  it.facts.push(["targets that answer", targets.length ? `${targets.length - silent.length} of ${targets.length}` : undefined, "text"]);
  if (it.answers === undefined) say(it, "unknown", "no data", "Prometheus knows nothing of it.");
  else if (it.answers === 0) say(it, "warn", "half seen", "Its own numbers do not come.");
  else if (silent.length) say(it, "warn", "misses some", `Nothing comes from ${one(silent.length, "target", "targets")} on ${list(who)}.`);
  else say(it, "good", "watches");
  return it;
}

/** Every host, firewall included. */
export function hosts(samples, site) {
  const makers = {loadbalancers: loadBalancer, webservers: webServer, databases: database, monitoring: watcher};
  return Object.entries(makers).flatMap(([tier, make]) => site[tier].map((record) => {
    const it = make(samples, site, record);
    const firewall = samples.get("firewall", {instance: it.name});
    if (firewall === 1) it.badges.push({text: "firewall on"});
    if (firewall === 0) it.badges.push({text: "firewall off", state: "bad"});
    if (firewall === 0 && RANK[it.state] < RANK.warn) say(it, "warn", it.word, "Its firewall lets everything in.");
    return it;
  }));
}

const NAMES = {loadbalancers: ["load balancer", "load balancers"], webservers: ["web server", "web servers"], databases: ["database", "databases"]};

/** One sentence for the whole site, and why. */
export function verdict(samples, site, all) {
  const tier = (name) => all.filter((h) => h.tier === name);
  const serving = Object.keys(NAMES);
  if (!samples.by.size) return {state: "unknown", text: "Not known", why: "Prometheus answers, and has no numbers of this site yet."};
  const front = samples.all("probe").filter((s) => s.labels.probe !== "redirect");
  const doors = site.vips.length ? front.filter((s) => site.vips.includes(s.labels.address)) : front;
  if (doors.length && doors.every((s) => s.value === 0)) {
    return {state: "bad", text: "Clients get no answer", why: `Nothing answers at ${list(doors.map((s) => s.labels.address))}.`};
  }
  for (const name of serving) {
    const lost = tier(name).filter((h) => h.state === "bad");
    if (lost.length && lost.length === tier(name).length) {
      return {state: "bad", text: `No ${NAMES[name][0]} is left`, why: lost.map((h) => `${h.name}: ${h.why}`).join(" ")};
    }
  }
  const databases = tier("databases"), primaries = databases.filter((h) => h.primary && !h.down);
  if (databases.some((h) => h.state !== "unknown")) {
    if (!primaries.length) return {state: "bad", text: "No database takes writes", why: "Reads go on; writes wait."};
    if (primaries.length > 1 && !databases.every((h) => h.primary)) return {state: "bad", text: "Two databases take writes", why: list(primaries.map((h) => h.name))};
  }
  for (const address of site.vips) {
    const holders = samples.all("vip", {address, state: "MASTER"}).map((s) => s.labels.instance);
    if (holders.length > 1) return {state: "bad", text: `${list(holders)} both hold ${address}`, why: "They do not hear each other."};
    if (!holders.length && samples.all("vip", {address}).length) return {state: "bad", text: `Nobody holds ${address}`, why: ""};
  }
  const broken = all.filter((h) => h.state === "bad"), odd = all.filter((h) => h.state === "warn"), dark = all.filter((h) => h.state === "unknown");
  if (broken.length) {
    const last = serving.filter((name) => tier(name).length > 1 && tier(name).filter((h) => h.state === "good" || h.state === "warn").length === 1);
    const names = list(broken.map((h) => h.name)), down = broken.every((h) => h.word === "down");
    return {
      state: "warn",
      text: !down ? `${names} ${broken.length > 1 ? "need" : "needs"} help` : `${names} ${broken.length > 1 ? "are" : "is"} down`,
      why: last.length ? `The site goes on, but one more ${NAMES[last[0]][0]} and it is off.` : "The site goes on without.",
    };
  }
  if (odd.length) return {state: "warn", text: `The site serves; look at ${list(odd.map((h) => h.name))}`, why: odd[0].why};
  const failing = samples.get("requests") > 0 ? samples.get("errors") / samples.get("requests") : 0;
  if (failing > 0.01) return {state: "warn", text: "Requests fail", why: `${(100 * failing).toFixed(1)} % of all answers are a server's error.`};
  if (dark.length) return {state: "unknown", text: `Nothing is known of ${list(dark.map((h) => h.name))}`, why: dark.length === all.length ? "Do the exporters run?" : "Everything else serves."};
  const spare = serving.every((name) => tier(name).length > 1);
  return {
    state: "good", text: "Everything serves",
    why: `${list(serving.map((name) => one(tier(name).length, ...NAMES[name])))}${spare ? "; any one of them may be lost." : "."}`,
  };
}

/** Last backup, what is archived since, and the last proof: rows of state, title, and sentences. */
export function backups(samples, site, age) {
  if (!site.backups) return [];
  const max = (values) => values.length ? Math.max(...values) : undefined;
  const named = (question, name) => samples.all(question, {__name__: `tandem_backup_${name}`}).map((s) => s.value).filter(Number.isFinite);
  const newest = max(named("backup", "newest_timestamp_seconds")), archived = max(named("backup", "archive_until_timestamp_seconds"));
  const failed = samples.all("backup", {__name__: "tandem_backup_failed"}).filter((s) => s.value === 1);
  const proof = max(named("proof", "proof_ok")), proven = max(named("proof", "proof_backup_timestamp_seconds"));
  const run = max(samples.all("proof_run").map((s) => s.value)), seconds = samples.get("proof_recovery"), rows = max(named("proof", "proof_rows"));
  const found = [];
  found.push(newest === undefined
    ? {state: "unknown", title: "No backup is known", text: "No host says that it made one."}
    : {state: samples.time - newest > BACKUP ? "bad" : "good", title: `Last backup ${age(newest)}`, since: newest,
       text: archived === undefined ? "Nothing is archived since." : `Every change until ${age(archived)} can be restored.`});
  if (archived !== undefined && samples.time - archived > ARCHIVE) found.push({state: "bad", title: "Changes are not archived", text: `Nothing since ${age(archived)}: what came after would be lost.`});
  if (proof === undefined) found.push({state: "unknown", title: "Not proven yet", text: "No restore has been tried."});
  else if (proof === 0) found.push({state: "bad", title: "The proof failed", text: "The restored data is not what the server has: see the journal of tandem-backup-prove."});
  else {
    const late = samples.time - (run ?? proven) > PROOF;
    found.push({state: late ? "warn" : "good", title: late ? "The proof is late" : "Proven by a restore", since: run ?? proven,
      text: [`Restored ${age(run ?? proven)}`, seconds && `in ${Math.round(seconds)} s`, rows && `${rows.toLocaleString("en")} rows equal`].filter(Boolean).join(", ") + "."});
  }
  for (const {labels} of failed) found.push({state: "bad", title: `${labels.task} failed on ${labels.instance}`, text: `journalctl -u 'tandem-backup*' on ${labels.instance} says why.`});
  return found;
}

/** One row a certificate; the same one on several hosts is said once, by the one that ends first. Where no load balancer
    tells of its own (they are nobody's but HAProxy's), what clients are shown. */
export function certificates(samples) {
  const by = new Map();
  for (const {labels, value} of samples.all("certificate")) {
    const name = labels.name ?? SHOWN;
    if (!by.has(name)) by.set(name, []);
    by.get(name).push({host: labels.name ? labels.instance : labels.address ?? labels.instance, end: value});
  }
  const failed = samples.all("certificate_failed").filter((s) => s.value === 1).map((s) => s.labels.instance);
  const named = [...by].filter(([name]) => name !== SHOWN);
  const rows = (named.length ? named : [...by]).map(([name, ends]) => {
    const first = ends.reduce((a, b) => (b.end < a.end ? b : a)), days = Math.floor((first.end - samples.time) / DAY);
    const state = days < CERTIFICATE[1] ? "bad" : days < CERTIFICATE[0] ? "warn" : "good";
    return {state, title: name, text: days < 0 ? `It has ended, on ${first.host}.` : `Valid for ${one(days, "day", "days")} on ${list(ends.map((e) => e.host).sort())}.`};
  });
  if (failed.length) rows.push({state: "bad", title: "Renewal failed", text: `On ${list(failed)}: systemctl status certbot says why.`});
  return rows;
}

/** Those that fire or are about to; the dead man's switch always does, and is no alert. */
export function alerts(active, silent) {
  const key = (labels) => JSON.stringify(Object.entries(labels).filter(([name]) => name !== "site").sort());
  const quiet = new Map((silent ?? []).map((a) => [key(a.labels), a.status]));
  const rank = {critical: 0, warning: 1};
  return active
    .filter((a) => a.labels.severity !== "none")
    .map((a) => {
      const status = quiet.get(key(a.labels));
      return {
        name: a.labels.alertname, severity: a.labels.severity, firing: a.state === "firing", since: Date.parse(a.activeAt) / 1000,
        summary: a.annotations.summary ?? "", runbook: a.annotations.runbook ?? a.annotations.runbook_url ?? "",
        silenced: Boolean(status?.silencedBy?.length), follows: Boolean(status?.inhibitedBy?.length),
        where: [...new Set([a.labels.instance, a.labels.server].filter(Boolean))].join(", "),
      };
    })
    .sort((a, b) => b.firing - a.firing || (rank[a.severity] ?? 2) - (rank[b.severity] ?? 2) || a.since - b.since);
}

const MARKS = {
  primary: (l) => ["◆", `${l.server} became primary`],
  address: (l) => ["▲", `${l.instance} took ${l.address}`],
  haproxy: (l) => ["↻", `HAProxy was reloaded on ${l.instance}`],
  release: (l) => ["★", `${l.release ? `release ${l.release}` : "a release"} on ${l.instance}`],
  lost: (l) => ["✕", `${l.instance} was lost`],
  back: (l) => ["✓", `${l.instance} came back`],
};

/** What changed: moments with a sign and a sentence, oldest first. Several at once are one, with all of them. */
export function changes(result) {
  const found = [];
  for (const {metric: {is, ...labels}, values} of result) {
    if (MARKS[is]) for (const [time] of values) found.push({time, kind: is, sign: MARKS[is](labels)[0], text: MARKS[is](labels)[1]});
  }
  const order = Object.keys(MARKS);
  return found.sort((a, b) => a.time - b.time || order.indexOf(a.kind) - order.indexOf(b.kind) || a.text.localeCompare(b.text));
}
