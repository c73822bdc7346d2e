// Shows a runbook: as much of Markdown as those are written in. docs.html?monitoring.md#anchor
import {h} from "./draw.js";

/** The anchor that code hosts give a heading. */
const slug = (text) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").trim().replace(/ /g, "-");

const target = (url) => {
  const [, file, anchor] = url.match(/^([\w-]+\.md)?(#.*)?$/) ?? [];
  if (file || anchor) return `${file ? `docs.html?${file}` : location.search ? `docs.html${location.search}` : ""}${anchor ?? ""}`;
  return /^https?:/.test(url) ? url : "";
};

function inline(text) {
  const found = [];
  let rest = text;
  while (rest) {
    const match = rest.match(/`([^`]+)`|\*\*(.+?)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)]+)\)/);
    if (!match) break;
    found.push(rest.slice(0, match.index));
    const [whole, code, strong, em, words, url] = match;
    if (code) found.push(h("code", {}, code.replace(/\\\|/g, "|")));
    else if (strong) found.push(h("strong", {}, ...inline(strong)));
    else if (em) found.push(h("em", {}, ...inline(em)));
    else found.push(target(url) ? h("a", {href: target(url)}, ...inline(words)) : h("span", {}, ...inline(words)));
    rest = rest.slice(match.index + whole.length);
  }
  return [...found, rest];
}

function table(lines) {
  const cells = (line) => line.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => inline(cell.trim()));
  return h("table", {}, h("thead", {}, h("tr", {}, cells(lines[0]).map((cell) => h("th", {}, ...cell)))),
    h("tbody", {}, lines.slice(2).map((line) => h("tr", {}, cells(line).map((cell) => h("td", {}, ...cell))))));
}

function blocks(text) {
  const made = [], lines = text.split("\n");
  const take = (test) => { const taken = []; while (lines.length && test(lines[0])) taken.push(lines.shift()); return taken; };
  while (lines.length) {
    const line = lines[0], heading = line.match(/^(#{1,4}) (.*)/), item = line.match(/^([-*]|\d+\.) /);
    if (!line.trim() || line.startsWith("<!--")) lines.shift();
    else if (heading) { lines.shift(); made.push(h(`h${heading[1].length}`, {id: slug(heading[2])}, ...inline(heading[2]))); }
    else if (line.startsWith("```")) { lines.shift(); made.push(h("pre", {tabindex: 0}, h("code", {}, take((l) => !l.startsWith("```")).join("\n")))); lines.shift(); }
    else if (line.startsWith("|")) made.push(table(take((l) => l.startsWith("|"))));
    else if (item) {
      const items = [];
      for (const each of take((l) => /^([-*]|\d+\.) /.test(l) || /^\s+\S/.test(l) || (!l.trim() && /^\s+\S/.test(lines[1] ?? "")))) {
        if (/^([-*]|\d+\.) /.test(each)) items.push(each.replace(/^([-*]|\d+\.) /, "")); else items.push(`${items.pop()} ${each.trim()}`);
      }
      made.push(h(/^\d/.test(item[1]) ? "ol" : "ul", {}, items.map((each) => h("li", {}, ...inline(each)))));
    } else if (/^ {4,}\S/.test(line)) made.push(h("pre", {tabindex: 0}, h("code", {}, take((l) => /^ {4}/.test(l)).map((l) => l.slice(4)).join("\n"))));
    else made.push(h("p", {}, ...inline(take((l) => l.trim() && !/^(#|```|\||[-*] |\d+\. )/.test(l)).join(" "))));
  }
  return made;
}

async function show() {
  const place = document.getElementById("document"), file = location.search.slice(1);
  const back = h("p", {}, h("a", {href: "./"}, "← Overview"));
  const answer = /^[\w-]+\.md$/.test(file) ? await fetch(`docs/${file}`) : {ok: false};
  place.replaceChildren(back, ...(answer.ok ? blocks(await answer.text()) : [h("p", {}, `There is no runbook ${file || "without a name"} here.`)]));
  document.title = place.querySelector("h1")?.textContent ?? "Runbook";
  const wanted = location.hash.slice(1);
  if (wanted) { location.hash = ""; location.hash = wanted; }
}
show();
