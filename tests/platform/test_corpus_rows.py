"""What a run writes down about its corpus."""

from pathlib import Path

from search_spaces.reading import read_study
from trainables.corpora.banks import KINDS, MADE_CLIPS
from trainables.corpora.sources import open_roles
from voxstudy.run import corpus_rows

STUDY = """
title = "?"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
[corpus]
train = "synthetic?speakers=5&utterances=2&dev_speakers=3&dev_utterances=2&test_speakers=0&seconds=1"
"""


def test_noise_and_rooms_have_a_row_each(tmp_path: Path) -> None:
    """Their clips and hours, nobody who speaks, and a fingerprint of their own; without them the rows are as ever."""
    found = []
    for name, more in (("plain", ""), ("heard", 'noise = "synthetic"\nrooms = "synthetic"\n')):
        (tmp_path / f"{name}.toml").write_text(STUDY + more)
        read = read_study(str(tmp_path / f"{name}.toml"))
        found.append(corpus_rows(read, open_roles(read.study.corpus, sample_rate=16_000)))
    plain, heard = found
    noise, rooms = heard[2:]

    assert [("train", 10, 5, 10 / 3600), ("dev", 6, 3, 6 / 3600)] == [
        (row["role"], row["utterances"], row["speakers"], row["hours"]) for row in plain
    ]
    assert plain == heard[:2]
    assert ("noise", (len(KINDS) - 1) * MADE_CLIPS, 0) == (noise["role"], noise["utterances"], noise["speakers"])
    assert (noise["utterances"] * 5 / 3600, "synthetic") == (noise["hours"], noise["source"])
    assert ("rooms", MADE_CLIPS, 0) == (rooms["role"], rooms["utterances"], rooms["speakers"])
    assert 4 == len({row["fingerprint"] for row in heard})
