/* What makes pages live, and charts. Without it they work all the same. */
"use strict";

/* -- changes are made where they are: what has the focus or is selected stays -- */

function become(node, model) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== model.data) node.data = model.data;
    return;
  }
  for (const { name } of [...node.attributes]) {
    if (!model.hasAttribute(name) && name !== "open") node.removeAttribute(name);
  }
  for (const { name, value } of model.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  morph(node, model);
}

function isAlike(node, model) {
  return node.nodeType === model.nodeType && node.nodeName === model.nodeName && (node.id || "") === (model.id || "");
}

function morph(parent, model) {
  const known = new Map([...parent.children].filter((each) => each.id).map((each) => [each.id, each]));
  let at = parent.firstChild;
  for (const wanted of [...model.childNodes]) {
    const twin = wanted.id ? known.get(wanted.id) : at;
    if (!twin || !isAlike(twin, wanted)) {
      parent.insertBefore(wanted, at);
      continue;
    }
    if (twin === at) at = at.nextSibling;
    else parent.insertBefore(twin, at);
    become(twin, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

htmx.defineExtension("morph", {
  handleSwap(style, target, fragment) {
    if (style !== "morph") return false;
    morph(target, fragment);
    return [target];
  },
});

/* -- a stream is closed while nobody sees the page: browsers have six connections to a server -- */

htmx.createEventSource = (url) => {
  const listeners = [];
  let source = null;
  let isOver = false;
  const tap = {
    get readyState() {
      return isOver ? EventSource.CLOSED : source ? source.readyState : EventSource.CONNECTING;
    },
    addEventListener(...listener) {
      listeners.push(listener);
      source?.addEventListener(...listener);
    },
    removeEventListener(...listener) {
      source?.removeEventListener(...listener);
    },
    close() {
      isOver = true;
      document.removeEventListener("visibilitychange", turn);
      source?.close();
    },
  };

  function turn() {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) open();
  }

  function open() {
    source = new EventSource(url);
    source.onopen = (event) => tap.onopen?.(event);
    source.onerror = (event) => {
      if (source.readyState === EventSource.CLOSED) tap.close();
      tap.onerror?.(event);
    };
    for (const listener of listeners) source.addEventListener(...listener);
  }

  document.addEventListener("visibilitychange", turn);
  turn();
  return tap;
};

const pulse = document.getElementById("pulse");

function say(words, isOff) {
  if (pulse && pulse.textContent !== words) pulse.textContent = words;
  pulse?.classList.toggle("off", isOff);
  document.body.classList.toggle("old", isOff);
}

document.addEventListener("htmx:sseOpen", () => say("live", false));
document.addEventListener("htmx:sseError", async () => {
  if (!pulse?.classList.contains("off")) {
    const since = new Date().toISOString().slice(11, 19);
    say(`not live since ${since} UTC: the service does not answer; trying again`, true);
  }
  if (await isLedAway(location.href)) location.reload();
});

/* Who is not logged in any more is led from every page to the login, who is logged in from there to the others. */
async function isLedAway(url) {
  try {
    return (await fetch(url, { method: "HEAD", redirect: "manual" })).type === "opaqueredirect";
  } catch {
    return false;
  }
}

/* A browser that comes by a link of another site does not say at first who it is. */
if (document.querySelector("form.login")) {
  isLedAway(location.href).then((isKnown) => isKnown && location.replace(location.href));
}

/* -- charts -- */

const KEPT = 600;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const NAMES = { enqueued: "in", done: "done", dead: "dead", cancelled: "cancelled", depth: "wait or run" };
const COLOURS = { enqueued: "--in", done: "--done", dead: "--bad", cancelled: "--warn", depth: "--other" };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 1 ? 2 : value < 10 ? 1 : 0, notation: value < 1e5 ? "standard" : "compact" });

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en", { hourCycle: "h23" });

class Chart {
  constructor(box) {
    this.box = box;
    this.fields = box.dataset.chart.split(",");
    this.data = [[], ...this.fields.map(() => [])];
  }

