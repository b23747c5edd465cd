"""A study: what is asked. The shape of the study file, and what follows from it: configs, ranges, suggestions.

The models check shapes alone; whether the knobs, roles and metrics they name exist is for `search_spaces.checks`, and
`search_spaces.reading.read_study` reports both. A `Study` from there is sound; one built by hand may not be.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from search_spaces.knobs import Knob, Value, active_names, knobs_of
from search_spaces.problems import Problem, StudyError
from search_spaces.ranges import range_of
from search_spaces.registry import CONFIGS, Config, build_config
from search_spaces.table import Count, Table, Text

ROLES = ("train", "dev", "test", "trials", "noise", "rooms", "teacher", "finetune")
BASELINE = "paper"
TEXT, TABLE = "a text", "a table"  # the two forms of `init_from`


class Suggesting(Protocol):
    """What `Study.suggest` needs of an Optuna trial."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number between low and high."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer between low and high."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


class Objective(BaseModel):
    """A metric on the dev set at the last epoch, and the direction that is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Text
    goal: Literal["minimize", "maximize"]


class Source(BaseModel):
    """Where utterances come from, and which of them: `where` holds conditions on the source's columns.

    A condition on a column is a value (equal to it), a list (one of them) or { min, max } (numbers between, ends
    included). `condition` is what befalls the audio: "telephone", or with options "telephone?room=0.3&wrong=0.02".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Text
    where: dict[str, Any] = {}
    condition: Text | None = None


def _as_sources(value: Any) -> Any:
    """A source, or a list of them, each a text or a table, as a list of tables."""
    entries = value if isinstance(value, list | tuple) else [value]
    return [{"source": entry} if isinstance(entry, str) else entry for entry in entries]


Sources = Annotated[tuple[Source, ...], Field(min_length=1), BeforeValidator(_as_sources)]


class OtherRun(BaseModel):
    """Weights of another run: of an arm, seed by seed, or of one trial for all seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Text
    arm: Text | None = None
    trial: Text | None = None


# A text names an arm, whatever else stands there must be a table: so that a mistake is said of the one that was meant.
Initial = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[OtherRun, Tag(TABLE)],
    Discriminator(lambda value: TEXT if isinstance(value, str) else TABLE),
]


class Arm(BaseModel):
    """A named config, run over all seeds. `init_from` names whose weights it starts from: another arm's or run's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    config: dict[str, Any] = {}
    init_from: Initial | None = None


class Search(BaseModel):
    """An Optuna sweep: `trials` is the total, also when a run is continued."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: Count
    sampler: Literal["tpe", "random", "qmc"] = "tpe"
    stopper: Literal["none", "asha", "median"] = "none"
    grace: Count = 1
    reduction: Annotated[int, Field(strict=True, ge=2)] = 3
    space: dict[str, Any]


class Confirm(BaseModel):
    """The `top` best configs of the search, over all seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: Count


class Scale(BaseModel):
    """What `--scale NAME` puts over a study: [corpus] whole, the others value by value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: dict[str, Sources] | None = None
    config: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    seeds: Count | None = None
    trials: Count | None = None


class Resources(BaseModel):
    """What a lane of workers takes; `max_lanes` = 0 is as many lanes as fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: Count = 1
    cpus_per_worker: Count = 1
    gpus_per_worker: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 0.0
    max_lanes: Annotated[int, Field(strict=True, ge=0)] = 0


class Study(BaseModel):
    """A study file. `arms` is `[[arm]]` in the file; the arm "paper", the baseline, is always there and not listed.

    A study that was read is what is run: its `scale` is empty, as the chosen one is in the other values already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    title: Text
    trainable: Text
    objective: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=1)]
    seeds: Annotated[int, Field(strict=True, ge=1, lt=1_000_000)] = 1  # from there on are the search's
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 0
    corpus: dict[str, Sources]
    config: dict[str, Any] = {}
    search: Search | None = None
    confirm: Confirm | None = None
    arms: Annotated[tuple[Arm, ...], Field(alias="arm")] = ()
    comparison: Literal["paired", "welch"] = "paired"
    table: Table | None = None
    scale: dict[str, Scale] = {}
    resources: Resources = Resources()

    def knobs(self) -> dict[str, Knob]:
        """The knobs of the study's trainable, in the order of its config class."""
        return knobs_of(CONFIGS[self.trainable])

    def config_of(self, params: Mapping[str, Any]) -> Config:
        """The config of a trial: the trainable's defaults, over them the study's [config], over them `params`."""
        knobs = self.knobs()
        values = {**self.config, **params}
        unknown = sorted(set(values) - set(knobs))
        if unknown:
            raise StudyError(Problem(name, f"{self.trainable} has no such knob", values[name]) for name in unknown)
        return build_config(self.trainable, values)

    def space(self) -> dict[str, BaseDistribution]:
        """The searched knobs and their ranges; knobs stand after those they depend on. Empty without a search."""
        if self.search is None:
            return {}
        entries = self.search.space
        return {name: range_of(knob, entries[name]) for name, knob in self.knobs().items() if name in entries}

    def suggest(self, trial: Suggesting) -> dict[str, Value]:
        """Ask an Optuna trial for the searched knobs, parents first; a knob that has no effect is not asked for."""
        knobs, space = self.knobs(), self.space()
        values: dict[str, Value] = {name: self.config.get(name, knob.default) for name, knob in knobs.items()}
        params: dict[str, Value] = {}
        for name, distribution in space.items():
            if name in active_names(knobs, values):
                params[name] = values[name] = _suggest(trial, name, distribution)
        return params


def _suggest(trial: Suggesting, name: str, distribution: BaseDistribution) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        chosen: Value = trial.suggest_categorical(name, distribution.choices)
        return chosen
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
