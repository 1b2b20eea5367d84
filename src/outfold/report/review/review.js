// One pair of photos after another. A decision is kept in the browser where it allows that, and goes into decisions.csv.
const source = element("data");
const { photos, pairs, kept: others } = JSON.parse(source.textContent);
const DECISIONS = ["same", "different", "unsure"];
const MARKS = { same: "=", different: "\u2260", unsure: "?", "": "" };

// Decisions by pair, "" where there is none; the browser's own memory of this very page goes before the preset ones.
const storageKey = "outfold-review-" + source.dataset.key;
let decisions = recalled(storageKey, isUsable) ?? pairs.map((pair) => pair.decision);
let remembers = kept(storageKey, decisions);
let saved = true; // whether the last decisions were downloaded
let filter = "all";
let current = null; // place of the pair that is looked at
let turns = 0, mirrored = false; // how the second photo is turned
const history = [];

function isUsable(stored) {
  return Array.isArray(stored) && stored.length === pairs.length &&
    stored.every((decision) => decision === "" || DECISIONS.includes(decision));
}

// What to show

const FILTERS = {
  all: () => true,
  undecided: (place) => !decisions[place],
  conflicting: (place) => pairs[place].conflict,
};
const shown = (name = filter) => [...pairs.keys()].filter(FILTERS[name]);
const firstUndecided = (places) => places.find((place) => !decisions[place]);

function show(place) {
  current = place ?? null;
  turns = 0;
  mirrored = false;
  draw();
}

function choose(name) {
  filter = name;
  const places = shown();
  show(places.includes(current) ? current : firstUndecided(places) ?? places[0]);
}

function step(by) {
  const places = shown();
  const next = places[places.indexOf(current) + by];
  if (current !== null && next !== undefined) show(next);
}

// What to do

function decide(decision) {
  if (current === null) return;
  const place = current;
  history.push({ place, before: decisions[place] });
  record(place, decision);
  const places = shown();
  show(places.find((other) => other > place) ?? firstUndecided(places) ?? places.at(-1));
}

function undo() {
  const last = history.pop();
  if (!last) return;
  record(last.place, last.before);
  if (!FILTERS[filter](last.place)) filter = "all";
  show(last.place);
}

function record(place, decision) {
  decisions[place] = decision;
  saved = false;
  remembers = kept(storageKey, decisions);
}

function turn(quarters, mirror) {
  turns += mirrored ? -quarters : quarters; // mirroring comes last, so that both act on what is seen
  mirrored = mirrored !== mirror;
  drawTurn();
}

function download() {
  const ids = (pair) => pair.photos.map((photo) => photos[photo].id);
  const earlier = others.map((row) => [row.first, row.second, row.decision, row.similarity ?? ""]);
  const taken = pairs.map((pair, place) => [...ids(pair), decisions[place], pair.similarity]).filter((row) => row[2]);
  saveTable("decisions.csv", [["first", "second", "decision", "similarity"], ...taken, ...earlier]);
  saved = true;
}

// Drawing

function draw() {
  const places = shown();
  const decided = decisions.filter(Boolean).length;
  element("progress").textContent = `${decided} of ${pairs.length} decided`;
  document.querySelector(".meter i").style.width = `${(100 * decided) / Math.max(1, pairs.length)}%`;
  element("storage").textContent = remembers ? "kept in this browser"
    : "not kept by this browser: download them before you close the page";
  drawButtons(places, decided);
  drawList();
  element("pair").hidden = current === null;
  element("nothing").hidden = current !== null;
  element("nothing").textContent = pairs.length ? "No pair is left to show here." : "There are no pairs to look at.";
  if (current !== null) drawPair(pairs[current], places);
}

function drawButtons(places, decided) {
  for (const button of document.querySelectorAll("[data-filter]")) {
    button.setAttribute("aria-pressed", button.dataset.filter === filter);
    button.querySelector(".count").textContent = shown(button.dataset.filter).length;
  }
  for (const name of DECISIONS) buttonOf(name).setAttribute("aria-pressed", decisions[current] === name);
  disable("previous", places.indexOf(current) <= 0);
  disable("next", places.indexOf(current) === places.length - 1);
  disable("undo", history.length === 0);
  disable("download", decided + others.length === 0);
}

function drawPair(pair, places) {
  element("place").textContent = `Pair ${places.indexOf(current) + 1} of ${places.length}`;
  const facts = [words("span", "", `similarity ${pair.similarity.toFixed(4)}`)];
  if (pair.conflict) facts.push(words("span", "chip alarm", "labels differ"));
  if (pair.exact) facts.push(words("span", "chip", "exact copy"));
  element("facts").replaceChildren(...facts);
  drawPhoto("first", photos[pair.photos[0]], pair.labels[0]);
  drawPhoto("second", photos[pair.photos[1]], pair.labels[1]);
  drawTurn();
}

function drawPhoto(name, photo, label) {
  const figure = element(name);
  figure.querySelector(".frame").replaceChildren(photo.image === null ? placeholder(photo) : picture(name, photo));
  figure.querySelector(".id").textContent = photo.id;
  figure.querySelector(".table").textContent = photo.table;
  figure.querySelector(".label").textContent = label && `label ${label}`;
}

function picture(name, photo) {
  const image = document.createElement("img");
  image.alt = `${name} photo, ${photo.id}`;
  image.decoding = "sync"; // no blank frame between two pairs
  image.src = photo.image;
  return image;
}

const placeholder = (photo) => words("p", "missing", `This photo cannot be shown: ${photo.fault}`);

function drawTurn() {
  const image = document.querySelector("#second img");
  if (!image) return;
  image.classList.toggle("sideways", turns % 2 !== 0);
  image.style.transform = `scaleX(${mirrored ? -1 : 1}) rotate(${90 * turns}deg)`;
}

// The list of all pairs: made once, then only marked

function listItem(pair, place) {
  const [first, second] = pair.photos.map((photo) => photos[photo].id);
  const button = words("button", pair.conflict ? "conflict" : "", "");
  button.type = "button";
  button.append(words("span", "mark", ""), words("span", "ids", ""), words("span", "value", pair.similarity.toFixed(3)));
  button.querySelector(".ids").append(words("span", "", first), words("span", "", second));
  button.addEventListener("click", () => show(place));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

const items = pairs.map(listItem);
element("list").append(...items);

function drawList() {
  items.forEach((item, place) => {
    const button = item.firstChild;
    item.hidden = !FILTERS[filter](place) && place !== current;
    button.querySelector(".mark").textContent = MARKS[decisions[place]];
    button.setAttribute("aria-current", place === current);
    button.setAttribute("aria-label", spoken(place));
  });
  if (current !== null) bringIntoView(items[current]);
}

function spoken(place) {
  const pair = pairs[place];
  const [first, second] = pair.photos.map((photo) => photos[photo].id);
  const conflict = pair.conflict ? ", labels differ" : "";
  return `${first} and ${second}, similarity ${pair.similarity.toFixed(3)}${conflict}, ${decisions[place] || "undecided"}`;
}

// Buttons and keys

const actions = {
  same: () => decide("same"),
  different: () => decide("different"),
  unsure: () => decide("unsure"),
  previous: () => step(-1),
  next: () => step(1),
  undo,
  turn: () => turn(1, false),
  mirror: () => turn(0, true),
  download,
};
bindActions(actions, ["previous", "next"]);
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => choose(button.dataset.filter));
}
addEventListener("beforeunload", (event) => {
  if (!remembers && !saved) event.preventDefault(); // the browser asks before it forgets them
});

show(firstUndecided(shown()) ?? shown()[0]);
