// The live page: everything known at first, then whatever arrives.
// Device ids and names hold any character, so they only ever become text, never markup.

const MAX_POINTS = 500;
const REDRAW_MS = 400;
const SHORTEST_SPAN_S = 60;
const DAY_MS = 86_400_000;

const devices = new Map();
let clockAhead = 0;
let stateRequest = 0;

const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const serverNow = () => Date.now() / 1000 + clockAhead;

function age(time) {
  if (time === null) return "never";
  const seconds = Math.round(serverNow() - time);
  if (seconds < -1) return `in ${span(-seconds)}`;
  return seconds < 2 ? "now" : `${span(seconds)} ago`;
}

function span(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400).toLocaleString()} days`;
}

function format(value, places) {
  if (value === null) return "–";
  const small = value !== 0 && Math.abs(value) < 10 ** -places;
  return value.toLocaleString(undefined, { maximumFractionDigits: small ? 6 : places });
}

const plural = (count, noun) => `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;

// Charts: drawn when they come into view, redrawn at most every so often.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function timeRange(times) {
  const [first, last] = [times[0], times.at(-1)];
  const spare = Math.max(0, SHORTEST_SPAN_S - (last - first)) / 2;
  return [(first - spare) * 1000, (last + spare) * 1000];
}

function valueRange(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const spare = (most - least) * 0.08 || Math.abs(most) * 0.05 || 1;
  return [least - spare, most + spare];
}

const isSwitch = (values) => values.every((value) => value === 0 || value === 1);

function layout(variable) {
  const axis = {
    fixedrange: true,
    zeroline: false,
    showgrid: false,
    nticks: 4,
    tickfont: { size: 11, color: css("--quiet") },
    tickcolor: css("--line"),
  };
  return {
    margin: { l: 8, r: 8, t: 6, b: 22 },
    height: 112,
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    showlegend: false,
    dragmode: false,
    hovermode: "x",
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--text"), size: 12 } },
    xaxis: {
      ...axis,
      type: "date",
      range: timeRange(variable.times),
      hoverformat: "%-d %b, %H:%M:%S",
      tickformatstops: [
        { dtickrange: [null, 59_999], value: "%H:%M:%S" },
        { dtickrange: [60_000, DAY_MS - 1], value: "%H:%M" },
        { dtickrange: [DAY_MS, null], value: "%-d %b" },
      ],
    },
    yaxis: {
      ...axis,
      automargin: true,
      range: valueRange(variable.values),
      showgrid: true,
      gridcolor: css("--grid"),
      ...(isSwitch(variable.values) ? { tickvals: [0, 1], range: [-0.15, 1.15] } : { nticks: 4 }),
    },
    font: { family: "system-ui, sans-serif" },
  };
}

function draw(variable) {
  variable.drawnAt = performance.now();
  variable.isDue = false;
  if (!variable.times.length || !variable.isVisible) return;
  const trace = {
    type: "scatter",
    mode: variable.times.length < 3 ? "lines+markers" : "lines",
    x: variable.times.map((time) => new Date(time * 1000)),
    y: variable.values,
    line: { color: css("--accent"), width: 1.75, shape: isSwitch(variable.values) ? "hv" : "linear" },
    marker: { color: css("--accent"), size: 5 },
    hovertemplate: "%{y}<extra></extra>",
  };
  window.Plotly.react(variable.chart, [trace], layout(variable), { displayModeBar: false, responsive: true });
}

function drawSoon(variable) {
  if (!variable.isVisible || !variable.isLoaded || variable.isDue || !window.Plotly) return;
  variable.isDue = true;
  const wait = Math.max(0, REDRAW_MS - (performance.now() - variable.drawnAt));
  setTimeout(() => requestAnimationFrame(() => draw(variable)), wait);
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const variable = target.variable;
      variable.isVisible = isIntersecting;
      if (!isIntersecting) continue;
      if (variable.isLoaded) drawSoon(variable);
      else loadHistory(variable);
    }
  },
  { rootMargin: "200px" },
);

async function loadHistory(variable) {
  if (variable.isLoading) return;
  variable.isLoading = true;
  const query = new URLSearchParams({ device: variable.device.id, variable: variable.name });
  try {
    const response = await fetch(`/_sandbox/history?${query}`);
    const history = await response.json();
    const late = variable.times.map((time, index) => [time, variable.values[index]]);
    variable.times = history.times;
    variable.values = history.values;
    const newest = variable.times.at(-1) ?? -Infinity;
    for (const [time, value] of late) if (time > newest) insert(variable, time, value);
    variable.isLoaded = true;
    drawSoon(variable);
  } catch {
    // The event stream reconnects and then loads everything anew.
  } finally {
    variable.isLoading = false;
  }
}

function insert(variable, time, value) {
  let index = variable.times.length;
  while (index > 0 && variable.times[index - 1] > time) index -= 1;
  variable.times.splice(index, 0, time);
  variable.values.splice(index, 0, value);
  if (variable.times.length > MAX_POINTS) {
    variable.times.shift();
    variable.values.shift();
  }
}

// Devices and variables, each with the elements that show it.

