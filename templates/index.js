// Sorting and filtering of the runs' table. Rows are moved, shown and hidden, never written; hidden ones stay where they are. It stands in the head so that
// thousands of rows are never laid out: only those that carry the class "on" are.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var STEP = 300, limit = STEP, group = null, isSorted = false;
  var body, entries, input, verdicts, shown, more;

  function fits(entry, words) {
    if (verdicts.value && entry.verdict !== verdicts.value) { return false; }
    if (group !== null && (entry.cause !== group || !/failed|suspicious/.test(entry.verdict))) { return false; }
    return words.every(function (word) { return entry.text.indexOf(word) >= 0; });
  }

  function draw() {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0, visible = document.createDocumentFragment();
    entries.forEach(function (entry) {
      var on = fits(entry, words) && ++count <= limit;
      if (on !== entry.on) { entry.row.classList.toggle("on", on); entry.on = on; }
      if (on && isSorted) { visible.appendChild(entry.row); }
    });
    body.appendChild(visible);
    shown.textContent = shown.getAttribute("data-words").replace("{shown}", Math.min(count, limit)).replace("{total}", entries.length);
    more.hidden = count <= limit;
  }

  function sort(button) {
    var head = button.closest("th"), at = head.cellIndex, kind = button.getAttribute("data-sort");
    var down = head.getAttribute("aria-sort") === "ascending";
    document.querySelectorAll("th[aria-sort]").forEach(function (one) { one.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    entries.forEach(function (entry) {
      var cell = entry.row.cells[at], value = kind === "text" ? cell.textContent.trim().toLowerCase() : cell.getAttribute("data-v");
      entry.empty = value === "";
      entry.key = kind === "text" ? value : parseFloat(value);
    });
    entries.sort(function (a, b) {
      if (a.empty || b.empty) { return a.empty - b.empty; }
      var order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return down ? -order : order;
    });
    isSorted = true;
    draw();
  }

  function press(button) {
    var same = button.getAttribute("aria-pressed") === "true";
    document.querySelectorAll("[data-group]").forEach(function (one) { one.setAttribute("aria-pressed", "false"); });
    button.setAttribute("aria-pressed", String(!same));
    group = same ? null : button.getAttribute("data-group");
    draw();
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    if (button.hasAttribute("data-sort")) { sort(button); }
    if (button.hasAttribute("data-group")) { press(button); }
    if (button.id === "more") { limit += STEP; draw(); }
    if (button.getAttribute("data-act") === "theme") {
      var chosen = root.getAttribute("data-theme");
      var dark = chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
      root.setAttribute("data-theme", dark ? "light" : "dark");
    }
  });

  document.addEventListener("DOMContentLoaded", function () {
    body = document.querySelector(".runs tbody");
    if (!body) { return; }
    input = document.getElementById("filter");
    verdicts = document.getElementById("verdicts");
    shown = document.getElementById("shown");
    more = document.getElementById("more");
    entries = Array.prototype.map.call(body.rows, function (row) {
      return { row: row, text: row.textContent.toLowerCase(), verdict: row.className, cause: row.getAttribute("data-cause"), on: false };
    });
    input.addEventListener("input", function () { limit = STEP; draw(); });
    verdicts.addEventListener("change", function () { limit = STEP; draw(); });
    draw();
  });
})();
