// One photo after another. What is decided of each is kept in the browser where it allows that; boxes go into crops.csv.
const source = element("data");
const { photos, kept: others } = JSON.parse(source.textContent);
const SIDES = ["left", "top", "right", "bottom"];
const canvas = element("canvas"), frame = element("box");
const inputs = SIDES.map(element);

// By photo: a box [left, top, right, bottom] in the photo's own pixels, "whole", or null where nothing is decided; the
// browser's own memory of this very page goes before the preset ones.
const storageKey = "outfold-crops-" + source.dataset.key;
let decisions = recalled(storageKey, isUsable) ?? photos.map((photo) => photo.box);
let remembers = kept(storageKey, decisions);
let saved = true; // whether the last decisions were downloaded
let filter = "all";
let current = null; // place of the photo that is looked at
let drag = null; // what the pointer does: a function from its place to a box
let preview = null; // the box while it is dragged
const taken = []; // what was decided before, to be taken back

function isUsable(stored) {
  return Array.isArray(stored) && stored.length === photos.length &&
    stored.every((one, place) => one === null || one === "whole" || fits(one, photos[place]));
}

function fits(box, { width, height }) {
  if (!Array.isArray(box) || box.length !== 4 || !box.every(Number.isInteger)) return false;
  const [left, top, right, bottom] = box;
  return left >= 0 && top >= 0 && left < right && top < bottom && right <= width && bottom <= height;
}

// What to show

const isBox = (decision) => Array.isArray(decision);
const FILTERS = {
  all: () => true,
  undecided: (place) => decisions[place] === null,
  boxed: (place) => isBox(decisions[place]),
};
const shown = (name = filter) => [...photos.keys()].filter(FILTERS[name]);
const firstUndecided = (places) => places.find((place) => decisions[place] === null);

function show(place) {
  current = place ?? null;
  drag = preview = null;
  draw();
}

function choose(name) {
  filter = name;
  const places = shown();
  show(places.includes(current) ? current : firstUndecided(places) ?? places[0]);
}

function step(by) {
  const places = shown();
  const next = by > 0 ? places.find((place) => place > current) : places.findLast((place) => place < current);
  if (current !== null && next !== undefined) show(next);
}

// The box that is seen: while it is dragged, as decided, or as proposed.
function visibleBox() {
  if (current === null) return null;
  const decision = decisions[current];
  return preview ?? (isBox(decision) ? decision : decision === null ? photos[current].proposal : null);
}

// What to do

function decide(decision) {
  taken.push({ place: current, before: decisions[current] });
  record(current, decision);
}

function record(place, decision) {
  decisions[place] = decision;
  saved = false;
  remembers = kept(storageKey, decisions);
}

function decideAndGoOn(decision) {
  const place = current;
  if (JSON.stringify(decisions[place]) !== JSON.stringify(decision)) decide(decision);
  const places = shown();
  show(places.find((other) => other > place && decisions[other] === null) ?? firstUndecided(places) ??
    places.find((other) => other > place) ?? places.at(-1));
}

function edit() {
  const { width, height } = photos[current];
  const tenth = (length) => Math.min(Math.floor(length / 10), Math.ceil(length / 2) - 1);
  const inner = [tenth(width), tenth(height), width - tenth(width), height - tenth(height)];
  if (!isBox(decisions[current])) decide(visibleBox() ?? inner);
  draw();
  frame.focus();
}

function clear() {
  if (decisions[current] !== null) decide(null);
  draw();
}

function undo() {
  const last = taken.pop();
  if (!last) return;
  record(last.place, last.before);
  if (!FILTERS[filter](last.place)) filter = "all";
  show(last.place);
}

function download() {
  const drawn = photos.map((photo, place) => [photo.id, decisions[place]]).filter(([, decision]) => isBox(decision));
  saveTable("crops.csv", [["id", ...SIDES], ...drawn.map(([id, box]) => [id, ...box]), ...others]);
  saved = true;
  draw();
}

// Boxes: whole pixels inside the photo, at least one in each direction

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

function spanned(from, to) {
  const { width, height } = photos[current];
  const ends = (one, other, length) => {
    const low = clamp(Math.round(Math.min(one, other)), 0, length - 1);
    return [low, clamp(Math.round(Math.max(one, other)), low + 1, length)];
  };
  const [left, right] = ends(from.x, to.x, width), [top, bottom] = ends(from.y, to.y, height);
  return [left, top, right, bottom];
}

