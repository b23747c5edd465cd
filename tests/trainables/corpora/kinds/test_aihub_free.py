import json
import unicodedata
from pathlib import Path

import pytest

from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import UNKNOWN_AGE, Age
from trainables.corpora.kinds.catalogue import KINDS

LABELS = "자유대화 음성(노인남녀)/Training/[라벨]1.AI챗봇"
AUDIO = "자유대화 음성(노인남녀)/Training/[원천]1.AI챗봇_1"
STEM = "노인남녀_000_00000"


def label_of(tree) -> Path:
    return tree.folder / LABELS / f"{STEM}.json"


def relabel(tree, **recorder) -> None:
    """Change what the first utterance's JSON says of its recorder; a value ... removes the key."""
    content = json.loads(label_of(tree).read_text())
    content["녹음자정보"] = {k: v for k, v in (content["녹음자정보"] | recorder).items() if v is not ...}
    label_of(tree).write_text(json.dumps(content, ensure_ascii=False))


def first(tree):
    return tree.found()[f"{AUDIO}/{STEM}"]


def notes_of_first(tree):
    return [(path, sort) for path, sort in tree.notes() if STEM in path]


def others(tree, names):
    return {name: found for name, found in tree.expected.items() if name.rpartition("/")[2] not in names}


def test_the_studio_part_alone(sound_trees):
    """Two speakers of three utterances, and what they are named shows it."""
    found = sound_trees("aihub-free").found(part="studio").values()

    assert {(each.source, each.speaker) for each in found} == {
        ("FCVE/스튜디오", "F-27-rec004"),
        ("FCVE/스튜디오", "M-34-rec005"),
    }
    assert len(found) == 6


def test_a_studio_that_the_labels_tell(copy_of):
    """recrdEnvrn counts as well as the folder."""
    tree = copy_of("aihub-free")
    content = json.loads(label_of(tree).read_text())
    content["대화정보"]["recrdEnvrn"] = "스튜디오"
    label_of(tree).write_text(json.dumps(content))

    assert f"{AUDIO}/{STEM}" in tree.found(part="studio")
    assert len(tree.found(part="studio")) == 7


def test_no_studio_is_an_error(trees, tmp_path):
    """And not an empty corpus."""
    trees.write_json(tmp_path / "a.json", trees.free_label("a"))
    trees.write_speech(tmp_path / "a.wav", speaker="a", utterance=0, seconds=0.1)
    with pytest.raises(CorpusError, match="part=studio leaves nothing"):
        list(KINDS["aihub-free"].read(tmp_path, options={"part": "studio"}))


def test_official_partitions_are_an_option(sound_trees):
    """They may share speakers, so they are not what holds otherwise."""
    found = sound_trees("aihub-free").found(partition="official")

    assert {each.split for name, each in found.items() if "/Training/" in name} == {"train"}
    assert {each.split for name, each in found.items() if "/Validation/" in name} == {"dev"}


def test_a_wav_without_json_and_a_json_without_wav_are_told(copy_of):
    """Each by its own path."""
    tree = copy_of("aihub-free")
    (tree.folder / LABELS / f"{STEM}.json").unlink()
    (tree.folder / AUDIO / "노인남녀_001_00001.wav").unlink()

    assert tree.faults() == [
        (f"{LABELS}/노인남녀_001_00001.json", "no wav for this JSON"),
        (f"{AUDIO}/{STEM}.wav", "no JSON for this wav"),
    ]
    assert others(tree, {STEM, "노인남녀_001_00001"}) == tree.found()


@pytest.mark.parametrize(
    ("content", "sort"),
    [
        (b'{"a": ', "malformed JSON"),
        (b"", "malformed JSON"),
        (b"[1, 2]", "malformed JSON"),
        ("{}".encode("utf-16"), "neither UTF-8 nor CP949"),
        (b'{"\xff\xff": 1}', "neither UTF-8 nor CP949"),
        ('{"전사정보": {"LabelText": "네"}}'.encode(), "JSON of another sort"),
    ],
)
def test_a_broken_json_costs_its_own_utterance_alone(content, sort, copy_of):
    """It is named with its reason."""
    tree = copy_of("aihub-free")
    label_of(tree).write_bytes(content)

    assert tree.faults() == [(f"{LABELS}/{STEM}.json", sort)]
    assert others(tree, {STEM}) == tree.found()


@pytest.mark.parametrize(
    ("encoding", "sort"), [("utf-8-sig", "begins with a BOM"), ("cp949", "not UTF-8, read as CP949")]
)
def test_other_encodings_are_read_and_told(encoding, sort, copy_of):
    """Nothing is lost by them."""
    tree = copy_of("aihub-free")
    label_of(tree).write_bytes(label_of(tree).read_text().encode(encoding))

    assert tree.notes() == [(f"{LABELS}/{STEM}.json", sort)]
    assert tree.expected == tree.found()


