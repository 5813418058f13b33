"use strict";

// The state is asked for again and again, and what is on the page is changed to it: an element stays for as long as
// what it stands for, so that a button keeps the focus. Texts are set as texts: a key may have anything in it.

const POLL = 500;
const HIDDEN_POLL = 5000;
// Open bars reach so far beyond the edge, in milliseconds. They run into it until the next state is here.
const BEYOND = 3000;
const FRAME = 80;

const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
let arrived = performance.now();
let scale = 30000;

// ---- Elements for things, by their ids.

function keep(parent, things, id, make, update) {
  parent.kept ??= new Map();
  const seen = new Set();
  things.forEach((thing, place) => {
    const name = id(thing);
    seen.add(name);
    let element = parent.kept.get(name);
    if (!element) {
      element = make(thing);
      parent.kept.set(name, element);
    }
    update(element, thing);
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  });
  for (const [name, element] of parent.kept) {
    if (!seen.has(name)) {
      element.remove();
      parent.kept.delete(name);
    }
  }
}

function element(kind, className, ...children) {
  const made = document.createElement(kind);
  made.className = className;
  made.append(...children);
  return made;
}

function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// ---- Texts.

const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function lasting(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds / 60) % 60)} min`;
}

// ---- Numbers.

const calls = ({ hits, shared, computed }) => hits + shared + computed;

const rate = (of) => (calls(of) > 0 ? `${Math.floor((100 * of.hits) / calls(of))} %` : "–");

const grouped = (count) => count.toLocaleString("en");

function numbers(state) {
  const { all } = state.counted;
  const { hits, shared, computed, errors, degraded } = all;
  const known = state.telling > 0;
  say(byId("rate"), rate(all));
  for (const [id, count] of Object.entries({ hits, shared, computed, errors, degraded })) {
    say(byId(id), known ? grouped(count) : "–");
  }
  byId("errors").classList.toggle("bad", errors > 0);
  byId("degraded").classList.toggle("bad", degraded > 0);
  say(byId("telling"), known
    ? `Of ${counted(calls(all), "call", "calls")}, as told by ${counted(state.telling, "process", "processes")}.`
    : "No process tells its numbers to this page. The example's reporter.rs shows how it is done.");
}

function functions(state) {
  const all = Object.entries(state.counted.functions);
  byId("by-function").hidden = all.length === 0;
  keep(byId("functions").tBodies[0], all, ([name]) => name, functionRow, (row, [, of]) => {
    const texts = [rate(of), grouped(calls(of)), grouped(of.computed), grouped(of.errors)];
    texts.forEach((text, place) => say(row.children[place + 1], text));
    row.lastChild.classList.toggle("bad", of.errors > 0);
  });
}

function functionRow([name]) {
  // A path may be broken behind its colons.
  const parts = name.split(/(?<=::)/).flatMap((part) => [part, document.createElement("wbr")]);
  const head = element("th", "", ...parts);
  head.scope = "row";
  return element("tr", "", head, ...[1, 2, 3, 4].map(() => element("td", "")));
}

// ---- The timeline.

function timeline(state) {
  scale = state.window;
  keep(byId("processes"), state.processes, (one) => `${one.host}/${one.process}`, processRow, (row, one) => {
    place(one.bars);
    const [label, track] = row.children;
    say(label.lastChild, one.host);
    track.setAttribute("aria-label", spoken(one, state.now));
    track.style.height = `${height(one.bars)}rem`;
    keep(track.firstChild, one.bars, (bar) => bar.id, bar, (made, bar) => draw(made, bar, state.now));
  });
  byId("quiet").hidden = state.processes.some((one) => one.bars.length > 0);
}

function processRow(one) {
  const label = element("div", "who", `process ${one.process}`, element("small", ""));
  const track = element("div", "track", element("div", "layer"));
  track.setAttribute("role", "img");
  return element("li", "", label, track);
}

// Bars that overlap get lanes of their own: computations above, waiters below.
function place(bars) {
  for (const computes of [true, false]) {
    const lanes = [];
    for (const bar of bars.filter((bar) => bar.computes === computes)) {
      let lane = lanes.findIndex((free) => free < bar.from);
      if (lane < 0) lane = lanes.length;
      lanes[lane] = bar.to ?? Infinity;
      bar.lane = lane;
    }
  }
}

const WORK_LANE = 1.35;
const WAIT_LANE = 0.7;

const lanes = (bars, computes) =>
  bars.reduce((most, bar) => (bar.computes === computes ? Math.max(most, bar.lane + 1) : most), 0);

const height = (bars) =>
  Math.max(1.6, lanes(bars, true) * WORK_LANE + lanes(bars, false) * WAIT_LANE + 0.1);

function bar(one) {
  const made = element("div", "bar", element("span", ""));
  made.title = `${one.key} (${one.function})`;
  return made;
}

function draw(made, bar, now) {
  const at = (time) => 100 - (100 * (now - time)) / scale;
  const left = Math.max(0, at(bar.from));
  const right = at(bar.to ?? now + BEYOND);
  made.style.left = `${left}%`;
  made.style.width = `${Math.max(0, right - left)}%`;
  made.classList.toggle("computes", bar.computes);
  made.classList.toggle("waits", !bar.computes);
  made.classList.toggle("answered", !bar.computes && bar.to !== null);
  made.classList.toggle("failed", bar.failed);
  made.dataset.key = bar.key;
  made.dataset.open = bar.to === null;
  if (bar.computes) {
    made.style.top = `${bar.lane * WORK_LANE + 0.1}rem`;
    const waiting = bar.waiting > 0 ? ` · ${counted(bar.waiting, "process waits", "processes wait")}` : "";
    say(made.firstChild, bar.key + waiting);
  } else {
    made.style.bottom = `${bar.lane * WAIT_LANE + 0.05}rem`;
  }
}

function spoken(one, now) {
  const open = one.bars.filter((bar) => bar.to === null);
  const phrases = open.map((bar) => `${bar.computes ? "computes" : "waits for"} ${bar.key}, for ${lasting(now - bar.from)}`);
  return `Process ${one.process} on ${one.host}: ${phrases.join("; ") || "nothing under way"}`;
}

// Between two states everything moves on by itself.
let drawn = 0;
function move(time) {
  requestAnimationFrame(move);
  if (time - drawn < FRAME || still.matches || document.hidden) return;
  drawn = time;
  const elapsed = Math.min(performance.now() - arrived, BEYOND - 500);
  byId("timeline").style.setProperty("--shift", `${(-100 * elapsed) / scale}%`);
}

// ---- Keys.

function keys(state) {
  const all = new Map(state.keys.map((known) => [known.key, known]));
  for (const process of state.processes) {
    for (const bar of process.bars) {
      if (bar.computes && bar.to === null) {
        all.set(bar.key, { ...all.get(bar.key), key: bar.key, function: bar.function, running: bar, by: process });
      }
    }
  }
  const order = (known) => `${known.function} ${known.key}`;
  const sorted = [...all.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  keep(byId("keys"), sorted, (known) => known.key, keyRow, (row, known) => {
    const [name, what] = row.children;
    say(name.lastChild, known.function);
    const cut = bytes(known.key) > CUT;
    row.lastChild.hidden = cut;
    say(what, condition(known, state.now) + (cut ? "; its key is too long to be known whole here" : ""));
    what.classList.toggle("running", Boolean(known.running));
  });
}

// Of a longer key only the beginning comes from another process: that is another key.
const CUT = 990;

const bytes = (text) => new TextEncoder().encode(text).length;

function keyRow(known) {
  const name = element("div", "name", element("code", "", known.key), element("small", ""));
  const button = element("button", "", "Invalidate");
  button.type = "button";
  button.setAttribute("aria-label", `Invalidate ${known.key}`);
  button.addEventListener("click", () => invalidate(known.key));
  return element("li", "", name, element("div", "state"), button);
}

function condition(known, now) {
  if (known.running) {
    const { running, by } = known;
    const waiting = running.waiting > 0 ? `, ${counted(running.waiting, "process waits", "processes wait")}` : "";
    return `computing for ${lasting(now - running.from)} in process ${by.process}${waiting}`;
  }
  if (known.invalidated) return `invalidated ${lasting(now - known.invalidated)} ago`;
  const how = known.failed ? "failed" : "computed";
  return `${how} ${lasting(now - known.computed)} ago in ${lasting(known.took)} by process ${known.process}`;
}

async function invalidate(key) {
  try {
    const answer = await fetch("invalidate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key }),
    });
    say(byId("said"), answer.ok
      ? `${key} is invalidated: the next call computes it.`
      : `${key} is not invalidated: ${(await answer.text()) || answer.status}`);
  } catch {
    say(byId("said"), `${key} is not invalidated: the dashboard does not answer.`);
  }
}

byId("other").addEventListener("submit", (event) => {
  event.preventDefault();
  invalidate(byId("key").value);
});

// ---- The state.

function trouble(text) {
  say(byId("trouble"), text);
  byId("trouble").hidden = text === "";
}

async function poll() {
  try {
    const answer = await fetch("state");
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    const state = await answer.json();
    arrived = performance.now();
    byId("timeline").style.setProperty("--shift", "0%");
    say(byId("place"), state.place);
    trouble(state.trouble ? `What is computed is not known: ${state.trouble}` : "");
    numbers(state);
    functions(state);
    timeline(state);
    keys(state);
  } catch (error) {
    trouble(`The dashboard does not answer (${error.message}). What is shown is old.`);
  }
  setTimeout(poll, document.hidden ? HIDDEN_POLL : POLL);
}

poll();
requestAnimationFrame(move);
