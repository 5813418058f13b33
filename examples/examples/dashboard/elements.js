"use strict";

// What is on the page is changed to what is so now: an element stays for as long as what it stands for, so that a button
// keeps the focus. Texts are set as texts: a key may have anything in it.

export const byId = (id) => document.getElementById(id);

// ---- Elements for things, by their ids.

export function keep(parent, things, id, make, update) {
  parent.kept ??= new Map();
  const names = new Set(things.map(id));
  // First: what stays need not be moved then. What is moved loses the focus.
  for (const [name, element] of parent.kept) {
    if (!names.has(name)) {
      element.remove();
      parent.kept.delete(name);
    }
  }
  things.forEach((thing, place) => {
    const name = id(thing);
    let element = parent.kept.get(name);
    if (!element) {
      element = make(thing);
      parent.kept.set(name, element);
    }
    update(element, thing);
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  });
}

export function element(kind, className, ...children) {
  const made = document.createElement(kind);
  made.className = className;
  made.append(...children);
  return made;
}

export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// ---- Texts.

export const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function lasting(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds / 60) % 60)} min`;
}
