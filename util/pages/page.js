// What the scripts of all pages share: elements, the look of images, and the zoomed view.
// Text from outside goes into pages as text (textContent, append), never as markup.
"use strict";

const find = (selector, where = document) => where.querySelector(selector);
const findAll = (selector, where = document) => [...where.querySelectorAll(selector)];

/** An element with properties and children: make("button", { title: "x" }, "text"). */
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
};

/** The JSON that stands in the page under this name; null where there is none. */
const island = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");

/** A number of an island: null or nothing is NaN, "Infinity" a word. */
const number = (value) => (value === null || value === undefined ? NaN : Number(value));

/** A number for people: four digits, grouped where it is large. */
const words = (value) => {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(size < 1e-4 ? 3 : 4)));
};

/** What Python's as_digits made: numbers in [0, 1]. */
const fromDigits = (text) => {
  const codes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return [...text].map((digit) => codes.indexOf(digit) / 63);
};

const labelled = (text, input) => make("label", {}, text, input);

/** A list to choose from; options: [value, text]. */
const choice = (text, options, onchange) => {
  const select = make("select", { onchange: () => onchange(select.value) });
  select.append(...options.map(([value, shown]) => make("option", { value }, shown)));
  return labelled(text, select);
};

const isTyping = (event) =>
  event.target.matches?.("input:not([type=range], [type=checkbox]), select, textarea");

// --- palette and window, of all images of the page

// Colours from cold to hot, evenly spaced.
const PALETTES = {
  "white-hot": null,
  "black-hot": [[255, 255, 255], [0, 0, 0]],
  "ironbow": [[0, 0, 10], [84, 0, 150], [200, 35, 120], [244, 130, 25], [255, 215, 70], [255, 255, 245]],
};

const look = {
  palette: "white-hot", low: 0, high: 255, listeners: [],

  /** Change palette or window: grey `low` and below becomes black, `high` and above white. */
  set(change) {
    Object.assign(look, change);
    if (look.low >= look.high) { // the end that was not moved gives way
      if ("high" in change) look.low = look.high - 1;
      else look.high = look.low + 1;
    }
    const slope = 255 / (look.high - look.low);
    const colours = PALETTES[look.palette];
    const bands = ["R", "G", "B"];
    const linear = bands.map((band) =>
      `<feFunc${band} type="linear" slope="${slope}" intercept="${(-look.low * slope) / 255}"/>`);
    const table = (colours ? bands : []).map((band, place) => {
      const values = colours.map((colour) => colour[place] / 255).join(" ");
      return `<feFunc${band} type="table" tableValues="${values}"/>`;
    });
    const luma = "0.2989 0.587 0.114 0 0 ".repeat(3) + "0 0 0 1 0";
    const grey = colours ? `<feColorMatrix values="${luma}"/>` : "";
    const filter = (id, ...parts) =>
      `<filter id="${id}" color-interpolation-filters="sRGB">${parts.join("")}</filter>`;
    const transfer = (functions) => `<feComponentTransfer>${functions.join("")}</feComponentTransfer>`;
    look.holder.innerHTML =
      filter("look", transfer(linear), grey, transfer(table)) + filter("palette", grey, transfer(table));
    const isPlain = !colours && look.low === 0 && look.high === 255;
    document.body.classList.toggle("look", !isPlain);
    document.body.classList.toggle("palette", colours !== null);
    look.listeners.forEach((listener) => listener());
  },

  begin() {
    look.holder = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    look.holder.classList.add("filters");
    document.body.append(look.holder);
    look.set({});
  },

  /** Inputs for it; several on a page follow each other. */
  controls() {
    const palettes = Object.keys(PALETTES).map((name) => [name, name]);
    const palette = choice("palette ", palettes, (value) => look.set({ palette: value }));
    const end = (name, min) => make("input", {
      type: "range", min, max: min + 254, title: `grey level shown as ${name === "low" ? "black" : "white"}`,
      oninput: (event) => look.set({ [name]: Number(event.target.value) }),
    });
    const [low, high] = [end("low", 0), end("high", 1)];
    const reset = make("button", { type: "button", title: "the whole range of grey levels" }, "reset");
    reset.onclick = () => look.set({ low: 0, high: 255, palette: "white-hot" });
    const follow = () => {
      find("select", palette).value = look.palette;
      low.value = look.low;
      high.value = look.high;
      reset.disabled = !document.body.classList.contains("look");
    };
    look.listeners.push(follow);
    const window = make("span", { className: "window" }, "window ", low, high);
    return make("span", { className: "controls" }, palette, window, reset);
  },
};

// --- the zoomed view

const HEAT = [[20, 0, 60], [120, 20, 110], [220, 60, 60], [252, 150, 20], [250, 230, 90]];

