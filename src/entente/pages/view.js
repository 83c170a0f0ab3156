// One model's attention to one sentence, drawn: a small map of each head to choose from, then arcs or a heat-map.

const ROW = 28; // pixels, as page.css has it
const LEAST = 0.04; // of a row: fainter arcs are left out, so that sixty words stay quick
const HINTS = { previous: "previous word", next: "next word", same: "same word", end: "punctuation", rare: "rarest word" };

/** Weights of one head, laid out: at(i, j) of query i and key j; `hidden` where a mask stands. */
class Sheet {
  constructor(weights, queries, keys) {
    Object.assign(this, { weights, queries, keys });
  }

  at(i, j) {
    return this.weights[i * this.keys + j];
  }

  /** Gather pieces into words: the mean over a word's query pieces of the sum over the other's key pieces. */
  gathered(rows, columns) {
    const weights = new Float32Array(rows.length * columns.length);
    rows.forEach((row, i) => columns.forEach((column, j) => {
      let sum = 0;
      for (const query of row.positions) for (const key of column.positions) sum += this.at(query, key);
      weights[i * columns.length + j] = sum / row.positions.length;
    }));
    return new Sheet(weights, rows.length, columns.length);
  }

  /** Mean over the queries of the entropy of their weights, in bits. */
  entropy() {
    let sum = 0;
    for (const weight of this.weights) if (weight > 0) sum -= weight * Math.log2(weight);
    return sum / this.queries;
  }
}

const mean = (sheets) => {
  const weights = new Float32Array(sheets[0].weights.length);
  for (const { weights: own } of sheets) own.forEach((weight, place) => (weights[place] += weight / sheets.length));
  return new Sheet(weights, sheets[0].queries, sheets[0].keys);
};

/** Attention rollout (Abnar and Zuidema 2020, 2020.acl-main.385): layers multiplied, half of each passing straight by. */
function rollout(layers) {
  return layers.map(mean).reduce((below, sheet) => {
    const weights = new Float32Array(sheet.weights.length);
    for (let i = 0; i < sheet.queries; i++) {
      for (let j = 0; j < sheet.keys; j++) {
        let sum = 0;
        for (let k = 0; k < sheet.keys; k++) {
          const own = (sheet.at(i, k) + (i === k ? 1 : 0)) / 2;
          sum += own * (below ? below.at(k, j) : k === j ? 1 : 0);
        }
        weights[i * sheet.keys + j] = sum;
      }
    }
    return new Sheet(weights, sheet.queries, sheet.keys);
  }, null);
}

/** Say what a head does, where most of its weight goes to one place: a hint, not a proof. */
function hint(sheet, rows, columns, rarity) {
  if (rows !== columns) return "";
  const isEnd = columns.map(({ text }) => !/[\p{L}\p{N}]/u.test(text) || text.startsWith("⟨"));
  const rarest = rarity.indexOf(Math.max(...rarity.filter((_, j) => !isEnd[j])));
  const shares = Object.fromEntries(Object.keys(HINTS).map((name) => [name, 0]));
  for (let i = 0; i < sheet.queries; i++) {
    if (i > 0) shares.previous += sheet.at(i, i - 1);
    if (i + 1 < sheet.keys) shares.next += sheet.at(i, i + 1);
    shares.same += sheet.at(i, i);
    columns.forEach((_, j) => (shares.end += isEnd[j] ? sheet.at(i, j) : 0));
    if (rarest >= 0) shares.rare += sheet.at(i, rarest);
  }
  const [name, most] = Object.entries(shares).sort((one, other) => other[1] - one[1])[0];
  return most / sheet.queries > 0.4 ? HINTS[name] : "";
}

/** Paint a sheet on a canvas, `size` pixels a cell; where no word may look the cell is hatched. */
function paint(canvas, sheet, size, hidden) {
  canvas.width = sheet.keys * size;
  canvas.height = sheet.queries * size;
  const pen = canvas.getContext("2d");
  const [mark, empty, line] = ["--mark", "--empty", "--quiet"].map(resolved);
  const blend = (t) => `rgb(${mark.map((value, c) => Math.round(value * t + empty[c] * (1 - t))).join(" ")})`;
  const mixed = [...Array(33).keys()].map((step) => blend(step / 32));
  pen.strokeStyle = `rgb(${line.join(" ")})`;
  pen.lineWidth = 0.5;
  for (let i = 0; i < sheet.queries; i++) {
    for (let j = 0; j < sheet.keys; j++) {
      pen.fillStyle = mixed[Math.round(32 * Math.min(1, sheet.at(i, j)))];
      pen.fillRect(j * size, i * size, size - (size > 4), size - (size > 4));
      if (hidden?.(i, j) && size > 4) {
        pen.beginPath();
        for (let k = size / 4; k < 2 * size; k += size / 4) {
          pen.moveTo(j * size + Math.max(0, k - size), i * size + Math.min(k, size));
          pen.lineTo(j * size + Math.min(k, size), i * size + Math.max(0, k - size));
        }
        pen.stroke();
      }
    }
  }
}

