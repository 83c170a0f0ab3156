// The Transformer's forward pass, in float32 and from scratch, as entente.model has it in Python.
// Matrices are Float32Array, row by row. N rows, D width, H heads, K width of a head.

const KINDS = ["encoder_self_attention", "decoder_self_attention", "cross_attention"];

/** What is taken away while a network runs, and what is looked at: nothing by default. */
const untouched = () => ({ mask: true, positions: true, off: new Set(), edges: [], seen: null });

class Network {
  /** options: config.json's `network`; tensors: name -> {shape, data}. */
  constructor(options, tensors) {
    Object.assign(this, { options, tensors, width: options.width, heads: options.heads });
    this.vocabulary = tensors["embedding.weight"].shape[0];
  }

  /** Embed ids that stand at positions `start` and on -> (N, D). */
  embed(ids, side, start, how) {
    const { width } = this;
    const own = side === "encoder" ? this.tensors["source_embedding.weight"] : undefined;
    const table = (own ?? this.tensors["embedding.weight"]).data;
    const kind = how.positions ? this.options[`${side}_positions`].kind : "none";
    const x = new Float32Array(ids.length * width);
    ids.forEach((id, n) => {
      for (let d = 0; d < width; d++) {
        x[n * width + d] = table[id * width + d] * Math.sqrt(width) + this.position(kind, side, start + n, d);
      }
    });
    return x;
  }

  position(kind, side, place, d) {
    if (kind === "learned") return this.tensors[`${side}_positions.table`].data[place * this.width + d];
    return kind === "sinusoidal" ? sinusoid(place, d, this.width) : 0;
  }

  /** ids of the source, EOS included -> memory (S, D). */
  encode(ids, how) {
    let x = this.embed(ids, "encoder", 0, how);
    for (let layer = 0; layer < this.options.encoder_layers; layer++) {
      const name = `encoder.${layer}`;
      x = this.sublayer(x, `${name}.residual1`, (y) => {
        const { q, k, v } = this.project(y, `${name}.self_attention`, "encoder", 0, how);
        const sees = (i, j) => !how.edges.some(([from, to]) => from === i && to === j);
        return this.attend(q, k, v, `${name}.self_attention`, KINDS[0], layer, sees, how);
      });
      x = this.sublayer(x, `${name}.residual2`, (y) => this.feedForward(y, `${name}.feed_forward`));
    }
    return this.last(x, "encoder_norm");
  }

  /** Begin a translation: keys and values of the memory, and none of the target yet. */
  start(memory) {
    const layers = [];
    for (let layer = 0; layer < this.options.decoder_layers; layer++) {
      const [k, v] = split(this.linear(memory, `decoder.${layer}.cross_attention.kv`), 2, this.width);
      layers.push({ memoryK: k, memoryV: v, k: new Float32Array(0), v: new Float32Array(0) });
    }
    return { layers, length: 0 };
  }

  /** Read further target ids -> {x: (N, D) of these, state}; the state that was given stays as it was. */
  read(ids, state, how) {
    let x = this.embed(ids, "decoder", state.length, how);
    const layers = state.layers.map((past, layer) => {
      const name = `decoder.${layer}`;
      const next = { ...past };
      x = this.sublayer(x, `${name}.residual1`, (y) => {
        const { q, k, v } = this.project(y, `${name}.self_attention`, "decoder", state.length, how);
        [next.k, next.v] = [joined(past.k, k), joined(past.v, v)];
        const sees = (i, j) => !how.mask || j <= state.length + i;
        return this.attend(q, next.k, next.v, `${name}.self_attention`, KINDS[1], layer, sees, how);
      });
      x = this.sublayer(x, `${name}.residual2`, (y) => {
        const q = this.linear(y, `${name}.cross_attention.q`);
        return this.attend(q, past.memoryK, past.memoryV, `${name}.cross_attention`, KINDS[2], layer, () => true, how);
      });
      x = this.sublayer(x, `${name}.residual3`, (y) => this.feedForward(y, `${name}.feed_forward`));
      return next;
    });
    return { x: this.last(x, "decoder_norm"), state: { layers, length: state.length + ids.length } };
  }

