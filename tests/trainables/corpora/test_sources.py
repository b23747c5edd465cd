import pickle

import numpy as np
import pytest
import soundfile

from search_spaces.study import Source
from trainables.corpora.corpus import AudioCache, CorpusError
from trainables.corpora.roles import expected_of_roles
from trainables.corpora.sources import open_roles, parse_source

FEW = "synthetic?speakers=3&dev_speakers=2&utterances=2&seconds=0.5"
FEW_OTHERS = f"{FEW}&seed=1"


def problems_of(roles):
    with pytest.raises(CorpusError) as error:
        open_roles(roles, sample_rate=16000)
    return error.value.problems


def test_mistakes_of_all_roles_are_told_at_once(tmp_path):
    """Each problem names its role."""
    (tmp_path / "manifest.csv").write_text("path,speaker\n")
    problems = problems_of(
        {
            "train": [str(tmp_path / "manifst.csv"), "sinthetic"],
            "dev": ["synthetic?speeker=3", "s3://bucket/manifest.csv"],
            "teacher": [FEW],
        }
    )
    assert problems[0] == "teacher: no such role of a corpus; roles: train, dev, test, trials, noise, rooms"
    assert problems[1] == f"train: {tmp_path / 'manifst.csv'}: no such file; did you mean 'manifest.csv'?"
    assert problems[2].startswith("train: sinthetic: no such source; sources: synthetic, ")
    assert problems[2].endswith("did you mean 'synthetic'?")
    assert problems[3].startswith("dev: synthetic?speeker=3: no option 'speeker'")
    assert problems[4].startswith("dev: s3://bucket/manifest.csv: a manifest is read from a folder; import it")
    assert len(problems) == 5


def test_a_folder_is_no_source(tmp_path):
    """Its manifest is asked for."""
    with pytest.raises(CorpusError, match=r"it is a folder without a corpus\.json: give its manifest, or import it"):
        parse_source(str(tmp_path))


def test_train_is_needed():
    """Without it there is nothing to study."""
    assert problems_of({"dev": [FEW]}) == ("train: a study needs a train corpus",)


def test_too_little_to_train_or_score_is_an_error(write_manifest, records):
    """Train needs two speakers with two utterances, dev a pair of one speaker and a pair of two."""
    single = write_manifest(records(9, 1), folder="single")
    alone = write_manifest(records(1, 3, prefix="alone"), folder="alone")
    assert problems_of({"train": [str(single)], "dev": [str(alone)], "test": []}) == (
        "train: at least 2 speakers with 2 utterances are needed, but 0 of 9 speakers have them",
        "dev: at least 2 speakers are needed for trial pairs, but it has 'alone000' alone",
    )
    assert problems_of({"train": [FEW], "dev": [str(single)]}) == (
        "dev: a speaker with 2 utterances is needed, but each of its 9 speakers has one",
    )


def test_test_files_are_looked_at_as_others_are(write_manifest, records):
    """A bad file is listed and left out, the others have their length; the test set has a fingerprint of its own."""
    rows = (
        records(8, 4, split="train")
        + records(2, 2, prefix="dev", split="dev")
        + records(2, 3, prefix="t", split="test")
    )
    manifest = write_manifest(rows)
    whole = open_roles({"train": [str(manifest)]}, sample_rate=16000)
    (manifest.parent / "t001/2.wav").write_bytes(b"")
    splits = open_roles({"train": [str(manifest)]}, sample_rate=16000)

    assert [("t001/2.wav", "empty file (0 bytes)")] == [(bad.path, bad.reason) for bad in splits.rejected]
    assert splits.rejected == splits.test.rejected
    assert [8000] * 5 == splits.test.table["num_samples"].to_pylist()
    assert 10 == len(splits.trials)
    assert whole.fingerprint == splits.fingerprint
    assert whole.test_fingerprint != splits.test_fingerprint