  take({ anew, columns }) {
    const names = ["at", ...this.fields];
    this.data = this.data.map((kept, i) => [...(anew ? [] : kept), ...columns[names[i]]].slice(-KEPT));
    if (this.data[0].length < 2) return;
    if (this.plot) this.plot.setData(this.data);
    else this.draw();
    if (this.plot.cursor.left < 0) this.plot.setLegend({ idx: this.data[0].length - 1 });
  }

  size() {
    return { width: Math.floor(this.box.clientWidth), height: 192 };
  }

  draw() {
    this.box.replaceChildren();
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot(
      {
        ...this.size(),
        cursor: { y: false, drag: { x: false, y: false } },
        scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
        axes: [{ ...axis, space: 90, incrs: STEPS, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
        series: [
          {},
          ...this.fields.map((name) => ({
            label: NAMES[name],
            stroke: () => colour(COLOURS[name]),
            width: name === "enqueued" ? 3 : 1.5, // to be seen where what is done covers it
            points: { show: false },
            value: (_, value) => (value == null ? "–" : short(value)),
          })),
        ],
      },
      this.data,
      this.box,
    );
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot.redraw(false, true));
  }
}

const charts = [...document.querySelectorAll("[data-chart]")].map((box) => new Chart(box));

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (event.detail.type !== "points") return;
  event.preventDefault();
  const news = JSON.parse(event.detail.data);
  for (const chart of charts) chart.take(news);
});

/* -- confirmations open in front of the page -- */

const dialog = document.getElementById("dialog");

async function ask(url) {
  dialog.replaceChildren();
  await htmx.ajax("GET", url, { target: "#dialog", swap: "innerHTML" }).catch(() => {});
  if (dialog.childElementCount) dialog.showModal();
  else location.assign(url);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-dialog]");
  if (!link || !dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  ask(link.href);
});

document.addEventListener("submit", (event) => {
  if (!dialog || !event.target.matches("[data-ask]")) return;
  event.preventDefault();
  ask(`${event.target.getAttribute("action")}?${new URLSearchParams(new FormData(event.target, event.submitter))}`);
});

dialog?.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

/* -- nothing is sent twice -- */

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

/* -- all ticks at once, and how many there are -- */

const all = document.querySelector("[data-all]");
if (all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll("input[name=id]")) box.checked = all.checked;
  });
  document.getElementById("ticked").addEventListener("change", countTicks);
  addEventListener("pageshow", countTicks);
}

function countTicks() {
  const boxes = [...document.querySelectorAll("input[name=id]")];
  const ticked = boxes.filter((box) => box.checked).length;
  const words = document.getElementById("ticks");
  words.textContent = `${ticked} ticked:`;
  words.parentElement.classList.toggle("stays", ticked > 0);
  for (const button of document.querySelectorAll("#ticked button")) button.disabled = ticked === 0;
  all.checked = ticked === boxes.length;
  all.indeterminate = ticked > 0 && ticked < boxes.length;
}

/* -- what was done is said once: a reload, or a link that is passed on, does not say it again -- */

const here = new URL(location.href);
if (here.searchParams.has("did")) {
  for (const name of ["did", "done", "asked", "left", "under_way"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);
}

/* -- words of times go on -- */

function spelled(seconds) {
  if (seconds < 10) return `${Math.round(seconds)} s`;
  for (const [size, unit, rest, restUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds >= size) {
      const left = Math.floor((seconds % size) / rest);
      return `${Math.floor(seconds / size)} ${unit}${left ? ` ${left} ${restUnit}` : ""}`;
    }
  }
  return `${Math.floor(seconds)} s`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time.ago")) {
    const lapse = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const words = Math.abs(lapse) < 1 ? "just now" : lapse > 0 ? `${spelled(lapse)} ago` : `in ${spelled(-lapse)}`;
    if (time.textContent !== words) time.textContent = words;
  }
}, 1000);

/* -- how much is wrong is seen from other tabs -- */

const title = document.title;

document.addEventListener("htmx:sseMessage", () => {
  const count = document.querySelector("#pressing .count")?.firstChild.data;
  document.title = count ? `(${count}) ${title}` : title;
});

/* -- commands to copy: where a browser lets pages do that -- */

document.documentElement.classList.toggle("copies", Boolean(navigator.clipboard));

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  navigator.clipboard.writeText(button.previousElementSibling.textContent).then(() => {
    button.textContent = "Copied";
  });
});
