"use strict";
// Draws the page from the JSON in #data, which tree/data.rs writes:
//   modules: [parent, name, class, headline, training, same, parameters, trainable, bytes,
//             attributes: [[name, text]…], code]   parents stand before their children
//   tensors: [module, name, role, dtype, shape, bytes, requires_grad, device, stride, offset,
//             storage, storage bytes, same, error]
// Names come from a file that nobody vouches for: they only ever become text nodes.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = id => document.getElementById(id);
  const ROW = 26, DEEPEST = 40, CELLS = 1200, KIDS = 300;

  // --- What there is -------------------------------------------------------------------------

  const modules = data.modules.map(row => ({
    isModule: true, parent: null, above: row[0], name: row[1],
    type: row[2] < 0 ? "" : data.classes[row[2]], headline: row[3], training: row[4], same: row[5],
    parameters: row[6], trainable: row[7], bytes: row[8], attributes: row[9], code: row[10],
    kids: [], area: 0, open: false, depth: 0, order: 0,
  }));
  const tensors = data.tensors.map(row => ({
    isModule: false, parent: null, above: row[0], name: row[1], role: row[2],
    dtype: row[3] < 0 ? "" : data.dtypes[row[3]], shape: row[4], bytes: row[5], grad: row[6],
    device: row[7] < 0 ? "" : data.devices[row[7]], stride: row[8], offset: row[9],
    storage: row[10], stored: row[11], same: row[12], error: row[13],
    kids: [], area: 0, open: false, depth: 0, order: 0,
  }));
  for (const tensor of tensors) {
    tensor.parent = modules[tensor.above];
    tensor.parent.kids.push(tensor);
    // A tied tensor takes its room once.
    tensor.area = tensor.same < 0 ? tensor.bytes : 0;
    tensor.parent.area += tensor.area;
  }
  for (const module of modules) {
    if (module.above < 0) continue;
    module.parent = modules[module.above];
    module.parent.kids.push(module);
    module.depth = module.parent.depth + 1;
  }
  for (const tensor of tensors) tensor.depth = tensor.parent.depth + 1;
  for (let at = modules.length - 1; at > 0; at--) modules[at].parent.area += modules[at].area;
  const root = modules[0];
  // Several models side by side have no tally of their own.
  if (root.parameters === null) root.bytes = root.area;
  const sharers = new Map();
  for (const tensor of tensors) {
    if (tensor.storage === null) continue;
    const group = sharers.get(tensor.storage);
    if (group) group.push(tensor); else sharers.set(tensor.storage, [tensor]);
  }
  const shortType = node => node.type.slice(node.type.lastIndexOf(".") + 1);

  /** Names from the root, joined by dots; only the end of a very long one. */
  function path(node) {
    const parts = [];
    let length = 0;
    for (let at = node; at && at !== root; at = at.parent) {
      parts.push(at.name);
      length += at.name.length + 1;
      if (length > 400) { parts.push("…"); break; }
    }
    return parts.reverse().join(".");
  }

  // --- Text ----------------------------------------------------------------------------------

  /** What cannot be seen, or turns the direction of text, is spelled out. */
  const ODD = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  const NEWLINES = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  const spelled = char => "\\u{" + char.codePointAt(0).toString(16) + "}";
  const cut = (text, most) => text.length > most ? text.slice(0, most) + "…" : text;
  const line = (text, most = 300) => cut(text, most).replace(ODD, spelled);
  const block = text => text.replace(NEWLINES, spelled);
  const count = number => number.toLocaleString("en-US");
  function size(bytes) {
    if (bytes < 1024) return bytes + " B";
    let unit = -1;
    while (bytes >= 1023.95 && unit < 5) { bytes /= 1024; unit++; }
    return bytes.toFixed(1) + " " + ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][unit];
  }
  const share = bytes => root.area > 0 && bytes > 0
    ? (bytes / root.area >= 0.001 ? (100 * bytes / root.area).toFixed(1) : "< 0.1") + " %" : "";
  const shape = tensor => tensor.shape ? "[" + tensor.shape.join(", ") + "]" : "[?]";
  // Sizes above 2⁵³ come as text, so that none loses a digit.
  const elements = tensor => tensor.shape ? tensor.shape.reduce((all, size) => all * BigInt(size), 1n) : null;

  function element(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  const nameOf = node => node === root && !node.name ? (shortType(node) || "(all)") : node.name;
  function about(node) {
    if (!node.isModule) return node.dtype + " " + shape(node);
    if (node.same >= 0) return "is " + (path(modules[node.same]) || "the root");
    return node === root && !node.name ? "" : node.headline;
  }

  // --- The tree: only the rows that can be seen are drawn ------------------------------------

  const tree = by("tree"), rows = by("rows"), space = by("space");
  let shown = [], chosen = root, query = "", matches = [], kept = null, matching = new Set();

  /** Rows of all that is unfolded, in order. While searching: what matches and the way there. */
  function layOut() {
    shown = [];
    const todo = [root];
    while (todo.length) {
      const node = todo.pop();
      if (kept && !kept.has(node)) continue;
      node.order = shown.length;
      shown.push(node);
      if (kept ? kept.get(node) : node.open) {
        for (let at = node.kids.length - 1; at >= 0; at--) todo.push(node.kids[at]);
      }
    }
    space.style.height = shown.length * ROW + "px";
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(tree.scrollTop / ROW) - 8);
    const last = Math.min(shown.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + 8);
    const made = [];
    for (let at = first; at < last; at++) made.push(row(shown[at], at));
    rows.replaceChildren(...made);
    if (shown[chosen.order] === chosen) tree.setAttribute("aria-activedescendant", "row" + chosen.order);
    else tree.removeAttribute("aria-activedescendant");
  }

  function row(node, at) {
    const made = element("div", "row" + (node.isModule ? "" : " tensor") + (matching.has(node) ? " match" : ""));
    made.id = "row" + at;
    made.setAttribute("role", "treeitem");
    made.setAttribute("aria-level", node.depth + 1);
    made.setAttribute("aria-selected", node === chosen);
    if (node.kids.length) made.setAttribute("aria-expanded", kept ? !!kept.get(node) : node.open);
    made.style.top = at * ROW + "px";
    made.style.paddingLeft = 6 + 16 * Math.min(node.depth, DEEPEST) + "px";
    const turn = element("span", "turn");
    turn.addEventListener("click", event => { event.stopPropagation(); toggle(node); });
    const bytes = element("span", "size"), bar = element("i"), text = element("b", "", node.bytes ? size(node.bytes) : "");
    if (root.area > 0) bar.style.width = Math.min(100, 100 * node.bytes / root.area) + "%";
    bytes.append(bar, text);
    made.append(turn, element("span", "name", line(nameOf(node), 120)), element("span", "about", line(about(node))), bytes);
    made.title = line(path(node) || nameOf(node), 400);
    made.addEventListener("click", () => choose(node));
    made.addEventListener("dblclick", () => toggle(node));
    return made;
  }

  function toggle(node) {
    if (!node.kids.length) return;
    if (kept) kept.set(node, kept.get(node) ? 0 : 2);
    // Someone who unfolds what was kept for its matches wants to see the rest of it too.
    if (kept && kept.get(node)) for (const kid of node.kids) if (!kept.has(kid)) kept.set(kid, 0);
    if (!kept) node.open = !node.open;
    layOut();
  }

  function reveal(node) {
    if (kept && !kept.has(node)) search("");
    for (let at = node.parent; at; at = at.parent) if (kept) kept.set(at, 2); else at.open = true;
    layOut();
    const top = node.order * ROW;
    if (top < tree.scrollTop || top + ROW > tree.scrollTop + tree.clientHeight) {
      tree.scrollTop = Math.max(0, top - tree.clientHeight / 3);
    }
    draw();
  }

  /** `how`: "keep" leaves the map where it is if it shows the node. */
  function choose(node, how) {
    chosen = node;
    reveal(node);
    showDetails(node);
    const within = node.isModule ? node : node.parent;
    let inside = false;
    for (let at = node; at; at = at.parent) if (at === zoom) inside = true;
    zoom = how === "keep" && inside ? zoom : within;
    drawMap();
    try { history.replaceState(null, "", "#" + new URLSearchParams({ select: path(node) })); } catch { /* a browser's choice */ }
  }

  tree.addEventListener("scroll", () => requestAnimationFrame(draw));
  tree.addEventListener("keydown", event => {
    const page = Math.max(1, Math.floor(tree.clientHeight / ROW) - 1);
    const here = shown[chosen.order] === chosen ? chosen.order : 0;
    const unfolded = kept ? kept.get(chosen) : chosen.open;
    const to = at => choose(shown[Math.min(shown.length - 1, Math.max(0, at))]);
    switch (event.key) {
      case "ArrowDown": to(here + 1); break;
      case "ArrowUp": to(here - 1); break;
      case "PageDown": to(here + page); break;
      case "PageUp": to(here - page); break;
      case "Home": to(0); break;
      case "End": to(shown.length - 1); break;
      case "ArrowRight":
        if (chosen.kids.length && !unfolded) toggle(chosen);
        else if (chosen.kids.length) to(here + 1);
        break;
      case "ArrowLeft":
        if (chosen.kids.length && unfolded) toggle(chosen);
        else if (chosen.parent) choose(chosen.parent);
        break;
      case "Enter": case " ":
        if (chosen.same >= 0) choose((chosen.isModule ? modules : tensors)[chosen.same]);
        else if (event.key === " ") toggle(chosen);
        else by("details").scrollTo(0, 0);
        break;
      default: return;
    }
    event.preventDefault();
  });
  by("expand").addEventListener("click", () => {
    for (const module of modules) module.open = true;
    search("");
    layOut();
  });
  by("collapse").addEventListener("click", () => {
    for (const module of modules) module.open = false;
    root.open = true;
    search("");
    layOut();
  });

  // --- Search --------------------------------------------------------------------------------

  let lower = null;
  function texts() {
    // Parents stand before children, so each path is its parent's and a name.
    lower = new Map();
    const add = node => {
      const above = node.parent && node.parent !== root ? lower.get(node.parent).path : "";
      const whole = (above.length > 400 ? above.slice(-200) : above) + (above ? "." : "") + node.name.toLowerCase();
      lower.set(node, { path: node === root ? "" : whole, about: about(node).toLowerCase() });
    };
    modules.forEach(add);
    tensors.forEach(add);
  }

  function search(text) {
    const before = query;
    query = text.trim().toLowerCase();
    if (by("search").value.trim().toLowerCase() !== query) by("search").value = text;
    matches = [];
    matching = new Set();
    kept = null;
    by("found").textContent = "";
    if (query) {
      if (!lower) texts();
      kept = new Map();
      for (const list of [modules, tensors]) {
        for (const node of list) {
          const { path, about } = lower.get(node);
          if (path.includes(query) || about.includes(query)) matches.push(node);
        }
      }
      matching = new Set(matches);
      for (const match of matches) {
        if (!kept.has(match)) kept.set(match, 0);
        for (let at = match.parent; at && kept.get(at) !== 2; at = at.parent) kept.set(at, 2);
      }
      kept.set(root, 2);
      by("found").textContent = matches.length === 1 ? "1 match" : count(matches.length) + " matches";
    }
    if (before !== query) { tree.scrollTop = 0; layOut(); }
  }
  by("search").addEventListener("input", event => search(event.target.value));
  by("search").addEventListener("keydown", event => {
    if (event.key === "Escape") { event.target.value = ""; search(""); reveal(chosen); tree.focus(); }
    if (event.key === "ArrowDown") { tree.focus(); event.preventDefault(); }
    if (event.key === "Enter" && matches.length) {
      const inOrder = matches.filter(node => shown[node.order] === node).sort((a, b) => a.order - b.order);
      choose(inOrder.find(node => node.order > chosen.order) || inOrder[0] || matches[0]);
    }
  });
  document.addEventListener("keydown", event => {
    if (event.key === "/" && event.target !== by("search")) { by("search").focus(); event.preventDefault(); }
  });

  // --- The map -------------------------------------------------------------------------------

  const map = by("map");
  let zoom = root, cells = [], here = -1;
  const HUES = [212, 28, 145, 268, 340, 185, 48, 95, 310, 0];
  /** What colours a cell: the class that holds the bytes; of plain names, the first part. */
  function colourKey(node) {
    const module = node.isModule ? node : node.parent;
    if (data.kind !== "names") return shortType(module) || "other";
    let at = node;
    while (at.parent && at.parent !== root) at = at.parent;
    return at.name;
  }
  const totals = new Map();
  for (const tensor of tensors) {
    if (tensor.area) { const key = colourKey(tensor); totals.set(key, (totals.get(key) || 0) + tensor.area); }
  }
  const ranked = [...totals].sort((a, b) => b[1] - a[1]).slice(0, HUES.length).map(([key]) => key);
  const hue = node => {
    const rank = ranked.indexOf(colourKey(node));
    return rank < 0 ? 220 : HUES[rank];
  };

  /** Squarified rows of `items` (largest first) in a rectangle. */
  function squarify(items, x, y, w, h) {
    const out = [];
    let total = items.reduce((all, item) => all + item.area, 0);
    let at = 0;
    while (at < items.length && w > 0 && h > 0 && total > 0) {
      const side = Math.min(w, h), scale = w * h / total;
      let sum = 0, end = at, worst = Infinity;
      while (end < items.length) {
        const next = sum + items[end].area * scale;
        const ratio = Math.max(side * side * items[at].area * scale / (next * next), next * next / (side * side * items[end].area * scale));
        if (ratio > worst) break;
        [sum, worst] = [next, ratio];
        end++;
      }
      const thick = sum / side;
      let along = 0;
      for (const item of items.slice(at, end)) {
        const long = item.area * scale / thick;
        out.push(w >= h ? [item, x, y + along, thick, long] : [item, x + along, y, long, thick]);
        along += long;
        total -= item.area;
      }
      if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
      at = end;
    }
    return out;
  }

  function largest(module) {
    const kids = module.kids.filter(kid => kid.area > 0).sort((a, b) => b.area - a.area);
    if (kids.length <= KIDS) return kids;
    const rest = kids.splice(KIDS);
    kids.push({ more: rest.length, area: rest.reduce((all, kid) => all + kid.area, 0), parent: module });
    return kids.sort((a, b) => b.area - a.area);
  }

  function drawMap() {
    const w = map.clientWidth, h = map.clientHeight;
    cells = [];
    here = -1;
    if (!zoom.area) {
      map.replaceChildren(element("p", "empty", zoom.same >= 0 || zoom.kids.some(kid => !kid.isModule)
        ? "Nothing is stored here that does not stand elsewhere already." : "No tensors here."));
    } else {
      const todo = squarify(largest(zoom), 0, 0, w, h);
      while (todo.length && cells.length < CELLS) {
        const [node, x, y, cw, ch] = todo.shift();
        const made = cell(node, x, y, cw, ch);
        // A layer is one cell until someone goes into it.
        if (!node.isModule || cw < 34 || ch < 38 || !node.kids.some(kid => kid.isModule)) continue;
        const inner = squarify(largest(node), x + 3, y + 19, cw - 6, ch - 22);
        if (inner.length) { made.classList.add("group"); todo.push(...inner); }
      }
      map.replaceChildren(...cells.map(cell => cell.made));
    }
    const crumbs = [];
    for (let at = zoom; at && crumbs.length < 30; at = at.parent) {
      const module = at, button = element("button", "", line(nameOf(at), 60));
      button.type = "button";
      button.addEventListener("click", () => choose(module));
      crumbs.unshift(...(crumbs.length ? [button, element("span", "", "›")] : [button]));
    }
    crumbs.push(element("span", "", [size(zoom.area), share(zoom.area)].filter(Boolean).join(", ")));
    by("crumbs").replaceChildren(...crumbs);
  }

  function cell(node, x, y, w, h) {
    const made = element("button", "cell" + (node === chosen ? " chosen" : ""));
    made.type = "button";
    made.tabIndex = -1;
    Object.assign(made.style, { left: x + "px", top: y + "px", width: Math.max(1, w) + "px", height: Math.max(1, h) + "px" });
    made.style.setProperty("--hue", hue(node.more ? node.parent : node));
    const name = node.more ? count(node.more) + " more" : line(nameOf(node), 80);
    const where = node.more ? path(node.parent) + ": " + name : line(path(node), 300);
    made.title = where + "\n" + size(node.area) + ", " + share(node.area);
    made.setAttribute("aria-label", where + ", " + size(node.area));
    // Padding would make it wider than it is.
    if (w < 14 || h < 6) made.classList.add("small");
    if (w > 30 && h > 15) {
      made.append(name);
      const words = [size(node.area)];
      if (node.isModule && shortType(node)) words.unshift(line(shortType(node), 40));
      if (w > 110) made.append(" ", element("span", "", words.join(" · ")));
    }
    made.addEventListener("click", () => choose(node.more ? node.parent : node, node.isModule ? undefined : "keep"));
    cells.push({ made, node, x: x + w / 2, y: y + h / 2 });
    return made;
  }

  map.addEventListener("keydown", event => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (step && cells.length) {
      // The nearest cell that lies that way.
      const from = cells[here] || { x: -1, y: -1 };
      let best = -1, least = Infinity;
      cells.forEach((cell, at) => {
        const ahead = (cell.x - from.x) * step[0] + (cell.y - from.y) * step[1];
        const aside = Math.abs((cell.x - from.x) * step[1]) + Math.abs((cell.y - from.y) * step[0]);
        if (ahead > 1 && ahead + 2 * aside < least) { least = ahead + 2 * aside; best = at; }
      });
      if (best >= 0) {
        cells[here]?.made.classList.remove("here");
        here = best;
        cells[here].made.classList.add("here");
        map.setAttribute("aria-label", cells[here].made.getAttribute("aria-label"));
      }
    } else if (event.key === "Enter" && cells[here]) cells[here].made.click();
    else if ((event.key === "Backspace" || event.key === "Escape") && zoom.parent) choose(zoom.parent);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => { drawMap(); draw(); }).observe(map);
  by("legend").replaceChildren(...ranked.map((key, rank) => {
    const item = element("span"), patch = element("i");
    patch.style.setProperty("--hue", HUES[rank]);
    item.append(patch, line(key, 40) + " " + share(totals.get(key)));
    return item;
  }));

  // --- Details -------------------------------------------------------------------------------

  function facts(pairs, name) {
    const list = element("dl", "facts" + (name ? " " + name : ""));
    for (const [key, value] of pairs) {
      if (value === null || value === undefined || value === "") continue;
      const said = element("dd");
      said.append(value);
      list.append(element("dt", "", line(String(key))), said);
    }
    return list;
  }
  function link(node) {
    const made = element("button", "link", line(path(node) || nameOf(node), 400));
    made.type = "button";
    made.addEventListener("click", () => choose(node));
    return made;
  }
  function links(nodes) {
    const made = element("span");
    nodes.slice(0, 20).forEach((node, at) => made.append(...(at ? [", ", link(node)] : [link(node)])));
    if (nodes.length > 20) made.append(`, and ${count(nodes.length - 20)} more`);
    return made;
  }
  const section = text => element("h3", "", text);

  function tensorDetails(tensor) {
    const all = elements(tensor);
    const same = tensors.filter(other => other !== tensor && (other.same >= 0 ? tensors[other.same] : other) === (tensor.same >= 0 ? tensors[tensor.same] : tensor));
    const others = (sharers.get(tensor.storage) || []).filter(other => other !== tensor && !same.includes(other));
    const out = [facts([
      ["dtype", tensor.dtype], ["shape", shape(tensor)],
      ["elements", all === null ? "not known: not yet initialised" : count(all)],
      ["bytes", size(tensor.bytes) + (tensor.bytes >= 1024 && tensor.bytes <= Number.MAX_SAFE_INTEGER ? ` (${count(tensor.bytes)})` : "") + (share(tensor.area) ? ", " + share(tensor.area) : "")],
      ["role", tensor.role], ["requires grad", tensor.grad ? "yes" : "no"], ["device", line(tensor.device)],
      ["stride", tensor.stride && "[" + tensor.stride.join(", ") + "]"],
      ["storage", tensor.storage !== null && `${line(tensor.storage)}, ${size(tensor.stored)}, from element ${count(tensor.offset)}`],
      ["the same as", same.length ? links(same) : null],
      ["on one storage with", others.length ? links(others) : null],
    ].filter(([, value]) => value !== false))];
    if (tensor.error) out.unshift(element("p", "warn", "Cannot be read: " + line(tensor.error, 600)));
    return out;
  }

  function moduleDetails(module) {
    const out = [];
    if (module.same >= 0) {
      const first = element("p", "", "The same module as ");
      first.append(link(modules[module.same]));
      return [first];
    }
    if (module.headline && module.headline !== shortType(module) + "()") out.push(element("pre", "", block(cut(module.headline, 4000))));
    const frozen = module.parameters - module.trainable;
    const mode = { 1: "training", 0: "evaluation" }[module.training];
    out.push(facts([
      ["parameters", module.parameters === null ? null : count(module.parameters)],
      ["trainable", module.parameters ? (frozen === 0 ? "all" : module.trainable === 0 ? "none (frozen)" : `${count(module.trainable)}, ${count(frozen)} frozen`) : null],
      ["bytes", size(module.bytes) + (module !== root && share(module.bytes) ? ", " + share(module.bytes) : "")],
      ["saved in mode", mode],
      ...(module === root ? data.kinds.map(kind => [kind[0] + " on " + line(kind[1]), `${count(kind[2])} tensor${kind[2] === 1 ? "" : "s"}, ${size(kind[3])}`]) : []),
    ]));
    const own = module.kids.filter(kid => !kid.isModule);
    if (own.length) {
      out.push(section(own.length === 1 ? "tensor" : "tensors"), facts(own.slice(0, 200).map(tensor => {
        const said = element("span"), name = link(tensor);
        name.textContent = `${tensor.dtype} ${shape(tensor)}`;
        said.append(name, ", " + size(tensor.bytes));
        return [tensor.name, said];
      }), "code"));
      if (own.length > 200) out.push(element("p", "kind", `and ${count(own.length - 200)} more`));
    }
    const within = module.kids.filter(kid => kid.isModule);
    if (within.length) {
      const what = data.kind === "names" ? "part" : "module";
      out.push(section(within.length === 1 ? what : what + "s"), facts(within.slice(0, 200).map(kid => {
        const said = element("span"), name = link(kid);
        name.textContent = line(about(kid), 120) || size(kid.bytes);
        said.append(name, kid.bytes && about(kid) ? ", " + size(kid.bytes) : "");
        return [kid.name, said];
      }), "code"));
      if (within.length > 200) out.push(element("p", "kind", `and ${count(within.length - 200)} more`));
    }
    if (module.attributes && module.attributes.length) {
      out.push(section("attributes"), facts(module.attributes.map(([name, text]) => [name, block(text)]), "code"));
    }
    if (module.code) out.push(section("its source, as text"), element("pre", "", block(module.code)));
    return out;
  }

  function showDetails(node) {
    const kind = node.isModule ? node.type || (node === root ? data.what : "part of a name") : node.role ? node.role : "tensor";
    by("details").replaceChildren(
      element("h2", "", line(path(node) || nameOf(node), 600)), element("p", "kind", line(kind)),
      ...(node.isModule ? moduleDetails(node) : tensorDetails(node)));
    by("details").scrollTop = 0;
  }

  // --- Light and dark ------------------------------------------------------------------------

  const THEMES = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("depickle-theme") || theme; } catch { /* not kept */ }
  function setTheme(to) {
    theme = THEMES.includes(to) ? to : "auto";
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    by("theme").textContent = { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" }[theme];
  }
  by("theme").addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
    try { localStorage.setItem("depickle-theme", theme); } catch { /* not kept */ }
  });

  // --- Begin ---------------------------------------------------------------------------------

  const asked = new URLSearchParams(location.hash.slice(1));
  setTheme(asked.get("theme") || theme);
  document.title = line(data.file, 100) + " · depickle";
  by("file").textContent = line(data.file);
  by("summary").textContent = line(data.summary, 600);
  root.open = true;
  // A long chain of only children is no choice: go on to where it branches.
  for (let at = root, steps = 0; steps < 4 && at.kids.length === 1 && at.kids[0].isModule; steps++) { at = at.kids[0]; at.open = true; }
  const wanted = asked.get("select");
  const find = wanted => [...modules, ...tensors].find(node => path(node) === wanted);
  layOut();
  choose((wanted && find(wanted)) || root);
  if (asked.get("q")) { by("search").value = asked.get("q"); search(asked.get("q")); }
  document.documentElement.dataset.drawn = "yes";
})();