def test_a_test_set_is_scored_on_pairs_of_its_own(write_manifest, records):
    """Without a list they are made as for dev."""
    splits = open_roles({"train": [FEW], "test": [str(write_manifest(records(3, 2)))]}, sample_rate=16000)
    names = splits.test.table["speaker"].to_pylist()

    assert 15 == len(splits.trials)
    assert 3 == splits.trials.label.sum()
    for left, right, label in zip(splits.trials.left, splits.trials.right, splits.trials.label, strict=True):
        assert label == (names[left] == names[right])


def test_a_test_set_that_nobody_asked_for_may_be_too_small(write_manifest, records):
    """It is left out with a note; the same set as a role of its own is an error."""
    rows = records(6, 2, split="train") + records(2, 2, prefix="dev", split="dev")
    manifest = write_manifest(rows + records(1, 3, prefix="t", split="test"))
    splits = open_roles({"train": [str(manifest)]}, sample_rate=16000)
    problem = "test: at least 2 speakers are needed for trial pairs, but it has 't000' alone"

    assert (None, None, None) == (splits.test, splits.trials, splits.test_fingerprint)
    assert (f"no test set is scored: {problem}",) == splits.notes
    assert (problem,) == problems_of({"train": [FEW], "test": [str(manifest)]})


def test_rows_can_be_shared_without_a_look_at_files(write_manifest, records):
    """What a study would be made of, before it is opened; speakers in two splits are an error here too."""
    rows = records(4, 2, split="train") + records(2, 2, prefix="dev", split="dev")
    manifest = str(write_manifest(rows, audio=False))
    listed = expected_of_roles({"train": [manifest]}, sample_rate=16000)

    assert (8, 4, 0) == (len(listed.share.train), len(listed.share.dev), len(listed.share.test))
    shared = [{**row, "split": "dev"} for row in rows]
    both = str(write_manifest([*rows, *({**row, "path": f"again/{row['path']}"} for row in shared)], audio=False))
    with pytest.raises(CorpusError, match="train and dev must not share speakers, but both have 'speaker000'"):
        expected_of_roles({"train": [both]}, sample_rate=16000)


