"""Data quality as a person would write it down: one object per instrument, no bits, no lines of memory."""

from dataclasses import dataclass, field
from itertools import combinations


@dataclass
class NaiveSamples:
    """What is known of the prices of one instrument."""

    z_max: float
    deviation: float
    floor: float
    weight: float
    warm_up: int
    agree: int
    mean: float = 0.0
    variance: float = 0.0
    samples: int = 0
    run: list[float] = field(default_factory=list)  # outliers that agree
    streak: int = 0
    outliers: int = 0
    accepted: int = 0

    def far(self, distance: float, centre: float) -> bool:
        """Whether a distance from a centre is too large."""
        size = abs(centre)
        score = self.z_max > 0 and distance * distance > self.z_max**2 * self.variance
        share = self.deviation > 0 and distance > self.deviation * size
        return (score or share) and distance > self.floor * size

    def is_outlier(self, price: float, margin: float = 0.0) -> bool:
        """Judges a price, then learns from it."""
        if self.samples >= self.warm_up and self.far(abs(price - self.mean) - margin, self.mean):
            self.outliers += 1
            self.note(price)
            return True
        weight = max(self.weight, 1 / (self.samples + 1)) if self.samples * self.weight < 1 else self.weight
        distance = price - self.mean
        self.mean += weight * distance
        self.variance = (1 - weight) * (self.variance + distance * (weight * distance))
        self.samples += 1
        self.run, self.streak = [], 0
        return False

    def note(self, price: float) -> None:
        """An outlier: alone, one of several that agree, or the end of a long row."""
        self.streak += 1
        candidate = sum(self.run) / len(self.run) if self.run else price
        apart = abs(price - candidate)
        if self.run and self.far(apart, candidate):
            self.run = []
        self.run.append(price)
        if len(self.run) < self.agree and self.streak < 8 * self.agree:
            return
        if len(self.run) < self.agree:
            self.variance = max(self.variance, apart * apart)
        self.mean = sum(self.run) / len(self.run)
        self.accepted += 1
        self.run, self.streak = [], 0


def are_apart(middles: list[float], share: float) -> bool:
    """Whether any two middles differ by more than a share of the larger."""
    return any(abs(one - other) > share * max(abs(one), abs(other)) for one, other in combinations(middles, 2))
