// Beam search, as entente/decoding/beam.py has it: a hypothesis ends where EOS is among the `beam` best candidates.

/** Return hypotheses, the best first: [{ids, score, logProbability}], ids without EOS. beam 1 is greedy search. */
function search(network, source, { beam, lengthPenalty, maxLength }, how) {
  const memory = network.encode([...source, EOS], how);
  const started = network.start(memory);
  const normaliser = (length) => ((5 + length) / 6) ** lengthPenalty;
  let live = [{ ids: [], total: 0, state: started }];
  const ended = [];
  for (let length = 1; live.length && ended.length < beam; length++) {
    const candidates = live.flatMap((parent) => {
      // Without the mask earlier words see later ones: all are read again.
      const read = how.mask
        ? network.read([parent.ids.at(-1) ?? BOS], parent.state, how)
        : network.read([BOS, ...parent.ids], started, how);
      const logs = network.next(read.x);
      const state = how.mask ? read.state : started;
      const ids = length >= maxLength ? [EOS] : best(logs, beam + 1);
      return ids.map((id) => ({ ids: [...parent.ids, id], total: parent.total + logs[id], state }));
    });
    candidates.sort((one, other) => other.total - one.total);
    candidates.slice(0, beam).filter(({ ids }) => ids.at(-1) === EOS).forEach(({ ids, total }) => {
      ended.push({ ids: ids.slice(0, -1), logProbability: total, score: total / normaliser(length) });
    });
    live = candidates.filter(({ ids }) => ids.at(-1) !== EOS).slice(0, beam);
    ended.sort((one, other) => other.score - one.score);
    const hope = live.length ? live[0].total / Math.max(normaliser(length + 1), normaliser(maxLength)) : -Infinity;
    if (ended.length && ended[0].score >= hope) break;
  }
  return ended.slice(0, beam);
}

/** Return the `count` likeliest ids, the likeliest first; padding and BOS are never chosen. */
function best(logs, count) {
  const found = [];
  logs.forEach((log, id) => {
    if (id === 0 || id === BOS) return;
    let place = found.length;
    while (place > 0 && logs[found[place - 1]] < log) place--;
    if (place < count) {
      found.splice(place, 0, id);
      if (found.length > count) found.pop();
    }
  });
  return found;
}

/** Translate a sentence, then see what it attends to while it is forced to write that translation. */
function look(network, subwords, sentence, decoding, how) {
  const source = subwords.encode(sentence);
  const maxLength = Math.floor((source.length + 1) * decoding.maxLengthFactor) + decoding.maxLengthOffset;
  const [found] = search(network, source, { ...decoding, maxLength }, how);
  const pieces = (ids) => ids.map((id) => subwords.pieces[id]);
  return {
    translation: subwords.decode(found.ids),
    logProbability: found.logProbability,
    source: pieces([...source, EOS]),
    heard: pieces([BOS, ...found.ids]),
    written: pieces([...found.ids, EOS]),
    maps: watch(network, source, found.ids, how),
  };
}

/** Force a network to write `target`, ids without BOS and EOS -> its attention by kind, layer by layer. */
function watch(network, source, target, how) {
  const watched = { ...how, seen: {} };
  network.read([BOS, ...target], network.start(network.encode([...source, EOS], watched)), watched);
  return watched.seen;
}
