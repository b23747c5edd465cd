"""Room responses."""

import numpy as np
import pytest

from trainables.corpora.corpus import CorpusError
from trainables.corpora.rooms import Room, draw_room, list_rooms, room_response


def response(*, t60_s=0.4, direct_db=6.0, rate=16000, seed=0):
    return room_response(Room(t60_s, direct_db), sample_rate=rate, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(("t60_s", "direct_db", "rate"), [(0.15, 0.0, 8000), (0.6, 12.0, 16000), (0.3, -6.0, 44100)])
def test_a_response_is_as_the_room_says(t60_s, direct_db, rate):
    """Norm 1, T60 long, the direct sound first and so many dB over the rest; its energy falls by 60 dB in T60."""
    taps = response(t60_s=t60_s, direct_db=direct_db, rate=rate).astype(np.float64)

    assert 1 == pytest.approx(np.linalg.norm(taps))
    assert int(np.ceil(t60_s * rate)) == len(taps)
    assert direct_db == pytest.approx(10 * np.log10(taps[0] ** 2 / (taps[1:] ** 2).sum()), abs=1e-4)
    # Far behind the early reflections: halves of the tail lie as many dB apart as their distance says.
    first, last = np.array_split(taps[len(taps) * 2 // 5 :], 2)
    assert 60 * 0.3 == pytest.approx(10 * np.log10((first**2).mean() / (last**2).mean()), abs=1.5)


def test_early_reflections_stand_out_between_5_and_50_ms():
    """Three to six taps there are far above the tail around them, in most rooms."""
    counts = []
    for seed in range(30):
        taps = np.abs(response(t60_s=0.6, direct_db=0, seed=seed))
        tail = np.sqrt((taps[1:80] ** 2).mean())
        counts.append(int((taps[80:801] > 5 * tail).sum()))
        assert not (taps[801:] > 5 * tail).any()
    assert 3 <= np.median(counts) <= 6
    assert max(counts) <= 6


def test_rooms_are_drawn_in_their_ranges():
    rng = np.random.default_rng(0)
    rooms = [draw_room(rng) for _ in range(500)]

    assert 0.15 <= min(room.t60_s for room in rooms) < 0.16
    assert 0.59 < max(room.t60_s for room in rooms) <= 0.6
    assert draw_room(np.random.default_rng(0)) == rooms[0] != rooms[1]


def test_responses_are_listed_from_the_folder_or_its_parents(tmp_path):
    """simulated_rirs/<size>/<room>/*.wav, sorted; other files of the package are none."""
    root = tmp_path / "RIRS_NOISES" / "simulated_rirs"
    names = ["largeroom/Room001/b.wav", "largeroom/Room001/a.wav", "smallroom/Room002/c.wav"]
    for name in [*names, "largeroom/room_info", "smallroom/rir_list.txt", "../pointsource_noises/noise.wav"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    wanted = tuple(str(root / name) for name in sorted(names))

    assert [wanted] * 3 == [list_rooms(str(folder)) for folder in (tmp_path, tmp_path / "RIRS_NOISES", root)]


def test_a_folder_without_responses_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"no room responses; expected RIRS_NOISES/simulated_rirs/<size>/<room>"):
        list_rooms(str(tmp_path))
    with pytest.raises(CorpusError, match="no such folder"):
        list_rooms(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="is a file, not a folder"):
        list_rooms(str(tmp_path / "file"))
