// What a person does: keys and buttons.

const SCROLL = 80; // pixels

function say(text) {
  $("said").textContent = text;
}

function move(index) {
  state.current = Math.max(0, Math.min(SET.samples.length, index));
  keep();
  show();
}

function grade(choice) {
  const index = state.current;
  if (index === SET.samples.length) return;
  if (!state.reviewer) return askName();
  setGrade(index, choice);
  say(`Question ${index + 1}: ${choice}.`);
  move(nextUngraded(index));
  $("pages").focus({ preventScroll: true }); // not the button: the space bar, which scrolls, would grade the next one
}

function undo() {
  const index = state.grades[state.current] ? state.current : state.order.at(-1);
  if (index === undefined) return;
  setGrade(index, null);
  say(`Question ${index + 1}: grade taken back.`);
  move(index);
}

function setZoom(value) {
  zoom = Math.max(0.5, Math.min(4, value));
  const pages = $("pages");
  const at = [pages.scrollLeft / pages.scrollWidth, pages.scrollTop / pages.scrollHeight];
  document.documentElement.style.setProperty("--zoom", zoom);
  pages.scrollTo(at[0] * pages.scrollWidth, at[1] * pages.scrollHeight);
  $("zoom").textContent = `${Math.round(100 * zoom)} %`;
}

// To the side: on a page that is larger than its frame, else to the next question
function aside(step) {
  if (zoom > 1) $("pages").scrollBy(SCROLL * step, 0);
  else move(state.current + step);
}

function toggleBoxes() {
  const hidden = document.body.classList.toggle("plain");
  $("boxes").setAttribute("aria-pressed", String(!hidden));
}

function askName() {
  $("reviewer").value = state.reviewer;
  $("name").showModal();
}

const KEYS = {
  ArrowRight: () => aside(1),
  j: () => move(state.current + 1),
  ArrowLeft: () => aside(-1),
  k: () => move(state.current - 1),
  n: () => $("note").focus(),
  u: undo,
  b: toggleBoxes,
  "+": () => setZoom(zoom * 1.25),
  "=": () => setZoom(zoom * 1.25), // the same key without shift
  "-": () => setZoom(zoom / 1.25),
  0: () => setZoom(1),
  "?": () => $("keys").showModal(),
};
SET.grades.forEach((choice, k) => (KEYS[k + 1] = () => grade(choice)));

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === $("note")) {
    if (event.key === "Escape") $("pages").focus({ preventScroll: true });
    return;
  }
  const repeats = event.repeat && !event.key.startsWith("Arrow"); // a key held down must not grade one after the other
  if (!Object.hasOwn(KEYS, event.key) || repeats) return;
  event.preventDefault();
  KEYS[event.key]();
});

const CLICKS = {
  previous: KEYS.k,
  next: KEYS.j,
  undo,
  boxes: toggleBoxes,
  in: KEYS["+"],
  out: KEYS["-"],
  help: KEYS["?"],
  who: askName,
  export: exportReview,
  import: () => $("file").click(),
};
for (const [id, action] of Object.entries(CLICKS)) $(id).addEventListener("click", action);
for (const button of document.querySelectorAll("[data-grade]")) {
  button.addEventListener("click", () => grade(button.dataset.grade));
}
$("note").addEventListener("input", () => {
  state.notes[state.current] = $("note").value;
  keep();
});
$("name").addEventListener("submit", () => {
  state.reviewer = $("reviewer").value.trim();
  keep();
  showState();
});
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => $("pages").focus({ preventScroll: true }));
}
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  $("file").value = ""; // the same file can be chosen again
  if (!file) return;
  warn(""); // of an earlier file
  const refusal = importReview(await file.text());
  if (refusal) warn(refusal);
  show();
});
addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault(); // the browser asks
});
// Another tab of the same page
addEventListener("storage", (event) => {
  if (event.key !== KEY || !event.newValue) return;
  state = { ...JSON.parse(event.newValue), current: state.current };
  show();
});

setZoom(1);
show();
if (!state.reviewer) askName();
