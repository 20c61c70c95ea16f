"""Text to tokens of a model: language guess, reading of numbers and symbols, phones or pinyin, vocabulary.

Nothing here imports torch.
"""

from .frontend import Frontend

__all__ = ["Frontend"]
