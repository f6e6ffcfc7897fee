"use strict";

// The parts of the page that the server sends anew when they have changed.
const parts = new EventSource("/events");
for (const part of document.querySelectorAll("[data-live]")) {
  parts.addEventListener(part.dataset.live, (event) => { part.innerHTML = event.data; });
}

// Each import reports its progress by a stream of its own, which ends with it.
for (const form of document.querySelectorAll("[data-import]")) {
  const stream = new EventSource(form.dataset.import);
  const [bar, text, button] = ["progress", "output", "button"].map((name) => form.querySelector(name));
  stream.addEventListener("progress", (event) => {
    const step = JSON.parse(event.data);
    bar.value = step.fraction;
    text.value = step.message || step.state;
    button.hidden = false;
  });
  stream.addEventListener("end", (event) => {
    stream.close();
    const outcome = JSON.parse(event.data);
    if (outcome.state === "done") bar.value = 1;
    text.value = outcome.error || `${outcome.state}: ${outcome.result} products`;
    button.hidden = true;
  });
}
