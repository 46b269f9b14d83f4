/* What the browser adds: keys, command palette, selection, drafts, drag, live pages. Every page works without it.
   No inline code, no eval, no foreign address; everything is found by data attributes. */
"use strict";
(() => {
const $ = (q, from = document) => from.querySelector(q), $$ = (q, from = document) => [...from.querySelectorAll(q)];
const body = document.body, csrf = body.dataset.csrf, ICONS = ($("use") || {getAttribute: () => ""}).getAttribute("href").split("#")[0];
const el = (tag, props = {}, ...kids) => { const n = Object.assign(document.createElement(tag), props); n.append(...kids); return n; };
const icon = name => { const s = document.createElementNS("http://www.w3.org/2000/svg", "svg"), u = document.createElementNS("http://www.w3.org/2000/svg", "use"); s.setAttribute("class", "i"); s.setAttribute("aria-hidden", "true"); u.setAttribute("href", ICONS + "#" + name); s.append(u); return s; };
const typing = t => t.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

/* words after an action: thirty seconds, longer while somebody points at them */
const SHOWN_MS = 30000;
function fade(toast) { let timer; const start = () => { timer = setTimeout(() => toast.remove(), SHOWN_MS); }; toast.onmouseenter = toast.onfocusin = () => clearTimeout(timer); toast.onmouseleave = toast.onfocusout = start; start(); }
function say(text, ...more) { const t = el("div", {className: "toast"}, el("span", {textContent: text}), ...more); $("#toasts").append(t); fade(t); return t; }
$$(".toast").forEach(fade);
if ($("#toasts")) new MutationObserver(list => list.forEach(m => m.addedNodes.forEach(n => n.querySelectorAll && [n, ...$$(".toast", n)].filter(t => t.matches(".toast") && !t.onmouseenter).forEach(fade)))).observe($("#toasts"), {childList: true, subtree: true});
document.addEventListener("htmx:responseError", () => say(body.dataset.failed));
document.addEventListener("htmx:sendError", () => say(body.dataset.offline));
document.addEventListener("htmx:configRequest", e => { e.detail.headers["X-CSRF-Token"] = csrf; });

/* menus close on Escape and on a click beside them */
document.addEventListener("click", e => {
  $$("details.menu[open]").forEach(d => { if (!d.contains(e.target)) d.open = false; });
  const t = e.target;
  if (t.closest("[data-close]")) t.closest(".toast, dialog").remove();
  if (t.closest("[data-keys]")) $("#keys").showModal();
  if (t.closest("[data-print]")) window.print();
  if (t.closest("[data-add-line]")) addLine();
  if (t.closest("[data-add-part]")) addPart(t.closest("[data-add-part]"));
  if (t.closest("[data-drop]")) { e.preventDefault(); const r = t.closest("[data-line]"); $$("input", r).forEach(i => { if (!i.name.endsWith("id")) i.value = ""; }); r.hidden = true; r.dispatchEvent(new Event("change", {bubbles: true})); }
  const move = t.closest("[data-move]");
  if (move) { const li = move.closest("li"); if (move.dataset.move === "up") li.previousElementSibling?.before(li); else li.nextElementSibling?.after(li); move.focus(); }
});
document.addEventListener("toggle", e => { if (e.target.matches?.("details.menu") && e.target.open) $$("details.menu[open]").forEach(d => { if (d !== e.target && !d.contains(e.target)) d.open = false; }); }, true);

/* rows */
const rows = () => $$("[data-rows] [data-row]");
let at = -1;
function goTo(n) { const all = rows(); if (!all.length) return; at = Math.max(0, Math.min(all.length - 1, n)); all.forEach((r, i) => r.classList.toggle("at", i === at)); const link = $("a[href]", all[at]); link?.focus({preventScroll: true}); all[at].scrollIntoView({block: "nearest"}); }
function here() { const all = rows(), row = document.activeElement?.closest?.("[data-row]"); if (row) at = all.indexOf(row); return all[at]; }
function selection() { for (const bar of $$(".selbar")) { const n = $$("[name=id]:checked", bar.form || bar.closest("form")).length, out = $("[data-count]", bar); if (out) out.textContent = out.dataset.words.replace("#", n); } $$("[data-row]").forEach(r => r.setAttribute("aria-selected", !!$("[name=id]:checked", r))); }
document.addEventListener("change", e => {
  const t = e.target;
  if (t.matches("[data-all]")) $$("[name=id]", t.closest("form")).forEach(c => { c.checked = t.checked; });
  if (t.matches("[data-all], [name=id]")) selection();
  if (t.matches("[data-submit]")) t.form.requestSubmit();
  if (t.matches("[data-ref]")) pick(t);
});
document.addEventListener("click", e => { if (e.target.closest("[data-clear]")) { $$("[name=id], [data-all]").forEach(c => { c.checked = false; }); selection(); } });

/* keys */
document.addEventListener("keydown", e => {
  const t = e.target, k = e.key;
  if ((e.ctrlKey || e.metaKey) && k.toLowerCase() === "k") { e.preventDefault(); openPalette(); return; }
  if (k === "Escape") { const d = $("details.menu[open]"); if (d) { d.open = false; $("summary", d).focus(); } const c = t.closest?.("[data-inline]"); if (c) { e.preventDefault(); $("[data-cancel]", c)?.click(); } return; }
  if (e.ctrlKey || e.metaKey || e.altKey || typing(t) || body.dataset.shortcuts === "off" || $("dialog[open]")) return;
  const row = here();
  const does = {
    "/": () => openPalette(), "?": () => $("#keys")?.showModal(),
    j: () => rows().length ? goTo(row ? at + 1 : 0) : $("[data-key=j]")?.click(),
    k: () => rows().length ? goTo(row ? at - 1 : 0) : $("[data-key=k]")?.click(),
    x: () => { const c = row && $("[name=id]", row); if (c) { c.checked = !c.checked; selection(); } },
    e: () => ((row && $("[data-key=e]", row)) || $("[data-key=e]"))?.click(), n: () => $("[data-key=n]")?.click(),
    Enter: () => row && !t.closest("a, button, summary") && $("a[href]", row)?.click(),
  }[k] || (/^[1-9a-z]$/.test(k) && (() => { const b = $(`details.menu[open] [data-key="${k}"]`) || $(`main [data-key="${k}"]:not(details [data-key])`); if (b) { e.preventDefault(); b.click(); } }));
  if (does) { if (k !== "Enter") e.preventDefault(); does(); }
});

/* command palette: what this page offers, where one can go, and records as one types */
const palette = $("#palette"), list = $("#palette-list"), box = palette && $("input", palette), remark = palette && $("[role=status]", palette);
let chosen = 0, asked = 0, offers = [];
function pageCommands() { return $$("[data-command], .head .btn, .nav ul a").filter(n => n.id !== "pill" && n.tagName !== "SUMMARY").map(n => ({text: (n.dataset.command || n.innerText || n.textContent).trim().replace(/\s+/g, " "), icon: $("use", n)?.getAttribute("href").split("#")[1] || "arrow", key: n.dataset.key, group: n.closest(".nav") || n.dataset.command ? remark.dataset.go : remark.dataset.actions, run: () => n.click()})).filter((c, i, all) => c.text && all.findIndex(o => o.text === c.text) === i); }
function openPalette() { if (!palette) { $(".find input")?.focus(); return; } if (palette.open) return; box.value = $(".find input").value; palette.showModal(); box.select(); ask(); }
function show() {
  list.replaceChildren(); let group = "";
  offers.forEach((o, i) => {
    if (o.group !== group) { group = o.group; list.append(el("li", {className: "cap", role: "presentation", textContent: group})); }
    const li = el("li", {id: "po" + i, role: "option"}, icon(o.icon || "arrow"), el("span", {textContent: o.text})); li.setAttribute("aria-selected", i === chosen);
    if (o.detail) li.append(el("span", {className: "meta", textContent: o.detail}));
    if (o.key) li.append(el("kbd", {textContent: o.key}));
    li.onclick = () => run(o); list.append(li);
  });
  box.setAttribute("aria-activedescendant", offers.length ? "po" + chosen : ""); $("#po" + chosen)?.scrollIntoView({block: "nearest"});
  remark.textContent = offers.length ? "" : remark.dataset.none;
}
function run(o) { palette.close(); if (o.run) o.run(); else location.assign(o.href); }
async function ask() {
  const q = box.value.trim(), turn = ++asked, low = q.toLowerCase();
  const commands = pageCommands().filter(c => !q || c.text.toLowerCase().includes(low)); offers = commands.slice(0, q ? 6 : 14); chosen = 0; show();
  try {
    const r = await fetch("/palette?" + new URLSearchParams({q}), {headers: {Accept: "application/json"}}); if (!r.ok || turn !== asked) return;
    const found = (await r.json()).items.filter(i => i.href.startsWith("/")); if (turn !== asked) return;
    offers = q ? [...found, ...commands.slice(0, 6)] : [...commands.slice(0, 10), ...found]; show();
  } catch { /* the server is away: the page's own commands stay */ }
}
let wait;
box?.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(ask, 120); });
box?.addEventListener("keydown", e => {
  if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); if (offers.length) { chosen = (chosen + (e.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length; show(); } }
  if (e.key === "Enter") { e.preventDefault(); if (offers[chosen]) run(offers[chosen]); else if (box.value.trim()) location.assign("/search?" + new URLSearchParams({q: box.value.trim()})); }
});
palette?.addEventListener("click", e => { if (e.target === palette) palette.close(); });

