// Text to subword pieces and back, as entente.text does it in Python.

const [UNK, BOS, EOS] = [1, 2, 3];
const SPACE = "\u2581"; // how SentencePiece writes a space, before a word
const UNKNOWN_PENALTY = 10; // SentencePiece's own

// Control characters and invisible marks, as entente/text/cleaning.py has them.
const REMOVED =
  /[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+/g;

function normalise(sentence) {
  return sentence.replace(REMOVED, "").normalize("NFC").split(/[\s\x1c-\x1f\x85]+/).filter(Boolean).join(" ");
}

/** A learnt vocabulary. Unigram: the likeliest pieces, by Viterbi; byte pairs: the earliest merge first. */
class Subwords {
  /** kind: unigram or bpe; pieces: the written form of each id; scores: what SentencePiece gives each. */
  constructor({ kind, pieces, scores }) {
    Object.assign(this, { kind, pieces, scores });
    this.ids = new Map();
    this.bytes = new Map();
    pieces.forEach((piece, id) => {
      const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
      if (byte) this.bytes.set(parseInt(byte[1], 16), id);
      else if (id > EOS) this.ids.set(piece, id);
    });
    this.longest = Math.max(...[...this.ids.keys()].map((piece) => [...piece].length));
    this.unknown = Math.min(...[...this.ids.values()].map((id) => scores[id])) - UNKNOWN_PENALTY;
  }

  /** Return the ids of a sentence, without BOS and EOS. */
  encode(sentence) {
    const text = normalise(sentence);
    if (!text) return [];
    const characters = [...(SPACE + text.replaceAll(" ", SPACE))];
    const symbols = this.kind === "bpe" ? this.merged(characters) : this.likeliest(characters);
    return symbols.flatMap((symbol) => (this.ids.has(symbol) ? [this.ids.get(symbol)] : this.spelt(symbol)));
  }

  likeliest(characters) {
    const best = [{ score: 0, start: -1 }];
    for (let start = 0; start < characters.length; start++) {
      const offer = (end, score) => {
        const total = Math.fround(best[start].score + score); // in float32, as SentencePiece adds them
        if (!best[end] || total > best[end].score) best[end] = { score: total, start };
      };
      let piece = "";
      for (let end = start; end < Math.min(characters.length, start + this.longest); end++) {
        piece += characters[end];
        if (this.ids.has(piece)) offer(end + 1, this.scores[this.ids.get(piece)]);
        else if (end === start) offer(end + 1, this.unknown);
      }
    }
    const symbols = [];
    for (let end = characters.length; end > 0; end = best[end].start) {
      symbols.unshift(characters.slice(best[end].start, end).join(""));
    }
    return symbols;
  }

  merged(characters) {
    const symbols = [...characters];
    for (;;) {
      let place = -1;
      let earliest = Infinity;
      for (let i = 0; i + 1 < symbols.length; i++) {
        const id = this.ids.get(symbols[i] + symbols[i + 1]);
        if (id !== undefined && id < earliest) [place, earliest] = [i, id];
      }
      if (place < 0) return symbols;
      symbols.splice(place, 2, symbols[place] + symbols[place + 1]);
    }
  }

  spelt(symbol) {
    return [...new TextEncoder().encode(symbol)].map((byte) => this.bytes.get(byte) ?? UNK);
  }

  /** Return the sentence that ids write. */
  decode(ids) {
    const bytes = [];
    const names = new Map([...this.bytes].map(([byte, id]) => [id, byte]));
    for (const id of ids) {
      if (names.has(id)) bytes.push(names.get(id));
      else if (id > EOS) bytes.push(...new TextEncoder().encode(this.pieces[id]));
    }
    return new TextDecoder().decode(new Uint8Array(bytes)).replaceAll(SPACE, " ").replace(/[\n\r]/g, " ").trim();
  }
}

const SPECIAL = new Map([["<s>", "⟨start⟩"], ["</s>", "⟨end⟩"]]);
const lettered = (text) => /[\p{L}\p{N}]/u.test(text);

/** Group pieces into words, as entente/text/words.py does: [{text, positions}], every piece in exactly one. */
function words(pieces) {
  const begins = (i) => i === 0 || SPECIAL.has(pieces[i - 1]) || pieces[i].startsWith(SPACE) || SPECIAL.has(pieces[i]);
  const starts = [...pieces.keys()].filter(begins);
  const found = [];
  starts.forEach((start, n) => {
    const end = starts[n + 1] ?? pieces.length;
    const inside = [...Array(end - start).keys()].map((i) => start + i);
    const letters = inside.filter((i) => !SPECIAL.has(pieces[i]) && lettered(pieces[i]));
    let [first, last] = letters.length ? [letters[0], letters.at(-1) + 1] : [end, end];
    if (pieces[start] === SPACE && first === start + 1) first = start;
    for (const [from, to] of [[start, first], [first, last], [last, end]]) {
      const positions = inside.filter((i) => from <= i && i < to);
      if (positions.length) found.push({ text: written(positions.map((i) => pieces[i])), positions });
    }
  });
  return found;
}

/** Find a word by what is written, in any case: `cat`, or `cat#2` for the second. */
function find(sentence, name) {
  const [, text, number] = /^(.+)#([1-9]\d*)$/.exec(name) ?? [name, name, "1"];
  return sentence.filter((word) => word.text.toLowerCase() === text.toLowerCase())[Number(number) - 1];
}

function written(pieces) {
  if (SPECIAL.has(pieces[0])) return SPECIAL.get(pieces[0]);
  const text = pieces.join("").replaceAll(SPACE, "").replace(/(?:<0x[0-9A-F]{2}>)+/g, (spelt) =>
    new TextDecoder().decode(new Uint8Array(spelt.match(/[0-9A-F]{2}(?=>)/g).map((byte) => parseInt(byte, 16)))));
  const letters = [...text];
  const first = letters.findIndex(lettered);
  return first < 0 ? text || "␣" : letters.slice(first, letters.findLastIndex(lettered) + 1).join("");
}

/** Write a piece for a reader: a raised dot stands before what continues a word. */
function readable(piece) {
  return SPECIAL.get(piece) ?? (piece === SPACE ? "␣" : (lettered(piece[0]) ? "·" : "") + piece.replace(SPACE, ""));
}
