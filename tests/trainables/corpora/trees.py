"""Small trees in the layout of each kind, spoken by the synthetic voices, and what a reader should find in them."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile

from trainables.corpora.found import UNKNOWN_AGE, Age, Found
from trainables.corpora.synthetic import SyntheticSource, read_options

YEARS = (27, 34, 45, 52, 63, 71)
CLASSES = {2: ("20-30", "20s"), 3: ("20-30", "30s"), 4: ("40-50", "40s"), 5: ("40-50", "50s"), 6: ("60", "60s")}
GENDERS = "FM"
KOREAN = {"F": "여", "M": "남"}
LONGEST_S = 4


def tree(
    kind: str,
    folder: Path,
    *,
    speakers: int = 4,
    utterances: int = 3,
    seconds: float = 0.6,
    ending: str | None = None,
    sample_rate: int | None = None,
) -> list[Found]:
    """Write a sound tree of a kind and return its utterances as its reader should find them, by utterance.

    So many speakers train; where the kind has partitions, a quarter as many (at least two) are in each other one.
    `ending` is the audio's (".wav", ".flac", ".m4a" for the VoxCelebs); `sample_rate` that of the files, Hz.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rate = sample_rate or (8000 if kind == "aihub-phone" else 16000)
    found = list(TREES[kind](folder, speakers, utterances, ending))
    for number, each in enumerate(found):
        write_speech(Path(each.path), speaker=each.speaker, utterance=number, seconds=seconds, sample_rate=rate)
    return sorted(found, key=lambda each: each.utterance)


def write_speech(path: Path, *, speaker: str, utterance: int, seconds: float, sample_rate: int = 16000) -> None:
    """Write so much of a voice; the voice follows from the speaker's name, the words from the utterance's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum(speaker.encode()) % 1000
    samples_T = spoken(1000 * number + utterance % 8, sample_rate)
    # Utterances beyond the eighth begin elsewhere in one of the eight, so that no two are alike.
    samples_T = np.roll(samples_T, 997 * (utterance // 8))[: round(seconds * sample_rate)]
    if path.suffix != ".m4a":
        soundfile.write(path, samples_T, sample_rate)
        return
    if shutil.which("ffmpeg") is None:
        path.write_bytes(b"\0\0\0\x20ftypM4A ")  # what no one can decode, but readers look at names alone
        return
    wav = path.with_suffix(".tmp.wav")
    soundfile.write(wav, samples_T, sample_rate)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-i", wav, path], check=True)
    wav.unlink()


@cache
def spoken(index: int, sample_rate: int) -> np.ndarray:
    """Four seconds of the synthetic voice of speaker index // 1000."""
    text = f"synthetic?seconds={LONGEST_S}"
    source = SyntheticSource(text=text, options=read_options(text))
    return source.waveform(path=None, index=index, sample_rate=sample_rate)


