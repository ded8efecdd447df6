"""The places that the agent or its host shall die at, and which of them it has died at. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

WHEN = ("before", "half", "after")


@dataclass(frozen=True, order=True)
class Place:
    """In an operation of `method`: a call of a port (`where`) and before, half way or after it; or a step of its
    saga and its mark. `undone`: the operation fails, and the place is in its undoing."""

    method: str
    where: str
    when: str
    undone: bool = False

    def __str__(self) -> str:
        return f"{self.method}{' undone' if self.undone else ''}: {self.where} ({self.when})"


class Deck:
    """Deals those first that were hit least, and of these those that were dealt least."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._hits = dict.fromkeys(places, 0)
        self._dealt: Counter[Place] = Counter()

    def deal(self, count: int, rng: random.Random) -> list[Place]:
        order = sorted(self._hits, key=lambda place: (self._hits[place], self._dealt[place], rng.random()))
        dealt = order[:count]
        self._dealt.update(dealt)
        return dealt

    def hit(self, place: Place) -> None:
        """One that isn't in the deck doesn't count."""
        if place in self._hits:
            self._hits[place] += 1

    @property
    def missed(self) -> list[Place]:
        return sorted(place for place, hits in self._hits.items() if not hits)

    def __str__(self) -> str:
        there = len(self._hits)
        return f"{there - len(self.missed)} of {there}, {sum(self._hits.values())} times"
