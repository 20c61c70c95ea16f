// The microphone, as samples: what is sent is what was heard, at the microphone's own rate and without a lossy codec
// in between.

import { t } from "./i18n.js";
import { Clip } from "./wav.js";

export class Recorder {
  /** @param {(clip: Clip, peak: number) => void} heard after every piece; peak of the piece, 0 to 1 */
  constructor(heard) {
    this.heard = heard;
  }

  /** Asks for the microphone. Throws an Error whose message is a sentence for a person. */
  async start() {
    if (!navigator.mediaDevices)
      throw new Error(t("Recording works only on this computer (127.0.0.1) or over HTTPS. Upload a file instead."));
    // The voice as it is: what makes calls clear changes how a person sounds.
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      throw new Error(
        error.name === "NotAllowedError"
          ? t("Microphone access is blocked. Allow it in the address bar.")
          : t("No microphone found: {why}", { why: error.message }),
      );
    }
    this.context = new AudioContext();
    this.clip = new Clip(this.context.sampleRate);
    await this.context.audioWorklet.addModule("/web/recorder-worklet.js");
    const node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      this.clip.add(data);
      this.heard(
        this.clip,
        data.reduce((top, value) => Math.max(top, Math.abs(value)), 0),
      );
    };
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  /** Lets the microphone go. @returns {Promise<Clip>} */
  async stop() {
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
    return this.clip;
  }
}
