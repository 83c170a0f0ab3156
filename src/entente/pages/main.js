// The page: what was asked, of which models, by which head, and what is taken away.

const data = JSON.parse(document.getElementById("data").textContent);
const NAMES = {
  encoder_self_attention: "encoder, over itself",
  decoder_self_attention: "decoder, over itself",
  cross_attention: "decoder, over the encoder",
};
const VIEWS = { arcs: "arcs", heat: "heat-map" };
const UNITS = { words: "words", pieces: "fragments" };
const $ = (id) => document.getElementById(id);

const asked = { sentence: "" }; // as it was when a person asked, not as the field is being edited
const chosen = { kind: KINDS[2], view: "arcs", unit: "words", layer: null, head: "mean", frame: 0 };
const taken = { mask: true, positions: true, off: "", cut: null }; // cut: [from, to], words as they are written

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Numbers of 16 bits, little-endian, each made by `read` of its bits -> Float32Array. */
function numbers(text, read) {
  const view = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 2 }, (_, place) => read(view.getUint16(2 * place, true)));
}

/** IEEE 754 binary16. */
function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/** A model of the page: the network itself where it runs here, else what was recorded of it. */
class Model {
  constructor({ name, network, tensors, subwords, why, recorded, frames }) {
    Object.assign(this, { name, why, recorded, frames, memo: {} });
    if (subwords) this.subwords = new Subwords(subwords);
    if (tensors) {
      const unpacked = Object.entries(tensors).map(([key, [shape, text]]) => [key, { shape, data: numbers(text, half) }]);
      this.network = new Network(network, Object.fromEntries(unpacked));
    }
  }

  pieces(sentence) {
    return [...this.subwords.encode(sentence), EOS].map((id) => this.subwords.pieces[id]);
  }

  /** Look at what was asked, with what is taken away: {seen, problem}; computed once, however often it is drawn. */
  look() {
    const what = JSON.stringify([asked, taken, chosen.frame]);
    if (this.memo.what !== what) this.memo = { what, ...(this.network ? this.run() : this.recall()) };
    return this.memo;
  }

  run() {
    const source = this.subwords.encode(asked.sentence);
    const most = this.network.options.max_length;
    if (!source.length) return { problem: "There is no sentence." };
    if (source.length + 1 > most) {
      return { problem: `The sentence has ${source.length + 1} fragments; this network reads at most ${most}.` };
    }
    return { seen: look(this.network, this.subwords, asked.sentence, data.decoding, this.how()) };
  }

  /** What is taken away, as this network is told of it. */
  how() {
    const { mask, positions, off } = taken;
    return { ...untouched(), mask, positions, off: new Set(off ? [off] : []), edges: this.edges(taken.cut) };
  }

  /** Positions [i, j] that a cut between words hides; null where the sentence lacks a word, or nothing were left. */
  edges(cut) {
    if (!cut) return [];
    const pieces = this.pieces(asked.sentence);
    const [from, to] = cut.map((name) => find(words(pieces), name));
    if (!from || !to || to.positions.length === pieces.length) return null;
    return from.positions.flatMap((i) => to.positions.map((j) => [i, j]));
  }

  recall() {
    const records = this.frames ? this.frames[chosen.frame].recorded : this.recorded;
    const found = Object.hasOwn(records, asked.sentence) && records[asked.sentence];
    if (!found) return { problem: this.unheard ?? `${this.why}: only recorded sentences can be seen.` };
    const { translation, source, heard, written, maps } = found;
    const layers = Object.entries(maps).map(([kind, { shape: [L, heads, queries, keys], weights }]) => {
      const all = numbers(weights, (level) => level / 65535);
      const size = heads * queries * keys;
      const own = [...Array(L).keys()].map((layer) => all.subarray(layer * size, (layer + 1) * size));
      return [kind, own.map((sheet) => ({ heads, queries, keys, weights: sheet }))];
    });
    return { seen: { translation, source, heard, written, maps: Object.fromEntries(layers) } };
  }
}

