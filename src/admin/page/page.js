// Brings a page up to date while it is looked at, and copies. Everything is there without it.
"use strict";

document.documentElement.classList.add("scripted");

const live = document.getElementById("live");
const say = (text) => { if (live.textContent !== text) live.textContent = text; };

// Where the focus is within `part`: what leads there must lead there again.
function focused(part) {
  const element = document.activeElement;
  if (element === null || !part.contains(element) || element === part) return null;
  const same = (other) => other.tagName === element.tagName
    && other.getAttribute("href") === element.getAttribute("href")
    && other.dataset.copy === element.dataset.copy
    && other.getAttribute("aria-label") === element.getAttribute("aria-label");
  return () => [...part.querySelectorAll(element.tagName)].find(same)?.focus({ preventScroll: true });
}

// Nobody is marking text there.
function isCalm(part) {
  const selection = document.getSelection();
  return selection === null || selection.isCollapsed || !selection.containsNode(part, true);
}

function put(part, fresh) {
  if (part.innerHTML === fresh.innerHTML || !isCalm(part)) return;
  const refocus = focused(part);
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  part.replaceChildren(...fresh.childNodes);
  [...part.querySelectorAll(".scroll")].forEach((box, place) => { box.scrollLeft = scrolled[place] ?? 0; });
  if (refocus !== null) refocus();
}

const parsed = (text) => new DOMParser().parseFromString(text, "text/html");

// One at a time; what is asked for meanwhile is asked for once, afterwards.
let asking = false;
let again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const fresh = parsed(await answer.text());
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other !== null) put(part, other);
    }
    document.documentElement.dataset.refreshed = String(Number(document.documentElement.dataset.refreshed ?? 0) + 1);
    say("Live");
  } catch {
    say("The server does not answer: as it was before");
  } finally {
    asking = false;
    if (again) { again = false; refresh(); }
  }
}

let events = null;
let heard = false;

function listen() {
  events = new EventSource("/events");
  events.addEventListener("hello", () => {
    say("Live");
    // Something may have happened while nobody listened.
    if (heard) refresh();
    heard = true;
  });
  events.addEventListener("news", refresh);
  events.addEventListener("rates", (event) => {
    const rates = document.getElementById("rates");
    if (rates !== null) put(rates, parsed(event.data).body);
  });
  events.addEventListener("error", () => {
    if (events.readyState !== EventSource.CLOSED) return;
    // Refused: there are too many, or there is another server.
    say("Not live: reload to see what is new");
    events = null;
    setTimeout(() => { if (events === null && !document.hidden) listen(); }, 10_000);
  });
}

// Who does not look need not be told.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { events?.close(); events = null; } else if (events === null) listen();
});
if (!document.hidden) listen();

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (button === null) return;
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not on loopback, or not allowed: as browsers did before.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});
