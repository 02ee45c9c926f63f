// A link to an image in a closed list opens the list; printing opens them all.
function open_target() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let list = target && target.closest("details"); list; list = list.parentElement.closest("details")) list.open = true;
  if (target) target.scrollIntoView({ block: "start" });
}
addEventListener("hashchange", open_target);
addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((list) => { list.open = true; }));
open_target();
