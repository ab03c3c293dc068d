"""WordPiece, as BERT's uncased models use it (Devlin et al. 2019; Wu et al. 2016, section 4.1).

Text is cleaned, lower-cased and stripped of accents; split at white space, punctuation and CJK ideographs; and each
word is cut, from the left, into the longest pieces the vocabulary has. Pieces that continue a word begin with "##".
A sentence is text alone: "[SEP]" written in it is not the special token.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MAX_WORD = 100
"""Characters above which a word counts as unknown instead of being cut."""

CJK_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class Tokenizer:
    """Turns sentences into token ids, [CLS] first and [SEP] last, at most `max_tokens` in all."""

    def __init__(self, vocabulary: Sequence[str], max_tokens: int) -> None:
        self._ids = {token: index for index, token in enumerate(vocabulary)}
        self._max_tokens = max_tokens

    def encode(self, sentence: str) -> list[int]:
        """The ids of the tokens of `sentence`."""
        pieces = [piece for word in split_words(sentence) for piece in self._cut(word)]
        tokens = ["[CLS]", *pieces[: self._max_tokens - 2], "[SEP]"]
        return [self._ids[token] for token in tokens]

    def _cut(self, word: str) -> list[str]:
        pieces: list[str] = []
        start = 0
        while start < len(word):
            piece = self._longest(word, start) if len(word) <= MAX_WORD else None
            if piece is None:
                return ["[UNK]"]
            pieces.append(piece)
            start += len(piece) - 2 * (start > 0)
        return pieces

    def _longest(self, word: str, start: int) -> str | None:
        prefix = "##" if start else ""
        candidates = (prefix + word[start:end] for end in range(len(word), start, -1))
        return next((piece for piece in candidates if piece in self._ids), None)


def split_words(sentence: str) -> list[str]:
    """The words of `sentence`, cleaned; each punctuation mark and CJK ideograph is a word of its own."""
    spaced = "".join(_space_out(char) for char in sentence)
    bare = "".join(char for char in unicodedata.normalize("NFD", spaced) if unicodedata.category(char) != "Mn")
    # Lower case character by character: str.lower of a whole word would end it in a final sigma, as BERT does not.
    return "".join(f" {char} " if _is_punctuation(char) else char for char in map(str.lower, bare)).split()


def _space_out(char: str) -> str:
    if char in "\t\n\r" or unicodedata.category(char) == "Zs":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"):
        return ""
    return f" {char} " if _is_cjk(char) else char


def _is_cjk(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in CJK_BLOCKS)


def _is_punctuation(char: str) -> bool:
    """BERT counts every ASCII mark as punctuation, also those that Unicode calls symbols ($, +, ^ and the like)."""
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or unicodedata.category(
        char
    ).startswith("P")
