import os

import numpy as np
import pytest
import soundfile

from trainables.corpora.audio import (
    AudioFaultError,
    decode_file,
    examine_file,
    hear_file,
    num_samples_at,
    resample,
    to_int16,
)


def peak_hertz(samples_T, rate):
    spectrum = np.abs(np.fft.rfft(samples_T * np.hanning(len(samples_T))))
    return int(spectrum.argmax()) * rate / len(samples_T)


@pytest.mark.parametrize("from_rate", [8000, 22050, 44100])
def test_resampling_keeps_frequency_and_level(tmp_path, from_rate):
    """A 1 kHz sine of amplitude 0.5 is the same sine at 16 kHz, and as long."""
    time_T = np.arange(from_rate) / from_rate
    soundfile.write(tmp_path / "sine.wav", 0.5 * np.sin(2 * np.pi * 1000 * time_T), from_rate)
    samples_T = decode_file(str(tmp_path / "sine.wav"), sample_rate=16000) / 32768
    assert len(samples_T) == 16000
    assert peak_hertz(samples_T, 16000) == 1000
    assert np.sqrt(2 * np.mean(samples_T[2000:-2000] ** 2)) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("length", [1, 7, 441, 10001])
def test_the_length_after_resampling_is_known_before(length):
    """What the table says is what the waveform has, for rates with an odd ratio too."""
    samples_T = np.zeros(length, dtype=np.float32)
    assert len(resample(samples_T, from_rate=44100, to_rate=16000)) == num_samples_at(length, 44100, 16000)


def test_pcm16_comes_back_exactly(tmp_path):
    """Every int16 value survives the way through float."""
    values = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "all.wav", values, 16000, subtype="PCM_16")
    np.testing.assert_array_equal(decode_file(str(tmp_path / "all.wav"), sample_rate=16000), values)


def test_channels_are_averaged(tmp_path):
    """Two channels of 0.5 and 0.1 give 0.3."""
    stereo_TC = np.tile([0.5, 0.1], (8000, 1))
    soundfile.write(tmp_path / "stereo.wav", stereo_TC, 16000, subtype="FLOAT")
    expected = np.full(8000, round(0.3 * 32768), dtype=np.int16)
    np.testing.assert_array_equal(decode_file(str(tmp_path / "stereo.wav"), sample_rate=16000), expected)
    assert examine_file(str(tmp_path / "stereo.wav")).channels == 2


def test_what_is_beyond_full_scale_is_clipped():
    """Nothing wraps around."""
    assert to_int16(np.array([2.0, 1.0, -1.0, -2.0], dtype=np.float32)).tolist() == [32767, 32767, -32768, -32768]


def test_a_stream_without_a_length_is_whole(tmp_path):
    """A WAV written to a pipe tells a size of 2**32 - 1; that is no truncation."""
    file = tmp_path / "stream.wav"
    soundfile.write(file, np.zeros(8000), 16000)
    content = bytearray(file.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = b"\xff" * 4
    file.write_bytes(content)
    assert examine_file(str(file)).num_frames == 8000


def test_unscaled_floats_are_refused(tmp_path):
    """A float file that holds int16 values is named instead of clipped to noise."""
    soundfile.write(tmp_path / "loud.wav", 20000 * np.ones(8000), 16000, subtype="FLOAT")
    with pytest.raises(AudioFaultError, match=r"samples up to 20000, but audio is scaled to -1 \.\. 1"):
        examine_file(str(tmp_path / "loud.wav"))


def test_what_the_system_does_not_give_is_no_fault_of_the_file(tmp_path, monkeypatch):
    """A file without permission may be sound; one that is gone, or is no audio, is not."""
    soundfile.write(tmp_path / "closed.wav", np.zeros(800), 16000)
    (tmp_path / "words.wav").write_text("words")
    (tmp_path / "closed.wav").chmod(0)
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    own = os.geteuid()
    is_of_the_file = {}
    try:
        if own == 0:
            os.seteuid(65534)  # root may read everything
        for name in ("closed.wav", "words.wav", "gone.wav"):
            with pytest.raises(AudioFaultError) as raised:
                hear_file(name, sample_rate=16000)
            is_of_the_file[name] = raised.value.is_of_the_file
    finally:
        os.seteuid(own)

    assert is_of_the_file == {"closed.wav": False, "words.wav": True, "gone.wav": True}
