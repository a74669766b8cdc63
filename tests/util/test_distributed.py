"""Shares of a batch, as far as one process can tell; the rest is in tests/test_several.py."""

import pytest
import torch

from util.distributed import Share, draw_rows, joined, own_rows, sharing, whole
from util.errors import UserError


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("total", [1, 2, 3, 4, 8, 9])
def test_every_row_is_in_one_share(total, processes):
    shares = [Share.of(total, rank=rank, processes=processes) for rank in range(processes)]
    rows = list(range(total))
    assert [row for share in shares if share.counts for row in share.take(rows)] == rows
    assert all(share.take(rows) == [0] for share in shares if not share.counts)
    sizes = [share.rows if share.counts else 0 for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.weight for share in shares) == pytest.approx(1)


def test_all_draw_what_one_process_draws():
    def draw(rows):
        return torch.rand(rows, 3, generator=torch.Generator().manual_seed(0))

    one = draw_rows(10, draw)  # two domains of five images
    found = []
    for rank in range(2):
        share = Share.of(5, rank=rank, processes=2)
        with sharing(share):
            assert whole(2 * share.rows) == 10
            found.append(draw_rows(2 * share.rows, draw))
    domains = [part.chunk(2) for part in found]
    assert torch.equal(torch.cat([part[d] for d in (0, 1) for part in domains]), one)


def test_outside_of_a_step_all_rows_are_own():
    with sharing(Share(1, 1, 2)):
        assert own_rows([5, 6]) == [6]
    assert own_rows([5, 6]) == [5, 6]


def test_variables_that_torchrun_sets_are_asked_for(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    words = "RANK is not set; start them with torchrun"
    with pytest.raises(UserError, match=words), joined(on_cuda=False):
        raise AssertionError("the block must not begin")