  /** Log-probabilities of what follows, from the last row of x -> (V). */
  next(x) {
    const { width, vocabulary } = this;
    const table = this.tensors["embedding.weight"].data;
    const last = x.length - width;
    const logits = new Float32Array(vocabulary);
    for (let id = 0; id < vocabulary; id++) logits[id] = dot(x, last, table, id * width, width);
    const most = logits.reduce((one, other) => Math.max(one, other));
    const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit - most), 0)) + most;
    return logits.map((logit) => logit - sum);
  }

  sublayer(x, name, f) {
    const kind = this.options.residual.kind;
    const fx = f(kind === "post_norm" ? x : this.norm(x, `${name}.norm`));
    if (kind === "none") return fx;
    const sum = fx.map((value, place) => value + x[place]);
    return kind === "post_norm" ? this.norm(sum, `${name}.norm`) : sum;
  }

  last(x, name) {
    return this.options.residual.kind === "post_norm" ? x : this.norm(x, name);
  }

  project(y, name, side, start, how) {
    const [q, k, v] = split(this.linear(y, `${name}.qkv`), 3, this.width);
    if (how.positions && this.options[`${side}_positions`].kind === "rotary") {
      for (const one of [q, k]) this.turn(one, start);
    }
    return { q, k, v };
  }

  turn(q, start) {
    const K = this.width / this.heads;
    for (let n = 0; n < q.length / this.width; n++) {
      for (let h = 0; h < this.heads; h++) {
        for (let d = 0; d < K / 2; d++) {
          const [one, other] = [n * this.width + h * K + d, n * this.width + h * K + K / 2 + d];
          const [sine, cosine] = [sinusoid(start + n, 2 * d, K), sinusoid(start + n, 2 * d + 1, K)];
          [q[one], q[other]] = [q[one] * cosine - q[other] * sine, q[other] * cosine + q[one] * sine];
        }
      }
    }
  }

  /** q (N, D) over k, v (M, D), where query i `sees` key j -> (N, D). */
  attend(q, k, v, name, kind, layer, sees, how) {
    const { width, heads } = this;
    const K = width / heads;
    const [N, M] = [q.length / width, k.length / width];
    const scale = this.scale(kind) / Math.sqrt(K);
    const seen = how.seen && new Float32Array(heads * N * M);
    const out = new Float32Array(N * width);
    const weights = new Float32Array(M);
    for (let h = 0; h < heads; h++) {
      const dead = how.off.has(`${kind}.${layer}.${h}`);
      for (let i = 0; i < N; i++) {
        let most = -Infinity;
        for (let j = 0; j < M; j++) {
          weights[j] = sees(i, j) ? dot(q, i * width + h * K, k, j * width + h * K, K) * scale : -Infinity;
          if (weights[j] > most) most = weights[j];
        }
        let sum = 0;
        for (let j = 0; j < M; j++) sum += weights[j] = Math.exp(weights[j] - most);
        for (let j = 0; j < M; j++) {
          weights[j] /= sum;
          if (seen) seen[(h * N + i) * M + j] = weights[j];
          if (!dead) for (let d = 0; d < K; d++) out[i * width + h * K + d] += weights[j] * v[j * width + h * K + d];
        }
      }
    }
    if (seen) (how.seen[kind] ??= []).push({ heads, queries: N, keys: M, weights: seen });
    return this.linear(out, `${name}.out`);
  }

  /** What scores are multiplied by, beside 1 / sqrt(K). */
  scale(kind) {
    const place = { [KINDS[0]]: "encoder", [KINDS[1]]: "decoder", [KINDS[2]]: "cross" }[kind];
    const score = this.options[`${place}_attention`].kind;
    return score === "uniform" ? 0 : score === "dot_product" ? Math.sqrt(this.width / this.heads) : 1;
  }

  feedForward(y, name) {
    const kind = this.options.feed_forward.kind;
    if (kind === "none") return new Float32Array(y.length);
    let hidden = this.linear(y, `${name}.into`);
    if (kind === "relu") hidden = hidden.map((value) => Math.max(0, value));
    return this.linear(hidden, `${name}.out`);
  }

  linear(x, name) {
    const { shape: [outputs, inputs], data } = this.tensors[`${name}.weight`];
    const bias = this.tensors[`${name}.bias`].data;
    const N = x.length / inputs;
    const y = new Float32Array(N * outputs);
    for (let n = 0; n < N; n++) {
      for (let o = 0; o < outputs; o++) y[n * outputs + o] = bias[o] + dot(x, n * inputs, data, o * inputs, inputs);
    }
    return y;
  }

  norm(x, name) {
    const [scale, shift] = [this.tensors[`${name}.weight`].data, this.tensors[`${name}.bias`].data];
    const { width } = this;
    const y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      const row = x.subarray(start, start + width);
      const mean = row.reduce((sum, value) => sum + value, 0) / width;
      const spread = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width + 1e-5);
      for (let d = 0; d < width; d++) y[start + d] = ((row[d] - mean) / spread) * scale[d] + shift[d];
    }
    return y;
  }
}

function dot(x, from, y, other, length) {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += x[from + d] * y[other + d];
  return sum;
}

/** PE(p, 2i) = sin(p / 10000^(2i/D)), PE(p, 2i+1) = cos of the same. */
function sinusoid(place, d, width) {
  const angle = place * Math.exp((2 * (d >> 1) * -Math.log(10000)) / width);
  return d % 2 ? Math.cos(angle) : Math.sin(angle);
}

/** (N, parts D) -> `parts` matrices (N, D). */
function split(x, parts, width) {
  const N = x.length / (parts * width);
  return [...Array(parts).keys()].map((part) => {
    const y = new Float32Array(N * width);
    for (let n = 0; n < N; n++) y.set(x.subarray((n * parts + part) * width, (n * parts + part + 1) * width), n * width);
    return y;
  });
}

function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