function moved([left, top, right, bottom], x, y) {
  const { width, height } = photos[current];
  const across = clamp(Math.round(x), -left, width - right), down = clamp(Math.round(y), -top, height - bottom);
  return [left + across, top + down, right + across, bottom + down];
}

function resized([left, top, right, bottom], edge, x, y) {
  const from = { x: edge.includes("w") ? left + x : left, y: edge.includes("n") ? top + y : top };
  const to = { x: edge.includes("e") ? right + x : right, y: edge.includes("s") ? bottom + y : bottom };
  return spanned(from, to); // a side that is dragged beyond the other one becomes the other one
}

// The pointer: mouse, pen or finger

function pixelOf(event) {
  const seen = canvas.getBoundingClientRect(), { width, height } = photos[current];
  return { x: ((event.clientX - seen.x) / seen.width) * width, y: ((event.clientY - seen.y) / seen.height) * height };
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary || current === null) return;
  const start = pixelOf(event), box = visibleBox(), edge = event.target.dataset.edge;
  const by = (change) => (point) => change(point.x - start.x, point.y - start.y);
  if (edge) drag = by((x, y) => resized(box, edge, x, y));
  else if (event.target === frame && !event.shiftKey) drag = by((x, y) => moved(box, x, y));
  else drag = (point) => spanned(start, point);
  drag.from = { x: event.clientX, y: event.clientY };
  canvas.setPointerCapture(event.pointerId);
  event.preventDefault();
});
canvas.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const far = Math.hypot(event.clientX - drag.from.x, event.clientY - drag.from.y) > 3; // a click draws no box
  if (!far && !preview) return;
  preview = drag(pixelOf(event));
  drawBox();
});
canvas.addEventListener("pointerup", () => endDrag(preview));
canvas.addEventListener("pointercancel", () => endDrag(null));

function endDrag(box) {
  if (!drag) return;
  drag = preview = null;
  if (box) decide(box);
  draw();
}

// Numbers and arrow keys

