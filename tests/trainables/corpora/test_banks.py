"""Noise and rooms in memory."""

import numpy as np
import pytest
import soundfile

from trainables.corpora.banks import KINDS, open_bank
from trainables.corpora.corpus import CorpusError

RATE = 8000


def musan(folder, *, seconds=(1.0, 12.0), rate=RATE):
    """Three files a kind and length; every sample tells its file and its second."""
    for k, kind in enumerate(("music", "noise", "speech")):
        for n, length in enumerate(seconds * 2):
            path = folder / "musan" / kind / f"src{n % 2}" / f"{kind}{n}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            time = np.arange(int(length * rate)) // rate
            soundfile.write(path, ((1 + time + 20 * n + 100 * k) * 10).astype(np.int16), rate)
    return str(folder / "musan")


def rirs(folder, *, number=6, rate=RATE, channels=1):
    for n in range(number):
        path = folder / "simulated_rirs" / "smallroom" / f"Room{n}" / "rir.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        taps = np.zeros((1000, channels))
        taps[10 + n, 0] = 0.25
        taps[500, -1] += 0.1
        soundfile.write(path, taps, rate)
    return str(folder)


def clips_of(bank, kind):
    clips = bank.clips[kind]
    return [clips.clip(i) for i in range(len(clips))]


def test_folders_are_held_in_pieces_of_5_s(tmp_path):
    """A file of 12 s gives two, a short one itself: of every file the first pieces come before a second of any."""
    bank = open_bank(noise=musan(tmp_path), rooms=rirs(tmp_path / "rirs"), sample_rate=RATE)

    assert set(KINDS) == set(bank.clips)
    for kind in ("music", "noise", "speech"):
        lengths = [len(clip) / RATE for clip in clips_of(bank, kind)]
        assert [1.0, 1.0, 5.0, 5.0] == sorted(lengths[:4])
        assert [5.0, 5.0] == lengths[4:]
        assert 4 == len({clip.tobytes() for clip in clips_of(bank, kind) if len(clip) > RATE})
    assert () == bank.notes


def test_no_more_is_held_than_the_bound(tmp_path):
    """A quarter for each kind; what does not fit is told."""
    bound = 4 * 2 * 6 * RATE
    folders = {"noise": musan(tmp_path), "rooms": rirs(tmp_path / "rirs")}
    bank = open_bank(**folders, sample_rate=RATE, max_bytes=bound)

    for kind in ("music", "noise", "speech"):
        assert bank.clips[kind].samples_N.nbytes <= bound // 4
        assert 2 <= len(bank.clips[kind]) < 6
    assert 3 == len(bank.notes)
    assert "more do not fit" in bank.notes[0]
    assert bank.fingerprint != open_bank(**folders, sample_rate=RATE, max_bytes=bound, seed=1).fingerprint
    assert bank.fingerprint == open_bank(**folders, sample_rate=RATE, max_bytes=bound).fingerprint


def test_a_response_is_kept_whole_and_of_its_first_microphone(tmp_path):
    """Scaled to a peak of half: the ratio of its taps stays; the second channel is not heard."""
    bank = open_bank(rooms=rirs(tmp_path, channels=2), sample_rate=RATE, made_clips=1)
    peaks = set()
    for clip in clips_of(bank, "rooms"):
        peaks.add(int(clip.argmax()))
        assert (1000, 16384) == (len(clip), clip.max())
        assert clip[500] == 0
    assert set(range(10, 16)) == peaks


def test_other_rates_are_resampled(tmp_path):
    bank = open_bank(noise=musan(tmp_path, rate=RATE * 2), rooms=rirs(tmp_path / "r", rate=RATE * 2), sample_rate=RATE)

    assert {RATE, 5 * RATE} == {len(clip) for clip in clips_of(bank, "music")}
    assert {500} == {len(clip) for clip in clips_of(bank, "rooms")}


def test_a_bank_is_made_when_no_folder_is_given():
    """The same for everyone; each kind has clips that are heard, and no two alike."""
    bank, again, other = (open_bank(sample_rate=RATE, seed=seed, made_clips=7) for seed in (0, 0, 1))

    assert bank.fingerprint == again.fingerprint != other.fingerprint
    for kind in KINDS:
        clips = clips_of(bank, kind)
        assert 7 == len(clips)
        assert 7 == len({clip.tobytes() for clip in clips})
        assert all(clip.any() for clip in clips)
    assert {5 * RATE} == {len(clip) for clip in clips_of(bank, "speech")}


def test_problems_of_both_folders_are_told_at_once(tmp_path):
    with pytest.raises(CorpusError) as caught:
        open_bank(noise=str(tmp_path / "a"), rooms=str(tmp_path / "b"), sample_rate=RATE)

    assert 2 == len(caught.value.problems)


@pytest.mark.parametrize("content", [b"no audio", None])
def test_a_broken_file_is_named(tmp_path, content):
    """Not readable, or without a sample."""
    folder = musan(tmp_path)
    path = tmp_path / "musan" / "noise" / "src0" / "noise0.wav"
    if content is None:
        soundfile.write(path, np.zeros(0), RATE)
    else:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"noise0\.wav: (not readable as audio|holds no samples)"):
        open_bank(noise=folder, sample_rate=RATE, made_clips=1)
