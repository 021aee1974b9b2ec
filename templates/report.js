// The page's only behaviour: theme, copying, printing, linked charts, and from a point to its evidence.
// Everything is readable without it. Texts of the log reach the page as text, never as markup.
(function () {
  "use strict";
  var root = document.documentElement;
  var page = JSON.parse(document.getElementById("page-data").textContent);
  var status = document.getElementById("status");
  root.classList.add("js");

  // The page's policy forbids style attributes set as text and style elements with text. The chart library uses both: the
  // first is done through the DOM instead, which the policy allows; the second would style maps, and there are none.
  var setAttribute = Element.prototype.setAttribute, createElement = document.createElement;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") { this.style.cssText = value; } else { setAttribute.call(this, name, value); }
  };
  document.createElement = function (name) {
    var made = createElement.apply(document, arguments);
    if (String(name).toLowerCase() === "style") { Object.defineProperty(made, "textContent", { set: function () {} }); }
    return made;
  };

  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function say(text) { status.textContent = ""; status.textContent = text; }

  function copy(text, button) {
    function done() {
      var before = button.getAttribute("data-label") || button.textContent;
      button.setAttribute("data-label", before);
      button.textContent = page.words.copied;
      say(page.words.copied);
      setTimeout(function () { button.textContent = before; }, 1500);
    }
    function byHand() {
      var area = document.createElement("textarea");
      area.value = text;
      area.setAttribute("aria-hidden", "true");
      area.className = "skip";
      document.body.appendChild(area);
      area.select();
      if (document.execCommand("copy")) { done(); }
      area.remove();
    }
    if (navigator.clipboard && window.isSecureContext) { navigator.clipboard.writeText(text).then(done, byHand); } else { byHand(); }
  }

  // A diff is copied as what it leads to: without removed lines and without the marks at the margin.
  function pasteable(block) {
    var lines = block.querySelectorAll(".add, .same");
    if (!lines.length) { return block.textContent; }
    return Array.prototype.map.call(lines, function (line) { return line.textContent.replace(/\n$/, "").slice(1); }).join("\n");
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    var act = button.getAttribute("data-act");
    if (act === "markdown") { copy(page.markdown, button); }
    if (act === "copy") { copy(pasteable(button.parentNode.querySelector("pre")), button); }
    if (act === "print") { window.print(); }
    if (act === "theme") { root.setAttribute("data-theme", isDark() ? "light" : "dark"); paint(); }
    if (act === "reset") { reset(); }
  });

  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });

  // Charts -------------------------------------------------------------------------------------------------------
  var charts = document.getElementById("charts");
  var figure = page.figure;
  var zoomed = null;

  function color(name) { return typeof name === "string" && name.slice(0, 2) === "--" ? getComputedStyle(root).getPropertyValue(name).trim() : name; }

  // Colours stand in the figure as names of CSS variables; this gives them today's values.
  function themed(value) {
    if (Array.isArray(value)) { return value.length && typeof value[0] === "object" ? value.map(themed) : value.slice(); }
    if (value && typeof value === "object") {
      var out = {};
      Object.keys(value).forEach(function (key) { out[key] = themed(value[key]); });
      return out;
    }
    return color(value);
  }

  function layout() {
    var made = themed(figure.layout);
    var grid = color("--grid"), ink = color("--soft");
    made.paper_bgcolor = made.plot_bgcolor = "rgba(0,0,0,0)";
    made.font = { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily };
    made.hoverlabel = { bgcolor: color("--card"), bordercolor: color("--rule"), font: { color: color("--ink") } };
    Object.keys(made).forEach(function (key) {
      if (/^[xy]axis/.test(key)) { made[key].gridcolor = grid; made[key].linecolor = color("--rule"); made[key].spikecolor = ink; }
    });
    if (charts.clientWidth < 520) {
      made.margin.l = 44;
      figure.short.forEach(function (text, index) { made.annotations[index].text = text; });
    }
    if (zoomed) { made.xaxis.range = zoomed; }
    return made;
  }

  function paint() {
    if (!figure || !window.Plotly || !charts) { return; }
    return window.Plotly.react(charts, themed(figure.data), layout(), { displayModeBar: false, responsive: true, doubleClick: "reset" });
  }

  function reset() {
    zoomed = null;
    window.Plotly.relayout(charts, { "xaxis.range": figure.layout.xaxis.range.slice() });
  }

  function show(target) {
    document.querySelectorAll(".lit").forEach(function (one) { one.classList.remove("lit"); });
    var card = target.closest(".finding");
    if (card) { card.classList.add("lit"); }
    target.scrollIntoView({ block: "center" });
    target.setAttribute("tabindex", "-1");
    target.focus({ preventScroll: true });
  }

  // The line itself where a finding quotes it, else the finding that holds at this step in this panel.
  function evidence(point) {
    var trace = figure.data[point.curveNumber], line = point.customdata, step = point.x;
    var anchor = page.anchors[trace.meta + ":" + line];
    var window_ = figure.windows.find(function (one) { return one.axis === trace.yaxis && one.first <= step && step <= one.last; });
    var id = anchor || (window_ ? "f" + window_.finding : "");
    var target = id && document.getElementById(id);
    if (target) { show(target); } else { say(page.words.not_quoted.replace("{step}", step).replace("{place}", page.names[trace.meta] + ":" + line)); }
  }

  function start() {
    if (!figure || !charts || !window.Plotly) { return; }
    charts.textContent = "";
    Promise.resolve(paint()).then(function () {
      charts.setAttribute("data-drawn", "true");
      charts.on("plotly_click", function (event) {
        var own = event.points.filter(function (one) { return one.customdata; });
        if (own.length) { evidence(nearest(own, event.event)); }
      });
      charts.on("plotly_relayout", function () {
        var range = charts.layout.xaxis.range;
        zoomed = range ? range.slice() : null;
      });
    });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  }

  // Unified hover answers with one point a panel: the click was meant for the panel under the pointer.
  function nearest(points, event) {
    var y = event.clientY - charts.getBoundingClientRect().top;
    return points.reduce(function (best, one) {
      function far(point) { var axis = point.yaxis; return Math.abs(axis._offset + axis._length / 2 - y); }
      return far(one) < far(best) ? one : best;
    });
  }

  window.addEventListener("load", start);
})();
