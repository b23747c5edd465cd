"""Going on with a run: what may change between two starts (more trials, more seeds, resources) and what may not.

The number of workers may change as long as no trial depends on it, which those with `negatives = "local"` do.
"""

from collections.abc import Mapping
from typing import Any

from reports.reading import Run
from search_spaces.problems import Problem, StudyError
from search_spaces.reading import ReadStudy
from trainables.corpora.splits import Splits
from voxstudy.facts import may_have
from voxstudy.provenance import code_hash

# The corpus is compared by its fingerprint, so that it may move; the objective's numbers do not depend on the others.
FREE = ("title", "seeds", "search.trials", "confirm", "table", "scale", "resources", "corpus")


def refuse_contradictions(read: ReadStudy, run: Run, splits: Splits, *, allow_code_change: bool) -> None:
    """Raise StudyError with every field in which a study contradicts the run that it would continue."""
    begun, asked = (_flat(study.model_dump(mode="json", by_alias=True)) for study in (run.study, read.study))
    problems = [
        Problem(
            place=f"{read.name}: {field}",
            rule=f"a run goes on with the study it began with, but got {_said(asked, field)} where the run has"
            f" {_said(begun, field)}; choose another --run",
            value=asked.get(field),
        )
        for field in sorted(begun.keys() | asked.keys())
        if begun.get(field) != asked.get(field) and not _is_free(field)
    ]
    had_workers, workers = run.study.resources.workers, read.study.resources.workers
    if had_workers != workers and may_have(read.study, "negatives", "local"):
        rule = (
            'with negatives = "local" a trial depends on the number of workers: a run goes on with those it began with,'
            f" but got {workers} where the run has {had_workers}; choose another --run"
        )
        problems.append(Problem(place=f"{read.name}: resources.workers", rule=rule, value=workers))
    for role, key, got in (
        ("corpus", "corpus_fingerprint", splits.fingerprint),
        ("corpus.test", "test_fingerprint", splits.test_fingerprint),
    ):
        had = run.provenance.get(key, got if role == "corpus" else _last_read(run, got))
        if had != got:
            rule = (
                f"a run goes on with the corpus it began with, but got contents {got} where the run has {had};"
                " choose another --run"
            )
            problems.append(Problem(place=f"{read.name}: {role}", rule=rule, value=got))
    begun_with = run.starts.sort("start", "revision").collect()["code_hash"][-1]
    if begun_with != code_hash() and not allow_code_change:
        problems.append(
            Problem(
                place=f"{read.name}: code",
                rule=f"a run goes on with the code it began with, but this code is {code_hash()} where the run's last"
                f" start had {begun_with}; --allow-code-change goes on all the same, and the report says so",
                value=code_hash(),
            )
        )
    if problems:
        raise StudyError(problems)


def _last_read(run: Run, otherwise: str | None) -> str | None:
    """The test set that a run of an earlier version, whose provenance does not say it, has read."""
    read = run.readings.select("fingerprint").collect()["fingerprint"].to_list()
    return read[-1] if read else otherwise


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested TOML as dotted fields."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_free(field: str) -> bool:
    return any(field == free or field.startswith(f"{free}.") for free in FREE)


def _said(fields: Mapping[str, Any], field: str) -> str:
    return repr(fields[field]) if fields.get(field) is not None else "nothing"
