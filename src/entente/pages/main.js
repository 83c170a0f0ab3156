// The page: what was asked, of which models, by which head, and what is taken away.

const data = JSON.parse(document.getElementById("data").textContent);
const NAMES = {
  encoder_self_attention: "encoder, over itself",
  decoder_self_attention: "decoder, over itself (masked)",
  cross_attention: "decoder, over the encoder",
};
const VIEWS = { arcs: "arcs", heat: "heat-map" };
const UNITS = { words: "words", pieces: "fragments" };
const chosen = { kind: KINDS[2], view: "arcs", unit: "words", layer: null, head: "mean", word: null };
const taken = untouched();
const $ = (id) => document.getElementById(id);

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Numbers of 16 bits (IEEE 754 binary16), little-endian -> Float32Array. */
function halves(text) {
  const view = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 2 }, (_, place) => {
    const half = view.getUint16(2 * place, true);
    const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  });
}

/** A model of the page: what was recorded of it, and where its ingredients allow, the network itself. */
class Model {
  constructor({ name, network, tensors, subwords, why, recorded }) {
    Object.assign(this, { name, why, recorded });
    this.subwords = new Subwords(subwords);
    if (tensors) {
      const unpacked = Object.entries(tensors).map(([key, [shape, text]]) => [key, { shape, data: halves(text) }]);
      this.network = new Network(network, Object.fromEntries(unpacked));
    }
  }

  /** Look at a sentence: as it was recorded, or anew where something is taken away or the sentence is another. */
  look(sentence) {
    if (this.recorded[sentence] && isUntouched()) return this.unpacked(this.recorded[sentence]);
    return this.network ? look(this.network, this.subwords, sentence, data.decoding, taken) : null;
  }

  unpacked({ translation, source, heard, written, maps }) {
    const layers = Object.entries(maps).map(([kind, { shape: [L, heads, queries, keys], weights }]) => {
      const all = Float32Array.from(bytes(weights), (level) => level / 255);
      const size = heads * queries * keys;
      const own = [...Array(L).keys()].map((layer) => all.subarray(layer * size, (layer + 1) * size));
      return [kind, own.map((sheet) => ({ heads, queries, keys, weights: sheet }))];
    });
    return { translation, source, heard, written, maps: Object.fromEntries(layers) };
  }
}

const isUntouched = () => taken.mask && taken.positions && !taken.off.size && !taken.edges.length;

/** Rows and columns of a kind: who looks, at whom. */
function sides(seen, kind) {
  const pieces = {
    encoder_self_attention: [seen.source, seen.source],
    decoder_self_attention: [seen.heard, seen.heard],
    cross_attention: [seen.written, seen.source],
  }[kind];
  const grouped = (own) =>
    chosen.unit === "words" ? words(own) : own.map((piece, i) => ({ text: readable(piece), positions: [i] }));
  const rows = grouped(pieces[0]);
  return [rows, pieces[1] === pieces[0] ? rows : grouped(pieces[1])];
}

/** The sheets of a kind by layer and head, in words or fragments. */
function sheets(seen, kind, rows, columns) {
  return seen.maps[kind].map(({ heads, queries, keys, weights }) =>
    [...Array(heads).keys()].map((head) =>
      new Sheet(weights.subarray(head * queries * keys, (head + 1) * queries * keys), queries, keys)
        .gathered(rows, columns)));
}

function draw() {
  $("models").replaceChildren(...models.map(panel));
  say();
}

function panel(model) {
  const seen = model.look($("sentence").value.trim());
  const box = element("section", { className: "model" });
  box.append(element("h2", {}, model.name));
  if (!seen) {
    box.append(element("p", {}, model.why || "This sentence was not recorded."));
    return box;
  }
  box.append(element("p", { className: "translation", lang: "fr" }, seen.translation));
  if (!seen.maps[chosen.kind]) {
    box.append(element("p", {}, `This network has no attention of the ${NAMES[chosen.kind]}.`));
    return box;
  }
  const [rows, columns] = sides(seen, chosen.kind);
  const layers = sheets(seen, chosen.kind, rows, columns);
  const hidden = chosen.kind === KINDS[1] && taken.mask ? (i, j) => j > i : null;
  const rarity = columns.map(({ positions }, j) => Math.max(...positions.map((place) => rank(model, seen, place))));
  const layer = Math.min(chosen.layer ?? layers.length - 1, layers.length - 1);
  const sheet = pick(layers, layer);
  const small = heads(layers, rows, columns, rarity, layer, chosen.kind !== KINDS[2]);
  const choose = (word) => {
    chosen.word = word;
    for (const view of document.querySelectorAll(".view > *")) view.light(word);
    if (word !== null) box.telling = tell(model, rows, columns, sheet, word);
    say(word === null ? "" : box.telling);
  };
  const drawn = (chosen.view === "arcs" ? arcs : heat)(sheet, rows, columns, choose, hidden);
  drawn.light(null);
  box.append(element("div", { className: "both" }, small, element("div", { className: "view" }, drawn)));
  if (model.network) box.append(...more(model));
  if (hidden && chosen.view === "heat") {
    box.append(element("p", { className: "key" }, "Hatched: hidden by the mask, for there the words to come stand."));
  }
  return box;
}

/** How rare a piece of the source is: its number, for frequent ones are numbered first. */
function rank(model, seen, place) {
  const piece = (chosen.kind === KINDS[1] ? seen.heard : seen.source)[place];
  return model.subwords.ids.get(piece) ?? 0;
}

