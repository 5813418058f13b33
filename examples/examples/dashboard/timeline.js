"use strict";

// The bars, which move on by themselves between two states.

import { byId, counted, element, keep, lasting, say } from "./elements.js";

// Open bars reach so far beyond the edge, in milliseconds. They run into it until the next state is here.
const BEYOND = 3000;
const FRAME = 80;

const still = matchMedia("(prefers-reduced-motion: reduce)");
let arrived = performance.now();
let scale = 30000;

export function timeline(state) {
  arrived = performance.now();
  scale = state.window;
  byId("timeline").style.setProperty("--shift", "0%");
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

requestAnimationFrame(move);
