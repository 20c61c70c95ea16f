// The page: a form, one audio element, a waveform. Speech is played from its first piece on; when the element reaches the end of
// what it has, it gets the longer file that has arrived meanwhile and goes on from there.

import { ApiError, getJson, speak } from "./api.js";
import { Clip, fromBase64 } from "./wav.js";

const $ = (id) => document.getElementById(id);
const audio = $("audio");
const canvas = $("wave");

let clip = null; // what has arrived
let played = 0; // samples of it that the audio element has
let settling = 0; // timer: pieces of one chunk come in a burst, which is played as one
let running = null; // AbortController of the request under way
let ready = false;
let key = new URLSearchParams(location.search).get("key") ?? "";

// ---- words ----

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

function explain(error) {
  if (error instanceof ApiError) {
    if (error.status === 401) {
      $("key-field").hidden = false;
      if (!key) $("key").focus();
    }
    return error.message;
  }
  return "The server cannot be reached. Is it running?";
}

const seconds = (s) => (s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(2)} s`);

// ---- waveform ----

function draw() {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const paint = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const step = 4 * ratio;
  const bars = Math.max(1, Math.floor(width / step));
  paint.clearRect(0, 0, width, height);
  const peaks = clip?.samples ? cachedPeaks(bars) : new Float32Array(bars);
  const now = clip?.samples ? audio.currentTime / clip.seconds : 0;
  for (let i = 0; i < bars; i++) {
    const h = Math.max(2 * ratio, Math.min(1, peaks[i] * 1.4) * height);
    paint.fillStyle = style.getPropertyValue(i / bars < now ? "--wave" : "--wave-rest");
    paint.fillRect(i * step, (height - h) / 2, step - 1.5 * ratio, h);
  }
}

let peaksOf = { samples: -1, bars: 0, peaks: null };
function cachedPeaks(bars) {
  if (peaksOf.clip !== clip || peaksOf.samples !== clip.samples || peaksOf.bars !== bars) {
    peaksOf = { clip, samples: clip.samples, bars, peaks: clip.peaks(bars) };
  }
  return peaksOf.peaks;
}

function animate() {
  draw();
  if (!audio.paused) requestAnimationFrame(animate);
}

// ---- playing ----

function load(from, play) {
  if (audio.src) URL.revokeObjectURL(audio.src);
  const url = URL.createObjectURL(clip.blob());
  played = clip.samples;
  audio.src = url;
  audio.currentTime = from;
  if (play) audio.play().catch(() => {}); // a browser may want a click first: the element's own button is there
}

const goOn = () => {
  if (clip && played < clip.samples) load(played / clip.rate, true);
  else draw();
};

function reset() {
  audio.pause();
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.removeAttribute("src");
  audio.load();
  clearTimeout(settling);
  clip = null;
  played = 0;
  if ($("download").href) URL.revokeObjectURL($("download").href);
  $("download").removeAttribute("href");
  $("download").hidden = true;
  for (const id of ["t-first", "t-total", "t-length", "t-rtf", "t-seed"]) $(id).textContent = "–";
  draw();
}

// ---- speaking ----

function requestOf() {
  const request = { text: $("text").value, speed: Number($("speed").value), nfe_step: Number($("steps").value) };
  if ($("voice").value) request.voice_id = $("voice").value;
  if ($("seed").value.trim()) request.seed = $("seed").value.trim();
  if ($("format").value) request.sample_rate = Number($("format").value);
  return request;
}

function setBusy(busy) {
  $("speak").disabled = busy;
  $("stop").disabled = !busy && audio.paused;
  $("result").setAttribute("aria-busy", String(busy));
}

async function start() {
  if (running) return;
  showError("");
  reset();
  const mine = (running = new AbortController());
  const began = performance.now();
  const request = requestOf();
  setBusy(true);
  try {
    await speak(request, key, mine.signal, {
      start: (data) => {
        clip = new Clip(data.sample_rate);
        $("t-first").textContent = seconds((performance.now() - began) / 1000);
        $("t-seed").textContent = request.seed ?? data.seed; // a given one may have more digits than a number here
      },
      audio: (data) => {
        clip.add(fromBase64(data.audio_base64));
        $("t-length").textContent = seconds(clip.seconds);
        clearTimeout(settling);
        if (!audio.src) settling = setTimeout(() => load(0, true), 40);
        else if (audio.ended) settling = setTimeout(goOn, 40);
        draw();
      },
      end: (data) => {
        $("t-total").textContent = seconds((performance.now() - began) / 1000);
        $("t-rtf").textContent = data.rtf.toFixed(3);
        $("download").href = URL.createObjectURL(clip.blob());
        $("download").hidden = false;
        clearTimeout(settling);
        // Whoever does not listen just now gets the whole file at once, others at the end of what plays.
        if (!audio.src) load(0, true);
        else if (audio.paused && !audio.ended) load(audio.currentTime, false);
        else if (audio.ended) goOn();
      },
    });
  } catch (error) {
    if (error.name !== "AbortError") showError(explain(error));
  } finally {
    if (running === mine) running = null;
    setBusy(false);
  }
}

function stop() {
  clearTimeout(settling);
  running?.abort();
  running = null;
  audio.pause();
  setBusy(false);
}

// ---- the server's state ----

async function look() {
  let wait = 15000;
  try {
    const health = await getJson("/api/health", key);
    if (health.status === "ready") {
      $("server").textContent = `${health.model} · ${health.backend} · ${health.precision}`;
      if (!ready) await listVoices(health.default_voice);
      ready = true;
    } else {
      $("server").textContent = health.status === "loading" ? "The model is being loaded …" : "The server is closing down.";
      ready = false;
      wait = 1000;
    }
  } catch (error) {
    $("server").textContent = explain(error);
    ready = false;
    wait = 3000;
  }
  setTimeout(look, wait);
}

async function listVoices(chosen) {
  const voices = await getJson("/api/voices", key);
  const options = voices.map((v) => new Option(v.language ? `${v.id} (${v.language})` : v.id, v.id, false, v.id === chosen));
  if (options.length) $("voice").replaceChildren(...options);
}

// ---- wiring ----

const count = () => ($("count").textContent = `${[...$("text").value].length} / 5000`);
$("text").addEventListener("input", count);
$("speed").addEventListener("input", () => ($("speed-value").textContent = Number($("speed").value).toFixed(2)));
$("steps").addEventListener("input", () => ($("steps-value").textContent = $("steps").value));
$("key").addEventListener("change", () => {
  key = $("key").value;
  ready = false;
});
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("form").requestSubmit();
  } else if (event.key === "Escape") stop();
});
audio.addEventListener("play", () => {
  setBusy(Boolean(running));
  animate();
});
audio.addEventListener("pause", () => setBusy(Boolean(running)));
audio.addEventListener("ended", goOn);
audio.addEventListener("seeked", draw);
canvas.addEventListener("click", (event) => {
  if (!clip) return;
  const at = (event.offsetX / canvas.clientWidth) * clip.seconds;
  if (played < clip.samples) load(at, !audio.paused);
  else audio.currentTime = at;
});
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
count();
draw();
look();
