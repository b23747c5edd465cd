"""Noise by recipe, and the layout of MUSAN."""

import numpy as np
import pytest

from trainables.corpora.corpus import CorpusError
from trainables.corpora.noises import NOISES, NoiseFile, list_musan, make_babble, make_music, make_noise

RATE = 16000


def made(kind, *, seconds=4.0, rate=RATE, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "music":
        return make_music(num_samples=int(seconds * rate), sample_rate=rate, rng=rng)
    return make_noise(kind, num_samples=int(seconds * rate), sample_rate=rate, rng=rng)


def spectrum(samples, rate=RATE):
    return np.fft.rfftfreq(len(samples), 1 / rate), np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2


def band(samples, low, high):
    frequency, power = spectrum(samples)
    return power[(frequency >= low) & (frequency < high)].mean()


@pytest.mark.parametrize("kind", [*NOISES, "music"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_every_kind_has_rms_1_and_follows_from_its_generator(kind, rate):
    """At any length: also of one sample."""
    samples = made(kind, rate=rate)

    assert (4 * rate, np.float32) == (len(samples), samples.dtype)
    assert 1 == pytest.approx(float(np.sqrt((samples.astype(np.float64) ** 2).mean())), rel=1e-5)
    np.testing.assert_array_equal(samples, made(kind, rate=rate))
    assert (samples != made(kind, rate=rate, seed=1)).any()
    assert np.isfinite(made(kind, seconds=1 / rate, rate=rate)).all()


@pytest.mark.parametrize(("kind", "decibels"), [("white", 0.0), ("pink", 3.01), ("brown", 6.02)])
def test_coloured_noise_falls_by_its_decibels_an_octave(kind, decibels):
    samples = made(kind, seconds=20)
    levels = [10 * np.log10(band(samples, low, 2 * low)) for low in (100, 200, 400, 800, 1600, 3200)]

    np.testing.assert_allclose(np.diff(levels), -decibels, atol=0.5)


def test_hum_stands_on_the_harmonics_of_the_mains():
    """50 or 60 Hz, both over some seeds."""
    found = set()
    for seed in range(10):
        frequency, power = spectrum(made("hum", seed=seed))
        on = {mains: power[np.isclose(frequency % mains, 0) & (frequency > 0)][:10].sum() for mains in (50, 60)}
        found.add(max(on, key=on.get))
        assert max(on.values()) > 0.95 * power.sum()
    assert {50, 60} == found


def test_clicks_are_short_and_some_two_a_second():
    """Most of the time there is little to hear."""
    counts = []
    for seed in range(10):
        loud = np.abs(made("clicks", seconds=10, seed=seed)) > 1.5
        starts = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]]))
        counts.append(int((np.diff(starts, prepend=-RATE) > 0.02 * RATE).sum()))
        assert loud.mean() < 0.05
    assert 20 == pytest.approx(np.mean(counts), abs=5)


def test_music_is_made_of_tones_that_decay():
    """Nearly all power lies in few bins; every chord begins louder than it ends."""
    samples = made("music", seconds=8)
    power = np.sort(spectrum(samples)[1])[::-1]

    assert power[: len(power) // 20].sum() > 0.9 * power.sum()
    assert samples[: RATE // 10].std() > 0.3


def test_babble_is_the_mean_of_5_to_8_voices_at_one_level():
    """How loud a voice was does not matter; voices of one frequency each tell how many there are."""
    time = np.arange(4 * RATE) / RATE
    voices = [
        (level * np.sin(2 * np.pi * 300 * (1 + k) * time)).astype(np.int16) for k, level in enumerate([300, 9000] * 6)
    ]
    counts = []
    for seed in range(40):
        babble = make_babble(voices, num_samples=RATE, rng=np.random.default_rng(seed))
        power = spectrum(babble)[1][300::300][:12]
        heard = power > 0.01 * power.max()
        np.testing.assert_allclose(power[heard], power.max(), rtol=0.01)
        counts.append(int(heard.sum()))
        assert 1 == pytest.approx(babble.std(), rel=1e-3)
    assert {5, 6, 7, 8} == set(counts)


def test_babble_of_silence_is_silence():
    silence = [np.zeros(100, dtype=np.int16)] * 3

    assert not make_babble(silence, num_samples=50, rng=np.random.default_rng(0)).any()


def test_an_unknown_noise_is_refused():
    with pytest.raises(ValueError, match="kind must be one of white, pink, brown, hum, clicks, but got 'red'"):
        made("red")


def test_musan_is_listed_by_kind_from_the_folder_or_its_parent(tmp_path):
    """Whole files, and those cut up one level deeper; lists and licences beside them are none."""
    root = tmp_path / "musan"
    whole = ["music/fma/b.wav", "music/fma/a.wav", "noise/free-sound/n.wav", "speech/librivox/s.wav"]
    pieces = ["noise/sound-bible/n7/00000.wav", "noise/sound-bible/n7/00001.wav"]
    for name in [*whole, *pieces, "README", "music/fma/ANNOTATIONS", "other/x/y.wav"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    wanted = tuple(NoiseFile(str(root / name), name.split("/")[0]) for name in sorted([*whole, *pieces]))

    assert wanted == list_musan(str(root)) == list_musan(str(tmp_path))


def test_a_folder_without_a_kind_is_refused(tmp_path):
    (tmp_path / "music" / "fma").mkdir(parents=True)
    (tmp_path / "music" / "fma" / "a.wav").touch()
    with pytest.raises(CorpusError, match=r"no wav files of noise and speech; expected musan/<kind>/<source>/\*\.wav"):
        list_musan(str(tmp_path))
