"""The GPU check as far as it goes without a GPU and without Ray: the same code on the CPU, with two gloo workers."""

import re

import pytest
import torch

from voxstudy.gpu_check import FAILED, NOT_CHECKED, OK, Check, bf16_step, compared, cuda, tried
from voxstudy.gpu_ranks import run_ranks


def test_bf16_points_where_float32_points():
    """On the CPU as on a GPU."""
    (check,) = bf16_step(torch.device("cpu"))
    assert OK == check.verdict, check


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What one worker and each of two computed."""
    folder = tmp_path_factory.mktemp("ranks")
    (one,), two = run_ranks(1, folder, device="cpu"), run_ranks(2, folder, device="cpu")
    return one, two


@pytest.mark.slow
def test_two_gloo_workers_agree_with_one(ranks):
    """Losses over 20 steps and gathered batch norm, in processes of their own."""
    one, two = ranks
    found = compared(one, two, device="cpu")
    assert [OK, OK] == [check.verdict for check in found], found


@pytest.mark.slow
@pytest.mark.parametrize(("what", "error", "failing"), [("losses", 1e-6, 0), ("gathered", 1e-3, 1)])
def test_a_difference_is_a_failure(ranks, what, error, failing):
    """Losses or batch norm of one of the workers that are off by little."""
    one, (first, second) = ranks
    value = second[what]
    off = value + error if what == "losses" else [*value[:1], value[1] + error, *value[2:]]
    found = compared(one, [first, second | {what: off}], device="cpu")
    assert FAILED == found[failing].verdict
    assert OK == found[1 - failing].verdict


@pytest.mark.slow
def test_losses_that_do_not_move_are_a_failure(ranks):
    """Equal they are, but nothing was learnt."""
    one, two = ranks
    still = [rank | {"losses": torch.zeros(20)} for rank in (one, *two)]
    assert FAILED == compared(still[0], still[1:], device="cpu")[0].verdict


def test_a_dry_run_is_not_a_check():
    """Without the GPUs that a check needs its success is "not checked", and its failure a failure."""
    fine, broken = Check("x", OK, "figures"), Check("x", FAILED, "figures")
    assert Check("x", NOT_CHECKED, "no GPU; dry run on the CPU: ok (figures)") == next(tried("x", 0, 1, lambda: [fine]))
    assert FAILED == next(tried("x", 0, 1, lambda: [broken])).verdict
    assert "1 GPU, 2 are needed" in next(tried("x", 1, 2, lambda: [fine])).detail
    assert fine == next(tried("x", 2, 2, lambda: [fine]))


def test_an_error_is_a_failure_in_one_line():
    """Whatever a check raises is said, and the other checks go on."""

    def raises():
        raise RuntimeError("first line\nsecond line")

    assert "x: FAILED: RuntimeError: first line" == str(next(tried("x", 1, 1, raises)))


@pytest.mark.slow
def test_a_rank_that_fails_is_told(tmp_path):
    """In its own last words."""
    with pytest.raises(RuntimeError, match="Error"):
        run_ranks(1, tmp_path, device="nonsense")


def test_without_gpus_nothing_is_said_to_be_checked():
    """The first line is of torch, whatever else follows."""
    assert re.fullmatch(r"CUDA: not checked: torch \S+, built .*, sees no GPU", str(cuda(0)))
