// The chosen theme, put on before anything is painted.
"use strict";
try {
  const chosen = localStorage.getItem("ragwright.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off; the system's theme stays.
}
