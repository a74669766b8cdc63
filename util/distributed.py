"""One run in several processes, as torchrun starts them: what is each one's, and what is of all.

All take the same steps, each on its `Share` of every batch, and so come to the same weights, losses
and errors. The first one alone writes and prints. Where there is one process, nothing here does
anything: values are handed back as they are.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from util.errors import UserError
from util.ranks import is_first, local_rank, processes, rank
from util.stop import Stopped

T = TypeVar("T")

# Of one exchange within a step. A process that dies closes its connections, which is seen at once:
# this is for a host that vanishes without a word.
STEP_PATIENCE = timedelta(minutes=10)
# Of those between steps, where one waits for another that decodes, validates or saves.
PATIENCE = timedelta(days=1)
START_AGAIN = "start them all again"


@dataclass(frozen=True)
class Share:
    """Rows `first` to `first + rows` of a batch of `total` are this process's.

    counts: False for a process that the batch has no row for. It takes part in every exchange, with
    the first row of all in its hands, which adds nothing to anything.
    """

    first: int
    rows: int
    total: int
    counts: bool = True

    @classmethod
    def of(cls, total: int, *, rank: int, processes: int) -> "Share":
        """Rows in their order, as evenly as whole rows can be dealt."""
        first, end = total * rank // processes, total * (rank + 1) // processes
        return cls(first, end - first, total) if first < end else cls(0, 1, total, counts=False)

    @property
    def weight(self) -> float:
        """Of a mean over these rows in the mean over all."""
        return self.rows / self.total if self.counts else 0.0

    def take(self, rows: Sequence[T]) -> Sequence[T]:
        """This process's of all rows of the batch."""
        return rows[self.first : self.first + self.rows]


_share: Share | None = None  # of the step at work, None outside and where there is one process
_control: dist.ProcessGroup | None = None  # of exchanges between steps, on the CPU


@contextmanager
def joined(*, on_cuda: bool = False, way_on: str = START_AGAIN) -> Iterator[None]:
    """Around all that the processes of a run do.

    on_cuda: whether they exchange tensors of GPUs; way_on: what to do once one of them is lost.
    Raises UserError where one of the others is lost. An error that ends them all is told by the
    first that comes to it; the others leave without a word, with exit code 2.
    """
    global _control
    if processes() == 1:
        yield
        return
    store = _meet(on_cuda=on_cuda)
    _control = dist.new_group(backend="gloo", timeout=PATIENCE)
    with ExitStack() as leaving:
        if not is_first():
            nowhere = leaving.enter_context(Path(os.devnull).open("w"))
            leaving.enter_context(redirect_stdout(nowhere))
        try:
            with naming_lost_processes(way_on):
                yield
        except UserError:
            if not _is_first_to_tell(store):
                raise SystemExit(2) from None
            raise
        except SystemExit:  # all leave
            dist.destroy_process_group()
            raise
    dist.destroy_process_group()
    _control = None


def _meet(*, on_cuda: bool) -> dist.Store:
    """Begin the process group. Raises UserError where torchrun's variables are not all there."""
    missing = [n for n in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(n)]
    if missing:
        raise UserError(
            f"this is one of {processes()} processes (WORLD_SIZE), and {missing[0]} is not set; "
            "start them with torchrun."
        )
    backend = "cpu:gloo,cuda:nccl" if on_cuda else "gloo"
    try:
        store, *_ = next(dist.rendezvous("env://", timeout=STEP_PATIENCE))
        dist.init_process_group(
            backend,
            store=store,
            rank=rank(),
            world_size=processes(),
            timeout=STEP_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes of the run do not find each other ({error}).") from None
    return store


def _is_first_to_tell(store: dist.Store) -> bool:
    try:
        return store.add("told", 1) == 1
    except RuntimeError:  # without torchrun it ends with the first process, which has told then
        return is_first()


@contextmanager
def naming_lost_processes(way_on: str) -> Iterator[None]:
    """Around all exchanges. Raises UserError where another process does not take part any more.

    way_on: what to do then.
    """
    try:
        yield
    except RuntimeError as error:
        # By their words: gloo's errors have no type of their own.
        lost = isinstance(error, dist.DistError) or "gloo" in str(error).lower()
        if processes() == 1 or not lost:
            raise
        # torchrun sends it now, and this process has yet to say why all of them end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise UserError(
            "another process of this run has ended, and what it or torchrun has printed tells why; "
            f"{way_on}."
        ) from None


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Around a step on such a share of a batch."""
    global _share
    _share = share
    try:
        yield
    finally:
        _share = None


def is_shared() -> bool:
    """Whether a step is at work on a share of a batch."""
    return _share is not None


def whole(rows: int) -> int:
    """How many rows the whole batch has, where this process has so many."""
    return rows if _share is None else rows // _share.rows * _share.total


def own_rows(rows: T) -> T:
    """This process's of all rows of the batch: a list or a tensor."""
    return rows if _share is None else _share.take(rows)


