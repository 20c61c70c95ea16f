"""The C library from Python by ctypes alone: speak.py TEXT FILE.wav [name=value ...].

ISHOW_LIBRARY names the library where the dynamic linker does not find it.
"""

import array
import ctypes
import os
import sys
import wave


class Error(ctypes.Structure):
    """`ishow_error` of ishow.h."""

    _fields_ = (
        ("status", ctypes.c_int),
        ("field", ctypes.c_char * 32),
        ("message", ctypes.c_char * 480),
        ("retry_after", ctypes.c_double),
    )


def main(text: str, path: str, *settings: str) -> None:
    """Write `text`, spoken by the embedded voice, to `path`."""
    library = ctypes.CDLL(os.environ.get("ISHOW_LIBRARY", "libishow.so.0"))
    error, model, speech = Error(), ctypes.c_void_p(), ctypes.c_void_p()
    library.ishow_utterance_next.argtypes = [ctypes.c_void_p, ctypes.c_double, *[ctypes.c_void_p] * 3]

    def check(status: int) -> None:
        if status:
            sys.exit(f"speak.py: {error.message.decode()}")

    words = (ctypes.c_char_p * (len(settings) + 1))(*(word.encode() for word in settings), None)
    check(library.ishow_tts_open(ctypes.byref(model), b"demo", None, ctypes.byref(error)))
    check(library.ishow_tts_speak(model, text.encode(), words, ctypes.byref(speech), ctypes.byref(error)))
    piece, n = ctypes.POINTER(ctypes.c_float)(), ctypes.c_size_t()
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, library.ishow_tts_sample_rate(model), 0, "NONE", ""))
        while True:
            check(library.ishow_utterance_next(speech, -1, ctypes.byref(piece), ctypes.byref(n), ctypes.byref(error)))
            if not n.value:
                break
            samples = (max(-1.0, min(1.0, sample)) for sample in piece[: n.value])
            file.writeframes(array.array("h", (round(32767 * sample) for sample in samples)).tobytes())
    library.ishow_utterance_free(speech)
    library.ishow_tts_free(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
