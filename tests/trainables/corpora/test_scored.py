"""What a trained net is scored on: the corpus that a study would have had, without anything to train on."""

import pytest

from search_spaces.study import Source
from trainables.corpora.corpus import CorpusError
from trainables.corpora.scored import open_scored
from trainables.corpora.sources import open_roles

RATE = 16_000
TRAIN = "synthetic?speakers=6&utterances=2&dev_speakers=8&dev_utterances=2&test_speakers=0&seconds=1&seed=9"
TEST = "synthetic?speakers=1&utterances=1&dev_speakers=4&dev_utterances=3&test_speakers=8&test_utterances=3&seconds=1"


def records(splits: dict[str, str] | None = None, speakers: int = 5) -> list[dict[str, object]]:
    """Three files of each speaker, with an official split where one is given."""
    rows: list[dict[str, object]] = []
    for speaker in range(speakers):
        for utterance in range(3):
            row: dict[str, object] = {"path": f"s{speaker}-{utterance}.wav", "speaker": f"s{speaker}", "gender": "F"}
            rows.append({**row, "split": splits[f"s{speaker}"]} if splits else row)
    return rows


@pytest.mark.parametrize("trials", [None, "pairs?balance=gender", "pairs?most=20"])
@pytest.mark.parametrize("condition", [None, "telephone"])
def test_it_is_the_test_set_of_a_study(trials: str | None, condition: str | None) -> None:
    """The same rows, pairs and fingerprint as beside a train corpus."""
    roles = {"test": [Source(source=TEST, condition=condition)], **({"trials": [trials]} if trials else {})}
    alone = open_scored(roles, split="test", sample_rate=RATE)
    whole = open_roles({"train": [TRAIN], **roles}, sample_rate=RATE)

    assert whole.test is not None
    assert whole.test.table.drop_columns("source").equals(alone.corpus.table.drop_columns("source"))
    assert whole.test_fingerprint == alone.pairs.fingerprint(alone.corpus)


def test_dev_alike() -> None:
    """The role dev has pairs of its own."""
    alone = open_scored({"dev": [TEST]}, split="dev", sample_rate=RATE)

    assert open_roles({"train": [TRAIN], "dev": [TEST]}, sample_rate=RATE).dev.fingerprint == alone.corpus.fingerprint
    assert 4 == alone.corpus.num_speakers


def test_each_source_by_its_partition_or_whole(write_manifest) -> None:
    """One with a test partition gives it, one without partitions all, one with others all and a note."""
    splits = {"s0": "test", "s1": "test", "s2": "train", "s3": "train", "s4": "dev"}
    official = write_manifest(records(splits), folder="official")
    plain = write_manifest(records(), folder="plain")
    others = write_manifest(records(dict.fromkeys(splits, "train")), folder="others")
    found = {
        file.parent.name: open_scored({"test": [str(file)]}, split="test", sample_rate=RATE)
        for file in (official, plain, others)
    }

    assert {"official": 2, "plain": 5, "others": 5} == {name: each.corpus.num_speakers for name, each in found.items()}
    noted = {name: [note for note in each.notes if "all of it is scored" in note] for name, each in found.items()}
    assert [] == noted["official"]
    assert [f"test: {plain}: it has no partitions: all of it is scored"] == noted["plain"]
    assert f"test: {others}: it has no official partition of that name (there is train)" in noted["others"][0]
    both = open_scored({"test": [str(official), str(plain)]}, split="test", sample_rate=RATE)
    assert (2 + 5) * 3 == len(both.corpus)


def test_what_cannot_be_scored_is_said(write_manifest) -> None:
    """One speaker, too many bad files, a list that names what is not there."""
    one = write_manifest(records(speakers=1), folder="one")
    with pytest.raises(CorpusError, match="at least 2 speakers"):
        open_scored({"test": [str(one)]}, split="test", sample_rate=RATE)
    with pytest.raises(CorpusError, match="dev: at least 2 speakers"):
        open_scored({"dev": [str(one)]}, split="dev", sample_rate=RATE)
    bad = write_manifest(records(), folder="bad")
    for utterance in range(3):
        (bad.parent / f"s0-{utterance}.wav").write_text("no audio")
    with pytest.raises(CorpusError, match="3 of 15 rows are bad"):
        open_scored({"test": [str(bad)]}, split="test", sample_rate=RATE)
    (bad.parent / "list.txt").write_text("1 s1-0.wav s1-1.wav\n0 s1-0.wav s9-0.wav\n")
    sound = write_manifest(records(), folder="sound")
    with pytest.raises(CorpusError, match=r"s9-0\.wav"):
        open_scored({"test": [str(sound)], "trials": [str(bad.parent / "list.txt")]}, split="test", sample_rate=RATE)


def test_a_bad_file_is_left_out_and_named(write_manifest) -> None:
    """As in a study."""
    file = write_manifest(records(speakers=8))
    (file.parent / "s3-1.wav").write_text("no audio")
    found = open_scored({"test": [str(file)]}, split="test", sample_rate=RATE)

    assert ["s3-1.wav"] == [bad.path for bad in found.rejected]
    assert 23 == len(found.corpus)
