"""What roles name: noise and rooms, official partitions that a role asks for, and what is listed without any audio."""

import pickle
from functools import partial

import numpy as np
import pytest
import soundfile

from search_spaces.study import Source
from trainables.corpora import sources
from trainables.corpora.banks import held_of, open_bank
from trainables.corpora.corpus import CorpusError
from trainables.corpora.kinds.catalogue import KINDS
from trainables.corpora.packing import pack
from trainables.corpora.roles import expected_of_roles
from trainables.corpora.sources import open_roles

RATE = 8000
FEW = "synthetic?speakers=3&dev_speakers=2&utterances=2&seconds=0.5"


def folder(root, *, hertz=300.0):
    """MUSAN and RIRS_NOISES with a file of each kind."""
    time_T = np.arange(RATE // 2) / RATE
    for kind in ("music", "noise", "speech"):
        (root / "musan" / kind / "a").mkdir(parents=True)
        soundfile.write(root / "musan" / kind / "a" / "1.wav", 0.3 * np.sin(2 * np.pi * hertz * time_T), RATE)
    (root / "RIRS_NOISES/simulated_rirs/small/r1").mkdir(parents=True)
    soundfile.write(root / "RIRS_NOISES/simulated_rirs/small/r1/1.wav", np.r_[0.5, 0.1, np.zeros(98)], RATE)
    return {"noise": [str(root / "musan")], "rooms": [str(root / "RIRS_NOISES")]}


def opened(**roles):
    return open_roles({"train": [FEW], **roles}, sample_rate=RATE)


def problems_of(call, roles, rate=RATE):
    with pytest.raises(CorpusError) as error:
        call({"train": [FEW], **roles}, sample_rate=rate)
    return error.value.problems


class TestNoiseAndRooms:
    """Two roles that are no corpora."""

    def test_they_are_a_bank_beside_the_corpora(self, tmp_path):
        """Its fingerprint is in that of the splits, which is what it was without one; its notes are told."""
        roles = folder(tmp_path)
        plain, heard, other = opened(), opened(**roles), opened(**folder(tmp_path / "other", hertz=500.0))

        assert plain.bank is None
        assert plain.fingerprint == opened(noise=[], rooms=[]).fingerprint
        assert len({splits.fingerprint for splits in (plain, heard, other)}) == 3
        assert [plain.train.fingerprint, plain.dev.fingerprint] == [heard.train.fingerprint, heard.dev.fingerprint]
        assert plain.test_fingerprint == heard.test_fingerprint
        bank = open_bank(noise=roles["noise"][0], rooms=roles["rooms"][0], sample_rate=RATE)
        assert bank.fingerprint == heard.bank.fingerprint

    def test_what_did_not_fit_is_told(self, tmp_path, monkeypatch):
        """A note of the bank is a note of the splits."""
        roles = folder(tmp_path)
        for n in range(3):
            soundfile.write(tmp_path / "musan/noise/a" / f"more{n}.wav", np.full(RATE, 0.1 * (n + 1)), RATE)
        monkeypatch.setattr(sources, "open_bank", partial(open_bank, max_bytes=4 * 2 * RATE))

        assert ["noise: 1 clips are held, more do not fit in its quarter of 0 MB"] == list(opened(**roles).notes)

    def test_each_role_has_its_own_clips_hours_and_fingerprint(self, tmp_path):
        """Other noise leaves the rooms what they are."""
        one, other = (opened(**folder(tmp_path / name, hertz=hertz)).bank for name, hertz in (("a", 300), ("b", 500)))

        assert (3, 1.5 / 3600) == (held_of(one, "noise").clips, held_of(one, "noise").hours)
        assert (1, 100 / RATE / 3600) == (held_of(one, "rooms").clips, held_of(one, "rooms").hours)
        assert held_of(one, "rooms") == held_of(other, "rooms")
        assert held_of(one, "noise").fingerprint != held_of(other, "noise").fingerprint

    def test_it_travels_without_a_copy(self):
        """Pickled with buffers beside it, as Ray does: its samples are in none of the bytes, and read-only there."""
        splits, buffers = opened(noise=["synthetic"], rooms=["synthetic"]), []
        data = pickle.dumps(splits, protocol=5, buffer_callback=buffers.append)
        there = pickle.loads(data, buffers=[buffer.raw().toreadonly() for buffer in buffers])

        assert len(data) < 100_000 < sum(len(clips.samples_N) for clips in splits.bank.clips.values())
        for kind, clips in splits.bank.clips.items():
            assert np.shares_memory(clips.samples_N, there.bank.clips[kind].samples_N)
            assert not clips.samples_N.flags.writeable
            assert not there.bank.clips[kind].samples_N.flags.writeable

    def test_their_problems_are_told_with_the_others(self, tmp_path):
        """Missing folders, and a file that is no audio."""
        wrong = {"dev": ["sinthetic"], "noise": [str(tmp_path / "a")], "rooms": [str(tmp_path / "b")]}
        noise, rooms, dev = problems_of(open_roles, wrong)

        assert f"noise: {tmp_path / 'a'}: no such folder" == noise
        assert f"rooms: {tmp_path / 'b'}: no such folder" == rooms
        assert dev.startswith("dev: sinthetic: no such source")
        roles = folder(tmp_path)
        (tmp_path / "musan/music/a/1.wav").write_bytes(b"no audio")
        (problem,) = problems_of(open_roles, roles)
        assert problem.startswith(f"noise: {tmp_path / 'musan/music/a/1.wav'}: not readable as audio")

    @pytest.mark.parametrize("call", [open_roles, expected_of_roles])
    def test_what_they_cannot_be(self, call):
        """One alone, several, filtered, or under a condition."""
        form = 'is one source, "synthetic" or a folder, without where and condition'

        assert ("noise: noise and rooms are given both or neither",) == problems_of(call, {"noise": ["synthetic"]})
        several = {"noise": ["synthetic", "synthetic"], "rooms": [Source(source="synthetic", where={"kind": "music"})]}
        assert (f"noise: {form}", f"rooms: {form}") == problems_of(call, several)
        heard = {"noise": ["synthetic"], "rooms": [Source(source="synthetic", condition="telephone")]}
        assert (f"rooms: {form}",) == problems_of(call, heard)

    def test_without_a_look_at_audio_missing_folders_are_told(self, tmp_path):
        """Everything else is listed all the same; a broken file is not seen."""
        roles = folder(tmp_path)
        (tmp_path / "musan/music/a/1.wav").write_bytes(b"no audio")

        assert () == expected_of_roles({"train": [FEW], **roles}, sample_rate=RATE).missing
        (tmp_path / "musan/music/a/1.wav").unlink()
        roles["rooms"] = [str(tmp_path / "b")]
        listed = expected_of_roles({"train": [FEW], **roles}, sample_rate=RATE)
        assert 6 == len(listed.share.train)
        noise, rooms = listed.missing
        assert noise.startswith(f"noise: {tmp_path / 'musan'}: no wav files of music")
        assert f"rooms: {tmp_path / 'b'}: no such folder" == rooms

    def test_a_bank_is_opened_after_all_that_lists_can_tell(self, tmp_path, monkeypatch):
        """What takes seconds does not come before a mistyped path."""

        def too_early(**_):
            pytest.fail("a bank was opened")

        monkeypatch.setattr(sources, "open_bank", too_early)
        roles = folder(tmp_path)

        (problem,) = problems_of(open_roles, {**roles, "dev": ["sinthetic"]})
        assert problem.startswith("dev: sinthetic: no such source")


@pytest.fixture(scope="module")
def voxceleb(trees, tmp_path_factory):
    """The places of VoxCeleb1 and VoxCeleb2, packed, in small: 4 and 30 speakers of the authors' dev, some of test."""
    root = tmp_path_factory.mktemp("voxceleb")
    places = {}
    for kind, speakers in (("voxceleb1", 4), ("voxceleb2", 30)):
        trees.tree(kind, root / kind, speakers=speakers, utterances=3)
        reader = KINDS[kind]
        lists = reader.trial_lists(root / kind)
        found = reader.read(root / kind, options={})
        pack(found, str(root / f"{kind}-packed"), kind=kind, folder=root / kind, trial_lists=lists)
        places[kind] = str(root / f"{kind}-packed")
    return places


def asked_for(place, split="train", **where):
    return Source(source=place, where={"split": split, **where})


class TestPartitions:
    """`where = { split = "train" }` takes that official partition, whatever the role's name."""

    def test_the_paper_s_corpora(self, voxceleb):
        """All of VoxCeleb2's dev is trained on, VoxCeleb1's dev selects, and its test set is scored with its list."""
        one, two = voxceleb["voxceleb1"], voxceleb["voxceleb2"]
        trials = ["pairs?most=12", f"{one}/trials/veri_test.arrow"]
        roles = {"train": [two], "dev": [asked_for(one)], "test": [one], "trials": trials}
        splits = open_roles(roles, sample_rate=16000)
        names = [set(corpus.table["speaker"].to_pylist()) for corpus in (splits.train, splits.dev, splits.test)]

        assert [
            {f"id{n:05d}" for n in numbers} for numbers in (range(12, 42), range(10001, 10005), (10270, 10271))
        ] == (names)
        assert [90, 12, 6] == [len(splits.train), len(splits.dev), len(splits.test)]
        assert 15 == len(splits.trials)
        assert 12 == splits.dev.most_pairs
        assert not any("split off" in note for note in splits.notes)

    def test_a_condition_on_split_may_name_any(self, voxceleb):
        """The test partition to train on; two partitions for dev; a value of another column beside it."""
        one, two = voxceleb["voxceleb1"], voxceleb["voxceleb2"]
        both = asked_for(one, ["train", "test"], gender="F")
        share = expected_of_roles(
            {"train": [asked_for(two, "Test")], "dev": [both], "test": [FEW]}, sample_rate=16000
        ).share

        assert {"id07000", "id07001", "id07002", "id07003", "id07004", "id07005", "id07006"} == set(
            share.train["speaker"].to_pylist()
        )
        assert {"id10001", "id10003", "id10270"} == set(share.dev["speaker"].to_pylist())

    def test_only_the_rows_that_the_condition_chose(self, write_manifest, records):
        """Of two entries for one source, one with it: the rows of the other go by their own split."""
        rows = records(2, 2, split="dev", room="a") + records(3, 2, prefix="x", split="train", room="a")
        rows += records(2, 2, prefix="y", split="train", room="b")
        manifest = str(write_manifest(rows, audio=False))
        entries = [asked_for(manifest, room="b"), Source(source=manifest, where={"room": "a"})]
        share = expected_of_roles({"train": [FEW], "dev": entries}, sample_rate=RATE).share

        assert {"speaker000", "speaker001", "y000", "y001"} == set(share.dev["speaker"].to_pylist())
        assert 8 == len(share.dev)

    def test_a_partition_in_two_roles_shares_its_speakers(self, voxceleb):
        """One folder may have two roles, but not one partition."""
        one = voxceleb["voxceleb1"]
        shared = problems_of(open_roles, {"train": [one], "dev": [asked_for(one)]}, 16000)

        assert shared[0].startswith("train and dev must not share speakers, but both have 'id10001', 'id10002'")
        (problem,) = problems_of(expected_of_roles, {"dev": [one]}, 16000)
        assert problem.endswith('dev = { source = …, where = { split = "train" } } takes another partition')

    def test_a_dev_set_that_is_not_given_is_still_split_off(self, voxceleb):
        """What train asked for stays where dev is given, and gives some speakers where it is not."""
        two = voxceleb["voxceleb2"]
        plain, asked = (expected_of_roles({"train": [some]}, sample_rate=16000).share for some in (two, asked_for(two)))

        assert 0 < len(asked.dev) < 90
        assert plain.dev["utterance"].to_pylist() == asked.dev["utterance"].to_pylist()


def test_utterances_that_are_scored_are_counted(write_manifest, records, tmp_path):
    """Of dev those in its pairs, of test those in the list, each once; without a list as of dev."""
    dev = str(write_manifest(records(30, 20), audio=False))
    test = str(write_manifest(records(4, 5, prefix="t"), folder="test", audio=False))
    lines = ["1 t000/0.wav t000/1.wav", "0 t000/0.wav t001/0.wav", "0 t001/0.wav t000/1.wav"] * 2
    (tmp_path / "list.txt").write_text("\n".join(lines))
    roles = {"train": [FEW], "dev": [dev], "test": [test]}
    whole = expected_of_roles(roles, sample_rate=RATE)
    few = expected_of_roles({**roles, "trials": ["pairs?most=10", str(tmp_path / "list.txt")]}, sample_rate=RATE)

    assert (600, 20) == (whole.dev_scored, whole.test_scored)
    assert 3 == few.test_scored
    assert 15 < few.dev_scored <= 20


VOICES = "synthetic?speakers=8&utterances=2&seconds=0.5&dev_speakers=4&test_speakers=3"
LONE = "a speaker with 2 utterances is needed, but each of its {} speakers has one"


@pytest.mark.parametrize(
    ("options", "more", "scored", "missing"),
    [
        ("", {}, (24, 18), ()),
        ("&test_utterances=1", {}, (24, 0), ()),
        ("&test_speakers=1", {}, (24, 0), ()),
        ("&test_utterances=1", {"trials": ["pairs?balance=gender"]}, None, ()),
        ("&dev_utterances=1", {}, (0, 18), ("dev: " + LONE.format(4),)),
        ("", {"test": [VOICES + "&seed=3&test_utterances=1"]}, (24, 0), ("test: " + LONE.format(3),)),
        ("", {"dev": [FEW.replace("speakers=2", "speakers=1") + "&seed=5"]}, (0, 18), None),
    ],
)
def test_what_a_run_would_not_score_is_not_expected(options, more, scored, missing):
    """As the run itself finds it: a test set that nobody asked for is left out, all else is refused."""
    given = VOICES
    for option in options.split("&")[1:]:
        name = option.partition("=")[0]
        given = "&".join(part for part in given.split("&") if not part.startswith(name)) + f"&{option}"
    roles = {"train": [given], **more}
    expected = expected_of_roles(roles, sample_rate=RATE)

    if scored is not None:
        assert scored == (expected.dev_scored, expected.test_scored)
    if missing is not None:
        assert missing == expected.missing
    if expected.missing:
        assert expected.missing == problems_of(open_roles, roles)
    else:
        splits = open_roles(roles, sample_rate=RATE)
        assert (expected.test_scored > 0) == (splits.trials is not None)


def test_a_list_without_a_test_set_is_not_expected_to_be_scored(tmp_path):
    """The run's own sentence."""
    (tmp_path / "list.txt").write_text("1 a b\n0 a c\n")
    roles = {"train": ["synthetic?speakers=8&utterances=2&dev_speakers=3&test_speakers=0"]}
    roles["trials"] = [str(tmp_path / "list.txt")]
    expected = expected_of_roles(roles, sample_rate=RATE)

    assert 0 == expected.test_scored
    assert expected.missing == problems_of(open_roles, roles)