/** Ask the server, where there is one, for what models that do not run here make of the sentence. */
async function ask() {
  const { sentence } = asked;
  const lacking = models.filter(({ network, recorded }) => !network && !Object.hasOwn(recorded, sentence));
  if (!data.served || !lacking.length) return;
  for (const model of lacking) model.unheard = "It is being translated …";
  draw();
  const found = await fetched({ sentence, models: lacking.map((model) => models.indexOf(model)) });
  lacking.forEach((model, place) => {
    if (!found[place].error) model.recorded[sentence] = found[place];
    else if (asked.sentence === sentence) model.unheard = found[place].error; // else another was asked meanwhile
    delete model.memo.what;
  });
}

/** What the server says of each model that is asked for; the same problem of all where it says nothing. */
async function fetched(look) {
  const all = (error) => look.models.map(() => ({ error }));
  try {
    const reply = await fetch("attend", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(look),
    });
    if (reply.ok) return await reply.json();
    return all(reply.status < 500 ? (await reply.json()).error : `The server failed (${reply.status}).`);
  } catch {
    return all("The server does not answer: is it still running?");
  }
}

const isUntouched = () => taken.mask && taken.positions && !taken.off && !taken.cut;

function draw() {
  $("models").replaceChildren(...models.map(panel));
}

/** Draw what was asked anew, and say what became of it. */
function answer() {
  draw();
  const told = models.map((model) => [model, model.look().seen]).filter(([, seen]) => seen);
  say(told.map(([model, { translation }]) => named(model, translation)).join("; "));
}

const named = (model, text) => (models.length > 1 ? `${model.name}: ${text}` : text);

function say(text) {
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

function toggle(text, key) {
  const input = element("input", { type: "checkbox", checked: taken[key] });
  input.addEventListener("change", () => {
    taken[key] = input.checked;
    answer();
  });
  return element("label", {}, input, ` ${text}`);
}

/** Switches of what is taken away, for models that run in the page. */
function switches() {
  const alive = models.filter(({ network }) => network);
  $("switches").hidden = !alive.length;
  $("taken").textContent =
    "The networks run in this page, on your own machine: take a part away, and see what becomes of the sentence. " +
    "They were trained with it.";
  const head = element("select", {}, element("option", { value: "" }, "no head"));
  const most = (option) => Math.max(0, ...alive.map(({ network }) => network.options[option]));
  for (const kind of KINDS) {
    for (let layer = 0; layer < most(kind === KINDS[0] ? "encoder_layers" : "decoder_layers"); layer++) {
      for (let h = 0; h < most("heads"); h++) {
        const text = `${NAMES[kind]}: layer ${layer + 1}, head ${h + 1}`;
        head.append(element("option", { value: `${kind}.${layer}.${h}` }, text));
      }
    }
  }
  head.addEventListener("change", () => {
    taken.off = head.value;
    answer();
  });
  const edge = $("edge");
  edge.addEventListener("change", () => cut() && answer());
  edge.addEventListener("input", () => edge.setCustomValidity(""));
  $("switches").querySelector("div").prepend(
    toggle("mask of the decoder", "mask"), toggle("positions", "positions"), element("label", {}, "put out ", head));
}

/** Take the edge that the field names, "fluffy>cat" or "sees>the#2"; false where it names none of the sentence. */
function cut() {
  const edge = $("edge");
  taken.cut = null;
  edge.setCustomValidity("");
  const alive = models.filter(({ network }) => network);
  if (!edge.value.trim() || !alive.length) return true;
  const names = edge.value.split(">").map((name) => name.trim());
  if (names.length === 2 && alive.every((model) => model.edges(names))) {
    taken.cut = names;
    return true;
  }
  const there = words(alive[0].pieces(asked.sentence)).map(({ text }) => text).join(" ");
  edge.setCustomValidity(`Write WORD>WORD, with words of the sentence: ${there}`);
  edge.reportValidity();
  return false;
}

const models = data.models.map((model) => new Model(model));
$("sentences").append(...data.sentences.map((sentence) => element("option", { value: sentence })));
$("sentence").value = asked.sentence = data.sentences[0];
for (const [place, names, key] of [["kinds", NAMES, "kind"], ["views", VIEWS, "view"], ["units", UNITS, "unit"]]) {
  radios(place, names, key);
}
switches();
if (models[0].frames) slider(models[0].frames);
$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const sentence = asked.sentence = normalise($("sentence").value);
  cut();
  await ask();
  if (asked.sentence === sentence) answer();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
