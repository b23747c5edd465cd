"""Which rows are train, dev and test: official partitions win, what is not given is split off train by speaker."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.banks import Bank
from trainables.corpora.corpus import LISTED_SCHEMA, AudioCache, Corpus, Rejected, kept
from trainables.corpora.trial_pairs import GENDERS, TrialPairs

NAMED = 5  # speakers named in a message
NAMES = ("train", "dev", "test")

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Splits:
    """The corpora of a study, and the pairs of test utterances that are compared; without a test set both are None.

    The fingerprint covers train, dev and, where there is one, the bank of noise and rooms: what the trials of a search
    see. That of test covers its corpus and pairs.
    """

    train: Corpus
    dev: Corpus
    test: Corpus | None
    trials: TrialPairs | None
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]
    fingerprint: str
    test_fingerprint: str | None
    bank: Bank | None = None


def audio_caches(splits: Splits) -> dict[str, AudioCache]:
    """Return an empty cache of the waveforms of train, dev and, where there is one, test."""
    corpora = {"train": splits.train, "dev": splits.dev, "test": splits.test}
    return {name: AudioCache(corpus) for name, corpus in corpora.items() if corpus is not None}


@dataclass(frozen=True)
class Assignment:
    """The rows of each split (of LISTED_SCHEMA), with what is wrong and what is worth telling."""

    train: pa.Table
    dev: pa.Table
    test: pa.Table
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def split_of(speaker: str) -> str:
    """Return train, dev or test (80, 10, 10 of 100) by a hash of the speaker's name.

    It depends on nothing else, so that speakers keep their split when others are added.
    """
    place = int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "big") % 100
    if place < 80:
        return "train"
    return "dev" if place < 90 else "test"


def assign(roles: Mapping[str, pa.Table]) -> Assignment:
    """Share the rows (of LISTED_SCHEMA) of the given roles, train and perhaps dev and test, among the splits.

    A source with a `split` column is split by it, and its rows of a split that has a role of its own are left out; rows
    that a role asked for by their partition come with the role's own split (`asked`).
    Other rows of train go by the hash of their speaker, where dev or test is not given.
    """
    official = {source for table in roles.values() for source in _sources(table.filter(table["split"].is_valid()))}
    problems: list[str] = []
    notes: list[str] = []
    train = roles["train"]
    split_N, is_official_N = _split_codes(train, official), _are_of(train, official)
    # The hash holds nothing back for a role that is given.
    is_train_N = (split_N == 0) | (~is_official_N & np.isin(split_N, [NAMES.index(r) for r in roles if r in NAMES]))
    shares = {"train": kept(train, is_train_N)}
    for code, role in enumerate(NAMES[1:], start=1):
        shares[role] = LISTED_SCHEMA.empty_table() if role in roles else kept(train, split_N == code)
    if "dev" not in roles:
        _split_off_dev(shares, official, notes)
    for role in NAMES[1:]:
        parts = [shares[role]]
        for source in sorted(_sources(roles[role])) if role in roles else ():
            rows = kept(roles[role], _are_of(roles[role], {source}))
            chosen = rows.filter(pc.equal(rows["split"], role)) if source in official else rows
            if not len(chosen):
                problems.append(
                    f"{role}: its source has a split column, but no row with split '{role}' (it has {_counted(rows)}); "
                    f'{role} = {{ source = …, where = {{ split = "{_first_split(rows)}" }} }} takes another partition'
                )
            parts.append(chosen)
        shares[role] = pa.concat_tables(parts)
    for role in NAMES[1:]:
        others = kept(shares[role], ~_are_of(shares[role], official))
        if role not in roles and len(others):
            notes.append(f"{role}: {_num_speakers(others)} speakers split off train by the hash of their names")
    problems += _shared_speakers(shares)
    return Assignment(**shares, problems=tuple(problems), notes=tuple(notes))


def asked(role: str, rows: pa.Table, is_asked_N: Bools) -> pa.Table:
    """Return a role's rows; those that a condition on `split` chose belong to the role, whatever their partition."""
    place = rows.schema.get_field_index("split")
    split = pc.if_else(pa.array(is_asked_N), role, rows["split"])
    return rows.set_column(place, rows.schema.field(place), split)


