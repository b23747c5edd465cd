import json
import shutil

import pytest

from trainables.corpora.found import UNKNOWN_AGE, Age

CALL = "D03/J91/S001342"
LABEL = f"1.Training/라벨링데이터/{CALL}/S001342.json"
AUDIO = f"1.Training/원천데이터/{CALL}"


def change(tree, edit):
    """Edit the dataSet of the first call's JSON."""
    file = tree.folder / LABEL
    content = json.loads(file.read_text())
    edit(content["dataSet"])
    file.write_text(json.dumps(content, ensure_ascii=False))


def without(tree, prefix):
    return {name: found for name, found in tree.expected.items() if not name.startswith(prefix)}


def age_of_first(age):
    def edit(data):
        data["typeInfo"]["speakers"][0]["age"] = age

    return edit


def test_audio_and_labels_may_share_their_folders(copy_of):
    """The wavs beside the JSON are the call's."""
    tree = copy_of("aihub-phone")
    shutil.copytree(tree.folder / "1.Training/라벨링데이터", tree.folder / "1.Training/원천데이터", dirs_exist_ok=True)
    shutil.rmtree(tree.folder / "1.Training/라벨링데이터")

    assert tree.expected == tree.found()
    assert tree.faults() == []


def test_calls_of_one_number_are_told_apart_by_the_folders_above(copy_of):
    """The call of Validation has its own wavs."""
    tree = copy_of("aihub-phone")
    shutil.copytree(tree.folder / "1.Training", tree.folder / "2.Validation")
    found = tree.found(partition="official")

    assert tree.faults() == []
    assert len(found) == 2 * len(tree.expected)
    assert {(name[0], each.split) for name, each in found.items()} == {("1", "train"), ("2", "dev")}


def test_ids_of_each_call_for_itself(sound_trees):
    """With speaker=call no two calls share a speaker."""
    speakers = {each.speaker for each in sound_trees("aihub-phone").found(speaker="call").values()}

    assert f"{CALL}/spk0000" in speakers
    assert len(speakers) == 4


@pytest.mark.parametrize(
    ("age", "expected", "notes"),
    [
        ("20대", Age(None, "20-30", "20s"), []),
        ("20(?)", Age(None, "20-30", "20s"), []),
        ("20", Age(None, "20-30", "20s"), []),
        ("70대", Age(None, "60", "60s"), ["70 or over, in class 60"] * 3),
        ("", UNKNOWN_AGE, ["no age"] * 3),
        ("None", UNKNOWN_AGE, ["no age"] * 3),
        ("알수없음", UNKNOWN_AGE, ["no age"] * 3),
        (None, UNKNOWN_AGE, ["no age"] * 3),
        ("20-39", UNKNOWN_AGE, ["age spans two classes"] * 3),
    ],
)
def test_ages_of_every_sort(age, expected, notes, copy_of):
    """Decades; what is unknown is told with each of the speaker's utterances."""
    tree = copy_of("aihub-phone")
    change(tree, age_of_first(age))
    ages = {each.age for each in tree.found().values() if each.speaker == "spk0000"}

    assert ages == {expected}
    assert [sort for _, sort in tree.notes()] == notes


def test_who_is_under_20_is_left_out(copy_of):
    """The other side of the call is kept."""
    tree = copy_of("aihub-phone")
    change(tree, age_of_first("10대"))

    assert tree.faults() == [(f"{AUDIO}/{u:04d}.wav", "under 20") for u in (1, 3, 5)]
    assert {name: each for name, each in tree.expected.items() if each.speaker != "spk0000"} == tree.found()


