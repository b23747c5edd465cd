import numpy as np
import pytest

from trainables.corpora.syllables import draw_syllables, write_score
from trainables.corpora.voices import PAUSE_ID

HOP = 160


def runs(phones):
    """The phones without repetition."""
    return phones[np.concatenate([[True], np.diff(phones) != 0])]


def test_a_score_fills_its_frames_with_the_drawn_phones():
    """It begins with a silence; then come the phones in their order; the melody has mean 0 and spread 1."""
    syllables = draw_syllables(np.random.default_rng(1), rate=5.0, num_frames=300)
    score = write_score(syllables, rate=5.0, num_frames=300)
    assert score.phones[0] == PAUSE_ID
    said = runs(score.phones)[1:]
    drawn = [phone for phone in syllables.phones() if phone != PAUSE_ID]
    assert [phone for phone in said if phone != PAUSE_ID] == drawn[: np.count_nonzero(said != PAUSE_ID)]
    assert score.melody.mean() == pytest.approx(0, abs=1e-9)
    assert score.melody.std() == pytest.approx(1)
    seconds_a_syllable = np.diff(syllables.ends(5.0)[2::4]).mean()
    assert seconds_a_syllable == pytest.approx(0.2 + 0.12 * 0.26, rel=0.15)  # a fifth of a second, and pauses


def test_words_stay_when_the_rate_changes():
    """All phones of the original are said, in their order, and no other."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before, after = rng.uniform(4.4, 6.0, size=2)
        num_samples = int(rng.integers(8000, 64000))
        syllables = draw_syllables(rng, rate=before, num_frames=num_samples // HOP + 2)
        length = syllables.num_samples_at(after, num_samples=num_samples, from_rate=before)
        assert (length > num_samples) == (after < before)
        assert syllables.num_samples_at(before, num_samples=length, from_rate=after) == pytest.approx(
            num_samples, abs=2
        )
        phones = [
            runs(write_score(syllables, rate=rate, num_frames=frames // HOP).phones)
            for rate, frames in ((before, num_samples), (after, length))
        ]
        # The frame in which the utterance ends may just reach the next phone.
        shorter = min(map(len, phones))
        assert abs(len(phones[0]) - len(phones[1])) <= 1
        np.testing.assert_array_equal(phones[0][:shorter], phones[1][:shorter])
