"""A look at every file of a corpus."""

import numpy as np

from trainables.corpora.corpus import Row, table_of
from trainables.corpora.examination import examine
from trainables.corpora.sources import parse_source


def test_rows_of_known_length_are_rejected_when_too_short():
    """As files are, by their number and with the reason; at the limit itself they stay."""
    lengths = (6399, 6400, 16000, 0)
    rows = [Row(source=0, index=10 * i, utterance=f"u{i}", speaker="s", num_samples=n) for i, n in enumerate(lengths)]
    _, is_sound_N, rejected, _ = examine(
        table_of(rows), sources=(parse_source("synthetic"),), sample_rate=16000, min_s=0.4, progress=None
    )

    np.testing.assert_array_equal([False, True, True, False], is_sound_N)
    assert [
        "synthetic: row 1 (no path): too short: 6399 samples (0.3999 s), at least 0.4 s are needed",
        "synthetic: row 31 (no path): too short: 0 samples (0 s), at least 0.4 s are needed",
    ] == [str(bad) for bad in rejected]
