// The page of results: sort, filter, select, and see rows large.

const bar = make("nav", { className: "bar" });
document.currentScript.after(bar);

// Rows near the window. From now on: the first ones come near while the page is still loading.
const near = new Set();
let onNear = () => {};
document.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => {
  near[skipped ? "delete" : "add"](target);
  if (!skipped) onNear(target);
}, true);

document.addEventListener("DOMContentLoaded", () => {
  const { rows: known, kinds, paired, scale } = island("rows");
  const measured = island("measured");
  const placeOf = new Map(measured?.names.map((name, place) => [name, place]));

  // --- rows

  document.body.classList.toggle("paired", paired);
  const around = find("main");
  const rows = findAll("section", around).map((section, place) => {
    const name = find("h2", section).textContent;
    const at = placeOf.get(name);
    const metrics = (measured?.metrics ?? []).map(({ values }) => number(values[at]));
    return { section, name, text: name.toLowerCase(), place, at, metrics, ...known[place] };
  });
  const rowOf = new Map(rows.map((row) => [row.section, row]));
  let shown = rows;

  // --- filter and sort

  const state = { text: "", class: "", nearest: -Infinity, farthest: Infinity, selected: false };
  const sort = { by: "name", descending: false };
  const selected = new Set();

  const isShown = (row) =>
    row.text.includes(state.text) &&
    (!state.class || row.class === state.class) &&
    (row.range ?? state.nearest) >= state.nearest && (row.range ?? state.farthest) <= state.farthest &&
    (!state.selected || selected.has(row));

  const applyFilter = () => {
    for (const row of rows) {
      const hidden = !isShown(row);
      if (row.section.hidden !== hidden) row.section.hidden = hidden;
    }
    shown = rows.filter(({ section }) => !section.hidden);
    tell();
  };

  const keyOf = {
    name: (row) => row.place,
    class: (row) => row.class ?? "",
    range: (row) => row.range ?? NaN,
  };
  const applySort = () => {
    const key = keyOf[sort.by] ?? ((row) => row.metrics[Number(sort.by)]);
    const sign = sort.descending ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x !== x || y !== y) return (x !== x) - (y !== y) || a.place - b.place; // NaN last
      return x === y ? a.place - b.place : sign * (x < y ? -1 : 1);
    });
    // Four times as fast as moving the rows; `reading-flow` takes the Tab key along.
    around.classList.add("sorted");
    rows.forEach(({ section }, place) => { section.style.order = place; });
    dressAll();
    applyFilter();
  };

  /** Class, range and what it is sorted by, beside the name. */
  const factsOf = (row, metrics) => [
    row.class || null,
    row.range ? `${words(row.range)} m` : null,
    ...metrics.map((place) => `${measured.metrics[place].title} ${words(row.metrics[place])}`),
  ].filter(Boolean);
  const dress = (row) => {
    const metrics = sort.by in keyOf ? [] : [Number(sort.by)];
    find("h2", row.section).dataset.facts = factsOf(row, metrics).join(" · ");
    row.section.classList.toggle("boxed", Boolean(row.box));
    row.section.style.setProperty("--box", row.box ?? "");
  };
  // Rows far from the window are left alone, or a page of ten thousand would open slowly.
  const dressAll = () => near.forEach((section) => dress(rowOf.get(section)));
  onNear = (section) => dress(rowOf.get(section));
  dressAll();

  // --- the bar

  const count = make("output");
  const copy = make("button", { type: "button", title: "their names, a line each" });
  const onlySelected = make("input", { type: "checkbox" });
  const tell = () => {
    count.textContent = `${words(shown.length)} of ${words(rows.length)} rows`;
    copy.textContent = `copy ${words(selected.size)} selected`;
    copy.disabled = onlySelected.disabled = !selected.size;
  };
  const change = (changes) => {
    Object.assign(state, changes);
    applyFilter();
  };

  onlySelected.onchange = () => change({ selected: onlySelected.checked });
  copy.onclick = () => {
    const names = rows.filter((row) => selected.has(row)).map(({ name }) => name);
    const text = make("textarea", { value: names.join("\n") });
    copy.after(text);
    text.select();
    document.execCommand("copy"); // which, unlike the newer way, may be used on any address
    text.remove();
    copy.textContent = `copied ${words(names.length)}`;
  };

  const classes = [...new Set(rows.map((row) => row.class).filter(Boolean))].sort();
  const ranges = rows.some((row) => row.range);
  const search = make("input", {
    type: "search", placeholder: "part of a name", oninput: () => change({ text: search.value.toLowerCase() }),
  });
  const metre = (name, none) => make("input", {
    type: "number", min: 0, placeholder: name,
    oninput: ({ target }) => change({ [name]: target.value === "" ? none : Number(target.value) }),
  });
  const sortings = [["name", "name"], ...(classes.length ? [["class", "class"]] : []),
    ...(ranges ? [["range", "range"]] : []),
    ...(measured?.metrics ?? []).map(({ title }, place) => [String(place), title])];
  const direction = make("button", { type: "button", title: "the other way round" }, "↑");
  direction.onclick = () => {
    sort.descending = !sort.descending;
    direction.textContent = sort.descending ? "↓" : "↑";
    applySort();
  };
  const boxes = make("input", {
    type: "checkbox", onchange: () => document.body.classList.toggle("boxes", boxes.checked),
  });

  const viewer = new Viewer(() => shown, (row) => ({
    name: row.name,
    facts: factsOf(row, (measured?.metrics ?? []).map((_, place) => place)),
    images: findAll(".images figure", row.section).map((figure, place) => ({
      caption: kinds[place],
      src: find("a", figure).href,
      box: place < 2 || paired ? row.box : null,
      attention: measured?.attention[kinds[place]]?.[row.at],
      histogram: row.histograms[place],
      scale: row.window ? [...row.window[place], scale[place][2]] : scale[place],
    })),
    difference: paired ? [1, 2] : [0, 1],
  }));

  bar.append(
    search,
    ...(classes.length
      ? [choice("class ", [["", "all"], ...classes.map((name) => [name, name])], (value) => change({ class: value }))]
      : []),
    ...(ranges
      ? [make("span", { className: "range" }, "range ", metre("nearest", -Infinity), metre("farthest", Infinity), " m")]
      : []),
    make("span", {}, choice("sort by ", sortings, (value) => { sort.by = value; applySort(); }), direction),
    look.controls(),
    ...(rows.some(({ box }) => box) ? [labelled("boxes", boxes)] : []),
    make("span", {}, count, copy, labelled("only these", onlySelected)),
  );
  look.begin();
  tell();

  // --- clicks and keys

  around.addEventListener("click", (event) => {
    const heading = event.target.closest("h2");
    const row = heading && rowOf.get(heading.parentElement);
    if (!row) return;
    if (!selected.delete(row)) selected.add(row);
    row.section.classList.toggle("selected", selected.has(row));
    tell();
  });
  openOnClick((section, place) => viewer.open(rowOf.get(section), place));
  document.addEventListener("keydown", (event) => {
    if (viewer.dialog.open || isTyping(event) || event.ctrlKey || event.metaKey) return;
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    else if (event.key.toLowerCase() === "b") boxes.click();
  });
  document.documentElement.classList.add("ready");
});
