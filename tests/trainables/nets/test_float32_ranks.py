"""One process and two, in float32: the same activations bit for bit, so the same gradients to six digits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """What each rank saved, {(size, rank): {width: {parameter: gradient}}}; see float32_ranks.py."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).parent / "float32_ranks.py"
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
@pytest.mark.parametrize("width", [4, 16])
@pytest.mark.parametrize("rank", [0, 1])
def test_first_gradients_are_equal_to_1e_5(gradients, width, rank):
    """The largest difference over the largest gradient; with sums that depend on the company it is 0.05."""
    expected, actual = gradients[1, 0][width], gradients[2, rank][width]
    assert expected.keys() == actual.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert largest > 1e-3
    assert max((actual[name] - expected[name]).abs().max() for name in expected) <= 1e-5 * largest
