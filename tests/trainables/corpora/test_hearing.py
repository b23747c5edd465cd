import numpy as np
import pytest

from trainables.corpora.hearing import is_suspect, level_dbfs, num_clipped, silent_share

RATE = 16000


def test_figures_of_samples_alone():
    """Level, runs at the extremes and silence of what can be worked out by hand."""
    square = np.tile(np.array([16384, -16384], dtype=np.int16), 8000)
    assert level_dbfs(square) == pytest.approx(-6.02, abs=0.01)
    assert level_dbfs(np.zeros(0, dtype=np.int16)) == -100
    assert num_clipped(square) == 0
    assert num_clipped(np.array([0, 9000, 9000, 9000, 1, 9000, 9000, -9000, -9000, -9000, -9000], dtype=np.int16)) == 7
    assert num_clipped(np.zeros(100, dtype=np.int16)) == 0
    half = np.concatenate([square, np.zeros(16000, dtype=np.int16)])
    assert silent_share(half, sample_rate=RATE) == pytest.approx(0.5)
    assert silent_share(np.zeros(16000, dtype=np.int16), sample_rate=RATE) == 1
    assert silent_share(np.zeros(10, dtype=np.int16), sample_rate=RATE) == 0


@pytest.mark.parametrize(
    ("gender", "f0_hz", "expected"),
    [("F", 120, True), ("F", 150, False), ("M", 150, False), ("M", 190, True), ("unknown", 400, False)],
)
def test_a_suspect_is_far_on_the_other_side(gender, f0_hz, expected):
    """Between the two borders nobody is one."""
    assert is_suspect(gender, f0_hz) == expected
