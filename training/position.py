"""How far a run has come."""

from dataclasses import dataclass


@dataclass
class Position:
    """Everything random in a run follows from this and the seed.

    epoch: the one that is under way, from 1; batches: of this epoch, done; step, images: of the
    whole run, done; epoch_batches: batches of a whole epoch; skipped: steps left out in a row just
    before (--on_nan skip).
    """

    epoch: int
    batches: int = 0
    step: int = 0
    images: int = 0
    epoch_batches: int = 1
    skipped: int = 0

    @property
    def share_done(self) -> float:
        """Of the current epoch."""
        return self.batches / self.epoch_batches

    @property
    def epochs_done(self) -> float:
        """With the part of the current epoch."""
        return self.epoch - 1 + self.share_done

    @property
    def images_an_epoch(self) -> int:
        """Of a run that has done whole epochs alone, from the first on, of the same images."""
        return self.images // (self.epoch - 1)

    def regroup(self, was: int | None, now: int) -> int:
        """From batches of `was` images to batches of `now`; None: of a new run.

        Returns how many images of the epoch are seen again, as a batch is the least to begin with.
        """
        done = self.batches * (was or now)
        self.batches = done // now
        return done - self.batches * now

    def advance(self, size: int, *, batches: int = 1) -> None:
        """One step on `size` images in so many batches further."""
        self.batches += batches
        self.step += 1
        self.images += size

    def next_epoch(self) -> None:
        """To the start of the following epoch."""
        self.epoch += 1
        self.batches = 0

    def reached(self, every: int, size: int) -> bool:
        """Whether the last batch of `size` images reached a multiple of `every` images."""
        return self.images // every > (self.images - size) // every
