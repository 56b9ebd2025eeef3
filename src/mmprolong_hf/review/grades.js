"use strict";
// The grades: kept in this browser as they are given, counted, exported and read back.

const SET = JSON.parse(document.getElementById("content").textContent);
const KEY = `mmprolong-review:${SET.format_version}:${SET.fingerprint}`;
const Z_95 = 1.959963984540054;
let state = read() ?? {
  reviewer: "",
  current: 0,
  grades: SET.samples.map(() => null),
  notes: SET.samples.map(() => ""),
  order: [], // of the graded samples, the last one last
  seconds: [], // that each grade took
};
let since = performance.now();
let unsaved = false; // grades that are neither in this browser nor in a file

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch (error) {
    warn(`Grades cannot be kept in this browser (${error.message}): export them before you leave the page.`);
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
    unsaved = false;
  } catch (error) {
    unsaved = true;
    warn(`Grades cannot be kept in this browser (${error.message}): export them before you leave the page.`);
  }
}

function warn(text) {
  const line = document.getElementById("warning");
  line.textContent = text;
  line.hidden = !text;
}

function setGrade(index, grade) {
  state.order = state.order.filter((other) => other !== index);
  state.grades[index] = grade;
  if (grade !== null) {
    state.order.push(index);
    state.seconds.push((performance.now() - since) / 1000);
  }
  since = performance.now();
  keep();
}

// As mmprolong_hf.evaluation.metrics.statistics.wilson_interval
function wilsonInterval(numRight, num) {
  if (num === 0) return [0, 1];
  const share = numRight / num;
  const z2 = Z_95 ** 2;
  const center = share + z2 / (2 * num);
  const halfWidth = Z_95 * Math.sqrt((share * (1 - share)) / num + z2 / (4 * num ** 2));
  return [Math.max(0, (center - halfWidth) / (1 + z2 / num)), Math.min(1, (center + halfWidth) / (1 + z2 / num))];
}

function summary() {
  const graded = state.grades.filter((grade) => grade !== null);
  const correct = graded.filter((grade) => grade === SET.grades[0]).length;
  const [low, high] = wilsonInterval(correct, graded.length);
  return { graded: graded.length, left: state.grades.length - graded.length, correct, low, high };
}

function shareText({ graded, correct, low, high }) {
  if (graded === 0) return "";
  const [share, from, to] = [correct / graded, low, high].map((fraction) => (100 * fraction).toFixed(1));
  return `${share} % correct (${from} to ${to})`;
}

// The median of the last grades: a pause at lunch is one of them
function minutesLeft(left) {
  const last = state.seconds.slice(-20).sort((a, b) => a - b);
  return (last[Math.floor(last.length / 2)] * left) / 60;
}

// The next one without a grade, from the front again after the last; the number of samples where all have one
function nextUngraded(index) {
  const after = state.grades.indexOf(null, index + 1);
  const any = after === -1 ? state.grades.indexOf(null) : after;
  return any === -1 ? SET.samples.length : any;
}

function review() {
  const { format_version, fingerprint, seed, split, num_questions } = SET;
  const samples = SET.samples.map(({ doc_id, question, task }, index) => {
    return { doc_id, question, task, grade: state.grades[index], note: state.notes[index] };
  });
  return { format_version, fingerprint, seed, split, num_questions, reviewer: state.reviewer, samples };
}

function exportReview() {
  if (!state.reviewer) return askName();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(review(), null, 2)}\n`], { type: "application/json" }));
  link.download = "review.json";
  link.click();
  unsaved = false;
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download reads it a little later
}

// Takes over the grades of a file, or says why not
function importReview(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    return `This file is no JSON (${error.message}); expected a review.json that this page exported.`;
  }
  const same = found?.format_version === SET.format_version && found.fingerprint === SET.fingerprint;
  if (!same || !Array.isArray(found.samples) || found.samples.length !== SET.samples.length) {
    return "This file is of other questions; expected a review.json that this page exported.";
  }
  const known = [null, ...SET.grades];
  if (!found.samples.every((sample) => known.includes(sample?.grade) && typeof sample.note === "string")) {
    return `This file has a grade that is none of ${SET.grades.join(", ")}; expected what this page exported.`;
  }
  const { reviewer } = found;
  if (typeof reviewer !== "string" || !reviewer.trim() || reviewer.length > $("reviewer").maxLength) {
    return "This file does not say who graded; expected a review.json that this page exported.";
  }
  const mine = summary().graded;
  if (mine && !confirm(`Replace the ${mine} grades on this page by those of ${reviewer}?`)) return "";
  state.reviewer = reviewer.trim();
  state.grades = found.samples.map(({ grade }) => grade);
  state.notes = found.samples.map(({ note }) => note);
  state.order = [...state.grades.keys()].filter((index) => state.grades[index] !== null);
  state.current = nextUngraded(-1);
  keep();
  return "";
}
