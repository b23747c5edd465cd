import numpy as np
import pytest

from trainables.corpora.corpus import CorpusError
from trainables.corpora.interventions import intervene, intervene_all, session
from trainables.corpora.pitch import median_f0, voiced_f0
from trainables.corpora.sources import open_roles
from trainables.corpora.speech import Change
from trainables.corpora.synthetic import MOST_UTTERANCES, SyntheticSource, read_options

RATE = 16000
INDICES = [speaker * MOST_UTTERANCES + 1 for speaker in range(8)]  # women are even


def source_of(options="seconds=2..3"):
    text = f"synthetic?{options}"
    return SyntheticSource(text=text, options=read_options(text))


def f0_of(samples):
    return median_f0([voiced_f0(samples, sample_rate=RATE)])


def spectrum_db(samples):
    """Long-term spectrum in dB, 40 Hz a bin, of samples at one level."""
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768, 400)[::160] * np.hanning(400)
    return 10 * np.log10(np.mean(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=0) + 1e-12)


def quiet_level_db(samples):
    """Level of the silence before the first syllable."""
    return 10 * np.log10(np.mean((samples[:320] / 32768) ** 2))


@pytest.mark.parametrize("sample_rate", [16000, 8000])
def test_own_values_give_the_original_to_the_last_bit(sample_rate):
    """Channel, noise, age and gender of the utterance itself, the age as the corpus's table rounds it."""
    train = open_roles({"train": ["synthetic?speakers=4&utterances=2&seconds=1"]}, sample_rate=sample_rate).train
    source = train.sources[0]
    for row in train.table.to_pylist():
        index = row["index"]
        original = source.waveform(path=None, index=index, sample_rate=sample_rate)
        said = intervene(
            source,
            index,
            channel=index,
            noise=session(source, index).room_db,
            age=row["age"],
            gender=row["gender"],
            sample_rate=sample_rate,
        )
        np.testing.assert_array_equal(said, original)


def test_a_changed_voice_that_is_the_same_gives_the_original():
    """The way through a change loses nothing: no draw is shifted by it."""
    source = source_of()
    for index in INDICES:
        np.testing.assert_array_equal(source.said(index, change=Change(voice=source.voice(index))), source.said(index))


def test_every_intervention_changes_what_is_heard_and_is_repeatable():
    """Alone and in a batch: the same samples."""
    source = source_of("seconds=1")
    for change in ({"channel": 7}, {"noise": -15.0}, {"age": 69.0}, {"gender": "M"}):
        pairs = intervene_all(source, INDICES[:3:2], **change)
        assert [pair.index for pair in pairs] == INDICES[:3:2]
        for pair in pairs:
            np.testing.assert_array_equal(pair.original, source.said(pair.index))
            np.testing.assert_array_equal(pair.changed, intervene(source, pair.index, **change))
            assert pair.changed.dtype == np.int16
            assert len(pair.changed) != len(pair.original) or (pair.changed != pair.original).any()


@pytest.mark.parametrize("options", ["seconds=2..3", "seconds=2&session=4&sep=3"])
def test_gender_moves_f0_and_formants_and_leaves_the_words(options):
    """Women are higher, in F0 by about the ratio of the means and in all formants; length and loudness stay."""
    source = source_of(options)
    for index in INDICES:
        as_woman, as_man = (intervene(source, index, gender=gender) for gender in "FM")
        assert len(as_woman) == len(as_man) == len(source.said(index))
        ratio = f0_of(as_woman) / f0_of(as_man)
        woman, man = (source.voice(index, gender=gender) for gender in "FM")
        assert ratio == pytest.approx(woman.f0_hz / man.f0_hz, rel=0.12)
        assert ratio > 1.25
        assert (woman.formants[:9].mean(axis=0) > 1.1 * man.formants[:9].mean(axis=0)).all()
        assert woman.syllable_rate == man.syllable_rate
        # Loudness over time is the words' and not the speaker's.
        loud = [
            np.log(np.maximum(np.abs(s[:24000].reshape(-1, 400).astype(float)).mean(axis=1), 1))
            for s in (as_woman, as_man)
        ]
        assert np.corrcoef(*loud)[0, 1] > 0.8


def test_age_moves_rate_jitter_and_tilt():
    """Older voices are slower, rougher and darker; so the same words take longer."""
    source = source_of()
    for index in INDICES:
        young, old = (source.voice(index, age=age) for age in (20, 70))
        assert old.syllable_rate < young.syllable_rate
        assert old.jitter > 2 * young.jitter
        assert old.aspiration > young.aspiration
        as_young, as_old = (intervene(source, index, age=age) for age in (20, 70))
        assert 1.05 * len(as_young) < len(as_old) < len(as_young) * young.syllable_rate / old.syllable_rate * 1.01
        high = slice(50, 100)  # 2 to 4 kHz
        low = slice(5, 25)
        tilts = [spectrum_db(samples)[high].mean() - spectrum_db(samples)[low].mean() for samples in (as_young, as_old)]
        assert tilts[1] < tilts[0]


def test_noise_fills_the_pauses_and_leaves_the_voice():
    """More noise: the quiet frames are louder; F0 stays."""
    source = source_of()
    for index in INDICES[:4]:
        clean, noisy = (intervene(source, index, noise=noise) for noise in (-50.0, -20.0))
        assert quiet_level_db(noisy) > quiet_level_db(clean) + 10
        assert f0_of(noisy) == pytest.approx(f0_of(clean), rel=0.05)


def test_channel_is_a_gain_over_frequency():
    """The spectra of two channels differ by the difference of their curves, up to one level."""
    source = source_of()
    index, other = INDICES[0], INDICES[3]
    difference = spectrum_db(intervene(source, index, channel=other)) - spectrum_db(source.said(index))
    at = np.array([250, 1000, 2500, 5500]) // 40
    expected = session(source, other).channel_db - session(source, index).channel_db
    offset = difference[at] - expected
    assert np.ptp(offset) < 1.0
    assert np.ptp(expected) > 2.0


def test_every_mistake_is_told():
    """Values out of their range, all at once."""
    with pytest.raises(CorpusError) as error:
        intervene(source_of(), 0, channel=-1, noise=99, age=12, gender="f")
    assert error.value.problems == (
        "channel: the index of an utterance, but got -1",
        "noise: -90 to 20 dB, but got 99",
        "age: 20 to 70 years, but got 12",
        "gender: F or M, but got 'f'",
    )
