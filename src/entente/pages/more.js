// What else a network that runs in the page can show: its search as a tree, and its positions.

const SVG = "http://www.w3.org/2000/svg";
const [COLUMN, LINE] = [108, 30]; // pixels between steps of the search, and between hypotheses
const POSITIONS = 48; // drawn, from the first on
const unfolded = new Set(); // what a person opened stays open when the page is drawn anew

const shape = (name, attributes, text = "") => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

/** Folded sections of a model, drawn when they are opened. */
function more(model) {
  const folded = (title, fill) => {
    const box = element("details", {}, element("summary", {}, title));
    box.addEventListener("toggle", () => {
      unfolded[box.open ? "add" : "delete"](title);
      if (box.open && box.childElementCount === 1) box.append(...fill());
    });
    box.open = unfolded.has(title);
    return box;
  };
  const sections = [folded("The search", () => searched(model))];
  const { kind } = model.network.options.encoder_positions;
  if (["sinusoidal", "learned"].includes(kind)) sections.push(folded("The positions", () => positions(model.network, kind)));
  return sections;
}

/** Beam search as a tree: a column for each step, the likeliest on top; the path of the best is marked. */
function searched(model) {
  const { subwords, network } = model;
  const { hypotheses, trace } = translate(network, subwords, asked.sentence, data.decoding, model.how());
  const winner = [...hypotheses[0].ids, EOS];
  const isBest = ({ ids }) => ids.every((id, place) => id === winner[place]);
  const rows = Math.max(...trace.map((step) => step.length));
  const label = `Beam search of ${trace.length} steps; the best translation is ${subwords.decode(hypotheses[0].ids)}`;
  const [width, height] = [(trace.length + 1) * COLUMN, rows * LINE + 8];
  const svg = shape("svg", { width, height, role: "img", "aria-label": label });
  const [x, y] = [(step) => step * COLUMN + 8, (row) => row * LINE + 20];
  trace.forEach((step, number) => step.forEach((node, row) => {
    const marked = isBest(node) ? "best" : "";
    if (number) {
      const from = `${x(number - 1) + COLUMN * 0.75} ${y(node.parent) - 5}`;
      svg.append(shape("path", { d: `M${from} L${x(number) - 4} ${y(row) - 5}`, class: marked }));
    }
    svg.append(shape("text", { x: x(number), y: y(row), class: marked }, readable(subwords.pieces[node.ids.at(-1)])));
    svg.append(shape("text", { x: x(number), y: y(row) + 10, class: "score" }, node.total.toFixed(2)));
  }));
  const list = element("ol", {}, ...hypotheses.map(({ ids, score, logProbability }) =>
    element("li", {}, `${subwords.decode(ids)} (score ${score.toFixed(2)}, log-probability ${logProbability.toFixed(2)})`)));
  return [
    element("p", {}, "Each step keeps the likeliest beginnings of a translation, by log-probability (nats, below each piece)."),
    element("div", { className: "tree" }, svg),
    list,
  ];
}

/** The encoder's positions as they are added to words, and how alike two of them are. */
function positions(network, kind) {
  const { width } = network;
  const count = Math.min(POSITIONS, network.options.max_length);
  const table = Float32Array.from({ length: count * width }, (_, place) =>
    network.position(kind, "encoder", Math.floor(place / width), place % width));
  const most = table.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const values = new Sheet(table.map((value) => (value / most + 1) / 2), count, width);
  const norms = [...Array(count).keys()].map((i) => Math.sqrt(dot(table, i * width, table, i * width, width)));
  const cosines = Float32Array.from({ length: count * count }, (_, place) => {
    const [i, j] = [Math.floor(place / count), place % count];
    return dot(table, i * width, table, j * width, width) / norms[i] / norms[j];
  });
  const least = cosines.reduce((one, other) => Math.min(one, other));
  const alike = new Sheet(cosines.map((cosine) => (cosine - least) / (1 - least)), count, count);
  return [[values, 4, `The first ${count} positions (rows), each a vector of ${width} numbers (columns), lowest pale.`],
    [alike, 4, `How alike two positions are: cosine, from ${least.toFixed(2)}, pale, to 1.`]].map(
    ([sheet, size, text]) => {
      const canvas = element("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", text);
      paint(canvas, sheet, size);
      return element("figure", {}, canvas, element("figcaption", {}, text));
    });
}
