const field = document.getElementById("find"), list = document.getElementById("found");
const say = document.getElementById("said");
function score(entry, words) {
  let sum = 0;
  for (const word of words) {
    const name = entry.n.toLowerCase();
    if (name === word) sum += 100;
    else if (name.endsWith("." + word) || name.endsWith(":" + word)) sum += 60;
    else if (name.endsWith(word)) sum += 40;
    else if (name.includes(word)) sum += 20;
    else if (entry.t.toLowerCase().includes(word)) sum += 3;
    else return 0;
  }
  return sum;
}
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.replaceChildren();
  const hits = words.length ? INDEX.map(e => [score(e, words), e]).filter(h => h[0] > 0)
    .sort((a, b) => b[0] - a[0] || a[1].n.localeCompare(b[1].n)).slice(0, 30) : [];
  for (const [, entry] of hits) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = entry.u;
    link.textContent = entry.n + " – " + entry.t;
    item.append(link);
    list.append(item);
  }
  list.hidden = hits.length === 0;
  say.textContent = words.length ? hits.length + " found" : "";
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== field) { event.preventDefault(); field.focus(); }
  if (event.key === "Escape") { list.hidden = true; field.focus(); }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.hidden) {
    const links = [...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    const to = at + (event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
    (links[to] || field).focus();
  }
});
