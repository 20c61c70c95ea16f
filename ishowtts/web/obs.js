// The chat page's form for the overlay: its settings become an address for OBS, and a preview before a background.

import { apiKey } from "./api.js";
import { $, copyText, tell, toast } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { SETTINGS, overlayAddress, previewAddress, readSettings } from "./settings.js";

function fillOverlay() {
  for (const [name, rule] of Object.entries(SETTINGS)) {
    for (const input of $("obs").querySelectorAll(`[name="${name}"]`)) {
      if (input.type === "checkbox") input.checked = rule.value.split(",").includes(input.value);
      else input.value = rule.value;
      if (rule.min !== undefined) Object.assign(input, { min: rule.min, max: rule.max });
    }
  }
}

function showOverlay() {
  const form = new FormData($("obs"));
  const chosen = Object.fromEntries(form);
  chosen.show = form.getAll("show").join(",") || "words";
  const address = overlayAddress(chosen, apiKey());
  const { faults } = readSettings(new URL(address).searchParams);
  tell($("obs-fault"), faults.join(" "));
  $("address").value = address;
  $("preview").href = address;
  if (!faults.length && $("sample").dataset.address !== address) showSample(address);
  $("obs-key").hidden = !apiKey();
}

let sampleTimer = 0;
/** The overlay with a sample message, a full-size screen scaled to the page. */
function showSample(address) {
  $("sample").dataset.address = address;
  clearTimeout(sampleTimer);
  sampleTimer = setTimeout(() => $("sample").contentWindow.location.replace(previewAddress(address)), 200);
}

const fitSample = () => ($("sample").style.transform = `scale(${$("stage").clientWidth / 1920})`);

function showBackdrop() {
  const chosen = $("backdrop").value;
  $("picture").hidden = chosen !== "file";
  $("stage").dataset.backdrop = chosen;
  if (chosen !== "file") $("stage").style.backgroundImage = "";
}

function readPicture() {
  const reader = new FileReader();
  reader.onload = () => ($("stage").style.backgroundImage = `url("${reader.result}")`);
  if ($("picture").files[0]) reader.readAsDataURL($("picture").files[0]);
}

/** Begins to work with the form. */
export function overlayForm() {
  $("backdrop").addEventListener("change", showBackdrop);
  $("picture").addEventListener("change", readPicture);
  new ResizeObserver(fitSample).observe($("stage"));
  $("obs").addEventListener("input", showOverlay);
  $("obs").addEventListener("submit", (event) => event.preventDefault());
  $("copy").addEventListener("click", async () => {
    $("address").select();
    toast((await copyText($("address").value)) ? t("Copied.") : t("Press Ctrl + C to copy."));
  });
  addEventListener("keychanged", showOverlay);
  onLanguage(showOverlay);
  showBackdrop();
  fillOverlay();
  showOverlay();
}
