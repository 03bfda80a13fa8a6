"""Rows of a table for training: as Arrow, NumPy and pandas, and as data sets of TensorFlow and PyTorch.

Everything comes from one Arrow stream, so no number becomes text on its way. None of these packages is
imported unless it is asked for; all need pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from mlengine.client.tables import TableName, Tables
from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.sdk.lines import Lines

_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """A table, or some of its columns and rows. What it reads is one version, whatever is written meanwhile.

    Attributes:
        name: PROJECT:DATASET.TABLE.
        columns: Those to read; empty for all.
        start: The first row, from 0.
        most: At most so many rows; None for all.
        version: The version to read; None for the latest.
    """

    name: str
    columns: tuple[str, ...] = ()
    start: int = 0
    most: int | None = None
    version: int | None = None
    _project: str = ""
    _lines: Lines = field(repr=False, compare=False)

    def select(self, *columns: str) -> TableReader:
        """Only these columns, in the order of the table."""
        return replace(self, columns=columns)

    def rows(self, start: int, stop: int) -> TableReader:
        """Only the rows from `start` up to `stop`, which is not among them."""
        if not 0 <= start <= stop:
            raise InvalidArgument(f"There are no rows from {start} to {stop}.")
        return replace(self, start=start, most=stop - start)

    def at(self, version: int) -> TableReader:
        """As it was in this version: a job's `trainingOutput.mlengine.tables` says what it has read."""
        return replace(self, version=version)

    def describe(self) -> dict[str, Any]:
        """The table's resource: schema, number of rows, version."""
        with self._lines.lend() as line:
            return Tables(line, self._project).table(self._name)

    def batches(self, rows: int = 0) -> Iterator[Any]:
        """Record batches, as they come.

        Args:
            rows: Of each but the last; 0 for what is quickest.
        """
        if not rows:
            with self._opened() as reader:
                yield from reader
            return
        pyarrow = _loaded("pyarrow")
        waiting: list[Any] = []
        count = 0
        with self._opened() as reader:
            for batch in reader:
                waiting.append(batch)
                count += batch.num_rows
                while count >= rows:
                    whole = pyarrow.Table.from_batches(waiting)
                    yield whole.slice(0, rows).combine_chunks().to_batches()[0]
                    rest = whole.slice(rows)
                    waiting, count = rest.to_batches(), rest.num_rows
        if count:
            yield pyarrow.Table.from_batches(waiting).combine_chunks().to_batches()[0]

    def to_arrow(self) -> Any:
        """All rows as a pyarrow.Table."""
        with self._opened() as reader:
            return reader.read_all()

    def to_pandas(self) -> Any:
        """All rows as a pandas.DataFrame."""
        _loaded("pandas")
        return self.to_arrow().to_pandas()

    def to_numpy(self) -> dict[str, Any]:
        """Every column as an array. Arrays of one length become one array of two dimensions."""
        _loaded("numpy")
        table = self.to_arrow()
        return {name: _array(table.column(name).combine_chunks()) for name in table.column_names}

    def to_tf_dataset(self, batch_size: int = 32) -> Any:
        """A tf.data.Dataset of dictionaries: column by name, a batch at a time. It can be iterated again."""
        tensorflow = _loaded("tensorflow")
        first = self.rows(
            self.start, self.start + min(1, self.most if self.most is not None else 1)
        ).to_numpy()
        shapes = {
            name: tensorflow.TensorSpec((None, *array.shape[1:]), _tensor_type(tensorflow, array))
            for name, array in first.items()
        }

        def numbered() -> Iterator[dict[str, Any]]:
            return self._numpy_batches(batch_size)

        return tensorflow.data.Dataset.from_generator(numbered, output_signature=shapes)

    def to_torch(self, batch_size: int = 32) -> Any:
        """A torch IterableDataset of dictionaries of tensors, a batch at a time.

        For a DataLoader with batch_size=None. Of several workers each reads its own part of the rows.
        """
        torch = _loaded("torch")
        reader = self

        class Rows(torch.utils.data.IterableDataset):  # type: ignore[misc,name-defined]
            """Batches of a table."""

            def __iter__(self) -> Iterator[dict[str, Any]]:
                mine, worker = reader, torch.utils.data.get_worker_info()
                if worker is not None and worker.num_workers > 1:
                    mine = reader._share(worker.id, worker.num_workers)
                for batch in mine._numpy_batches(batch_size):
                    yield {
                        name: torch.from_numpy(array.copy()) if array.dtype.kind in "biuf" else array.tolist()
                        for name, array in batch.items()
                    }

        return Rows()

    @property
    def _name(self) -> TableName:
        return TableName(self.name, self._project)

    def _numpy_batches(self, rows: int) -> Iterator[dict[str, Any]]:
        for batch in self.batches(rows):
            yield {name: _array(batch.column(name)) for name in batch.schema.names}

    def _share(self, number: int, count: int) -> TableReader:
        found = self.describe()
        version = self.version or int(found["mlengine"]["version"])
        total = max(0, int(found["numRows"]) - self.start)
        total = total if self.most is None else min(total, self.most)
        first, last = total * number // count, total * (number + 1) // count
        return replace(self, start=self.start + first, most=last - first, version=version)

    def _opened(self) -> Any:
        return _Opened(self)


class _Opened:
    """A stream of record batches, whose line is given back at the end."""

    def __init__(self, reader: TableReader) -> None:
        self._reader = reader
        self._lent: Any = None

    def __enter__(self) -> Any:
        ipc = _loaded("pyarrow.ipc")
        reader = self._reader
        self._lent = reader._lines.lend()
        line = self._lent.__enter__()
        try:
            response = Tables(line, reader._project).arrow(
                reader._name,
                columns=reader.columns,
                start=reader.start,
                most=reader.most,
                version=reader.version,
            )
            self._response = response
            return ipc.open_stream(response)
        except BaseException as error:
            self._lent.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            self._response.read()
        self._lent.__exit__(kind, error, trace)


def reader(lines: Lines, project: str, table: str, columns: Sequence[str]) -> TableReader:
    """A reader of a table. Raises InvalidArgument: that is no name of one."""
    name = TableName(table, project)
    return TableReader(name=str(name), columns=tuple(columns), _project=project, _lines=lines)


def _array(values: Any) -> Any:
    """A column as an array, without a copy where that is possible."""
    pyarrow = _loaded("pyarrow")
    numpy = _loaded("numpy")
    kind = values.type
    if pyarrow.types.is_list(kind) and not values.null_count:
        inner = _array(values.flatten())
        lengths = numpy.diff(values.offsets.to_numpy())
        if len(lengths) and (lengths == lengths[0]).all():
            return inner.reshape(len(lengths), int(lengths[0]), *inner.shape[1:])
        if not len(lengths):
            return inner.reshape(0, 0)
        return numpy.array([_array(one.values) for one in values], dtype=object)
    return values.to_numpy(zero_copy_only=False)


def _tensor_type(tensorflow: Any, array: Any) -> Any:
    return tensorflow.string if array.dtype.kind == "O" else tensorflow.as_dtype(array.dtype)


def _loaded(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise FailedPrecondition(f"{package} is not installed here.", hint=f"pip install {package}") from None
