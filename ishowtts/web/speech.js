// Speaking through the server, heard while it is made. WAV comes as events with the server's own timings; the other
// formats come as the file itself, which is decoded again and again as it grows, so that what is heard is what is
// downloaded.

import { ApiError, ask } from "./api.js";
import { eventsOf } from "./events.js";
import { t } from "./i18n.js";
import { Clip, decode, fromBase64, fromS16 } from "./wav.js";

export const TYPES = { wav: "audio/wav", flac: "audio/flac", opus: "audio/ogg", mp3: "audio/mpeg" };

/** The formats of this server that a browser plays. A server without a description of itself speaks WAV. */
export async function formatsOffered() {
  try {
    const api = await (await ask("/openapi.json")).json();
    const find = (schema) =>
      schema?.$ref
        ? find(
            schema.$ref
              .slice(2)
              .split("/")
              .reduce((at, name) => at[name], api),
          )
        : schema;
    const field = find(
      find(api.paths["/api/tts"].post.requestBody.content["application/json"].schema).properties.format,
    );
    const options = [field, ...(field.anyOf ?? []), ...(field.allOf ?? [])]
      .map(find)
      .flatMap((option) => option.enum ?? []);
    return Object.keys(TYPES).filter((format) => format === "wav" || options.includes(format));
  } catch {
    return ["wav"];
  }
}

const lost = () => new ApiError(t("The connection was lost before the speech was finished."));

/** @typedef {{start: (about: {clip: Clip, seed: string, id: string}) => void, audio: (samples: Float32Array) => void,
 *  word: (word: import("./reading.js").Word) => void}} Listener word: of WAV alone */

async function speakEvents(request, signal, on) {
  const response = await ask("/api/tts/stream", {
    method: "POST",
    json: request,
    headers: { Accept: "text/event-stream" },
    signal,
  });
  let clip = null;
  for await (const { event, data } of eventsOf(response)) {
    const value = JSON.parse(data);
    if (event === "error") throw new ApiError(value.error.message, { status: 200, ...value.error });
    if (event === "start") {
      clip = new Clip(value.sample_rate);
      // a given seed may have more digits than a number here
      on.start({ clip, seed: String(request.seed ?? value.seed), id: value.request_id });
    } else if (event === "audio") {
      const samples = fromS16(fromBase64(value.audio_base64));
      clip.add(samples);
      on.audio(samples);
    } else if (event === "word") on.word(value);
    else if (event === "end") return { clip, blob: clip.wav(), rtf: value.rtf, unspoken: value.unspoken };
  }
  throw lost();
}

/** What the voice could not read, of the header `X-Unspoken: 2; first=%E4%BD%A0`. */
function unspokenOf(response) {
  const [, count = "0", first = ""] = /^(\d+); first=(\S*)$/.exec(response.headers.get("X-Unspoken") ?? "") ?? [];
  return { count: Number(count), first: decodeURIComponent(first) };
}

async function speakFile(request, signal, on) {
  const type = TYPES[request.format];
  const began = performance.now();
  const response = await ask("/api/tts/stream", {
    method: "POST",
    json: request,
    headers: { Accept: "audio/*" },
    signal,
  });
  const rate = Number(response.headers.get("X-Sample-Rate")) || 48000;
  const clip = new Clip(rate);
  const reader = response.body.getReader();
  const parts = [];
  let bytes = 0;
  let tried = 0;
  on.start({
    clip,
    seed: String(request.seed ?? response.headers.get("X-Seed")),
    id: response.headers.get("X-Request-Id"),
  });
  const listen = async (last) => {
    tried = bytes;
    let whole;
    try {
      whole = await decode(new Blob(parts, { type }), rate);
    } catch (error) {
      if (last)
        throw new ApiError(
          t("This browser cannot decode {format}: {why}", { format: request.format, why: error.message }),
        );
      return; // not enough yet for a single frame
    }
    // The last tenth of a second of a file that is still growing may change when its next frame is here.
    const fresh = whole.pieces[0].slice(
      clip.samples,
      last ? undefined : Math.max(clip.samples, whole.samples - Math.round(rate / 10)),
    );
    if (!fresh.length) return;
    clip.add(fresh);
    on.audio(fresh);
  };
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      throw error.name === "AbortError" ? error : lost();
    }
    if (part.done) break;
    parts.push(part.value);
    bytes += part.value.length;
    if (bytes > tried * 1.25 + 2048) await listen(false);
    signal.throwIfAborted();
  }
  await listen(true);
  const rtf = (performance.now() - began) / 1000 / clip.seconds;
  return { clip, blob: new Blob(parts, { type }), rtf, unspoken: unspokenOf(response) };
}

/** Speaks. @param {Object} request as in POST /api/tts @param {AbortSignal} signal @param {Listener} on
 *  @returns {Promise<{clip: Clip, blob: Blob, rtf: number, unspoken: {count: number, first: string}}>} throws ApiError,
 *  or AbortError */
export function speak(request, signal, on) {
  return (request.format ?? "wav") === "wav" ? speakEvents(request, signal, on) : speakFile(request, signal, on);
}
