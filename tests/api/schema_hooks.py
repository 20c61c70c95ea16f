"""What a schema cannot say, for schemathesis (SCHEMATHESIS_HOOKS): valid requests get words that can be spoken."""

from __future__ import annotations

from typing import Any

import schemathesis

SPOKEN = ("text", "input", "content")
CHARACTERS = 60  # of a text: what is tested is the contract, not the speech


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Leaves wrong requests as they are."""
    body = case.body
    if (
        not isinstance(body, dict)
        or case.meta is None
        or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE
    ):
        return
    for name in SPOKEN:
        if isinstance(body.get(name), str):
            body[name] = ("Yes. " + body[name])[:CHARACTERS]
    if body.get("markup"):
        body.pop("fix_duration", None)  # they do not go together
    if "said" in body:  # a word that the lexicon can have, in a language of the model
        body["word"], body["said"] = "Gif" + str(body.get("word", ""))[:8], "jiff"
        if body.get("language") is not None:
            body["language"] = "en"
    if "opus" in (body.get("format"), body.get("response_format")):
        body.pop("sample_rate", None)  # it takes fewer rates than the others
    # Limits in bytes, where a schema counts characters.
    shorten(body, ("id", "platform", "channel", "username", "user_id"))
    if isinstance(body.get("metadata"), dict):
        shorten(body["metadata"], ("language", "gift"))
        body["metadata"] = representable(body["metadata"])


def representable(value: Any) -> Any:
    """Whole numbers of more than 64 bits are no JSON for this server, wherever they stand."""
    if isinstance(value, dict):
        return {key: representable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [representable(item) for item in value]
    return 0 if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63 else value


def shorten(values: dict[str, Any], names: tuple[str, ...]) -> None:
    values |= {name: values[name][:8] for name in names if isinstance(values.get(name), str)}
