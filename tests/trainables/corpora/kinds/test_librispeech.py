import shutil

import pytest

from trainables.corpora.found import Found
from trainables.corpora.kinds.catalogue import KINDS


def test_subsets_are_partitions(sound_trees):
    """train-*, dev-* and test-*; or none of them."""
    tree = sound_trees("librispeech")
    found = tree.found().values()

    assert {(each.source, each.split) for each in found} == {
        ("train-clean-100", "train"),
        ("dev-clean", "dev"),
        ("test-other", "test"),
    }
    assert {each.split for each in tree.found(partition="none").values()} == {None}


@pytest.mark.parametrize("below", ["LibriSpeech", "LibriSpeech/train-clean-100"])
def test_a_folder_further_down_can_be_named(below, sound_trees):
    """Also one subset alone, whose speakers are listed above it."""
    tree = sound_trees("librispeech")
    place = tree.folder / below
    found = [each for each in KINDS["librispeech"].read(place, options={}) if isinstance(each, Found)]

    assert found
    assert found == [tree.expected[each.utterance] for each in found]


def test_without_a_list_of_speakers_no_gender_is_known(copy_of):
    """Told once; everything else is read."""
    tree = copy_of("librispeech")
    (tree.folder / "LibriSpeech/SPEAKERS.TXT").unlink()

    assert tree.notes() == [(".", "no SPEAKERS.TXT")]
    assert {each.gender for each in tree.found().values()} == {None}
    assert set(tree.found()) == set(tree.expected)


def test_an_odd_list_of_speakers_is_told(copy_of):
    """A BOM, bytes that are no UTF-8, lines that say nothing, a gender and a speaker too few."""
    tree = copy_of("librispeech")
    file = tree.folder / "LibriSpeech/SPEAKERS.TXT"
    lines = file.read_bytes().replace(b"; a comment", b"\xef\xbb\xbf; a comment").splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith((b"14 ", b"15 "))]
    file.write_bytes(b"".join([*lines, b"14 | Q | train-clean-100 | 1 | Jos\xe9\n", b"no speaker here\n"]))
    found = {each.speaker: each.gender for each in tree.found().values()}

    assert sorted(sort for _, sort in tree.notes()) == [
        "begins with a BOM",
        "gender not understood",
        "line is not UTF-8",
        "line not understood",
        "speaker not in SPEAKERS.TXT",
    ]
    assert (found["14"], found["15"], found["16"]) == (None, None, "F")


def test_files_in_unexpected_places_are_left_out(copy_of):
    """A file of another speaker, another chapter, another name."""
    tree = copy_of("librispeech")
    chapter = tree.folder / "LibriSpeech/train-clean-100/14/208"
    names = ["15-208-0000.flac", "14-999-0000.flac", "14-208.flac", "14_208_000000_000000.wav"]
    for name in names:
        shutil.copy(chapter / "14-208-0000.flac", chapter / name)

    assert [path.rpartition("/")[2] for path, _ in tree.faults()] == sorted(names)
    assert {sort for _, sort in tree.faults()} == {"audio not at speaker/chapter/speaker-chapter-utterance"}
    assert tree.expected == tree.found()


def test_an_utterance_in_two_subsets_is_read_once(copy_of):
    """The second is named."""
    tree = copy_of("librispeech")
    root = tree.folder / "LibriSpeech"
    shutil.copytree(root / "train-clean-100/14", root / "train-other-500/14")

    assert [sort for _, sort in tree.faults()] == ["utterance is there twice"] * 3
    assert all("train-other-500" in path for path, _ in tree.faults())
    assert tree.expected == tree.found()


def test_files_below_no_subset_have_no_partition(copy_of):
    """They are read, and that is told."""
    tree = copy_of("librispeech")
    shutil.move(tree.folder / "LibriSpeech/dev-clean", tree.folder / "LibriSpeech/mine")
    found = [each for each in tree.found().values() if "/mine/" in each.path]

    assert {(each.source, each.split) for each in found} == {("librispeech", None)}
    assert {sort for _, sort in tree.notes()} == {"no folder of a subset above"}
