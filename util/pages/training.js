// The page of a training run: how it stands, curves with values, samples over time.

const bar = make("nav", { className: "bar" });
document.currentScript.after(bar);
const RELOAD_SECONDS = 15;

/** A curve that can be read: values under the pointer, a part chosen by dragging, a log axis. */
class Plot {
  static width = 260;
  static height = 130;
  static box = { left: 38, right: 250, top: 6, bottom: 110 };

  /** settings: { range, log, zoom(range) }, of all plots of the page; range: steps, null for all. */
  constructor(figure, curve, settings) {
    Object.assign(this, { curve, settings, dragged: null });
    this.value = make("output");
    this.holder = make("div", { className: "plot", title: "drag: a part; double click: all" });
    find("svg", figure).replaceWith(this.holder);
    find("figcaption", figure).append(this.value);
    this.holder.onpointermove = (event) => this.draw(this.stepAt(event));
    this.holder.onpointerleave = () => { this.dragged = null; this.draw(); };
    this.holder.onpointerdown = (event) => { this.dragged = this.stepAt(event); };
    this.holder.onpointerup = (event) => {
      const ends = [this.dragged ?? this.from, this.stepAt(event)].sort((a, b) => a - b);
      const chosen = this.dragged !== null && ends[1] - ends[0] > (this.to - this.from) / 50;
      this.dragged = null;
      if (chosen) settings.zoom(ends);
    };
    this.holder.ondblclick = () => settings.zoom(null);
  }

  stepAt({ clientX }) {
    const { left, right } = Plot.box, bounds = this.holder.getBoundingClientRect();
    const x = ((clientX - bounds.x) / bounds.width) * Plot.width;
    return this.from + Math.min(1, Math.max(0, (x - left) / (right - left))) * (this.to - this.from);
  }