class TestFilters:
    """A role may take some rows of a source."""

    def test_rows_left_out_are_not_rejected_and_not_read(self, write_manifest, records):
        """Bad rows and missing files outside the filter do not matter; how many were chosen is told."""
        wanted = records(9, 3, room="studio")
        manifest = write_manifest(wanted)
        broken = [{"path": f"gone/{i}.wav", "speaker": "" if i % 2 else "s", "room": "street"} for i in range(30)]
        write_manifest([*broken, *wanted], audio=False)
        chosen = Source(source=str(manifest), where={"room": "Studio"})
        splits = open_roles({"train": [chosen], "dev": [FEW], "test": [FEW]}, sample_rate=16000)

        assert () == splits.rejected
        assert sorted(row["path"] for row in wanted) == splits.train.table["path"].to_pylist()
        assert (f'{manifest}: where {{ room = "Studio" }} chooses 27 of 57 rows',) == splits.notes

    def test_two_entries_of_one_manifest_are_joined(self, write_manifest, records):
        """A row that both choose counts once, however the manifest's path is written."""
        manifest = write_manifest([{**record, "take": i} for i, record in enumerate(records(6, 2))])
        other = f"{manifest.parent}/../{manifest.parent.name}/manifest.csv"
        entries = [
            Source(source=str(manifest), where={"take": {"max": 7}}),
            Source(source=other, where={"take": {"min": 4}}),
        ]
        splits = open_roles({"train": entries, "dev": [FEW], "test": [FEW]}, sample_rate=16000)
        whole = open_roles({"train": [str(manifest)], "dev": [FEW], "test": [FEW]}, sample_rate=16000)

        assert splits.fingerprint == whole.fingerprint
        assert [0] == sorted(set(splits.train.table["source"].to_pylist()))
        assert ["chooses 8 of 12 rows", "chooses 8 of 12 rows"] == [note[-20:] for note in splits.notes]

    def test_two_roles_may_share_a_manifest(self, write_manifest, records):
        """Train and dev by a column of the user's own."""
        manifest = write_manifest(records(6, 2, site="a") + records(3, 2, prefix="dev", site="b"))
        roles = {
            "train": [Source(source=str(manifest), where={"site": "a"})],
            "dev": [Source(source=str(manifest), where={"site": ["b", "c"]})],
        }
        splits = open_roles({**roles, "test": [FEW]}, sample_rate=16000)

        assert (12, 6) == (len(splits.train), len(splits.dev))
        assert {"dev000", "dev001", "dev002"} == set(splits.dev.table["speaker"].to_pylist())

    def test_a_split_column_counts_among_the_chosen_rows(self, write_manifest, records):
        """Rows without a split are no fault of those that have none among themselves."""
        plain = records(40, 2, corpus="new")
        manifest = write_manifest([*plain, *records(3, 2, prefix="old", corpus="old", split="train")])
        splits = open_roles({"train": [Source(source=str(manifest), where={"corpus": "new"})]}, sample_rate=16000)
        found = [s for corpus in (splits.train, splits.dev, splits.test) for s in corpus.table["speaker"].to_pylist()]

        assert sorted(row["speaker"] for row in plain) == sorted(found)
        assert () == splits.rejected

    def test_voices_are_chosen_by_what_is_known_of_them(self):
        """Speaker, gender, age and recording; their samples stay what they are."""
        women = Source(source="synthetic?speakers=20", where={"gender": "female", "age": {"min": 30, "max": 50}})
        splits = open_roles({"train": [women], "dev": [FEW]}, sample_rate=16000)
        whole = open_roles({"train": ["synthetic?speakers=20"], "dev": [FEW]}, sample_rate=16000)
        expected = [row for row in whole.train.table.to_pylist() if row["gender"] == "F" and 30 <= row["age"] <= 50]

        assert 0 < len(expected) < len(whole.train) / 2
        assert expected == splits.train.table.to_pylist()
        assert problems_of({"train": [Source(source="synthetic", where={"split": "train"})]}) == (
            "train: synthetic: where: no column 'split'; columns: 'speaker', 'gender', 'age', 'recording'",
        )

    def test_mistakes_of_filters_are_told_with_the_others(self, write_manifest, records):
        """An unknown column with the nearest, and a filter that leaves nothing."""
        manifest = str(write_manifest(records(4, 2, age=30)))
        roles = {
            "train": [Source(source=manifest, where={"aeg": 30}), Source(source=manifest, where={"room": 1})],
            "dev": [Source(source=manifest, where={"age": {"min": 31}}), Source(source=manifest, where={"age": 30})],
            "test": ["sinthetic"],
        }
        aeg, room, nothing, source = problems_of(roles)

        assert (
            f"train: {manifest}: where: no column 'aeg'; columns: 'path', 'speaker', 'age'; did you mean 'age'?" == aeg
        )
        assert f"train: {manifest}: where: no column 'room'; columns: 'path', 'speaker', 'age'" == room
        assert f"dev: {manifest}: where {{ age = {{ min = 31 }} }} leaves none of its 8 rows" == nothing
        assert source.startswith("test: sinthetic: no such source")