def draw_rows(rows: int, draw: Callable[[int], Tensor]) -> Tensor:
    """This process's rows of what is drawn for the whole batch, so that all draw the same.

    rows: how many are its own; several for each image are those of several domains, one domain
    after another. draw: rows -> (rows, ...).
    """
    drawn = draw(whole(rows))
    if _share is None:
        return drawn
    domains = drawn.unflatten(0, (-1, _share.total))
    return torch.cat([_share.take(domain) for domain in domains])


def first_row() -> int:
    """The number of this process's first row in the whole batch."""
    return 0 if _share is None else _share.first


def gather_domains(rows: Tensor, domains: int) -> Tensor:
    """`gather_rows` as one tensor; the rows are of so many domains, one domain after another."""
    if _share is None:
        return rows
    parts = [part.unflatten(0, (domains, -1)) for part in gather_rows(rows) if len(part)]
    return torch.cat(parts, dim=1).flatten(0, 1)


def gather_rows(rows: Tensor) -> list[Tensor]:
    """The rows of all processes, a tensor of each, in the order of the batch; without gradient.

    Without the rows that add nothing; images may have other sizes elsewhere.
    """
    if _share is None:
        return [rows]
    own = rows.detach() if _share.counts else rows[:0].detach()
    shapes = gather(tuple(own.shape))
    flat = own.new_zeros(max(map(prod, shapes)))
    flat[: own.numel()] = own.flatten()
    found = [torch.empty_like(flat) for _ in shapes]
    dist.all_gather(found, flat)
    return [f[: prod(shape)].view(shape) for f, shape in zip(found, shapes, strict=True)]


def batch_mean(means: Tensor) -> Tensor:
    """Means over this process's rows -> means over the whole batch, of any shape; no gradient."""
    if _share is None:
        return means
    total = means.detach() * _share.weight
    dist.all_reduce(total)
    return total


def scaled_for_average(loss: Tensor) -> Tensor:
    """A mean over this process's rows, so that the average of all processes' is that of the batch.

    DistributedDataParallel averages gradients, whatever the rows were.
    """
    return loss if _share is None else loss * (_share.weight * processes())


@torch.compiler.disable
def stack_of_all(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """values (n,) of each process (P, n), with gradient, and the counts (P, 1) behind them.

    The count of a process without a row of its own is 0.
    """
    # Here, as torch loads much with it.
    from torch.distributed.nn.functional import all_reduce

    counts = values.new_tensor([count if _share.counts else 0])
    own = (torch.arange(processes(), device=values.device) == rank())[:, None]
    found = all_reduce(torch.where(own, torch.cat([values, counts]), 0.0))
    return found[:, :-1], found[:, -1:].detach()


def gather(value: T) -> list[T]:
    """Any value of each process, in their order."""
    if processes() == 1:
        return [value]
    found: list[Any] = [None] * processes()
    dist.all_gather_object(found, value, group=_control)
    return found


def of_each(do: Callable[[], T]) -> list[T]:
    """What each process makes, in their order, handed to all; what ends one, ends all."""
    if processes() == 1:
        return [do()]
    try:
        mine = do()
    except (UserError, Stopped) as error:
        mine = _without_frames(error)
    return [_raised(value) for value in gather(mine)]


def of_first(do: Callable[[], T]) -> T:
    """What the first process makes, handed to all; what ends it there, ends it in all."""
    if processes() == 1:
        return do()
    found: list[Any] = [None]
    if is_first():
        try:
            found = [do()]
        except (UserError, Stopped) as error:
            found = [_without_frames(error)]
    dist.broadcast_object_list(found, src=0, group=_control)
    return _raised(found[0])


def made_by_host(make: Callable[[], T], *, elsewhere: Callable[[T], Callable[[], T]]) -> T:
    """What the first process of this host makes; a UserError there is one of all.

    elsewhere: of that, what makes the same in the other processes of the host.
    """
    if processes() == 1:
        return make()
    made = remake = None
    if local_rank() == 0:
        try:
            made = make()
            remake = elsewhere(made)
        except UserError as error:
            remake = _without_frames(error)
    remake = _raised(gather(remake)[rank() - local_rank()])
    return made if local_rank() == 0 else remake()


@contextmanager
def together() -> Iterator[None]:
    """A UserError in the block, or a signal, of one process becomes that of all at its end."""
    if processes() == 1:
        yield
        return
    mine = None
    try:
        yield
    except (UserError, Stopped) as error:
        mine = _without_frames(error)
    wrong = torch.tensor([mine is not None], dtype=torch.int32)
    dist.all_reduce(wrong, group=_control)
    if wrong:
        _raised(next(error for error in gather(mine) if error is not None))


def _without_frames(error: BaseException) -> BaseException:
    """Anew: an error that its own frame holds is a cycle, which keeps all that the frames hold."""
    return type(error)(*error.args)


def _raised(value: T) -> T:
    if isinstance(value, UserError | Stopped):
        raise value
    return value
