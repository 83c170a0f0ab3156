// A model's panel: its translation, a small map of each head to choose from, and the one that was chosen, large.

function panel(model, number) {
  const { seen, problem } = model.look();
  const box = element("section", { className: "model" }, element("h2", {}, model.name));
  if (!seen) {
    box.append(element("p", {}, problem));
    return box;
  }
  box.append(element("p", { className: "translation", lang: "fr" }, seen.translation));
  if (!model.network && !isUntouched()) box.append(element("p", {}, `Nothing is taken away here. ${model.why}.`));
  if (!seen.maps[chosen.kind]) {
    box.append(element("p", {}, `This network has no such attention (${NAMES[chosen.kind]}).`));
    return box;
  }
  const [rows, columns] = sides(seen, chosen.kind);
  const layers = sheets(seen, chosen.kind, rows, columns);
  // Where no head of any layer of the decoder looks, a mask stands.
  const hidden = (i, j) => chosen.kind === KINDS[1] && layers.every((sheetsOfLayer) => sheetsOfLayer.every((sheet) => sheet.at(i, j) === 0));
  const options = layers.map((own, layer) => offered(layers, own, layer));
  const layer = Math.min(chosen.layer ?? layers.length - 1, layers.length - 1);
  const head = options[layer].find(({ value }) => value === chosen.head) ?? options[layer][0];
  const rarity = columns.map(({ positions }) => Math.max(...positions.map((place) => rank(model, seen, place))));
  const hints = ({ value, sheet }) =>
    typeof value === "number" && rows === columns ? hint(sheet, columns, rarity, hidden) : "";
  const choose = (word, at) => {
    for (const view of document.querySelectorAll(".view > *")) view.light(view === drawn ? word : same(view.rows, rows, word));
    if (word !== null) say(named(model, tell(rows, columns, head.sheet, word, at)));
  };
  const drawn = (chosen.view === "arcs" ? arcs : heat)(head.sheet, rows, columns, choose, hidden);
  drawn.rows = rows;
  drawn.light(null);
  const languages = { [KINDS[0]]: ["en", "en"], [KINDS[1]]: ["fr", "fr"], [KINDS[2]]: ["fr", "en"] }[chosen.kind];
  drawn.querySelectorAll("[role=group]").forEach((side, place) => (side.lang = languages[place]));
  const small = element("div", { className: "heads" }, ...options.flatMap((own, at) => own.map((option) =>
    button(option, at, at === layer && option === head, hints(option), number))));
  small.style.gridTemplateColumns = `repeat(${options[0].length}, minmax(4.9rem, 7rem))`;
  box.append(element("div", { className: "both" }, small, element("div", { className: "view" }, drawn)));
  if (chosen.view === "heat" && rows.some((_, i) => columns.some((_, j) => hidden(i, j)))) {
    box.append(element("p", { className: "key" }, "Hatched: hidden by the mask, for there the words to come stand."));
  }
  if (model.network) box.append(...more(model));
  return box;
}

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

/** What can be chosen of a layer: the mean of its heads, the rollout of self-attention up to it, each head. */
function offered(layers, own, layer) {
  const options = [{ value: "mean", text: "mean", sheet: mean(own) }];
  if (chosen.kind !== KINDS[2]) options.push({ value: "rollout", text: "rollout", sheet: rollout(layers.slice(0, layer + 1)) });
  return [...options, ...own.map((sheet, head) => ({ value: head, text: `head ${head + 1}`, sheet }))];
}

function button({ value, text, sheet }, layer, isChosen, said, number) {
  const canvas = element("canvas");
  paint(canvas, sheet, 2);
  const lines = [`layer ${layer + 1}`, text, `${sheet.entropy().toFixed(1)} bits`, said].filter(Boolean);
  const made = element("button", { type: "button" }, canvas, ...lines.map((line) => element("span", {}, line)));
  made.setAttribute("aria-pressed", isChosen);
  made.dataset.head = `layer ${layer + 1}, ${text}`;
  made.addEventListener("click", () => {
    [chosen.layer, chosen.head] = [layer, value];
    draw();
    $("models").children[number].querySelector(`[data-head="${made.dataset.head}"]`)?.focus();
  });
  return made;
}

/** How rare a piece is: its number, for frequent ones are numbered first; one that is spelt in bytes is rarest. */
function rank(model, seen, place) {
  const piece = (chosen.kind === KINDS[1] ? seen.heard : seen.source)[place];
  return model.subwords?.ids.get(piece) ?? Infinity;
}

/** The row of another model's view that is the same word, the same time it occurs; null where there is none. */
function same(others, rows, word) {
  if (word === null) return null;
  const times = rows.slice(0, word).filter(({ text }) => text === rows[word].text).length;
  return others.map(({ text }, i) => [text, i]).filter(([text]) => text === rows[word].text)[times]?.[1] ?? null;
}

function tell(rows, columns, sheet, word, at) {
  const share = (j) => `“${columns[j].text}” ${Math.round(100 * sheet.at(word, j))}%`;
  const order = [...columns.keys()].sort((one, other) => sheet.at(word, other) - sheet.at(word, one));
  const most = order.slice(0, 4).filter((j) => sheet.at(word, j) >= 0.05);
  const told = most.length ? most.map(share).join(", ") : `no word in particular; most at ${share(order[0])}`;
  return `“${rows[word].text}” looks at ${at === undefined ? told : `${share(at)} (${told})`}`;
}
