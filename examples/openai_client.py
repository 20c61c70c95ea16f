"""Speech from a running server by OpenAI's client: openai_client.py URL TEXT FILE.wav [VOICE].

URL is the server's address, such as http://127.0.0.1:27121. Any other client of OpenAI's speech API needs no more than
this address either.
"""

import os
import sys

from openai import OpenAI


def main(url: str, text: str, path: str, voice: str = "alloy") -> None:
    """Write `text` to `path` while it is being spoken."""
    client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("ISHOWTTS_KEY", "none"))
    speech = client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", voice=voice, input=text, response_format="wav") as answer:
        answer.stream_to_file(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
