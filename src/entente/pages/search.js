// Beam search, as entente/decoding/beam.py has it: a hypothesis ends where EOS is among the `beam` best candidates.

/**
 * Return hypotheses, the best first: [{ids, score, logProbability}], ids without EOS. beam 1 is greedy search.
 * `trace`, where it is given, gets of each step what was kept: [{ids, total, parent}], parent a row of the step before.
 */
function search(network, source, { beam, lengthPenalty, maxLength }, how, trace = []) {
  const memory = network.encode([...source, EOS], how);
  const started = network.start(memory);
  const normaliser = (length) => ((5 + length) / 6) ** lengthPenalty;
  const ends = ({ ids }) => ids.at(-1) === EOS;
  let live = [{ ids: [], total: 0, state: started }];
  const ended = [];
  for (let length = 1; live.length && ended.length < beam; length++) {
    const candidates = live.flatMap((hypothesis, parent) => {
      // Without the mask earlier words see later ones: all are read again.
      const read = how.mask
        ? network.read([hypothesis.ids.at(-1) ?? BOS], hypothesis.state, how)
        : network.read([BOS, ...hypothesis.ids], started, how);
      const logs = network.next(read.x);
      const state = how.mask ? read.state : started;
      const ids = length >= maxLength ? [EOS] : best(logs, beam + 1);
      return ids.map((id) => ({ ids: [...hypothesis.ids, id], total: hypothesis.total + logs[id], state, parent }));
    });
    candidates.sort((one, other) => other.total - one.total);
    const ending = candidates.slice(0, beam).filter(ends);
    for (const { ids, total } of ending) {
      ended.push({ ids: ids.slice(0, -1), logProbability: total, score: total / normaliser(length) });
    }
    live = candidates.filter((one) => !ends(one)).slice(0, beam);
    trace.push([...live, ...ending].map(({ ids, total, parent }) => ({ ids, total, parent })));
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

/** Translate: {source, hypotheses, trace} of a sentence, in ids. */
function translate(network, subwords, sentence, decoding, how) {
  const source = subwords.encode(sentence);
  const longest = Math.floor((source.length + 1) * decoding.maxLengthFactor) + decoding.maxLengthOffset;
  const trace = [];
  const hypotheses = search(
    network, source, { ...decoding, maxLength: Math.min(longest, network.options.max_length) }, how, trace);
  return { source, hypotheses, trace };
}

/** Translate a sentence, then see what it attends to while it is forced to write that translation. */
function look(network, subwords, sentence, decoding, how) {
  const { source, hypotheses: [found] } = translate(network, subwords, sentence, decoding, how);
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
