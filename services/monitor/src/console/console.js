// Keeps the open page up to date. The page is complete without this file: it only saves the reader from loading it
// anew. The server sends the changing part of the page whenever it differs, and it is joined to what is shown node by
// node, so that focus, selection, scrolling and what has been opened stay as they are.
"use strict";

const RETRY_MS = 5000;
const main = document.querySelector("main");
const address = location.pathname + location.search;
let source = null;
let retry = 0;

const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

// What the reader has opened or typed is theirs.
const isTheirs = (node, name) => (node.nodeName === "DETAILS" && name === "open") || node.nodeName === "INPUT";

const join = (old, fresh) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isTheirs(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  joinChildren(old, fresh);
};

const joinChildren = (old, fresh) => {
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const twin = next.id ? named.get(next.id) : at;
    if (!twin || !isSame(twin, next)) {
      old.insertBefore(next, at);
      continue;
    }
    if (twin === at) at = at.nextSibling;
    else old.insertBefore(twin, at);
    join(twin, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
};

const show = (event) => {
  const fresh = new DOMParser().parseFromString(event.data, "text/html").getElementById("content");
  if (!fresh) return;
  join(main.firstElementChild, document.adoptNode(fresh));
  document.title = fresh.dataset.title;
  document.body.classList.remove("is-stale");
};

const stop = () => {
  clearTimeout(retry);
  source?.close();
  source = null;
};

const follow = () => {
  stop();
  // A browser keeps few connections to one server; pages that nobody looks at must not hold them.
  if (document.hidden) return;
  source = new EventSource(address);
  source.addEventListener("page", show);
  source.addEventListener("error", () => {
    document.body.classList.add("is-stale");
    // After a refusal the browser does not try again by itself.
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(follow, RETRY_MS);
  });
};

document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", stop);
addEventListener("pageshow", follow);
