import numpy as np
import pytest
import soundfile

from trainables.corpora.corpus import CorpusError
from trainables.corpora.sources import open_roles, parse_source

FEW = "synthetic?speakers=3&dev_speakers=2&utterances=2&seconds=0.5"


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
            "noise": [FEW],
        }
    )
    assert problems[0] == "noise: no such role of a corpus; roles: train, dev, test"
    assert problems[1] == f"train: {tmp_path / 'manifst.csv'}: no such file; did you mean 'manifest.csv'?"
    assert problems[2].startswith("train: sinthetic: no such source; sources: synthetic, ")
    assert problems[2].endswith("did you mean 'synthetic'?")
    assert problems[3].startswith("dev: synthetic?speeker=3: no option 'speeker'")
    assert problems[4].startswith(
        "dev: s3://bucket/manifest.csv: a corpus on an object store is not supported by this version"
    )
    assert len(problems) == 5


def test_a_folder_is_no_source(tmp_path):
    """Its manifest is asked for."""
    with pytest.raises(CorpusError, match="it is a folder: give its manifest"):
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


def test_test_rows_are_listed_and_never_read(write_manifest, records):
    """Their files may be missing: nothing looks at them, and their length is not known."""
    manifest = write_manifest(records(4, 2, split="train") + records(2, 2, prefix="dev", split="dev"))
    write_manifest(
        records(4, 2, split="train")
        + records(2, 2, prefix="dev", split="dev")
        + records(8, 2, prefix="t", split="test"),
        audio=False,
    )
    splits = open_roles({"train": [str(manifest)]}, sample_rate=16000)
    assert splits.rejected == ()
    assert splits.test.num_speakers == 8
    assert splits.test.table["num_samples"].null_count == 16
    assert not any(path.startswith("t") for path in splits.train.table["path"].to_pylist())


def test_sources_of_a_role_are_joined(write_manifest, records):
    """Two manifests with the same file names and the voices: every utterance keeps a name of its own."""
    one = write_manifest(records(3, 2, split="train"), folder="one")
    two = write_manifest([{**record, "speaker": "other"} for record in records(3, 2, split="train")], folder="two")
    splits = open_roles({"train": [str(one), str(two), FEW]}, sample_rate=16000)
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