/** A colour of the style sheet as [red, green, blue], in the scheme that is in force. */
function resolved(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return colour;
}

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

/** Two columns of words and arcs between them: `rows` look at `columns`. `choose(i)` is told of the word looked from. */
function arcs(sheet, rows, columns, choose) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const whole = ROW * Math.max(rows.length, columns.length);
  svg.setAttribute("viewBox", `0 0 100 ${whole}`);
  svg.style.height = `${whole}px`;
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  rows.forEach((_, i) => columns.forEach((_, j) => {
    if (sheet.at(i, j) < LEAST) return;
    const path = document.createElementNS(svg.namespaceURI, "path");
    const [from, to] = [(i + 0.5) * ROW, (j + 0.5) * ROW];
    path.setAttribute("d", `M0 ${from} C50 ${from} 50 ${to} 100 ${to}`);
    path.setAttribute("vector-effect", "non-scaling-stroke");
    Object.assign(path.dataset, { row: i, column: j });
    svg.append(path);
  }));
  const left = element("div", { className: "words looking" }, ...looking(rows, choose));
  const right = element("div", { className: "words" }, ...columns.map(({ text }) => element("span", {}, text)));
  const drawn = element("div", { className: "arcs" }, left, svg, right);
  drawn.light = (chosen) => {
    svg.querySelectorAll("path").forEach((path) => {
      const i = Number(path.dataset.row);
      const weight = sheet.at(i, Number(path.dataset.column));
      path.style.strokeOpacity = chosen === null ? 0.15 + 0.85 * weight : i === chosen ? 0.25 + 0.75 * weight : 0.03;
      path.style.strokeWidth = 0.5 + 4 * weight;
    });
    light(right.children, chosen === null ? null : columns.map((_, j) => sheet.at(chosen, j)));
    mark(left.children, chosen);
  };
  return drawn;
}

/** The words that look, each a button: arrow keys walk, pointing or focus chooses, leaving lets go. */
function looking(rows, choose) {
  return rows.map(({ text }, i) => {
    const button = element("button", { type: "button", tabIndex: i ? -1 : 0 }, text);
    button.addEventListener("pointerenter", () => choose(i));
    button.addEventListener("pointerleave", () => choose(null));
    button.addEventListener("focus", () => choose(i));
    button.addEventListener("blur", () => choose(null));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const next = step && (step > 0 ? button.nextElementSibling : button.previousElementSibling);
      if (next) {
        event.preventDefault();
        [button.tabIndex, next.tabIndex] = [-1, 0];
        next.focus();
      }
    });
    return button;
  });
}

function light(words, weights) {
  [...words].forEach((word, j) => {
    word.querySelector(".share")?.remove();
    word.classList.toggle("seen", weights !== null);
    if (weights === null) return;
    word.style.setProperty("--weight", (0.75 * weights[j]).toFixed(3));
    if (weights[j] >= 0.05) word.append(element("span", { className: "share" }, `${Math.round(100 * weights[j])}%`));
  });
}

function mark(words, chosen) {
  [...words].forEach((word, i) => word.setAttribute("aria-current", i === chosen));
}

/** Rows of shaded cells; what the mask hides is hatched. */
function heat(sheet, rows, columns, choose, hidden) {
  const size = ROW;
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  paint(canvas, sheet, size, hidden);
  const left = element("div", { className: "words looking" }, ...looking(rows, choose));
  const across = element("div", { className: "across" }, ...columns.map(({ text }) => element("span", {}, text)));
  const drawn = element("div", { className: "heat" }, left, canvas, across);
  canvas.addEventListener("pointermove", (event) => choose(Math.min(rows.length - 1, Math.floor(event.offsetY / size))));
  canvas.addEventListener("pointerleave", () => choose(null));
  drawn.light = (chosen) => mark(left.children, chosen);
  return drawn;
}
