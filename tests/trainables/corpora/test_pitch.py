import numpy as np
import pytest

from trainables.corpora.interventions import session
from trainables.corpora.pitch import median_f0, voiced_f0
from trainables.corpora.synthetic import MOST_UTTERANCES, SyntheticSource, read_options


@pytest.mark.parametrize("options", ["session=0&seconds=3", "session=2&seconds=3"])
def test_most_voices_are_within_a_semitone(options):
    """Of 40 synthetic voices, men and women, beside the F0 that they were given; none is an octave off."""
    source = SyntheticSource(text="", options=read_options(f"synthetic?{options}"))
    errors = []
    for speaker in range(40):
        index = speaker * MOST_UTTERANCES
        given = source.voice(index).f0_hz * 2 ** (session(source, index).semitones / 12)
        found = median_f0([voiced_f0(source.said(index), sample_rate=16000)])
        errors.append(abs(12 * np.log2(found / given)))
    assert np.mean(np.array(errors) < 1) > 0.85
    assert max(errors) < 4


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("hertz", [80.0, 143.0, 250.0, 380.0])
def test_a_pulse_train_has_its_f0(rate, hertz):
    """Harmonics of falling strength, at any rate and level."""
    time = np.arange(rate) / rate
    wave = sum(np.cos(2 * np.pi * k * hertz * time + k) / k for k in range(1, 9))
    for peak in (300, 30000):
        samples = np.rint(peak * wave / np.abs(wave).max()).astype(np.int16)
        found = median_f0([voiced_f0(samples, sample_rate=rate)])
        assert found == pytest.approx(hertz, rel=0.01)


def test_noise_silence_and_short_recordings_have_no_f0():
    """No frame, or too few of them."""
    rng = np.random.default_rng(0)
    for samples in (
        np.zeros(16000, dtype=np.int16),
        np.rint(1000 * rng.standard_normal(16000)).astype(np.int16),
        np.zeros(100, dtype=np.int16),
    ):
        assert median_f0([voiced_f0(samples, sample_rate=16000)]) is None
    assert median_f0([]) is None
