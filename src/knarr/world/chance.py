"""Everything that is drawn by lot: uids, name suffixes, tokens, jitter.

A simulation passes a seed and draws the same cluster again; a cluster that faces the network passes none
and its secrets come from the operating system.
"""

from __future__ import annotations

import random
import secrets

#: the alphabet of generateName: no vowels (no words) and no 0, 1, 3 (no look-alikes)
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


#: a digit with the two bits that say how the UUID is laid out
VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


class Chance(random.Random):
    """A seeded generator with the draws Kubernetes needs."""

    def uid(self) -> str:
        """A random (version 4) UUID."""
        d = f"{self.getrandbits(128):032x}"
        return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{VARIANT[d[16]]}{d[17:20]}-{d[20:]}"

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