class TestLists:
    """The role trials: a list of pairs of test utterances."""

    def roles(self, tmp_path, write_manifest, records, text):
        (tmp_path / "list.txt").write_text(text)
        return {
            "train": [FEW],
            "test": [str(write_manifest(records(3, 2, prefix="s")))],
            "trials": [str(tmp_path / "list.txt")],
        }

    def test_a_list_reaches_the_workers_as_it_is(self, tmp_path, write_manifest, records):
        """Order, number, doubles and labels, labels that contradict the speakers too, which is told."""
        text = "0 s000/0.wav s002/1.wav\n1 s001/0.wav s001/1.wav\n0 s000/0.wav s002/1.wav\n1 s000/0.wav s002/0.wav\n"
        roles = self.roles(tmp_path, write_manifest, records, text)
        splits = pickle.loads(pickle.dumps(open_roles(roles, sample_rate=16000)))
        names = splits.test.table["path"].to_pylist()
        found = [
            f"{label:d} {names[left]} {names[right]}\n"
            for left, right, label in zip(splits.trials.left, splits.trials.right, splits.trials.label, strict=True)
        ]

        assert text == "".join(found)
        told = f"{roles['trials'][0]}: 1 of 4 trials are labelled otherwise than their speakers say; kept as given"
        assert (told,) == splits.notes

    def test_the_fingerprint_of_test_covers_the_list(self, tmp_path, write_manifest, records):
        """Its order and labels too; that of train and dev does not."""
        lines = ["0 s000/0.wav s002/1.wav", "1 s001/0.wav s001/1.wav", "1 s000/0.wav s000/1.wav"]
        changed = [lines, lines[::-1], [*lines[:2], "0 s000/0.wav s000/1.wav"], lines[:2], [*lines, lines[0]]]
        opened = [
            open_roles(self.roles(tmp_path, write_manifest, records, "\n".join(some)), sample_rate=16000)
            for some in [*changed, lines]
        ]

        assert opened[0].test_fingerprint == opened[-1].test_fingerprint
        assert len(changed) == len({splits.test_fingerprint for splits in opened})
        assert 1 == len({splits.fingerprint for splits in opened})

    def test_a_rejected_file_makes_the_list_unusable(self, tmp_path, write_manifest, records):
        """Its trial is not skipped: the list's figures would be those of another list."""
        rows = records(8, 2, prefix="s")
        manifest = write_manifest(rows)
        (manifest.parent / "s000/1.wav").write_bytes(b"")
        (tmp_path / "list.txt").write_text("1 s001/0.wav s001/1.wav\n0 s000/1.wav s001/1.wav\n")
        roles = {"train": [FEW], "test": [str(manifest)], "trials": [str(tmp_path / "list.txt")]}

        (problem,) = problems_of(roles)

        assert problem == (
            f"{roles['trials'][0]}: 1 of 2 trials name an utterance that is not in the test set: "
            "line 2 's000/1.wav' was left out: empty file (0 bytes)"
        )

    def test_a_list_may_make_a_small_test_set_scorable(self, tmp_path, write_manifest, records):
        """One utterance a speaker gives no pair of one speaker of ours, but the list says what is compared."""
        (tmp_path / "list.txt").write_text("p000/0.wav p001/0.wav target\np000/0.wav p002/0.wav nontarget\n")
        test = str(write_manifest(records(3, 1, prefix="p")))
        splits = open_roles({"train": [FEW], "test": [test], "trials": [str(tmp_path / "list.txt")]}, sample_rate=16000)

        assert [True, False] == splits.trials.label.tolist()

    def test_what_a_list_cannot_be(self, tmp_path, write_manifest, records):
        """Two of them, one with a filter, one that is missing, one on an object store, one without a test set."""
        roles = self.roles(tmp_path, write_manifest, records, "1 a b\n")
        (found,) = roles["trials"]

        assert problems_of({**roles, "trials": [found, found]}) == (
            "trials: a test set has one list of trials, but got 2",
        )
        assert problems_of({**roles, "trials": [Source(source=found, where={"label": 1})]}) == (
            f"trials: {found}: a list of trials is taken as it is; leave out its where",
        )
        assert problems_of({**roles, "trials": [f"{found[:-4]}s.txt"]}) == (
            f"trials: {found[:-4]}s.txt: no such file; did you mean 'list.txt'?",
        )
        assert (
            "trials: s3://a/b: a list of trials on an object store" in problems_of({**roles, "trials": ["s3://a/b"]})[0]
        )
        assert problems_of({"train": [f"{FEW}&test_speakers=0"], "trials": [found]}) == (
            f"{found}: a list of trials needs a test set; give a test corpus (test = …)",
        )


