// Keeps "Who serves" up to date while the page is open. Without it, the page shows the moment it was made.
"use strict";

function show(name, ok, title, detail) {
  const card = document.querySelector(`[data-database="${name}"]`);
  card.dataset.ok = ok;
  card.querySelector("strong").textContent = title;
  card.querySelector("span").textContent = detail;
}

function showReplication(write, read) {
  if (!write.ok || !read.ok) {
    show("replication", false, "unknown", "one side is away");
  } else if (read.newest >= write.newest) {
    show("replication", true, "in step", `both have note ${read.newest}`);
  } else {
    show("replication", true, "behind", `at note ${read.newest} of ${write.newest}`);
  }
}

async function refresh() {
  try {
    const answer = await fetch("readyz", { signal: AbortSignal.timeout(4000) });
    const { write, read } = (await answer.json()).databases;
    show("write", write.ok, write.server ?? "away", write.ok ? "the primary" : "writing waits until it is back");
    show("read", read.ok, read.server ?? "away",
      !read.ok ? "reading waits until it is back" : read.read_only ? "a replica, read-only" : "the primary itself");
    showReplication(write, read);
  } catch {
    // The site is away for a moment; the next round tells.
  }
}

setInterval(() => { if (!document.hidden) refresh(); }, 5000);