/** A small canvas of an attention map, which the page stretches. */
const drawAttention = (canvas, digits) => {
  const values = fromDigits(digits);
  const side = Math.round(Math.sqrt(values.length));
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  values.forEach((value, place) => {
    const at = value * (HEAT.length - 1), below = Math.min(Math.floor(at), HEAT.length - 2);
    const mixed = HEAT[below].map((c, band) => c + (at - below) * (HEAT[below + 1][band] - c));
    image.data.set([...mixed, 190 * value], 4 * place);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
};

/**
 * Shows one item large, with its pixels as squares; keys change what is seen of it.
 *
 * items() gives what is shown now, in order; describe(item) tells of one:
 *   { name, facts, images: [{ caption, src, box, attention, histogram, scale }], difference: [i, j] }
 * box: CSS inset; attention, histogram: digits; scale: [low, high, unit] of black and white.
 */
class Viewer {
  constructor(items, describe) {
    Object.assign(this, { items, describe, at: 0, place: 0, zoom: null });
    this.on = { d: false, c: false, b: true };
    this.build();
    document.body.append(this.dialog);
    look.listeners.push(() => this.dialog.open && this.drawHistogram());
  }

  build() {
    const button = (text, title, onclick) => make("button", { type: "button", title, onclick }, text);
    this.title = make("h2");
    this.facts = make("p");
    this.picture = make("div", { className: "picture" });
    this.stage = make("div", { className: "stage", tabIndex: 0, autofocus: true }, this.picture);
    this.tabs = make("span", { className: "tabs" });
    this.slider = make("input", {
      type: "range", min: 0, step: 0.01, title: "flick between the images",
      oninput: () => this.show(Number(this.slider.value)),
    });
    this.toggles = {
      d: button("D difference", "absolute difference, brightened", () => this.toggle("d")),
      c: button("C attention", "where the judge looks", () => this.toggle("c")),
      b: button("B box", "the labelled target", () => this.toggle("b")),
    };
    this.gain = make("input", {
      type: "range", min: 1, max: 16, value: 4, title: "brightness of the difference",
      oninput: () => this.draw(),
    });
    this.histogram = make("div", { className: "histogram" });
    this.dialog = make("dialog", { className: "viewer" },
      make("header", {},
        button("‹", "the one before (arrow left)", () => this.step(-1)),
        button("›", "the next one (arrow right)", () => this.step(1)),
        make("div", {}, this.title, this.facts),
        button("×", "close (Escape)", () => this.dialog.close())),
      this.stage,
      make("footer", {},
        make("div", {}, this.tabs, this.slider, ...Object.values(this.toggles), this.gain,
          button("+", "larger (+)", () => this.enlarge(1.5)),
          button("−", "smaller (-)", () => this.enlarge(1 / 1.5))),
        make("div", {}, this.histogram, look.controls())));
    this.dialog.onkeydown = (event) => this.key(event);
    this.dialog.onclose = () => this.opener?.focus();
    this.stage.onwheel = (event) => {
      event.preventDefault();
      this.enlarge(event.deltaY < 0 ? 1.2 : 1 / 1.2, event);
    };
    this.stage.onpointermove = (event) => {
      if (event.buttons !== 1 || event.pointerType !== "mouse") return;
      this.stage.scrollBy(-event.movementX, -event.movementY);
    };
    window.addEventListener("resize", () => this.dialog.open && this.fit());
  }

  /** Open it on an item, at the image of this number. */
  open(item, place) {
    this.at = this.items().indexOf(item);
    this.place = place;
    this.zoom = null;
    this.opener = document.activeElement;
    this.dialog.showModal();
    this.load();
  }

  step(by) {
    const count = this.items().length;
    this.at = (this.at + by + count) % count;
    this.load();
  }

  load() {
    this.item = this.describe(this.items()[this.at]);
    const { name, facts, images, difference } = this.item;
    this.title.textContent = name;
    this.facts.textContent = [`${this.at + 1} of ${this.items().length}`, ...facts].join(" · ");
    this.pictures = images.map(({ src }) => make("img", { src, alt: "", draggable: false }));
    this.pictures[0].onload = () => this.fit();
    this.box = make("div", { className: "box" });
    this.attention = make("canvas");
    this.picture.replaceChildren(...this.pictures, this.attention, this.box);
    this.slider.max = images.length - 1;
    this.tabs.replaceChildren(...images.map(({ caption }, place) =>
      make("button", { type: "button", onclick: () => this.show(place) }, `${place + 1} ${caption}`)));
    this.toggles.d.hidden = this.gain.hidden = !difference;
    this.toggles.c.hidden = !images.some(({ attention }) => attention);
    this.toggles.b.hidden = !images.some(({ box }) => box);
    this.drawHistogram();
    this.show(Math.min(this.place, images.length - 1));
  }

  /** place: number of an image; between two of them both are seen. */
  show(place) {
    this.place = place;
    this.slider.value = place;
    this.on.d = false;
    this.draw();
  }

  toggle(key) {
    if (this.toggles[key].hidden) return;
    this.on[key] = !this.on[key];
    this.draw();
  }

  draw() {
    const { images, difference } = this.item;
    const { d, c, b } = this.on;
    const nearest = images[Math.round(this.place)];
    const shown = d ? difference : [Math.floor(this.place), Math.ceil(this.place)];
    this.pictures.forEach((picture, place) => {
      picture.hidden = !shown.includes(place);
      const above = place === shown[1] && shown[0] !== shown[1];
      picture.style.opacity = above && !d ? this.place - shown[0] : 1;
      picture.style.mixBlendMode = d && place === Math.max(...shown) ? "difference" : "normal";
    });
    this.picture.classList.toggle("difference", d);
    this.picture.style.setProperty("--gain", this.gain.value);
    this.gain.disabled = !d;
    this.attention.hidden = !c || d || !nearest.attention;
    if (!this.attention.hidden) drawAttention(this.attention, nearest.attention);
    this.box.hidden = !b || !nearest.box;
    this.box.style.inset = nearest.box ?? "";
    for (const [key, toggle] of Object.entries(this.toggles)) toggle.ariaPressed = String(this.on[key]);
    [...this.tabs.children].forEach((tab, place) => {
      tab.ariaPressed = String(d ? difference.includes(place) : Math.round(this.place) === place);
    });
  }

  /** Counts of grey levels, a curve an image, and the window over them. */
  drawHistogram() {
    const known = this.item.images.filter(({ histogram }) => histogram);
    this.histogram.hidden = !known.length;
    const curves = known.map(({ histogram }, place) => {
      const heights = fromDigits(histogram), step = 256 / heights.length;
      const points = heights.map((height, bin) => `${(bin + 0.5) * step},${64 - 62 * height}`);
      return `<polyline class="curve${place}" points="${points.join(" ")}"/>`;
    });
    const shades = [[0, look.low], [look.high, 256 - look.high]]
      .map(([from, width]) => `<rect x="${from}" width="${Math.max(0, width)}" height="64"/>`);
    this.histogram.innerHTML = `<svg viewBox="0 0 256 64">${shades.join("")}${curves.join("")}</svg>`;
    const legend = known.map(({ caption, scale }, place) => {
      const grey = (level) => scale[0] + ((scale[1] - scale[0]) * level) / 255;
      const ends = scale ? ` ${words(grey(look.low))} to ${words(grey(look.high))} ${scale[2]}` : "";
      return make("span", { className: `curve${place}` }, caption + ends);
    });
    this.histogram.append(make("p", {}, ...legend));
  }

  /** As large as there is room for; whole pixels where it is larger than life. */
  fit() {
    const [first] = this.pictures, { clientWidth, clientHeight } = this.stage;
    if (!first.naturalWidth) return;
    const most = Math.min(clientWidth / first.naturalWidth, clientHeight / first.naturalHeight);
    const zoom = this.zoom ?? (most >= 2 ? Math.floor(most) : most);
    this.picture.style.width = `${first.naturalWidth * zoom}px`;
    this.picture.style.height = `${first.naturalHeight * zoom}px`;
  }

  /** Around the pointer, or the middle. */
  enlarge(factor, { clientX, clientY } = {}) {
    const before = this.picture.getBoundingClientRect(), stage = this.stage.getBoundingClientRect();
    const x = clientX ?? stage.x + stage.width / 2, y = clientY ?? stage.y + stage.height / 2;
    const now = before.width / this.pictures[0].naturalWidth;
    this.zoom = Math.min(64, Math.max(0.1, now * factor));
    this.fit();
    const after = this.picture.getBoundingClientRect(), ratio = after.width / before.width;
    this.stage.scrollBy(after.x - x + (x - before.x) * ratio, after.y - y + (y - before.y) * ratio);
  }

  key(event) {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase(), number = Number(key);
    const moves = { arrowleft: -1, arrowright: 1 };
    if (key in this.toggles) this.toggle(key);
    else if (number >= 1 && number <= this.item.images.length) this.show(number - 1);
    else if (key in moves && event.target.type !== "range") this.step(moves[key]);
    else if (key === "+" || key === "=") this.enlarge(1.5);
    else if (key === "-") this.enlarge(1 / 1.5);
    else if (key === "0") { this.zoom = null; this.fit(); }
    else return;
    event.preventDefault();
  }
}

/** Clicks on images call open(section, number of the image); with Ctrl, Shift or another button the file. */
const openOnClick = (open) => document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".images a");
  if (!link || event.ctrlKey || event.shiftKey || event.metaKey) return;
  event.preventDefault();
  const section = link.closest("section");
  link.focus({ preventScroll: true });
  open(section, findAll(".images a", section).indexOf(link));
});
