"""A service that turns texts into vectors, and one that writes text token by
token. `config/demo.toml` runs both on two workers.

The "models" are small but real: a text's vector counts its letter trigrams in
512 buckets, and the writer follows the word pairs of the files it has read.
"""

from __future__ import annotations

import pathlib
import random
import re
import zlib
from collections.abc import Iterator

import numpy as np

from hornbeam_erlang import node, register_hook

BUCKETS = 512


def corpus() -> dict[str, str]:
    """Real texts: those of this repository, and the licences of the machine."""
    root = pathlib.Path(__file__).resolve().parent.parent
    files = sorted([*root.glob("*.md"), *root.glob("docs/*.md")])
    files += sorted(pathlib.Path("/usr/share/common-licenses").glob("*-*"))
    return {f.name: f.read_text(errors="replace") for f in files if f.is_file()}


class EmbeddingService:
    """Each method is an action of the hook `embeddings`."""

    def __init__(self) -> None:
        texts = corpus()
        self.names = sorted(texts)
        self.matrix = np.stack([self.encode(texts[name]) for name in self.names])

    def encode(self, text: str) -> np.ndarray:
        """The vector of a text: float32, shape (512,), length 1."""
        vector = np.zeros(BUCKETS, dtype=np.float32)
        letters = re.sub(r"\W+", " ", text.lower())
        for i in range(len(letters) - 2):
            vector[zlib.crc32(letters[i : i + 3].encode()) % BUCKETS] += 1
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector

    def similarity(self, a: str, b: str) -> float:
        """How alike two texts are, from 0 to 1."""
        return float(self.encode(a) @ self.encode(b))

    def search(self, query: str, count: int = 3) -> list[tuple[str, float]]:
        """The files whose text is most like the query, best first."""
        scores = self.matrix @ self.encode(query)
        best = np.argsort(-scores)[:count]
        return [(self.names[i], float(scores[i])) for i in best]

    def where(self) -> str:
        """The node that answers."""
        return node()


class Writer:
    """Each method is an action of the hook `llm`."""

    def __init__(self) -> None:
        self.after: dict[str, list[str]] = {}
        for text in corpus().values():
            words = text.split()
            for word, following in zip(words, words[1:]):
                self.after.setdefault(word, []).append(following)

    def generate(self, prompt: str, count: int = 12, seed: int = 1) -> Iterator[str]:
        """Tokens that go on from the last word of the prompt."""
        rng = random.Random(seed)
        word = prompt.split()[-1]
        for _ in range(count):
            word = rng.choice(self.after.get(word) or ["the"])
            yield word + " "

    def broken(self, count: int) -> Iterator[int]:
        """Some chunks, then an error."""
        yield from range(count)
        raise ValueError("the writer has run out of ink")


register_hook("embeddings", EmbeddingService)
register_hook("llm", Writer)
