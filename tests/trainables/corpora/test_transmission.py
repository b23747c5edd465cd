"""What is heard after room, noise, second voice and the telephone."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.conditions import CLEAN, TELEPHONE, circumstances_of
from trainables.corpora.rooms import Room
from trainables.corpora.transmission import mulaw_round_trip, transmit

PLAIN = circumstances_of(CLEAN, key="a")
PHONE = replace(PLAIN, telephone=True)


def voice(*, seconds=2.0, rate=16000, rms=2000.0, seed=0):
    samples = np.random.default_rng(seed).standard_normal(int(seconds * rate)) * rms
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def rms(samples):
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def share_in_band(samples, *, low, high, rate=16000):
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    return power[(frequency >= low) & (frequency <= high)].sum() / power.sum()


def level_of(part, whole):
    """The power of what is left of a whole without its part, under the part's, in dB: by least squares."""
    part, whole = part.astype(np.float64), whole.astype(np.float64)
    scaled = part * (part @ whole) / (part @ part)
    return 20 * np.log10(rms(scaled) / rms(whole - scaled))


def test_mulaw_is_that_of_libsndfile():
    """Every 16-bit value after a round trip through a mu-law file."""
    samples = np.arange(-32768, 32768).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype="ULAW")
    file.seek(0)

    np.testing.assert_array_equal(soundfile.read(file, dtype="int16")[0], mulaw_round_trip(samples))


def test_the_telephone_cuts_the_band():
    """White noise comes out between 250 and 3450 Hz, mu-law's own noise aside, at its level."""
    heard = transmit(voice(), PHONE, sample_rate=16000)

    assert share_in_band(heard, low=200, high=3500) > 0.995
    assert share_in_band(heard, low=4000, high=8000) < 1e-4
    assert rms(voice()) == pytest.approx(rms(heard), rel=0.01)


def test_mulaw_is_heard():
    """A telephone's band alone takes away no bit; the coding adds noise some 35 to 40 dB below a voice."""
    time = np.arange(16000) / 16000
    tone = np.rint(8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)

    assert 30 < level_of(tone, transmit(tone, PHONE, sample_rate=16000)) < 45


def test_clean_is_the_same_samples():
    samples = voice()

    np.testing.assert_array_equal(samples, transmit(samples, PLAIN, sample_rate=16000))


@pytest.mark.parametrize("decibels", [0.0, 10.0, 20.0])
def test_noise_and_second_voice_have_their_levels(decibels):
    """Least squares tells voice and addition apart but for their chance likeness."""
    samples, second = voice(seconds=4), voice(seconds=4, seed=1, rms=300)
    noisy = transmit(samples, replace(PLAIN, noise_db=decibels), sample_rate=16000)
    crowded = transmit(samples, replace(PLAIN, second_db=decibels), sample_rate=16000, second_T=second)

    assert decibels == pytest.approx(level_of(samples, noisy), abs=0.25)
    assert decibels == pytest.approx(level_of(samples, crowded), abs=0.25)
    assert rms(samples) == pytest.approx(rms(noisy), rel=0.01)


def test_a_second_voice_sets_in_where_it_is_told_and_is_repeated():
    """A short one is heard again and again; a start of 1 gives the end of a long one."""
    samples, long = voice(), voice(seconds=4, seed=1)
    here = replace(PLAIN, second_db=0.0, start=1.0)
    heard = transmit(samples, here, sample_rate=16000, second_T=long)
    same = transmit(samples, here, sample_rate=16000, second_T=long[len(samples) :])

    np.testing.assert_array_equal(same, heard)
    short = voice(seconds=0.5, seed=1)
    np.testing.assert_array_equal(
        transmit(samples, here, sample_rate=16000, second_T=np.tile(short, 4)),
        transmit(samples, here, sample_rate=16000, second_T=short),
    )


def test_a_room_rings_after_the_sound():
    """A click is followed by an echo that is down by 60 dB after T60; nothing is heard before it."""
    click = np.zeros(16000, dtype=np.int16)
    click[4000] = 30000
    heard = transmit(click, replace(PLAIN, room=Room(t60_s=0.3, direct_db=0.0)), sample_rate=16000).astype(float)

    assert 4000 == int(np.abs(heard).argmax())
    assert np.abs(heard[:3999]).max() <= 1
    assert rms(heard[4400:5600]) > 10 * rms(heard[8000:8800])
    assert np.abs(heard[4000 + 4800 + 10 :]).max() <= 1


def test_an_echo_does_not_come_back_at_the_start():
    """What rings on after the end is lost."""
    click = np.zeros(16000, dtype=np.int16)
    click[15900] = 30000
    heard = transmit(click, replace(PLAIN, room=Room(t60_s=0.6, direct_db=0.0)), sample_rate=16000)

    assert np.abs(heard[:15899].astype(int)).max() <= 1


def test_peaks_are_not_clipped():
    """A square wave at full scale with a voice over it is made softer: its highest peak is just below full scale."""
    square = np.where(np.arange(16000) // 20 % 2, 32767, -32767).astype(np.int16)
    heard = transmit(square, replace(PLAIN, second_db=6.0), sample_rate=16000, second_T=voice())

    assert 0.99 * 32768 == pytest.approx(np.abs(heard.astype(int)).max(), abs=2)


@given(
    rate=st.sampled_from([8000, 11025, 16000, 44100, 6000]),
    num_samples=st.integers(0, 3000),
    level=st.sampled_from([0, 1, 300, 32767]),
    key=st.text(max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_length_is_kept_and_silence_stays_silence(rate, num_samples, level, key):
    """Any length at any rate; loud samples do not wrap around; digital silence gets no noise."""
    samples = (level * np.sign(np.sin(0.3 * np.arange(num_samples)))).astype(np.int16)
    here = replace(circumstances_of(replace(TELEPHONE, room=1, second=1), key=key), second_db=3.0)
    heard = transmit(samples, here, sample_rate=rate, second_T=voice(seconds=0.1, rate=rate))

    assert (num_samples, np.int16) == (len(heard), heard.dtype)
    assert level <= 1 or num_samples < 200 or heard.any()  # the coding may swallow the last bit
    assert level > 0 or not heard.any()


def test_words_alone_draw_echo_and_noise():
    """The same circumstances give the same samples; another key another noise."""
    samples = voice()
    first, again, other = (
        transmit(samples, circumstances_of(replace(TELEPHONE, room=1), key=key), sample_rate=16000) for key in "aab"
    )

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