function pick(layers, layer) {
  if (chosen.head === "rollout" && chosen.kind !== KINDS[2]) return rollout(layers.slice(0, layer + 1));
  const own = layers[layer];
  return typeof chosen.head === "number" && own[chosen.head] ? own[chosen.head] : mean(own);
}

function heads(layers, rows, columns, rarity, layer, rolled) {
  const own = element("div", { className: "heads" });
  own.style.gridTemplateColumns = `repeat(${layers[0].length + 1 + rolled}, minmax(4.9rem, 7rem))`;
  layers.forEach((sheetsOfLayer, number) => {
    const options = [["mean", "mean", mean(sheetsOfLayer)]];
    if (rolled) options.push(["rollout", "rollout", rollout(layers.slice(0, number + 1))]);
    sheetsOfLayer.forEach((sheet, head) => options.push([head, `head ${head + 1}`, sheet]));
    for (const [value, text, sheet] of options) {
      const said = typeof value === "number" ? hint(sheet, rows, columns, rarity) : "";
      const canvas = element("canvas");
      paint(canvas, sheet, 2);
      const name = `layer ${number + 1}, ${text}`;
      const lines = [`layer ${number + 1}`, text, `${sheet.entropy().toFixed(1)} bits`, said].filter(Boolean);
      const button = element("button", { type: "button" }, canvas, ...lines.map((line) => element("span", {}, line)));
      button.setAttribute("aria-pressed", layer === number && chosen.head === value);
      button.dataset.head = name;
      button.addEventListener("click", () => {
        [chosen.layer, chosen.head] = [number, value];
        draw();
        document.querySelector(`[data-head="${name}"]`).focus();
      });
      own.append(button);
    }
  });
  return own;
}

function tell(model, rows, columns, sheet, word) {
  const weights = columns.map(({ text }, j) => [text, sheet.at(word, j)]).sort((one, other) => other[1] - one[1]);
  const most = weights.slice(0, 4).filter(([, weight]) => weight >= 0.05);
  const told = most.map(([text, weight]) => `“${text}” ${Math.round(100 * weight)}%`).join(", ");
  return `${models.length > 1 ? `${model.name}: ` : ""}“${rows[word].text}” looks at ${told}`;
}

function say(text = "") {
  $("said").textContent = text;
}

function radios(place, names, key) {
  for (const [value, text] of Object.entries(names)) {
    const input = element("input", { type: "radio", name: key, value, checked: chosen[key] === value });
    input.addEventListener("change", () => {
      chosen[key] = value;
      draw();
    });
    $(place).append(element("label", {}, input, ` ${text}`));
  }
}

function toggle(text, isOn, change) {
  const input = element("input", { type: "checkbox", checked: isOn });
  input.addEventListener("change", () => {
    change(input.checked);
    draw();
  });
  return element("label", {}, input, ` ${text}`);
}

/** Switches of what is taken away, for models that run in the page. */
function switches() {
  const alive = models.filter(({ network }) => network);
  $("switches").hidden = !alive.length;
  $("taken").textContent =
    "The networks run in this page, on your own machine: switch a part off, and see what becomes of the sentence. " +
    "They were trained with it.";
  const place = $("switches").querySelector("div");
  place.append(
    toggle("mask of the decoder", true, (isOn) => (taken.mask = isOn)),
    toggle("positions", true, (isOn) => (taken.positions = isOn)),
  );
  const head = element("select", { ariaLabel: "head to put out" }, element("option", { value: "" }, "no head"));
  for (const kind of KINDS) {
    const [{ network }] = alive.length ? alive : [{ network: null }];
    const count = network ? network.options[kind === KINDS[0] ? "encoder_layers" : "decoder_layers"] : 0;
    for (let layer = 0; layer < count; layer++) {
      for (let h = 0; h < network.heads; h++) {
        const text = `${NAMES[kind]}: layer ${layer + 1}, head ${h + 1}`;
        head.append(element("option", { value: `${kind}.${layer}.${h}` }, text));
      }
    }
  }
  head.addEventListener("change", () => {
    taken.off = new Set(head.value ? [head.value] : []);
    draw();
  });
  const edge = element("input", { placeholder: "fluffy>cat", size: 14 });
  edge.addEventListener("change", () => cut(edge));
  edge.addEventListener("input", () => edge.setCustomValidity(""));
  place.append(element("label", {}, "put out ", head), element("label", {}, "cut an edge of the encoder ", edge));
}

/** Hide a word of the source from another: "fluffy>cat", in every layer and head of the encoder. */
function cut(edge) {
  const [alive] = models.filter(({ network }) => network);
  const ids = [...alive.subwords.encode($("sentence").value), EOS];
  const there = words(ids.map((id) => alive.subwords.pieces[id]));
  const ends = edge.value.split(">").map((name) =>
    there.find(({ text }) => text.toLowerCase() === name.trim().toLowerCase()));
  const isGiven = edge.value.trim() !== "";
  if (isGiven && (ends.length !== 2 || ends.includes(undefined))) {
    edge.setCustomValidity(`Write WORD>WORD, of these: ${there.map(({ text }) => text).join(" ")}`);
    edge.reportValidity();
    return;
  }
  taken.edges = isGiven ? ends[0].positions.flatMap((i) => ends[1].positions.map((j) => [i, j])) : [];
  draw();
}

const models = data.models.map((model) => new Model(model));
$("sentences").append(...data.sentences.map((sentence) => element("option", { value: sentence })));
$("sentence").value = data.sentences[0];
radios("kinds", Object.fromEntries(KINDS.map((kind) => [kind, NAMES[kind]])), "kind");
radios("views", VIEWS, "view");
radios("units", UNITS, "unit");
switches();
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  taken.edges = [];
  draw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