/* a field that holds another record: suggestions as one types, the key in the hidden field before it */
const known = new WeakMap();
document.addEventListener("input", e => {
  const t = e.target;
  if (t.matches("[data-ref]")) { pick(t); clearTimeout(wait); wait = setTimeout(async () => {
    const r = await fetch("/choices/" + t.dataset.ref + "?" + new URLSearchParams({q: t.value})); if (!r.ok) return;
    const items = (await r.json()).items; known.set(t, new Map([...(known.get(t) || []), ...items.map(i => [i.text, i])]));
    t.list.replaceChildren(...items.map(i => el("option", {value: i.text, label: i.detail ? i.text + " · " + i.detail : i.text}))); pick(t); }, 150); }
  if (t.matches("[data-draft]")) try { localStorage.setItem("draft:" + t.dataset.draft, t.value); } catch { /* storage is full or forbidden */ }
});
function pick(t) { const hit = known.get(t)?.get(t.value), key = t.previousElementSibling; if (!key?.matches("[data-ref-key]")) return; key.value = t.value ? (hit ? hit.id : key.defaultValue && t.value === t.defaultValue ? key.defaultValue : "") : "";
  if (hit && t.matches("[data-fill]")) { const row = t.closest("[data-line]"); for (const [name, value] of Object.entries(hit.fill || {})) { const f = $(`[data-name="${name}"]`, row); if (f) f.value = value; } row.dispatchEvent(new Event("change", {bubbles: true})); const last = $$("[data-line]:not([hidden])").pop(); if (row === last) addLine(); } }