@pytest.mark.parametrize(
    ("age", "expected", "notes", "speaker"),
    [
        ("27", Age(27.0, "20-30", "20s"), [], "F-27-rec000"),
        ("20대", Age(None, "20-30", "20s"), [], "F-20s-rec000"),
        ("70대", Age(None, "60", "60s"), ["70 or over, in class 60"], "F-60s-rec000"),
        (81, Age(81.0, "60", "60s"), ["70 or over, in class 60"], "F-81-rec000"),
        ("20-39", UNKNOWN_AGE, ["age spans two classes"], "F-?-rec000"),
        ("알수없음", UNKNOWN_AGE, ["no age"], "F-?-rec000"),
        (..., UNKNOWN_AGE, ["no age"], "F-?-rec000"),
        ("many", UNKNOWN_AGE, ["age not understood"], "F-?-rec000"),
        ("1961-05-05", Age(60.0, "60", "60s"), [], "F-60-rec000"),
    ],
)
def test_ages_of_every_sort(age, expected, notes, speaker, copy_of):
    """A date of birth counts to the date of the recording; what is unknown keeps its utterance."""
    tree = copy_of("aihub-free")
    relabel(tree, age=age)

    assert first(tree).age == expected
    assert first(tree).speaker == speaker
    assert [sort for _, sort in notes_of_first(tree)] == notes


@pytest.mark.parametrize("age", [15, "10대"])
def test_who_is_under_20_is_left_out(age, copy_of):
    """The wav is named."""
    tree = copy_of("aihub-free")
    relabel(tree, age=age)

    assert tree.faults() == [(f"{AUDIO}/{STEM}.wav", "under 20")]
    assert others(tree, {STEM}) == tree.found()


def test_labels_that_are_missing(copy_of):
    """Without a speaker there is no utterance; without a gender there is."""
    tree = copy_of("aihub-free")
    relabel(tree, gender="?")

    assert first(tree).gender is None
    assert first(tree).speaker == "?-27-rec000"
    assert notes_of_first(tree) == [(f"{LABELS}/{STEM}.json", "gender not understood")]

    relabel(tree, recorderId=...)

    assert tree.faults() == [(f"{LABELS}/{STEM}.json", "no recorderId")]


def test_one_recorder_id_of_two_people_is_two_speakers(copy_of):
    """Gender and age tell them apart."""
    tree = copy_of("aihub-free")
    relabel(tree, recorderId="rec001")

    assert {each.speaker for each in tree.found().values() if "rec001" in each.speaker} == {
        "F-27-rec001",
        "M-34-rec001",
    }


def test_two_wavs_of_one_json_are_one_utterance(copy_of, trees):
    """The second is left out."""
    tree = copy_of("aihub-free")
    trees.write_speech(tree.folder / AUDIO / "더" / f"{STEM}.wav", speaker="x", utterance=0, seconds=0.1)

    assert tree.faults() == [(f"{AUDIO}/더/{STEM}.wav", "another wav has the same JSON")]
    assert tree.expected == tree.found()


def test_several_jsons_of_one_stem_are_told_apart_by_the_folder(copy_of, trees):
    """A wav beside one of them has it; another has none."""
    tree = copy_of("aihub-free")
    side = tree.folder / "더"
    trees.write_json(side / f"{STEM}.json", trees.free_label(STEM, gender="남", age=44, recorder="new"))
    trees.write_speech(side / f"{STEM}.wav", speaker="x", utterance=0, seconds=0.1)

    assert tree.faults() == [(f"{AUDIO}/{STEM}.wav", "several JSON files of this stem")]
    assert tree.found()[f"더/{STEM}"].speaker == "M-44-new"


def test_a_json_of_another_file_is_told(copy_of):
    """The stem decides, as in the public programs."""
    tree = copy_of("aihub-free")
    content = json.loads(label_of(tree).read_text())
    content["발화정보"]["fileNm"] = "other.wav"
    label_of(tree).write_text(json.dumps(content))

    assert tree.notes() == [(f"{LABELS}/{STEM}.json", "fileNm is another file")]
    assert tree.expected == tree.found()


def test_names_of_syllables_taken_apart_match(copy_of):
    """As a Mac writes them; the utterance's name is composed."""
    tree = copy_of("aihub-free")
    wav = tree.folder / AUDIO / f"{STEM}.wav"
    apart = wav.with_name(unicodedata.normalize("NFD", wav.name))
    wav.rename(apart)

    assert apart.name != wav.name
    assert set(tree.expected) == set(tree.found())
    assert first(tree).path == str(apart)
