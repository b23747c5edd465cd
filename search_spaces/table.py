"""A paper's table as a study states it: which arm stands in which row and column, and what the paper printed there."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Text = Annotated[str, Field(strict=True, min_length=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Names = Annotated[
    tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


class Published(BaseModel):
    """A paper's figure, in the unit that reports show (percent for error rates): mean, sample standard deviation, n."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    std: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | None = None
    n: Count = 1


class Cell(BaseModel):
    """One place of a table and what stands in it.

    Either `arm`, an arm's name, or several, of which the one with the best mean on dev is taken and named; or
    `confirmed`, the n-th best config of the search, as [confirm] measured it. A cell may also hold a published figure
    alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: Text
    column: str = ""
    arm: Names | None = None
    confirmed: Count | None = None
    published: Published | None = None


class Table(BaseModel):
    """Rows and columns in the order in which cells name them first.

    `baseline` names the row or the column that the others are compared with: a column with the cell of the same row, a
    row with the cell of the same column. `corner` heads the rows. `metric` is the study's objective if left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    caption: Text
    baseline: Text
    corner: str = ""
    metric: Text | None = None
    cells: Annotated[tuple[Cell, ...], Field(alias="cell", min_length=1)]

    def rows(self) -> list[str]:
        """The rows' names in order."""
        return list(dict.fromkeys(cell.row for cell in self.cells))

    def columns(self) -> list[str]:
        """The columns' names in order; a table of one column may leave its name empty."""
        return list(dict.fromkeys(cell.column for cell in self.cells))

    def cell(self, row: str, column: str) -> Cell | None:
        """What stands in a place."""
        return next((cell for cell in self.cells if (cell.row, cell.column) == (row, column)), None)

    def compared_with(self, cell: Cell) -> Cell | None:
        """The baseline's cell that a cell is compared with; None for the baseline itself and where it has none."""
        place = (cell.row, self.baseline) if self.baseline in self.columns() else (self.baseline, cell.column)
        found = self.cell(*place)
        return None if found is cell else found
