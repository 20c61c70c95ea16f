// The server's interface as this page needs it.

export class ApiError extends Error {
  constructor(message, status, field) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

const fields = (key, more = {}) => (key ? { Authorization: `Bearer ${key}`, ...more } : more);

async function failure(response) {
  try {
    const { error } = await response.json();
    return new ApiError(error.message, response.status, error.field);
  } catch {
    return new ApiError(`The server answered ${response.status} ${response.statusText}.`, response.status);
  }
}

export async function getJson(path, key) {
  const response = await fetch(path, { headers: fields(key) });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** Speaks; calls on[event](data) for start, audio and end. Throws ApiError, or AbortError when `signal` is used. */
export async function speak(request, key, signal, on) {
  const response = await fetch("/api/tts/stream", {
    method: "POST",
    headers: fields(key, { "Content-Type": "application/json", Accept: "text/event-stream" }),
    body: JSON.stringify(request),
    signal,
  });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  let ended = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    if (!(parts.length > 1 ? parts.at(-2).slice(-1) + value : value).includes("\n\n")) continue;
    const blocks = parts.join("").split("\n\n");
    parts = [blocks.pop()];
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = JSON.parse(/^data: (.*)$/m.exec(block)[1]);
      if (event === "error") throw new ApiError(data.error.message, 200, data.error.field);
      ended ||= event === "end";
      on[event]?.(data);
    }
  }
  if (!ended) throw new ApiError("The connection was lost before the speech was finished.", 0);
}
