(() => {
  "use strict";
  // Words on hover: every mark of a chart carries its own in aria-label; without this script the page lacks nothing else.
  const tip = document.getElementById("tip");
  const words = (target) => {
    const mark = target instanceof Element ? target.closest(".drawing path[aria-label], .drawing [role=graphics-symbol][aria-label]") : null;
    return mark ? mark.getAttribute("aria-label") : "";
  };
  document.addEventListener("pointermove", (event) => {
    const text = words(event.target);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 10)}px`;
  });
})();
