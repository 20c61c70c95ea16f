"""Hooks of schemathesis (SCHEMATHESIS_HOOKS) for constraints that a schema cannot express: valid requests get texts
that can be spoken.
"""

from __future__ import annotations

from typing import Any

import schemathesis

SPOKEN = ("text", "input", "content")
CHARACTERS = 60  # characters of a text: the contract is tested, not the speech


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Does not change the bodies of invalid requests."""
    for name, value in case.path_parameters.items():
        if value == "":  # a link found no value; the path without this part is another one
            case.path_parameters[name] = "nobody"
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
        body.pop("fix_duration", None)  # these fields exclude each other
    if "said" in body:  # a word that the lexicon accepts, in a language of the model
        body["word"], body["said"] = "Gif" + str(body.get("word", ""))[:8], "jiff"
        if body.get("language") is not None:
            body["language"] = "en"
    if "opus" in (body.get("format"), body.get("response_format")):
        body.pop("sample_rate", None)  # this format has fewer rates than the others
    if isinstance(body.get("timestamp"), str):  # not before 1970; a leap year
        body["timestamp"] = "2024" + body["timestamp"][4:]
    # The server's limits are in bytes, those of a schema in characters.
    shorten(body, ("id", "platform", "channel", "username", "user_id"))
    if isinstance(body.get("metadata"), dict):
        shorten(body["metadata"], ("language", "gift"))
        body["metadata"] = representable(body["metadata"])


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Lines that the server accepts for any string, as a schema cannot express their grammar; none for other values."""
    if isinstance(value, str):
        return b'{"model": "tts-1", "voice": "anna", "input": "Yes, "}\n{"input": "we do."}\n'
    return repr(value).encode()


def representable(value: Any) -> Any:
    """Whether a value contains an integer of more than 64 bits, which this server's JSON parser refuses."""
    if isinstance(value, dict):
        return {key: representable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [representable(item) for item in value]
    return 0 if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63 else value


def shorten(values: dict[str, Any], names: tuple[str, ...]) -> None:
    values |= {name: values[name][:8] for name in names if isinstance(values.get(name), str)}
