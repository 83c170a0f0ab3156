// A film of learning: a slider over the moments of a training, and what could be done at each.

const PAUSE = 900; // milliseconds of a frame, as the film runs

/** Put a slider, a button that runs through it, and the table of what was learnt over the models. */
function slider(frames) {
  const range = element("input", { type: "range", id: "moment", min: 0, max: frames.length - 1, step: 1 });
  const label = element("label", { htmlFor: "moment" });
  const play = element("button", { type: "button" }, "Run");
  const table = learnt(frames, show);
  let running = null;

  function show(number) {
    chosen.frame = number;
    range.value = number;
    label.textContent = `after ${frames[number].updates.toLocaleString("en")} updates`;
    range.setAttribute("aria-valuetext", label.textContent);
    table.querySelectorAll("[data-frame]").forEach((cell) =>
      cell.classList.toggle("now", Number(cell.dataset.frame) === number));
    answer();
  }

  function halt() {
    clearInterval(running);
    running = null;
    play.textContent = "Run";
  }

  range.addEventListener("input", () => {
    halt();
    show(Number(range.value));
  });
  play.addEventListener("click", () => {
    if (running !== null) return halt();
    play.textContent = "Stop";
    show(0);
    running = setInterval(() => (chosen.frame + 1 < frames.length ? show(chosen.frame + 1) : halt()), PAUSE);
  });
  $("film").hidden = false;
  $("ask").querySelector("button").textContent = "Show"; // a film translates nothing
  $("film").append(element("div", { className: "moments" }, play, range, label), table);
  chosen.frame = frames.length - 1;
  show(chosen.frame);
}

/** Right answers to probes by phenomenon and moment, a table whose columns can be chosen. */
function learnt(frames, show) {
  const names = Object.keys(frames.at(-1).right);
  if (!names.length) return element("p", {}, "This corpus has no probes.");
  const cell = (name, text, frame) => {
    const made = element(name, {}, text);
    if (frame !== undefined) made.dataset.frame = frame;
    return made;
  };
  const heads = frames.map(({ updates }, number) => {
    const button = element("button", { type: "button" }, updates.toLocaleString("en"));
    button.addEventListener("click", () => show(number));
    const head = cell("th", button, number);
    head.scope = "col";
    return head;
  });
  const rows = names.map((name) => {
    const head = cell("th", name);
    head.scope = "row";
    return element("tr", {}, head, ...frames.map(({ right }, number) => {
      const made = cell("td", String(Math.round(right[name])), number);
      made.style.setProperty("--weight", (0.006 * right[name]).toFixed(3));
      return made;
    }));
  });
  const first = cell("th", "updates");
  first.scope = "row";
  return element("div", { className: "learnt" }, element("table", {},
    element("caption", {}, "Right answers to probes of each rule, %, at each moment"),
    element("thead", {}, element("tr", {}, first, ...heads)), element("tbody", {}, ...rows)));
}
