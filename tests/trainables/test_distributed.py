"""Two gloo processes, with unequal shares of the rows, compute what one process computes on all of them, in float64."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainables.distributed import all_sum, gather_rows, world

CASES = [
    "batch norm (N, C)",
    "batch norm (N, C, T)",
    "batch norm (N, C, H, T)",
    "gathering",
    "AP loss",
    "AP loss, unequal shares",
    "contrastive mixup of Fast ResNet34",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each rank saved: {(size, rank): {case: tensors}}; see ranks.py."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).parent / "ranks.py"
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    ranks = [(1, 0), (2, 0), (2, 1)]
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(size), folder],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for size, rank in ranks
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    return {(size, rank): torch.load(folder / f"{size}-{rank}.pt") for size, rank in ranks}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_equal_one(results, case, rank):
    """Outputs, gradients (summed by the collectives, averaged over ranks), running statistics and weights to 1e-10."""
    expected, actual = results[1, 0][case], results[2, rank][case]
    assert len(expected) == len(actual)
    for wanted, got in zip(expected, actual, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_bf16_goes_over_processes_too(results, rank):
    """Under autocast the loss is near that of one process, and gradients are finite."""
    expected, actual = results[1, 0]["bf16"], results[2, rank]["bf16"]
    torch.testing.assert_close(actual, expected, rtol=0.05, atol=0.0)
    assert actual[1]


@pytest.mark.slow
def test_the_reference_learns(results):
    """The comparison is of something: the loss moves, gradients are not zero."""
    losses, scale_gradient, _, weight_gradient = results[1, 0]["AP loss"][:4]
    assert len(losses.unique()) == len(losses)
    assert scale_gradient.abs() > 1e-6
    assert weight_gradient.abs().min() > 1e-9


def test_without_a_process_group_everything_is_the_identity():
    """One process, nothing initialised: rank 0 of 1, and the tensors themselves come back."""
    x = torch.ones(2, 3, requires_grad=True)
    expected = (0, 1)
    assert expected == world()
    assert gather_rows(x) is x
    assert all_sum(x) is x