  /** at: the step under the pointer, null for none. */
  draw(at = null) {
    const { steps, means, least, greatest } = this.curve, { left, right, top, bottom } = Plot.box;
    [this.from, this.to] = this.settings.range ?? [steps[0], steps.at(-1)];
    const inside = steps.map((_, place) => place).filter((place) =>
      steps[place] >= this.from && steps[place] <= this.to && means[place] !== null);
    const values = inside.flatMap((place) => [least[place], greatest[place]]);
    const log = this.settings.log && values.every((value) => value > 0);
    const scale = (value) => (log ? Math.log10(value) : value);
    let [low, high] = [Math.min(...values.map(scale)), Math.max(...values.map(scale))];
    if (!values.length) [low, high] = [0, 1];
    if (!(high > low)) {
      const around = Math.abs(low) / 10 || 0.5;
      [low, high] = [low - around, low + around];
    }
    const x = (step) => left + ((step - this.from) / (this.to - this.from || 1)) * (right - left);
    const y = (value) => bottom - ((scale(value) - low) / (high - low)) * (bottom - top);
    const points = (column) =>
      inside.map((place) => `${x(steps[place]).toFixed(1)},${y(column[place]).toFixed(1)}`);

    const parts = [0, 1 / 3, 2 / 3, 1].map((share) => {
      const value = low + share * (high - low), down = bottom - share * (bottom - top);
      const shown = Number((log ? 10 ** value : value).toPrecision(3));
      return `<line class="grid" x1="${left}" x2="${right}" y1="${down}" y2="${down}"/>` +
        `<text x="${left - 4}" y="${down + 3}" text-anchor="end">${shown}</text>`;
    });
    ["start", "middle", "end"].forEach((anchor, place) => {
      const step = this.from + (place / 2) * (this.to - this.from);
      if (anchor === "middle" && this.to - this.from < 2) return; // no step lies between
      const text = words(Math.round(step));
      parts.push(`<text x="${x(step)}" y="${bottom + 14}" text-anchor="${anchor}">${text}</text>`);
    });
    parts.push(`<polygon class="band" points="${[...points(least), ...points(greatest).reverse()].join(" ")}"/>`);
    parts.push(`<polyline class="line" points="${points(means).join(" ")}"/>`);
    this.value.textContent = "";
    if (at !== null && inside.length) {
      const nearer = (a, b) => (Math.abs(steps[a] - at) < Math.abs(steps[b] - at) ? a : b);
      const place = inside.reduce(nearer), across = x(steps[place]);
      parts.push(`<line class="at" x1="${across}" x2="${across}" y1="${top}" y2="${bottom}"/>`);
      parts.push(`<circle class="dot" r="3" cx="${across}" cy="${y(means[place])}"/>`);
      this.value.textContent = `${words(means[place])} at step ${words(steps[place])}`;
      const [start, end] = [x(this.dragged ?? at), x(at)].sort((a, b) => a - b);
      parts.push(`<rect class="zoom" x="${start}" width="${end - start}" y="${top}" height="${bottom - top}"/>`);
    }
    this.holder.innerHTML = `<svg viewBox="0 0 ${Plot.width} ${Plot.height}">${parts.join("")}</svg>`;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const standing = island("standing"), curves = island("curves");
  // What the user has chosen outlives the reloads of a running page.
  const key = `training ${location.pathname}`;
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  const keep = (change) => sessionStorage.setItem(key, JSON.stringify(Object.assign(kept, change)));

  // --- how it stands

  const running = standing.state === "running";
  const state = find("dd"), told = make("output");
  state.classList.add("state");
  const written = new Date(1000 * standing.written).toLocaleString();
  const age = () => Date.now() / 1000 - standing.written;
  const isSilent = () => running && age() > standing.silence;
  const duration = (seconds) => {
    const [size, unit] = seconds < 120 ? [1, "s"] : seconds < 7200 ? [60, "min"] : [3600, "h"];
    return `${Math.max(0, Math.round(seconds / size))} ${unit}`;
  };
  const tell = () => {
    told.textContent = running ? `last word ${duration(age())} ago` : `last word ${written}`;
    if (!isSilent()) return;
    state.textContent = `died? no word since ${written}`;
    state.classList.add("died");
  };
  tell();
  setInterval(tell, 1000);

  // --- curves

  const settings = { log: Boolean(kept.log), range: kept.range ?? null };
  const plots = findAll("section").flatMap((section) => {
    const found = curves[find("h2", section).textContent];
    const figures = findAll(".drawings figure", section);
    return figures.map((figure, place) => new Plot(figure, found[place], settings));
  });
  const drawAll = () => plots.forEach((plot) => plot.draw());
  settings.zoom = (range) => {
    settings.range = range;
    keep({ range });
    drawAll();
  };
  const log = make("input", { type: "checkbox", checked: settings.log });
  log.onchange = () => {
    settings.log = log.checked;
    keep({ log: log.checked });
    drawAll();
  };
  drawAll();

  // --- samples: the slider puts those of an earlier moment into the newest row

  const sections = findAll("main section").reverse(); // from the first moment on
  const last = sections.length - 1;
  const headings = sections.map((section) => find("h2", section).textContent);
  const imagesOf = (section) => findAll("figure", section).map((figure) => ({
    caption: find("figcaption", figure).textContent, src: find("a", figure).href,
  }));
  const moment = make("output", {}, headings[last] ?? "");
  const slider = make("input", { type: "range", min: 0, max: last, value: last });
  slider.oninput = () => {
    const place = Number(slider.value), shown = imagesOf(sections[place]);
    findAll("img", sections[last]).forEach((image, number) => { image.src = shown[number]?.src ?? ""; });
    find("h2", sections[last]).textContent = moment.textContent = headings[place];
    sections[last].classList.toggle("now", place !== last);
  };

  // Large, it is one sample: the arrow keys go through time.
  let columns = 1, sample = 0;
  const viewer = new Viewer(() => sections, (section) => {
    const images = imagesOf(section).slice(sample * columns, (sample + 1) * columns);
    const names = images.map(({ caption }) => caption);
    const pair = [names.indexOf("fake_B"), names.indexOf("real_B")];
    const name = headings[sections.indexOf(section)];
    return { name, facts: [`sample ${sample + 1}`], images, difference: pair.includes(-1) ? null : pair };
  });
  openOnClick((section, place) => {
    columns = Number(getComputedStyle(find(".images", section)).getPropertyValue("--columns"));
    sample = Math.floor(place / columns);
    const seen = section === sections[last] ? sections[Number(slider.value)] : section;
    viewer.open(seen, place % columns);
  });

  bar.append(
    make("span", {}, told),
    ...(plots.length ? [labelled("log axis ", log)] : []),
    ...(last > 0 ? [make("span", { className: "moments" }, "samples over time ", slider, moment)] : []),
    ...(sections.length ? [look.controls()] : []),
  );
  look.begin();

  // --- the next page, unless somebody is looking at an earlier moment

  setInterval(() => {
    const busy = viewer.dialog.open || Number(slider.value) !== last;
    if (running && !busy) location.reload();
  }, 1000 * RELOAD_SECONDS);
});
