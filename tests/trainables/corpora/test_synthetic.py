import subprocess
import sys

import numpy as np
import pytest

from trainables.corpora.corpus import AudioCache, CorpusError
from trainables.corpora.sources import open_roles, parse_source
from trainables.corpora.synthetic import Options, read_options, uniform


def open_synthetic(options="", sample_rate=16000):
    return open_roles({"train": [f"synthetic?{options}"]}, sample_rate=sample_rate)


def median_f0(samples, rate=16000):
    """Median F0 in Hz of the voiced frames: the highest peak of the autocorrelation between 70 and 400 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768, 640)[::320]
    frames = frames - frames.mean(axis=1, keepdims=True)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048, axis=1)) ** 2, axis=1)
    shortest, longest = rate // 400, rate // 70
    energy = correlation[:, 0]
    peaks = correlation[:, shortest:longest]
    voiced = (energy > 0.3 * np.median(energy)) & (peaks.max(axis=1) > 0.4 * energy)
    return rate / float(np.median(peaks[voiced].argmax(axis=1) + shortest))


def test_defaults_are_a_small_verification_task():
    """About 300 train speakers with 2 to 4 utterances, 40 dev speakers with 6, disjoint, of both genders."""
    splits = open_synthetic()
    counts = np.unique(splits.train.table["speaker"].to_pylist(), return_counts=True)[1]
    assert (splits.train.num_speakers, set(counts.tolist())) == (300, {2, 3, 4})
    assert (splits.dev.num_speakers, len(splits.dev)) == (40, 240)
    genders = splits.dev.table["gender"].to_pylist()
    assert genders.count("F") == genders.count("M") == 120
    ages = np.array(splits.train.table["age"].to_pylist())
    assert 20 <= ages.min() < 23
    assert 67 < ages.max() <= 70
    seconds = np.array(splits.train.table["num_samples"].to_pylist()) / 16000
    assert 2 <= seconds.min() < 2.1
    assert 5.9 < seconds.max() <= 6


def test_an_utterance_is_the_same_alone_and_in_any_corpus():
    """Its samples depend on seed, partition, speaker and number: not on what was made before, nor on how many."""
    options = "utterances=2&dev_speakers=2&seconds=0.5..1&speakers="
    few, many = (open_synthetic(f"{options}{speakers}").train for speakers in (3, 5))
    forward, backward = AudioCache(few), AudioCache(many)
    waveforms = [forward.waveform(i).copy() for i in range(len(few))]
    np.testing.assert_array_equal(AudioCache(few.select([4])).waveform(0), waveforms[4])
    places = {name: place for place, name in enumerate(many.table["utterance"].to_pylist())}
    for i, name in reversed(list(enumerate(few.table["utterance"].to_pylist()))):
        np.testing.assert_array_equal(backward.waveform(places[name]), waveforms[i])


def test_seed_and_difficulty_change_samples_and_fingerprint():
    """Every option that is heard is in the fingerprint; those of test speakers are not."""
    base = "speakers=2&utterances=2&dev_speakers=2&seconds=0.5..1"
    first = open_synthetic(base)
    heard = AudioCache(first.train).waveform(0)
    for option in ("seed=1", "session=1", "idio=1", "sep=2"):
        other = open_synthetic(f"{base}&{option}")
        assert other.fingerprint != first.fingerprint
        assert not np.array_equal(AudioCache(other.train).waveform(0), heard)
    assert open_synthetic(f"{base}&test_speakers=3").fingerprint == first.fingerprint


def test_level_length_and_room():
    """Rms 0.06, never clipped, no digital silence, as long as the table says."""
    train = open_synthetic("speakers=6&utterances=2&seconds=1..2").train
    cache = AudioCache(train)
    for i, expected in enumerate(train.table["num_samples"].to_pylist()):
        waveform = cache.waveform(i)
        assert (waveform.dtype, len(waveform)) == (np.int16, expected)
        assert np.sqrt(np.mean((waveform / 32768) ** 2)) == pytest.approx(0.06, rel=0.02)
        assert np.abs(waveform.astype(int)).max() <= 0.95 * 32768
        frames = waveform[: len(waveform) // 400 * 400].reshape(-1, 400).astype(float)
        assert frames.std(axis=1).min() > 1


@pytest.mark.parametrize(("gender", "expected"), [("F", 185.4), ("M", 115.8)])
def test_f0_is_that_of_the_recipe(gender, expected):
    """Without spread, session and age effects the voices sit at the mean of the knots, men and women apart."""
    train = open_synthetic("speakers=16&utterances=2&idio=0&session=0&sep=0&seconds=2").train
    cache = AudioCache(train)
    rows = [i for i, value in enumerate(train.table["gender"].to_pylist()) if value == gender]
    found = float(np.median([median_f0(cache.waveform(i)) for i in rows]))
    assert found == pytest.approx(expected, rel=0.06)


def test_another_rate_is_the_same_voice_resampled():
    """At 8 kHz an utterance has half the samples and the same F0."""
    options = "speakers=2&utterances=2&dev_speakers=2&seconds=1..2"
    at_16, at_8 = (open_synthetic(options, rate).train for rate in (16000, 8000))
    wide, narrow = AudioCache(at_16).waveform(1), AudioCache(at_8).waveform(1)
    assert len(narrow) == -(-len(wide) // 2)
    assert median_f0(narrow, 8000) == pytest.approx(median_f0(wide), rel=0.05)


def test_options_are_read_by_their_names():
    """Ranges, numbers and defaults."""
    options = read_options("synthetic?speakers=20&utterances=2..4&dev_utterances=3&session=1.5&seed=7")
    assert options == Options(speakers=20, utterances=(2, 4), dev_utterances=(3, 3), session=1.5, seed=7)
    assert parse_source("synthetic").options == Options()


def test_every_mistake_in_the_options_is_told():
    """Unknown names with the nearest, values out of form and out of range."""
    with pytest.raises(CorpusError) as error:
        read_options("synthetic?speeker=3&utterances=4..2&seed=x&session=-1&speakers=2.5&idio=9&seed=1")
    text = "synthetic?speeker=3&utterances=4..2&seed=x&session=-1&speakers=2.5&idio=9&seed=1: "
    told = [problem.removeprefix(text) for problem in error.value.problems]
    assert told[0].startswith("no option 'speeker'; options: speakers, dev_speakers")
    assert told[0].endswith("; did you mean 'speakers'?")
    assert told[1:] == [
        "utterances: a number or a range low..high, but got '4..2'",
        "seed: a whole number, but got 'x'",
        "session: at least 0 and finite, but got '-1'",
        "speakers: a whole number, but got '2.5'",
        "option 'seed' is there 2 times",
        "idio: at most 3, but got 9",
    ]


def test_the_hash_is_uniform_and_its_streams_differ():
    """Means and correlation of 10,000 numbers are those of independent uniform draws."""
    numbers = np.arange(10_000)
    one, two, other = uniform(0, 1, numbers), uniform(0, 2, numbers), uniform(1, 1, numbers)
    for values in (one, two, other):
        assert values.mean() == pytest.approx(0.5, abs=0.01)
        assert values.std() == pytest.approx(12**-0.5, abs=0.01)
    for values in (two, other, np.roll(one, 1)):
        assert abs(np.corrcoef(one, values)[0, 1]) < 0.04


def test_opening_needs_no_torch():
    """The driver opens and even hears synthetic corpora before torch is there."""
    code = (
        "import sys; from trainables.corpora.sources import open_roles; "
        "from trainables.corpora.corpus import AudioCache; "
        "AudioCache(open_roles({'train': ['synthetic']}, sample_rate=16000).dev).waveform(0); "
        "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
