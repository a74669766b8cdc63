// The page of all runs and results: any two results side by side, image by image.

const MORE = 100; // rows that are made at a time, as one comes near the end of those there are

/** The newest two results (of those there are, newest first) that have images of one name. */
function newestPair(results) {
  const names = results.map((result) => new Set(result.names));
  for (let b = 1; b < results.length; b += 1) {
    const a = names.slice(0, b).findIndex((known) => results[b].names.some((name) => known.has(name)));
    if (a >= 0) return { a, b };
  }
  return { a: 0, b: 1 };
}

document.addEventListener("DOMContentLoaded", () => {
  const results = island("results");
  const around = find("main");
  if (results.length < 2) return;
  const state = { ...newestPair(results), by: "", text: "" };
  let rows = [];
  let made = 0;

  const plain = (name) => {
    try { return decodeURIComponent(name); } catch { return name; }
  };

  /** Names that both have, with the differences b - a of the metrics that both have. */
  const match = () => {
    const a = results[state.a], b = results[state.b];
    const placeInB = new Map(b.names.map((name, place) => [name, place]));
    const titles = Object.keys(a.values).filter((title) => title in b.values);
    return a.names.flatMap((name, at) => {
      const other = placeInB.get(name);
      if (other === undefined) return [];
      const differences = titles.map((title) => {
        const values = [number(a.values[title][at]), number(b.values[title][other])];
        return { title, values, difference: values[1] - values[0] };
      });
      return [{ name, text: plain(name).toLowerCase(), differences }];
    });
  };

  const signed = (value) => (value > 0 ? "+" : "") + words(value);
  const factsOf = ({ differences }) => differences.map(({ title, values, difference }) =>
    `${title} ${words(values[0])} → ${words(values[1])} (${signed(difference)})`);

  const imagesOf = (row) => {
    const a = results[state.a], b = results[state.b];
    const source = (result, kind) => result.shown[kind] && `${result.shown[kind]}/${row.name}.png`;
    return [
      ["real_A", source(a, "real_A")], [`fake_B of ${a.title}`, source(a, "fake_B")],
      [`fake_B of ${b.title}`, source(b, "fake_B")], ["real_B", source(a, "real_B") ?? source(b, "real_B")],
    ].filter(([, src]) => src).map(([caption, src]) => ({ caption, src }));
  };

  const section = (row) => {
    const images = imagesOf(row);
    const figures = images.map(({ caption, src }) => make("figure", {},
      make("figcaption", {}, caption),
      make("a", { href: src }, make("img", { src, alt: caption, loading: "lazy" }))));
    const grid = make("div", { className: "images" }, ...figures);
    grid.style.setProperty("--columns", images.length);
    const [first] = factsOf(row).filter((fact) => fact.startsWith(state.by));
    const heading = make("h2", {}, plain(row.name), make("small", {}, first ?? ""));
    const made = make("section", {}, heading, grid);
    rowOf.set(made, row);
    return made;
  };
  const rowOf = new Map();

  const more = () => {
    around.append(...rows.slice(made, made + MORE).map(section));
    made = Math.min(rows.length, made + MORE);
  };
  new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && made < rows.length && more(),
    { rootMargin: "1500px" }).observe(around.parentElement.appendChild(make("footer")));

  const summary = make("div");
  const sums = () => {
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return (rows[0]?.differences ?? []).map(({ title }, place) => {
      const both = rows.map((row) => row.differences[place]).filter(({ difference }) => Number.isFinite(difference));
      const columns = [0, 1].map((side) => mean(both.map(({ values }) => values[side])));
      return { title, columns, difference: columns[1] - columns[0], count: both.length };
    });
  };

  const refresh = () => {
    const [a, b] = [results[state.a], results[state.b]];
    rows = match().filter((row) => row.text.includes(state.text));
    const place = rows[0]?.differences.findIndex(({ title }) => title === state.by) ?? -1;
    if (place >= 0) {
      const key = (row) => row.differences[place].difference;
      rows.sort((x, y) => (Number.isNaN(key(x)) - Number.isNaN(key(y))) || key(x) - key(y));
    }
    made = 0;
    rowOf.clear();
    around.replaceChildren();
    more();
    count.textContent = `${words(rows.length)} images of equal names (of ${words(a.names.length)} and ${words(b.names.length)})`;
    const lines = sums().map(({ title, columns, difference, count }) => make("tr", {},
      ...[title, ...columns.map(words), signed(difference), words(count)].map((text) => make("td", {}, text))));
    const head = ["mean", a.title, b.title, "difference", "images"].map((text) => make("th", {}, text));
    summary.replaceChildren(...(lines.length ? [make("table", {}, make("tr", {}, ...head), ...lines)] : []));
    const titles = (rows[0]?.differences ?? []).map(({ title }) => make("option", { value: title }, title));
    find("select", sorting).replaceChildren(make("option", { value: "" }, "name"), ...titles);
    find("select", sorting).value = state.by;
  };

  const change = (changes) => { Object.assign(state, changes); refresh(); };
  const options = results.map(({ title }, place) => [String(place), title]);
  const chosen = (text, name) => {
    const label = choice(text, options, (value) => change({ [name]: Number(value) }));
    find("select", label).value = String(state[name]);
    return label;
  };
  const sorting = choice("sort by difference in ", [], (value) => change({ by: value }));
  const count = make("output");
  const search = make("input", {
    type: "search", placeholder: "part of a name", oninput: () => change({ text: search.value.toLowerCase() }),
  });

  const viewer = new Viewer(() => rows, (row) => {
    const images = imagesOf(row), first = images.findIndex(({ caption }) => caption.startsWith("fake_B"));
    // Previews of 16 bits have a window of their own in each result: their greys do not compare.
    const difference = images[first].src.includes("/previews/") ? null : [first, first + 1];
    return { name: plain(row.name), facts: factsOf(row), images, difference };
  });
  openOnClick((section, place) => viewer.open(rowOf.get(section), place));

  around.before(
    make("h1", {}, "Two results side by side"),
    make("nav", { className: "bar" }, chosen("left ", "a"), chosen("right ", "b"), search, sorting, look.controls(), count),
    make("section", { className: "sums" }, summary));
  look.begin();
  refresh();
});