function typed() {
  const box = inputs.map((input) => (input.value === "" ? NaN : Number(input.value)));
  const usable = fits(box, photos[current]);
  for (const input of inputs) input.setAttribute("aria-invalid", !usable);
  if (!usable) return;
  if (JSON.stringify(box) !== JSON.stringify(decisions[current])) decide(box);
  draw();
}
for (const input of inputs) input.addEventListener("change", typed);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
frame.addEventListener("keydown", (event) => {
  const box = visibleBox(), arrow = ARROWS[event.key];
  if (!arrow || !box || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const { width, height } = photos[current];
  const x = arrow[0] * Math.max(1, Math.round(width / 200)), y = arrow[1] * Math.max(1, Math.round(height / 200));
  const [left, top, right, bottom] = box;
  const next = event.shiftKey
    ? [left, top, clamp(right + x, left + 1, width), clamp(bottom + y, top + 1, height)]
    : moved(box, x, y);
  const last = taken.at(-1);
  const goesOn = event.repeat && last?.place === current; // holding a key is one step to take back
  if (goesOn) record(current, next);
  else decide(next);
  draw();
});

// Drawing

function draw() {
  const places = shown();
  const decided = decisions.filter((decision) => decision !== null).length, boxes = decisions.filter(isBox).length;
  element("progress").textContent = `${decided} of ${photos.length} looked at, ${boxes} ${boxes === 1 ? "box" : "boxes"}`;
  document.querySelector(".meter i").style.width = `${(100 * decided) / Math.max(1, photos.length)}%`;
  element("storage").textContent = remembers ? "kept in this browser"
    : "not kept by this browser: download them before you close the page";
  drawList();
  element("photo").hidden = current === null;
  element("nothing").hidden = current !== null;
  element("nothing").textContent = photos.length ? "No photo is left to show here." : "There are no photos to look at.";
  if (current !== null) drawPhoto(photos[current], places);
  drawButtons(places, boxes);
}

function drawButtons(places, boxes) {
  for (const button of document.querySelectorAll("[data-filter]")) {
    button.setAttribute("aria-pressed", button.dataset.filter === filter);
    button.querySelector(".count").textContent = shown(button.dataset.filter).length;
  }
  const decision = current === null ? null : decisions[current];
  buttonOf("accept").setAttribute("aria-pressed", isBox(decision));
  buttonOf("whole").setAttribute("aria-pressed", decision === "whole");
  disable("accept", visibleBox() === null);
  disable("whole", current === null);
  disable("edit", current === null);
  disable("clear", decision === null);
  disable("previous", current === null || !places.some((place) => place < current));
  disable("next", current === null || !places.some((place) => place > current));
  disable("undo", taken.length === 0);
  disable("download", boxes + others.length === 0);
}

function drawPhoto(photo, places) {
  const place = places.indexOf(current); // -1 where it has just left what is shown
  element("place").textContent = place < 0 ? "Photo" : `Photo ${place + 1} of ${places.length}`;
  const picture = element("picture");
  if (picture.src !== photo.image) picture.src = photo.image;
  picture.decoding = "sync"; // no blank frame between two photos
  picture.alt = `photo ${photo.id}`;
  document.querySelector("#photo .id").textContent = photo.id;
  document.querySelector("#photo .table").textContent = photo.table;
  canvas.style.setProperty("--w", photo.width);
  canvas.style.setProperty("--h", photo.height);
  inputs.forEach((input, side) => {
    input.min = 0;
    input.max = side % 2 ? photo.height : photo.width;
  });
  drawBox();
}

function drawBox() {
  const photo = photos[current], box = visibleBox(), proposed = !preview && decisions[current] === null;
  element("facts").replaceChildren(...factsOf(photo, box, proposed));
  inputs.forEach((input, side) => {
    input.value = box ? box[side] : "";
    input.setAttribute("aria-invalid", false);
  });
  frame.hidden = element("shade").hidden = box === null;
  if (box === null) return;
  const share = box.map((value, side) => (100 * value) / (side % 2 ? photo.height : photo.width));
  const [left, top, right, bottom] = share.map((value) => `${value}%`);
  Object.assign(frame.style, { left, top, width: `${share[2] - share[0]}%`, height: `${share[3] - share[1]}%` });
  frame.className = proposed ? "proposed" : "";
  frame.setAttribute("aria-label", `${proposed ? "proposed " : ""}box: ${SIDES.map((side, at) => `${side} ${box[at]}`).join(", ")}`);
  element("shade").style.clipPath = "polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, " +
    `${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top})`;
}

const sizeOf = ([left, top, right, bottom]) => `${right - left} \u00d7 ${bottom - top}`;

function factsOf(photo, box, proposed) {
  const facts = [words("span", "", `${photo.width} \u00d7 ${photo.height} pixels`)];
  if (box) facts.push(words("span", proposed ? "chip alarm" : "chip", `${proposed ? "proposed" : "box"} ${sizeOf(box)}`));
  if (decisions[current] === "whole") facts.push(words("span", "chip", "stays whole"));
  return facts;
}

// The list of all photos: made once, then only marked

function listItem(photo, place) {
  const button = words("button", "", "");
  button.type = "button";
  button.append(words("span", "mark", ""), words("span", "ids", photo.id), words("span", "value", ""));
  button.addEventListener("click", () => show(place));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

const items = photos.map(listItem);
element("list").append(...items);

function stateOf(place) {
  const decision = decisions[place];
  if (decision === null) return photos[place].proposal ? "proposal" : "";
  return decision === "whole" ? "whole" : sizeOf(decision);
}

function drawList() {
  items.forEach((item, place) => {
    const button = item.firstChild, state = stateOf(place);
    item.hidden = !FILTERS[filter](place) && place !== current;
    button.querySelector(".mark").textContent = decisions[place] === null ? "" : "\u2713";
    button.querySelector(".value").textContent = state;
    button.querySelector(".value").classList.toggle("proposal", state === "proposal");
    button.setAttribute("aria-current", place === current);
    button.setAttribute("aria-label", `${photos[place].id}, ${state || "not looked at"}`);
  });
  if (current !== null) bringIntoView(items[current]);
}

// Buttons and keys

bindActions({
  accept: () => decideAndGoOn(visibleBox()),
  whole: () => decideAndGoOn("whole"),
  edit,
  clear,
  previous: () => step(-1),
  next: () => step(1),
  undo,
  download,
}, ["previous", "next"], (event) => event.target.matches("input"));
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => choose(button.dataset.filter));
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && drag) endDrag(null);
});
addEventListener("beforeunload", (event) => {
  if (!remembers && !saved) event.preventDefault(); // the browser asks before it forgets them
});

show(firstUndecided(shown()) ?? shown()[0]);