def test_wavs_and_dialogs_without_each_other_are_told(copy_of, trees):
    """A wav too many, a wav too few, a folder that no JSON names."""
    tree = copy_of("aihub-phone")
    (tree.folder / AUDIO / "0001.wav").unlink()
    for extra in (f"{AUDIO}/0099.wav", "1.Training/원천데이터/D03/J91/S009999/0001.wav"):
        trees.write_speech(tree.folder / extra, speaker="x", utterance=0, seconds=0.1)

    assert tree.faults() == [
        (f"{AUDIO}/0001.wav", "no wav for this dialog"),
        (f"{AUDIO}/0099.wav", "no JSON names this wav"),
        ("1.Training/원천데이터/D03/J91/S009999/0001.wav", "no JSON names this wav"),
    ]
    assert without(tree, f"{AUDIO}/0001") == tree.found()


def test_a_call_without_wavs_is_told(copy_of):
    """Each of its dialogs."""
    tree = copy_of("aihub-phone")
    shutil.rmtree(tree.folder / AUDIO)

    assert tree.faults() == [(LABEL, "no wavs of this call")] * 6
    assert without(tree, AUDIO) == tree.found()


@pytest.mark.parametrize(
    ("content", "sort"), [(b'{"dataSet": {', "malformed JSON"), (b'{"dataSet": {}}', "JSON of another sort")]
)
def test_a_broken_json_costs_its_own_call_alone(content, sort, copy_of):
    """The JSON is named, and the wavs that it should have named."""
    tree = copy_of("aihub-phone")
    (tree.folder / LABEL).write_bytes(content)

    assert tree.faults() == [
        (LABEL, sort),
        *((f"{AUDIO}/{u:04d}.wav", "no JSON names this wav") for u in range(1, 7)),
    ]
    assert without(tree, AUDIO) == tree.found()


@pytest.mark.parametrize(
    ("encoding", "sort"), [("utf-8-sig", "begins with a BOM"), ("cp949", "not UTF-8, read as CP949")]
)
def test_other_encodings_are_read_and_told(encoding, sort, copy_of):
    """Nothing is lost by them."""
    tree = copy_of("aihub-phone")
    file = tree.folder / LABEL
    file.write_bytes(file.read_text().encode(encoding))

    assert tree.notes() == [(LABEL, sort)]
    assert tree.expected == tree.found()


def test_dialogs_that_say_too_little_are_told(copy_of):
    """No path, a path that is there twice, a speaker that is not among the call's."""
    tree = copy_of("aihub-phone")

    def edit(data):
        del data["dialogs"][0]["audioPath"]
        data["dialogs"][2]["audioPath"] = data["dialogs"][1]["audioPath"]
        data["dialogs"][3]["speaker"] = "nobody"

    change(tree, edit)

    assert tree.faults() == [
        (LABEL, "dialog without audioPath"),
        (f"{AUDIO}/0001.wav", "no JSON names this wav"),
        (f"{AUDIO}/0002.wav", "two dialogs name this wav"),
        (f"{AUDIO}/0003.wav", "no JSON names this wav"),
        (f"{AUDIO}/0004.wav", "speaker of a dialog not among the call's"),
    ]
    assert len(tree.found()) == len(tree.expected) - 3


def test_a_speaker_whose_labels_change_is_told(copy_of):
    """The sign of ids that are not unique."""
    tree = copy_of("aihub-phone")

    def edit(data):
        for each in data["typeInfo"]["speakers"]:
            each["id"] = "spk0002" if each["id"] == "spk0000" else each["id"]
        for each in data["dialogs"]:
            each["speaker"] = "spk0002" if each["speaker"] == "spk0000" else each["speaker"]

    change(tree, edit)

    assert [sort for _, sort in tree.notes()] == ["speaker has other labels in another call"]


def test_a_gender_that_is_not_understood_is_told(copy_of):
    """It is left empty."""
    tree = copy_of("aihub-phone")
    change(tree, lambda data: data["typeInfo"]["speakers"][1].update(gender="기타"))

    assert tree.notes() == [(LABEL, "gender not understood")]
    assert {each.gender for each in tree.found().values() if each.speaker == "spk0001"} == {None}