def _split_off_dev(shares: dict[str, pa.Table], official: set[int], notes: list[str]) -> None:
    """Take a dev set out of the train rows of each source whose official partitions have none (as VoxCeleb's).

    Source by source, so that no speaker changes places when another source is added.
    """
    without = official - _sources(shares["dev"])
    train = shares["train"]
    is_without_N = _are_of(train, without)
    if not is_without_N.any():
        return
    is_moved_N = is_without_N & (_hash_codes(train) == NAMES.index("dev"))
    moved = kept(train, is_moved_N)
    shares["train"] = kept(train, ~is_moved_N)
    shares["dev"] = pa.concat_tables([shares["dev"], moved])
    notes.append(
        "dev: the official partitions have none; "
        f"{_num_speakers(moved)} speakers split off train by the hash of their names"
    )


def _split_codes(table: pa.Table, official: Collection[int]) -> npt.NDArray[np.int8]:
    """Return the place in NAMES of each row's split (N,): its own, train without one, or by the hash of its speaker."""
    own_N = pc.index_in(table["split"].fill_null("train"), pa.array(NAMES)).to_numpy()
    return np.where(_are_of(table, official), own_N, _hash_codes(table)).astype(np.int8)


def _hash_codes(table: pa.Table) -> npt.NDArray[np.int8]:
    """Return the place in NAMES of what `split_of` says of each row's speaker (N,)."""
    speakers = table["speaker"].combine_chunks().dictionary_encode()
    codes = np.array([NAMES.index(split_of(name)) for name in speakers.dictionary.to_pylist()], dtype=np.int8)
    code_N: npt.NDArray[np.int8] = codes[speakers.indices.to_numpy()]
    return code_N


def _sources(table: pa.Table) -> set[int]:
    return set(pc.unique(table["source"]).to_pylist())


def _are_of(table: pa.Table, sources: Collection[int]) -> Bools:
    return np.isin(table["source"].to_numpy(), list(sources))


def _counted(table: pa.Table) -> str:
    counts = {str(each["values"] or "none"): each["counts"] for each in pc.value_counts(table["split"]).to_pylist()}
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _first_split(table: pa.Table) -> str:
    there = pc.unique(table["split"]).to_pylist()
    return next(name for name in NAMES if name in there)


def _num_speakers(table: pa.Table) -> int:
    return int(pc.count_distinct(table["speaker"]).as_py())


def _shared_speakers(shares: Mapping[str, pa.Table]) -> list[str]:
    """Return a problem for every two splits that share speakers."""
    speakers = {split: set(pc.unique(table["speaker"]).to_pylist()) for split, table in shares.items()}
    problems = []
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        both = sorted(speakers[one] & speakers[other])
        if both:
            more = f" and {len(both) - NAMED} more" if len(both) > NAMED else ""
            named = ", ".join(f"'{speaker}'" for speaker in both[:NAMED])
            problems.append(f"{one} and {other} must not share speakers, but both have {named}{more}")
    return problems


def utterances_a_speaker(table: pa.Table) -> dict[str, int]:
    """Return how many utterances (rows) each speaker has, in the order of their first."""
    counts = pc.value_counts(table["speaker"])
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def missing_for_training(train: Corpus) -> list[str]:
    """Return what is missing for training: pairs of utterances of one speaker, and of two."""
    counts = utterances_a_speaker(train.table)
    paired = sum(count >= 2 for count in counts.values())
    if paired >= 2:
        return []
    return [
        f"train: at least 2 speakers with 2 utterances are needed, but {paired} of {len(counts)} speakers have them"
    ]


def missing_for_scoring(role: str, rows: pa.Table, *, balance: str | None) -> list[str]:
    """Return what dev or test is missing to be scored: pairs of utterances of one speaker, and of two."""
    counts = utterances_a_speaker(rows)
    if not counts:
        return [f"{role}: holds no utterance; give a {role} corpus ({role} = …), or a train corpus with more speakers"]
    if len(counts) < 2:
        return [f"{role}: at least 2 speakers are needed for trial pairs, but it has '{next(iter(counts))}' alone"]
    if max(counts.values()) < 2:
        return [f"{role}: a speaker with 2 utterances is needed, but each of its {len(counts)} speakers has one"]
    return _missing_genders(role, rows) if balance == "gender" else []


def _missing_genders(role: str, rows: pa.Table) -> list[str]:
    """Return which gender lacks pairs of one speaker or of two."""
    problems = []
    for gender, people in zip(GENDERS, ("women", "men"), strict=True):
        counts = utterances_a_speaker(rows.filter(pc.equal(rows["gender"], gender)))
        if len(counts) < 2 or max(counts.values()) < 2:
            problems.append(
                f"{role}: pairs balanced over gender need 2 {people}, one of them with 2 utterances, "
                f"but it has {len(counts)} with {sum(counts.values())}"
            )
    return problems
