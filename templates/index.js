// Sorting and filtering of the runs' table. Rows are moved and hidden, never written.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var body = document.querySelector(".runs tbody");
  var rows = body ? Array.prototype.slice.call(body.rows) : [];
  var input = document.getElementById("filter"), verdicts = document.getElementById("verdicts"), shown = document.getElementById("shown");
  var group = null;
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });

  function filter() {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0;
    rows.forEach(function (row, index) {
      var fits = (!verdicts.value || row.classList.contains(verdicts.value)) &&
        (group === null || (row.getAttribute("data-cause") === group && /failed|suspicious/.test(row.className))) &&
        words.every(function (word) { return texts[index].indexOf(word) >= 0; });
      row.hidden = !fits;
      count += fits ? 1 : 0;
    });
    shown.textContent = shown.getAttribute("data-words").replace("{shown}", count).replace("{total}", rows.length);
  }

  function sort(button) {
    var head = button.closest("th"), at = head.cellIndex, kind = button.getAttribute("data-sort");
    var down = head.getAttribute("aria-sort") === "ascending";
    document.querySelectorAll("th[aria-sort]").forEach(function (one) { one.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    var keyed = rows.map(function (row, index) {
      var cell = row.cells[at], value = kind === "text" ? cell.textContent.trim() : cell.getAttribute("data-v");
      return { row: row, text: texts[index], empty: value === "", key: kind === "text" ? value.toLowerCase() : parseFloat(value) };
    });
    keyed.sort(function (a, b) {
      if (a.empty || b.empty) { return a.empty - b.empty; }
      var order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return down ? -order : order;
    });
    rows = keyed.map(function (one) { return one.row; });
    texts = keyed.map(function (one) { return one.text; });
    body.append.apply(body, rows);
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    if (button.hasAttribute("data-sort")) { sort(button); }
    if (button.hasAttribute("data-group")) {
      var same = button.getAttribute("aria-pressed") === "true";
      document.querySelectorAll("[data-group]").forEach(function (one) { one.setAttribute("aria-pressed", "false"); });
      button.setAttribute("aria-pressed", String(!same));
      group = same ? null : button.getAttribute("data-group");
      filter();
    }
    if (button.getAttribute("data-act") === "theme") {
      var chosen = root.getAttribute("data-theme");
      var dark = chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
      root.setAttribute("data-theme", dark ? "light" : "dark");
    }
  });
  if (input) {
    input.addEventListener("input", filter);
    verdicts.addEventListener("change", filter);
    filter();
  }
})();
