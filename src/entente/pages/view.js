// One model's attention to one sentence, drawn: a small map of each head to choose from, then arcs or a heat-map.

const ROW = 28; // pixels, as page.css has it
const LEAST = 0.04; // of a row: fainter arcs are left out, so that sixty words stay quick
const ODDS = 1.5; // times what a head that weighs all words alike would give, before a hint is

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

/** Say what a head of self-attention does, where most of its weight goes to one place: a hint, not a proof. */
function hint(sheet, columns, rarity, hidden) {
  const isEdge = columns.map(({ text }) => text.startsWith("⟨"));
  const isMark = columns.map(({ text }, j) => !isEdge[j] && !/[\p{L}\p{N}]/u.test(text));
  const rarest = Math.max(...rarity.filter((_, j) => !isEdge[j] && !isMark[j]));
  const places = {
    "previous word": (i, j) => j === i - 1,
    "next word": (i, j) => j === i + 1,
    "same word": (i, j) => j === i,
    "start or end": (_, j) => isEdge[j],
    punctuation: (_, j) => isMark[j],
    "rarest word": (_, j) => rarity[j] === rarest && !isEdge[j] && !isMark[j],
  };
  const found = Object.entries(places).map(([name, isThere]) => {
    let [share, even] = [0, 0];
    for (let i = 0; i < sheet.queries; i++) {
      const visible = columns.filter((_, j) => !hidden(i, j)).length;
      columns.forEach((_, j) => {
        if (!isThere(i, j)) return;
        share += sheet.at(i, j) / sheet.queries;
        if (!hidden(i, j)) even += 1 / visible / sheet.queries;
      });
    }
    return { name, share, even };
  });
  const likely = found.filter(({ share, even }) => share > 0.4 && share > ODDS * even);
  return likely.sort((one, other) => other.share - one.share)[0]?.name ?? "";
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
  const most = rows.map((_, i) => Math.max(...columns.map((_, j) => sheet.at(i, j))));
  rows.forEach((_, i) => columns.forEach((_, j) => {
    if (sheet.at(i, j) < Math.min(LEAST, most[i])) return;
    const path = document.createElementNS(svg.namespaceURI, "path");
    const [from, to] = [(i + 0.5) * ROW, (j + 0.5) * ROW];
    path.setAttribute("d", `M0 ${from} C50 ${from} 50 ${to} 100 ${to}`);
    path.setAttribute("vector-effect", "non-scaling-stroke");
    Object.assign(path.dataset, { row: i, column: j });
    svg.append(path);
  }));
  const left = side("words looking", "the words that look", looking(rows, choose));
  const right = side("words", "the words looked at", columns.map(({ text }) => element("span", {}, text)));
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

function side(className, label, children) {
  const made = element("div", { className }, ...children);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  return made;
}

/** The words that look, each a button: arrow keys walk, pointing or focus chooses; a click or a tap stays chosen. */
function looking(rows, choose) {
  const buttons = rows.map(({ text }, i) => {
    const button = element("button", { type: "button", tabIndex: i ? -1 : 0 }, text);
    button.addEventListener("pointerenter", () => choose(i));
    button.addEventListener("pointerleave", () => choose(focused()));
    button.addEventListener("click", () => button.focus()); // which a tap alone does not do everywhere
    button.addEventListener("focus", () => choose(i));
    button.addEventListener("blur", () => choose(null));
    button.addEventListener("keydown", (event) => {
      const next = buttons[i + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? NaN)];
      if (next) {
        event.preventDefault();
        [button.tabIndex, next.tabIndex] = [-1, 0];
        next.focus();
      }
    });
    return button;
  });
  const focused = () => (buttons.includes(document.activeElement) ? buttons.indexOf(document.activeElement) : null);
  return buttons;
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
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  paint(canvas, sheet, ROW, hidden);
  const left = side("words looking", "the words that look", looking(rows, choose));
  const across = side("across", "the words looked at", columns.map(({ text }) => element("span", {}, text)));
  const drawn = element("div", { className: "heat" }, across, left, canvas);
  let pointed = "";
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    const cell = [Math.min(rows.length - 1, Math.floor(offsetY / ROW)), Math.min(columns.length - 1, Math.floor(offsetX / ROW))];
    if (pointed !== String(cell)) choose(...cell);
    pointed = String(cell);
  });
  canvas.addEventListener("pointerleave", () => {
    pointed = "";
    choose(null);
  });
  drawn.light = (chosen) => mark(left.children, chosen);
  return drawn;
}
