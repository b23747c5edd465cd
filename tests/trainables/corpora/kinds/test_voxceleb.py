import os
import shutil

import pytest

from trainables.corpora.found import Found
from trainables.corpora.kinds.catalogue import KINDS

LISTS = ["list_test_all2", "list_test_hard2", "veri_test", "veri_test2"]


def test_lists_name_utterances_that_are_found(sound_trees):
    """All four, wherever they lie, with names as the reader gives them."""
    tree = sound_trees("voxceleb1")
    lists = KINDS["voxceleb1"].trial_lists(tree.folder)

    assert sorted(lists) == LISTS
    for file in lists.values():
        names = {name for line in file.read_text().splitlines() for name in line.split()[1:]}

        assert names
        assert names <= set(tree.found())
    assert KINDS["voxceleb2"].trial_lists(sound_trees("voxceleb2").folder) == {}


def test_partitions_are_the_authors_or_none(sound_trees):
    """Their dev set trains; with partition=none all is one set, as the lists E and H need."""
    tree = sound_trees("voxceleb1")
    splits = {found.speaker: found.split for found in tree.found().values()}

    assert splits == {f"id1000{i}": "train" for i in range(1, 5)} | {"id10270": "test", "id10271": "test"}
    assert {found.split for found in tree.found(partition="none").values()} == {None}


def test_one_folder_of_all_speakers_is_split_by_the_meta_file(copy_of):
    """As voxceleb_trainer has it: wav/ with the speakers of both sets."""
    tree = copy_of("voxceleb1")
    for part in ("dev", "test"):
        shutil.copytree(tree.folder / part / "wav", tree.folder / "wav", dirs_exist_ok=True)
        shutil.rmtree(tree.folder / part)

    assert {name: found.split for name, found in tree.expected.items()} == {
        name: found.split for name, found in tree.found().items()
    }


@pytest.mark.parametrize("kind", ["voxceleb1", "voxceleb2"])
def test_without_a_meta_file_folders_tell_the_partition(kind, copy_of):
    """No gender is known, and that is told once."""
    tree = copy_of(kind)
    next(tree.folder.glob("vox?_meta.csv")).unlink()

    assert {name: found.split for name, found in tree.expected.items()} == {
        name: found.split for name, found in tree.found().items()
    }
    assert {found.gender for found in tree.found().values()} == {None}
    assert tree.notes() == [(".", "no meta file")]


def test_names_of_m4a_files_are_those_of_the_lists(trees, tmp_path):
    """An unconverted tree has the utterances of a converted one."""
    expected = trees.tree("voxceleb2", tmp_path, ending=".m4a", utterances=1, speakers=2)
    found = [each for each in KINDS["voxceleb2"].read(tmp_path, options={}) if isinstance(each, Found)]

    assert expected == sorted(found, key=lambda each: each.utterance)
    assert all(each.utterance.endswith(".wav") and each.path.endswith(".m4a") for each in found)


def test_a_wav_beside_its_m4a_is_read_once(copy_of):
    """Converting a tree in place leaves both."""
    tree = copy_of("voxceleb2")
    first = next(iter(tree.expected.values()))
    m4a = os.path.splitext(first.path)[0] + ".m4a"
    shutil.copy(first.path, m4a)

    assert tree.expected == tree.found()
    assert [sort for _, sort in tree.notes()] == ["the same utterance in two formats in one folder"]


def test_a_speaker_not_in_the_meta_file_is_told(copy_of):
    """He keeps his utterances, and the partition of his folder."""
    tree = copy_of("voxceleb1")
    meta = tree.folder / "vox1_meta.csv"
    meta.write_text("".join(line for line in meta.read_text().splitlines(True) if "id10002" not in line))
    missed = [found for found in tree.found().values() if found.speaker == "id10002"]

    assert tree.notes() == [("dev/wav/id10002", "speaker not in the meta file")]
    assert [(found.gender, found.split) for found in missed] == [(None, "train")] * 3
    assert len(tree.found()) == len(tree.expected)


@pytest.mark.parametrize(
    ("old", "new", "sort"),
    [
        (b"Name_0", "Beyonc\xe9".encode("latin-1"), "line is not UTF-8"),
        (b"VoxCeleb1 ID", b"\xef\xbb\xbfVoxCeleb1 ID", "begins with a BOM"),
        (b"id10002\tName_1", b"id10001\tName_1\tm\tNorway\ttest\nid10002\tName_1", "speaker has two lines that differ"),
        (b"id10002\tName_1", b"\tName_1\tm\tNorway\ttest\nid10002\tName_1", "line without a speaker"),
    ],
)
def test_an_odd_meta_file_is_told_and_read(old, new, sort, copy_of):
    """The rest of it holds."""
    tree = copy_of("voxceleb1")
    meta = tree.folder / "vox1_meta.csv"
    meta.write_bytes(meta.read_bytes().replace(old, new, 1))

    assert {("vox1_meta.csv", sort)} == set(tree.notes())
    assert tree.expected == tree.found()


