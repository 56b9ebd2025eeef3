// What stands on the page for the current sample. All text of documents goes in as text, never as HTML.

const $ = (id) => document.getElementById(id);
const QUICK = 3; // pages of the next sample that are fetched ahead
let zoom = 1;

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function show() {
  const index = state.current;
  const ended = index === SET.samples.length;
  document.body.classList.toggle("ended", ended);
  $("strip").replaceChildren();
  $("pages").replaceChildren();
  if (ended) {
    showEnd();
  } else {
    showSample(SET.samples[index]);
    showPages(SET.samples[index]);
    $("note").value = state.notes[index];
  }
  $("number").textContent = ended ? "The end" : `Question ${index + 1} of ${SET.samples.length}`;
  $("previous").disabled = index === 0;
  $("next").disabled = ended;
  for (const button of document.querySelectorAll("[data-grade]")) {
    button.setAttribute("aria-pressed", String(!ended && state.grades[index] === button.dataset.grade));
  }
  showState();
}

function showState() {
  const now = summary();
  $("progress").max = SET.samples.length;
  $("progress").value = now.graded;
  $("graded").textContent = `${now.graded} of ${SET.samples.length} graded`;
  const minutes = minutesLeft(now.left);
  const time = minutes < 1 ? "under a minute" : `${Math.round(minutes)} min`;
  $("left").textContent = now.left && minutes >= 0 ? `${time} left` : ""; // not a number before the first grade
  $("share").textContent = shareText(now);
  $("who").textContent = state.reviewer || "Your name";
  $("undo").disabled = state.order.length === 0;
}

function showSample(sample) {
  const document_ = SET.documents[sample.doc_id];
  const quotes = sample.evidence_quotes.map((quote, k) => {
    const page = `Page ${sample.evidence_boxes[k][0]}`;
    return el("li", {}, line(page, el("q", { dir: "auto" }, quote), () => jumpToBox(k)));
  });
  $("sample").replaceChildren(
    el("h2", { dir: "auto", id: "question" }, sample.question),
    el("h3", {}, "Answer"),
    el("div", { className: "answer", id: "answer", dir: "auto", tabIndex: 0 }, sample.answer),
    facts([
      ["Task", `${sample.task}, ${sample.answer_format}`],
      ["Document", `${document_.source}, ${document_.num_pages} pages`],
      ["Evidence", `page ${sample.evidence_pages.join(", ")} (${sample.evidence_sources.join(", ") || "unknown"})`],
    ]),
    ...(quotes.length ? [el("h3", {}, "Quotes"), el("ol", { className: "quotes" }, ...quotes)] : []),
    el("details", {}, el("summary", {}, "Automatic checks (after you have graded)"), facts([
      ["Asked by", [sample.teacher, sample.template].filter(Boolean).join(", ")],
      ["Arithmetic", sample.expression || "none"],
      ...Object.entries(sample.verdicts).map(([name, verdict]) => [name.replaceAll("_", " "), verdict]),
    ])),
  );
  $("sample").scrollTop = 0;
}

function facts(rows) {
  const pairs = rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)]);
  return el("dl", { className: "facts" }, ...pairs);
}

// A line of a list that leads somewhere
function line(name, text, action) {
  const button = el("button", { type: "button", className: "quote" }, el("b", {}, name), " ", text);
  button.addEventListener("click", action);
  return button;
}

// Evidence pages one below the other, their neighbours hidden until they are asked for
function showPages(sample) {
  const { num_pages, pages } = SET.documents[sample.doc_id];
  const near = sample.evidence_pages.flatMap((page) => [page - 1, page, page + 1]).filter((page) => page in pages);
  for (const page of [...new Set(near)].sort((a, b) => a - b)) {
    const isEvidence = sample.evidence_pages.includes(page);
    const sheet = el("div", { className: "sheet" }, picture(pages[page], `Page ${page}`));
    sample.evidence_boxes.forEach((box, k) => box[0] === page && sheet.append(overlay(box, k)));
    const label = `Page ${page} of ${num_pages}${isEvidence ? "" : ", beside the evidence"}`;
    $("pages").append(el("figure", { id: `page-${page}`, hidden: !isEvidence }, el("figcaption", {}, label), sheet));
    const thumbnail = el("button", { type: "button", className: isEvidence ? "evidence" : "" });
    thumbnail.append(picture(pages[page], ""), String(page));
    thumbnail.setAttribute("aria-label", isEvidence ? `Go to page ${page}, evidence` : `Open page ${page}`);
    thumbnail.addEventListener("click", () => openPage(page));
    $("strip").append(thumbnail);
  }
  $("pages").querySelector("figure:not([hidden]) img").addEventListener("load", fetchNext, { once: true });
  if (sample.evidence_boxes.length) jumpToBox(0, "auto");
  else $("pages").scrollTop = 0;
}

function picture([name, width, height], alt) {
  const image = el("img", { loading: "lazy", width, height, alt, src: `pages/${name}` });
  image.addEventListener("error", () => {
    warn(`${image.src} cannot be read: keep index.html and its folder pages together.`);
  });
  return image;
}

function overlay([, x0, y0, x1, y1], k) {
  const box = el("div", { className: "box", id: `box-${k}` });
  const edges = { left: x0, top: y0, width: x1 - x0, height: y1 - y0 };
  for (const [edge, fraction] of Object.entries(edges)) box.style[edge] = `${100 * fraction}%`;
  return box;
}

function openPage(page) {
  $(`page-${page}`).hidden = false;
  $(`page-${page}`).scrollIntoView({ block: "start" });
}

function jumpToBox(k, behavior = "smooth") {
  $(`box-${k}`)?.scrollIntoView({ block: "center", inline: "nearest", behavior });
}

function fetchNext() {
  const next = SET.samples[nextUngraded(state.current)];
  if (!next) return;
  const { pages } = SET.documents[next.doc_id];
  for (const page of next.evidence_pages.slice(0, QUICK)) new Image().src = `pages/${pages[page][0]}`;
}

function showEnd() {
  const now = summary();
  const counts = SET.grades.map((grade) => [grade, String(state.grades.filter((other) => other === grade).length)]);
  const items = [...state.grades.entries()].filter(([, grade]) => grade !== SET.grades[0]).map(([index, grade]) => {
    const question = el("span", { dir: "auto" }, SET.samples[index].question);
    const note = el("p", { className: "noted", dir: "auto" }, state.notes[index]);
    return el("li", {}, line(grade ?? "not graded", question, () => move(index)), note);
  });
  const done = el("button", { type: "button", className: "main", id: "finish" }, "Export review.json");
  done.addEventListener("click", exportReview);
  $("sample").replaceChildren(
    el("h2", {}, now.left ? `${now.left} of ${SET.samples.length} are not graded yet` : "All graded, thank you"),
    el("p", { className: "share" }, shareText(now)),
    facts(counts),
    el("p", {}, done),
    ...(items.length ? [el("h3", {}, "Not correct, or not graded"), el("ul", { className: "quotes" }, ...items)] : []),
  );
}
