"""Text to the tokens a model reads: language guess, normalisation, pinyin or phones, vocabulary. Never imports torch."""

from .frontend import Frontend

__all__ = ["Frontend"]