/* drafts: what was typed and not saved is here again */
for (const t of $$("textarea[data-draft]")) { try { const kept = localStorage.getItem("draft:" + t.dataset.draft); if (kept && !t.value) t.value = kept; t.form.addEventListener("submit", () => localStorage.removeItem("draft:" + t.dataset.draft)); } catch { /* as above */ } }

/* lines of a document, parts of a form */
function again(box, html) { const holder = el("tbody"); holder.innerHTML = html; const n = $$("[data-line]", box).length; for (const f of $$("[name], [id], [for], [list], [aria-label]", holder)) for (const a of ["name", "id", "for", "list"]) if (f.hasAttribute(a)) f.setAttribute(a, f.getAttribute(a).replace("__n__", n)); return holder; }
function addLine() { const box = $("[data-lines]"), t = $("template[data-line-template]"); if (!box || !t) return; const h = again(box, t.innerHTML); const row = h.firstElementChild; box.append(row); htmx.process(row); }
function addPart(button) { const box = button.closest("[data-parts]"), t = $("template", box), n = $$("[data-line]", box).length; const d = el("div"); d.innerHTML = t.innerHTML.replaceAll("__n__", n); const row = d.firstElementChild; button.before(row); $("input:not([type=hidden]), select", row)?.focus(); }

