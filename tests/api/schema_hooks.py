"""What a schema cannot say, for schemathesis (SCHEMATHESIS_HOOKS): valid requests get words that can be spoken, and a real clip."""

from __future__ import annotations

from typing import Any

import schemathesis

from ishowtts.voices import model_voices

SOURCE = model_voices("demo")[0]
assert SOURCE.audio is not None
CLIP = SOURCE.audio.read_bytes()
SPOKEN = ("text", "input", "content")
CHARACTERS = 60  # of a text: what is tested is the contract, not the speech


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Leaves wrong requests as they are."""
    body = case.body
    if not isinstance(body, dict) or case.meta is None or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        return
    if case.operation.path.startswith("/api/voices"):
        if "audio" in body:
            body["audio"] = CLIP
        if "text" in body:
            body["text"] = SOURCE.text
        return
    for name in SPOKEN:
        if isinstance(body.get(name), str):
            body[name] = ("Yes. " + body[name])[:CHARACTERS]