def test_sources_of_a_role_are_joined(write_manifest, records):
    """Two manifests with the same file names and the voices: every utterance keeps a name of its own."""
    one = write_manifest(records(3, 2, split="train"), folder="one")
    two = write_manifest([{**record, "speaker": "other"} for record in records(3, 2, split="train")], folder="two")
    splits = open_roles({"train": [str(one), str(two), FEW], "dev": [FEW_OTHERS]}, sample_rate=16000)
    names = splits.train.table["utterance"].to_pylist()
    assert len(names) == len(set(names)) == 18
    assert sorted(set(splits.train.table["source"].to_pylist())) == [0, 1, 2]
    assert splits.dev.num_speakers == 2


def test_what_is_worth_telling_is_told(write_manifest, records):
    """Channels averaged, rates changed, copies of a file; progress counts every file."""
    manifest = write_manifest(records(6, 2))
    stereo, slow = manifest.parent / "speaker000/0.wav", manifest.parent / "speaker001/0.wav"
    soundfile.write(stereo, np.random.default_rng(0).uniform(-0.1, 0.1, (8000, 2)), 16000)
    soundfile.write(slow, np.random.default_rng(1).uniform(-0.1, 0.1, 4000), 8000)
    (manifest.parent / "speaker002/1.wav").write_bytes((manifest.parent / "speaker002/0.wav").read_bytes())
    seen = []
    splits = open_roles(
        {"train": [str(manifest)], "dev": [FEW], "test": [FEW]},
        sample_rate=16000,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert splits.notes == (
        f"{manifest}: 1 file: 2 channels, averaged",
        f"{manifest}: 1 file: 8000 Hz, resampled to 16000 Hz",
        "the same content as another file: 1 file",
    )
    assert seen == [(done, 12) for done in range(1, 13)]
    lengths = dict(
        zip(splits.train.table["path"].to_pylist(), splits.train.table["num_samples"].to_pylist(), strict=True)
    )
    assert lengths["speaker001/0.wav"] == 8000


def test_a_source_is_heard_under_a_condition() -> None:
    """By a key of the source or an option of its text: other audio, another fingerprint, the same rows."""
    voices = "synthetic?speakers=8&dev_speakers=4&test_speakers=0&seconds=1"
    clean = open_roles({"train": [voices]}, sample_rate=8000)
    by_key = open_roles({"train": [Source(source=voices, condition="telephone?room=1")]}, sample_rate=8000)
    by_option = open_roles({"train": [f"{voices}&condition=telephone?room=1"]}, sample_rate=8000)

    assert by_key.fingerprint == by_option.fingerprint != clean.fingerprint
    assert clean.train.table["utterance"].equals(by_key.train.table["utterance"])
    heard, plain = (AudioCache(splits.train).waveform(0) for splits in (by_key, clean))
    assert len(heard) == len(plain)
    assert not np.array_equal(heard, plain)
    with pytest.raises(CorpusError, match=r"no condition 'telefone'.*did you mean 'telephone'"):
        open_roles({"train": [Source(source=voices, condition="telefone")]}, sample_rate=8000)
    with pytest.raises(CorpusError, match="given twice"):
        open_roles({"train": [Source(source=f"{voices}&condition=telephone", condition="telephone")]}, sample_rate=8000)


def test_names_that_several_sources_share_are_told() -> None:
    """Numbered speakers of two corpora are different people more often than not."""
    both = ["synthetic?speakers=6&dev_speakers=2", "synthetic?speakers=6&dev_speakers=2&idio=1"]
    splits = open_roles({"train": both}, sample_rate=8000)

    assert any("named alike in several sources, such as 'synthetic0-" in note for note in splits.notes)
    assert not any("named alike" in note for note in open_roles({"train": both[:1]}, sample_rate=8000).notes)