def age_of(years: int) -> Age:
    """The labels of an age, by hand; 70 and over are in class 60."""
    return Age(float(years), *CLASSES[min(years // 10, 6)])


def decade_of(years: int) -> Age:
    """The labels of a decade."""
    return Age(None, *CLASSES[min(years // 10, 6)])


def _others(speakers: int) -> int:
    return max(2, speakers // 4)


def _voxceleb(number: int, folder: Path, speakers: int, utterances: int, ending: str | None) -> Iterator[Found]:
    kind, codec = f"voxceleb{number}", "wav" if number == 1 else "aac"
    ending = ending or ".wav"
    first = {"dev": 10001, "test": 10270} if number == 1 else {"dev": 12, "test": 7000}
    people = [("dev", i) for i in range(speakers)] + [("test", i) for i in range(_others(speakers))]
    lines = []
    for part, i in people:
        speaker, gender = f"id{first[part] + i:05d}", GENDERS[i % 2]
        lines.append((speaker, f"Name_{i}", gender.lower(), *(["Norway"] if number == 1 else []), part))
        for u in range(utterances):
            # Two utterances a video.
            video = f"vid{u // 2:08d}"
            name = f"{speaker}/{video}/{u % 2 + 1:05d}"
            yield Found(
                utterance=f"{name}.wav",
                path=str(folder / part / codec / f"{name}{ending}"),
                speaker=speaker,
                recording=video,
                gender=gender,
                age=UNKNOWN_AGE,
                source=kind,
                split={"dev": "train", "test": "test"}[part],
            )
    if number == 1:
        header = ["VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"]
        text = "\n".join("\t".join(cells) for cells in (header, *lines))
        _write_trials(folder, first["test"], _others(speakers), utterances)
    else:
        header = ["VoxCeleb2 ID ", "VGGFace2 ID ", "Gender ", "Set "]
        text = "\n".join(",".join(f"{cell.strip()} " for cell in cells) for cells in (header, *lines))
    (folder / f"vox{number}_meta.csv").write_text(text + "\n")


def _write_trials(folder: Path, first: int, speakers: int, utterances: int) -> None:
    """Every pair of test utterances, in VoxCeleb's order of fields."""
    names = [
        (i, f"id{first + i:05d}/vid{u // 2:08d}/{u % 2 + 1:05d}.wav")
        for i in range(speakers)
        for u in range(utterances)
    ]
    lines = [f"{a == b:d} {left} {right}" for n, (a, left) in enumerate(names) for b, right in names[:n]]
    (folder / "meta").mkdir()
    for name in ("veri_test", "veri_test2", "list_test_all2", "list_test_hard2"):
        (folder / "meta" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def _librispeech(folder: Path, speakers: int, utterances: int, ending: str | None) -> Iterator[Found]:
    lines = ["; a comment | with bars |", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    subsets = {"train-clean-100": speakers, "dev-clean": _others(speakers), "test-other": _others(speakers)}
    number = 14
    for subset, count in subsets.items():
        for i in range(count):
            speaker, gender = str(number + i), GENDERS[i % 2]
            lines.append(f"{speaker:4} | {gender} | {subset:16} | 25.03 | A | B")
            for u in range(utterances):
                chapter = str(208 + u // 2)
                name = f"{speaker}-{chapter}-{u:04d}"
                yield Found(
                    utterance=name,
                    path=str(folder / "LibriSpeech" / subset / speaker / chapter / f"{name}{ending or '.flac'}"),
                    speaker=speaker,
                    recording=f"{speaker}-{chapter}",
                    gender=gender,
                    source=subset,
                    split=subset.partition("-")[0],
                )
        number += count
    (folder / "LibriSpeech").mkdir(exist_ok=True)
    (folder / "LibriSpeech" / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")


def free_label(stem: str, *, gender: object = "여", age: object = 27, recorder: object = "rec001") -> dict[str, object]:
    """The JSON of an utterance of the free conversations."""
    return {
        "발화정보": {
            "stt": "(SP:안녕하세요)",
            "scriptId": "s1",
            "fileNm": f"{stem}.wav",
            "recrdTime": "0.600",
            "recrdQuality": "16K",
            "recrdDt": "2021-09-01 10:11:12",
            "scriptSetNo": "01",
        },
        "대화정보": {"recrdEnvrn": "실내", "colctUnitCode": "1", "cityCode": "1", "recrdUnit": "1", "convrsThema": "1"},
        "녹음자정보": {"gender": gender, "recorderId": recorder, "age": age},
    }


def write_json(path: Path, content: object, *, encoding: str = "utf-8") -> None:
    """Write a JSON file with its letters as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)


def _aihub_free(folder: Path, speakers: int, utterances: int, ending: str | None) -> Iterator[Found]:
    root = folder / "자유대화 음성(노인남녀)"
    parts = {("Training", "1.AI챗봇"): speakers, ("Training", "2.스튜디오"): 2, ("Validation", "1.AI챗봇"): 2}
    number = 0
    for (partition, part), count in parts.items():
        for i in range(count):
            gender, years = GENDERS[i % 2], YEARS[i % len(YEARS)]
            for u in range(utterances):
                stem = f"노인남녀_{number:03d}_{u:05d}"
                label = free_label(stem, gender=KOREAN[gender], age=years, recorder=f"rec{number:03d}")
                write_json(root / partition / f"[라벨]{part}" / f"{stem}.json", label)
                name = f"{root.name}/{partition}/[원천]{part}_1/{stem}"
                yield Found(
                    utterance=name,
                    path=str(folder / f"{name}{ending or '.wav'}"),
                    speaker=f"{gender}-{years}-rec{number:03d}",
                    gender=gender,
                    age=age_of(years),
                    source=f"FCVE/{part[2:]}",
                )
            number += 1


def phone_label(
    call: str, ages: tuple[object, object], *, ids: tuple[str, str], genders: tuple[str, str], utterances: int
) -> dict[str, object]:
    """The JSON of a call: its two speakers in turn."""
    return {
        "dataSet": {
            "version": "1.0",
            "typeInfo": {
                "category": "쇼핑",
                "subcategory": "교환",
                "speakers": [
                    {
                        "id": ids[i],
                        "type": ("상담사1", "고객1")[i],
                        "age": ages[i],
                        "gender": genders[i],
                        "residence": "서울",
                        "telephone_network": "LTE",
                    }
                    for i in range(2)
                ],
            },
            "dialogs": [
                {
                    "speaker": ids[u % 2],
                    "audioPath": f"{call}/{u + 1:04d}.wav",
                    "textPath": f"{call}/{u + 1:04d}.txt",
                    "duration": 0.6,
                    "text": "네",
                }
                for u in range(utterances)
            ],
        }
    }


def _aihub_phone(folder: Path, speakers: int, utterances: int, ending: str | None) -> Iterator[Found]:
    for i in range(0, speakers, 2):
        call = f"D03/J91/S{1342 + i:06d}"
        ids = (f"spk{i:04d}", f"spk{i + 1:04d}")
        years = tuple(YEARS[(i + k) % len(YEARS)] for k in range(2))
        label = phone_label(
            call,
            (f"{years[0] // 10}0대", f"{years[1] // 10}0대"),
            ids=ids,
            genders=("여", "남"),
            utterances=2 * utterances,
        )
        partition = folder / "1.Training"
        write_json(partition / "라벨링데이터" / call / f"{call[-7:]}.json", label)
        for u in range(2 * utterances):
            name = f"1.Training/원천데이터/{call}/{u + 1:04d}"
            yield Found(
                utterance=name,
                path=str(folder / f"{name}.wav"),
                speaker=ids[u % 2],
                recording=call,
                gender=GENDERS[u % 2],
                age=decade_of(years[u % 2]),
                source="LTV",
            )


def _manifest(folder: Path, speakers: int, utterances: int, ending: str | None) -> Iterator[Found]:
    records = []
    for i in range(speakers):
        gender, years = GENDERS[i % 2], YEARS[i % len(YEARS)]
        for u in range(utterances):
            path = f"audio/spk{i:03d}/{u}{ending or '.wav'}"
            records.append(
                {"path": path, "speaker": f"spk{i:03d}", "gender": gender, "age": years, "recording": f"r{u}"}
            )
            yield Found(
                utterance=path,
                path=str(folder / path),
                speaker=f"spk{i:03d}",
                recording=f"r{u}",
                gender=gender,
                age=age_of(years),
                source="manifest",
            )
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


TREES: dict[str, Callable[[Path, int, int, str | None], Iterator[Found]]] = {
    "voxceleb1": partial(_voxceleb, 1),
    "voxceleb2": partial(_voxceleb, 2),
    "librispeech": _librispeech,
    "aihub-free": _aihub_free,
    "aihub-phone": _aihub_phone,
    "manifest": _manifest,
}
