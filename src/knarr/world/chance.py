"""Everything that is drawn by lot: uids, name suffixes, tokens, jitter.

A simulation passes a seed and draws the same cluster again; a cluster that faces the network passes none
and its secrets come from the operating system.
"""

from __future__ import annotations

import random
import secrets
import uuid

#: the alphabet of generateName: no vowels (no words) and no 0, 1, 3 (no look-alikes)
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Chance(random.Random):
    """A seeded generator with the draws Kubernetes needs."""

    def uid(self) -> str:
        """A random (version 4) UUID."""
        return str(uuid.UUID(int=self.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """What the API server appends to a generateName."""
        return "".join(self.choices(SUFFIX_ALPHABET, k=length))

    def token(self, nbytes: int = 32) -> str:
        """A secret in hexadecimal."""
        return self.randbytes(nbytes).hex()

    def jitter(self, seconds: float, factor: float = 1.0) -> float:
        """Between `seconds` and `seconds * (1 + factor)`."""
        return seconds * (1 + self.random() * factor)


class SecureChance(Chance):
    """Chance whose secrets cannot be guessed from what it drew before."""

    def token(self, nbytes: int = 32) -> str:
        return secrets.token_hex(nbytes)


def chance(seed: int | None = None) -> Chance:
    """Seeded and repeatable, or seeded by the operating system and safe for secrets."""
    return SecureChance() if seed is None else Chance(seed)