def test_labels_that_are_not_understood_are_told(copy_of):
    """An odd gender is left empty; of an odd partition the folder tells."""
    tree = copy_of("voxceleb1")
    meta = tree.folder / "vox1_meta.csv"
    meta.write_text(meta.read_text().replace("id10001\tName_0\tf\tNorway\tdev", "id10001\tName_0\tx\tNorway\tdevel"))
    found = [each for each in tree.found().values() if each.speaker == "id10001"]

    assert tree.notes() == [
        ("vox1_meta.csv", "gender not understood"),
        ("vox1_meta.csv", "partition not understood"),
    ]
    assert [(each.gender, each.split) for each in found] == [(None, "train")] * 3


def test_a_meta_file_of_something_else_is_told(copy_of):
    """As one that was saved from an error page."""
    tree = copy_of("voxceleb1")
    (tree.folder / "vox1_meta.csv").write_text("<html>404</html>\n")

    assert tree.notes() == [("vox1_meta.csv", "no meta file")]
    assert len(tree.found()) == len(tree.expected)


def test_audio_in_unexpected_places_is_left_out(copy_of, trees):
    """Above the speakers, beside the videos, and below them."""
    tree = copy_of("voxceleb1")
    places = ["loose.wav", "dev/wav/id10001/00001.wav", "dev/wav/id10001/vid00000000/deep/er/00001.wav"]
    for place in places:
        trees.write_speech(tree.folder / place, speaker="x", utterance=0, seconds=0.1)

    assert tree.faults() == sorted((place, "audio not at speaker/video/file") for place in places)
    assert tree.expected == tree.found()


def test_an_utterance_in_two_trees_is_read_once(copy_of):
    """The second is named."""
    tree = copy_of("voxceleb1")
    shutil.copytree(tree.folder / "dev/wav/id10001", tree.folder / "old/id10001")

    assert [sort for _, sort in tree.faults()] == ["utterance is there twice"] * 3
    assert all(path.startswith("old/") for path, _ in tree.faults())
    assert tree.expected == tree.found()


def test_a_speaker_of_the_other_voxceleb_is_left_out(copy_of, sound_trees):
    """The two number their speakers in different ranges."""
    tree = copy_of("voxceleb1")
    shutil.copytree(sound_trees("voxceleb2").folder / "dev/aac/id00012", tree.folder / "dev/wav/id00012")

    assert tree.faults() == [("dev/wav/id00012", "speaker of the other VoxCeleb")]
    assert tree.expected == tree.found()


def test_a_link_to_a_folder_above_is_not_followed(copy_of):
    """Other links are: corpora are often spread over disks."""
    tree = copy_of("voxceleb1")
    (tree.folder / "dev" / "again").symlink_to(tree.folder)
    shutil.move(tree.folder / "test", tree.folder.parent / "elsewhere")
    (tree.folder / "test").symlink_to(tree.folder.parent / "elsewhere")

    assert tree.notes() == [("dev/again", "link to a folder above")]
    assert tree.expected == tree.found()


def test_a_list_that_is_there_twice_is_told(copy_of):
    """The first by path is taken."""
    tree = copy_of("voxceleb1")
    shutil.copy(tree.folder / "meta/veri_test.txt", tree.folder / "veri_test.txt")

    assert tree.notes() == [("veri_test.txt", "list is there twice")]
    assert KINDS["voxceleb1"].trial_lists(tree.folder)["veri_test"] == tree.folder / "meta/veri_test.txt"


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_packed_corpus_inside_is_not_read(is_finished, copy_of):
    """An import may go into the folder that it reads: the next one finds the same, finished or not."""
    tree = copy_of("voxceleb1")
    before = KINDS["voxceleb1"].trial_lists(tree.folder), tree.read()
    names = ["corpus.json", "utterances.arrow"] if is_finished else ["import.json", ".lock"]
    for name in [*names, "trials/veri_test.arrow", "trials/voxsrc2020_val.arrow"]:
        path = tree.folder / "a_packed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    assert before == (KINDS["voxceleb1"].trial_lists(tree.folder), tree.read())