function addDevice(described) {
  const device = { ...described, variables: new Map() };
  device.section = element("section", "device");
  const header = element("header");
  device.statusLine = element("p", "status");
  device.statusText = element("span");
  device.statusLine.append(element("i", "dot"), device.statusText);
  device.where = element("p", "where");
  header.append(element("h2", "", described.id), device.statusLine, device.where);
  device.quiet = element("p", "quiet", "Nothing has arrived from this device yet.");
  device.grid = element("div", "grid");
  device.section.append(header, device.quiet, device.grid);
  devices.set(described.id, device);
  $("devices").append(device.section);
  for (const variable of described.variables) addVariable(device, variable);
  return device;
}

function addVariable(device, described) {
  const variable = {
    ...described, device, times: [], values: [], drawnAt: -Infinity,
    isVisible: false, isLoaded: false, isLoading: false, isDue: false,
  };
  variable.card = element("article", "card");
  const names = element("div", "names");
  variable.age = element("span", "age");
  names.append(element("h3", "", described.displayName || described.name), variable.age);
  variable.number = element("p", "value");
  variable.chart = element("div", "chart");
  variable.chart.variable = variable;
  variable.card.append(names, variable.number, element("p", "name", described.name), variable.chart);
  device.variables.set(described.name, variable);
  device.grid.append(variable.card);
  showValue(variable);
  observer.observe(variable.chart);
  return variable;
}

function showValue(variable) {
  variable.number.textContent = format(variable.value, variable.places);
  if (variable.unit) variable.number.append(element("small", "", variable.unit));
}

function showAges() {
  let variables = 0;
  let newest = null;
  for (const device of devices.values()) {
    const status = device.status.toLowerCase();
    device.statusLine.className = `status is-${status}`;
    device.statusText.textContent = status[0].toUpperCase() + status.slice(1);
    const seen = device.lastSeen === null ? "never seen" : `last seen ${age(device.lastSeen)}`;
    device.where.textContent = `${device.organization} · ${seen}`;
    device.quiet.hidden = device.variables.size > 0;
    for (const variable of device.variables.values()) {
      variable.age.textContent = age(variable.time);
      variables += 1;
      newest = Math.max(newest ?? -Infinity, variable.time ?? -Infinity);
    }
  }
  $("empty").hidden = variables > 0;
  $("devices").hidden = variables === 0;
  $("summary").hidden = variables === 0;
  $("summary").textContent =
    `${plural(devices.size, "device")} · ${plural(variables, "variable")} · newest reading ${age(newest)}`;
}

function showExample(example) {
  const device = example ? encodeURIComponent(example.device) : "my-first-device";
  const token = example?.token ?? "YOUR-DEVICE-TOKEN";
  $("command").textContent = [
    `curl ${location.origin}/api/v1/ingest/${device} \\`,
    `  -H 'X-API-Key: ${token}' \\`,
    "  -H 'Content-Type: application/json' \\",
    "  -d '{\"temperature\": 21.5}'",
  ].join("\n");
}

async function loadState() {
  stateRequest += 1;
  const request = stateRequest;
  const response = await fetch("/_sandbox/state");
  const state = await response.json();
  if (request !== stateRequest) return;
  clockAhead = state.now - Date.now() / 1000;
  for (const device of devices.values()) {
    for (const variable of device.variables.values()) forget(variable);
    device.section.remove();
  }
  devices.clear();
  state.devices.forEach(addDevice);
  showExample(state.example);
  showAges();
}

function forget(variable) {
  observer.unobserve(variable.chart);
  variable.isVisible = false;
  if (window.Plotly) window.Plotly.purge(variable.chart);
}

function take(readings) {
  let isNew = false;
  for (const reading of readings) {
    const device = devices.get(reading.device);
    if (!device) {
      isNew = true;
      continue;
    }
    device.status = "ONLINE";
    device.lastSeen = reading.time;
    for (const [name, value] of Object.entries(reading.values)) {
      const variable = device.variables.get(name);
      if (!variable) {
        isNew = true;
        continue;
      }
      insert(variable, reading.time, value);
      if (variable.time === null || reading.time > variable.time) {
        variable.time = reading.time;
        variable.value = value;
        showValue(variable);
        variable.card.classList.remove("is-fresh");
        void variable.card.offsetWidth;
        variable.card.classList.add("is-fresh");
      }
      drawSoon(variable);
    }
  }
  if (isNew) loadState();
  else showAges();
}

function showLink(className, text) {
  $("link").className = `link ${className}`;
  $("link").lastElementChild.textContent = text;
}

function listen() {
  const events = new EventSource("/_sandbox/events");
  events.addEventListener("open", () => {
    showLink("is-online", "Live");
    loadState();
  });
  events.addEventListener("error", () => showLink("is-offline", "Reconnecting"));
  events.addEventListener("readings", (event) => take(JSON.parse(event.data)));
  events.addEventListener("reload", loadState);
}

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("command").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("command"));
    $("copy").textContent = "Press Ctrl-C";
  }
  setTimeout(() => ($("copy").textContent = "Copy"), 2000);
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const device of devices.values()) {
    for (const variable of device.variables.values()) drawSoon(variable);
  }
});

window.addEventListener("load", () => {
  for (const device of devices.values()) {
    for (const variable of device.variables.values()) drawSoon(variable);
  }
});

setInterval(showAges, 1000);
listen();
