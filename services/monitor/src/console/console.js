// Fetches the changing part of the page again and again. The page is complete without this file: it only saves the
// reader from loading it anew.
"use strict";

const main = document.querySelector("main");
const pause = Number(main.dataset.refreshMs) || 2000;

// Replacing the text that somebody is copying would take it from under their hands.
const selecting = () => {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode);
};

const refresh = async () => {
  if (document.hidden || selecting()) return;
  try {
    const answer = await fetch("/overview", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const text = await answer.text();
    const scrolled = [...main.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    main.innerHTML = text;
    main.querySelectorAll(".scroll").forEach((box, at) => { box.scrollLeft = scrolled[at] ?? 0; });
    document.title = main.firstElementChild?.dataset.title ?? document.title;
    document.body.classList.remove("is-stale");
  } catch {
    document.body.classList.add("is-stale");
  }
};

const loop = async () => {
  await refresh();
  setTimeout(loop, pause);
};

document.addEventListener("visibilitychange", refresh);
setTimeout(loop, pause);
