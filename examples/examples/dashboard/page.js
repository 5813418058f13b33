"use strict";

// Asks for the state again and again, and shows it.

import { byId, counted, element, keep, lasting, say } from "./elements.js";
import { timeline } from "./timeline.js";

const POLL = 500;
const HIDDEN_POLL = 5000;

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