/* board: a card may be dragged; its menu does the same */
let held = null;
document.addEventListener("dragstart", e => { held = e.target.closest?.("[data-deal]"); if (held) { e.dataTransfer.effectAllowed = "move"; e.dataTransfer.setData("text/plain", held.dataset.deal); } });
document.addEventListener("dragover", e => { const lane = e.target.closest?.("[data-stage]"); if (held && lane) { e.preventDefault(); $$(".lane.over").forEach(l => l !== lane && l.classList.remove("over")); lane.classList.add("over"); } });
document.addEventListener("dragend", () => { held = null; $$(".lane.over").forEach(l => l.classList.remove("over")); });
document.addEventListener("drop", e => { const lane = e.target.closest?.("[data-stage]"); if (!held || !lane) return; e.preventDefault(); const b = $(`[data-to="${lane.dataset.stage}"]`, held); if (b && held.closest("[data-stage]") !== lane) b.click(); });

/* from a record to its neighbours in the list it was opened from */
try {
  const list = $("#results [data-rows]"), kept = JSON.parse(sessionStorage.getItem("list") || "null"), crumb = $("main > .crumb");
  if (list) sessionStorage.setItem("list", JSON.stringify({from: location.pathname + location.search, hrefs: $$("[data-row] th a", list).map(a => a.getAttribute("href"))}));
  const n = kept ? kept.hrefs.indexOf(location.pathname) : -1;
  if (crumb && !list && n >= 0) {
    const go = (href, key, words) => { const a = el("a", {href, textContent: words + " "}, el("kbd", {textContent: key})); a.dataset.key = key; return a; };
    const row = el("span", {className: "row push"});
    if (n > 0) row.append(go(kept.hrefs[n - 1], "k", body.dataset.previous));
    row.append(Object.assign(el("a", {href: kept.from + (kept.from.includes("?") ? "&" : "?") + "at=" + location.pathname.split("/").pop()}), {textContent: n + 1 + " / " + kept.hrefs.length}));
    if (n < kept.hrefs.length - 1) row.append(go(kept.hrefs[n + 1], "j", body.dataset.next));
    crumb.append(row);
  }
} catch { /* no storage here: the list itself stays one click away */ }

/* live pages: the server says which tables changed; what shows them is fetched anew unless somebody works in it */
if (window.EventSource && csrf && $("#pill")) {
  const source = new EventSource("/live");
  source.addEventListener("pill", () => htmx.ajax("GET", "/pill", {target: "#pill", swap: "outerHTML"}));
  source.addEventListener("changed", e => {
    const tables = e.data.split(" ");
    for (const part of $$("[data-live]")) {
      if (!part.dataset.live.split(" ").some(t => tables.includes(t))) continue;
      const busy = part.contains(document.activeElement) && document.activeElement !== document.body || $(":checked[name=id], details[open], [data-inline]", part);
      if (!busy && part.id) htmx.ajax("GET", location.pathname + location.search, {target: "#" + part.id, select: "#" + part.id, swap: "outerHTML"});
      else if (!$("#again")) say(body.dataset.again, Object.assign(el("button", {className: "btn small", id: "again", textContent: "↻", onclick: () => location.reload()}), {ariaLabel: body.dataset.again}));
    }
  });
  addEventListener("pagehide", () => source.close());
}
document.addEventListener("htmx:afterSettle", e => { selection(); ($("[data-inline] :is(input:not([type=hidden]), select, textarea)", e.target) || $("[autofocus]", e.target))?.focus(); });
selection();
})();
