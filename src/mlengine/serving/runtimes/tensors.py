"""What each input of a model of tensors takes: JSON values in, stacked NumPy arrays out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.faults import shown
from mlengine.serving.runtimes.model import Description


class Tensor:
    """One input of a signature.

    Args:
        name: The alias of the input.
        dtype: Its NumPy type; `object` for strings.
        shape: The whole shape, batch first, with None for a dimension that may vary; None if not even the
            number of dimensions is known.
    """

    def __init__(self, name: str, dtype: Any, shape: Sequence[int | None] | None) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self.shape = None if shape is None else tuple(shape[1:])
        self.batch = shape[0] if shape else None
        self.holds_strings = self.dtype.kind == "O"
        self._whole = self.dtype.kind in "iu"
        self._kinds = "b" if self.dtype.kind == "b" else "iuf"

    @property
    def type(self) -> str:
        """The type in a model's description."""
        if self.holds_strings:
            return "bytes" if self.name.endswith("_bytes") else "string"
        return {"b": "boolean", "i": "integer", "u": "integer"}.get(self.dtype.kind, "number")

    @property
    def settled(self) -> bool:
        """Whether type and shape leave no choice, so that a made-up value must do."""
        return not self.holds_strings and self.shape is not None and None not in self.shape

    def describe(self) -> Description:
        """This input as part of a model's description."""
        return {
            "name": self.name,
            "type": self.type,
            "shape": None if self.shape is None else list(self.shape),
            "categories": None,
            "closed": False,
            "nullable": False,
            "required": True,
        }

    def sample(self, fill: str, *, varying: int = 1) -> Any:
        """A made-up value.

        Args:
            fill: "zeros", "ones" or "ramp" (rising to 1).
            varying: The size of dimensions that may vary.
        """
        shape = [varying if dimension is None else dimension for dimension in self.shape or ()]
        if self.holds_strings:
            word = "" if fill == "zeros" else "a"
            leaf: Any = {"b64": base64.b64encode(word.encode()).decode()} if self.type == "bytes" else word
            for dimension in reversed(shape):
                leaf = [leaf] * dimension
            return leaf
        size = int(np.prod(shape, dtype=np.int64))
        flat = {"zeros": np.zeros(size), "ones": np.ones(size), "ramp": np.arange(1, size + 1) / size}[fill]
        if self.type == "integer":
            flat = np.ceil(flat).astype(np.int64)
        return (
            flat.astype(bool).reshape(shape).tolist()
            if self.type == "boolean"
            else flat.reshape(shape).tolist()
        )

    def wanted(self) -> str:
        """What to send: "784 numbers", "a text"."""
        noun = {"string": "text", "bytes": '{"b64": "…"} object', "boolean": "true or false"}.get(self.type)
        if self.type == "integer":
            noun = "whole number"
        if self.shape == ():
            return noun if noun == "true or false" else f"a {noun or 'number'}"
        plural = "booleans" if self.type == "boolean" else f"{noun or 'number'}s"
        if self.shape is None or None in self.shape:
            return f"a list of {plural}"
        if len(self.shape) == 1:
            return f"a list of {self.shape[0]} {plural}"
        return f"{plural} in lists nested as {_shape_text(self.shape)}"

    def stack(self, values: list[Any], *, booleans: bool) -> Any | None:
        """One array of all `values`, or None if any of them is at fault.

        Args:
            values: One per instance.
            booleans: Whether a true or false may be among them.
        """
        if self.holds_strings:
            try:
                array = np.array([_as_bytes(value) for value in values], dtype=object)
            except ValueError:
                return None
            ragged = any(type(leaf) is list for leaf in array.flat)
            return None if ragged or not self._fits(array.shape[1:]) else array
        try:
            array = np.asarray(values)
        except (ValueError, OverflowError):
            return None
        # NumPy would make ones and zeros of them.
        if booleans and self._kinds != "b" and _holds_boolean(values):
            return None
        return self.cast(array)

    def cast(self, array: Any) -> Any | None:
        """An array of all instances' numbers as this input's type, or None if it does not fit.

        Args:
            array: Of numbers or booleans; the first dimension is the instance.
        """
        if self.holds_strings or array.dtype.kind not in self._kinds or not self._fits(array.shape[1:]):
            return None
        if self._whole and array.dtype != self.dtype:
            limits = np.iinfo(self.dtype)
            whole = array.dtype.kind != "f" or bool((array == np.floor(array)).all())
            if not whole or (array.size and (array.min() < limits.min or array.max() > limits.max)):
                return None
        if array.dtype == self.dtype:
            cast = array
        else:
            with np.errstate(over="ignore"):
                cast = array.astype(self.dtype, copy=False)
        if self.type == "number" and not np.isfinite(cast).all():
            return None
        return cast

    def fault(self, value: Any) -> str | None:
        """What is wrong with one value, with the cure, or None if it is fine by itself."""
        if self.stack([value], booleans=True) is not None:
            return None
        leaf = self._wrong_leaf(value, "")
        if leaf is not None:
            return leaf
        try:
            shape = np.shape(value) if not self.holds_strings else _string_shape(value)
        except ValueError:
            return f"the lists inside differ in length. Send {self.wanted()}."
        if not self._fits(shape):
            return self._wrong_shape(shape)
        limits = f" ({np.iinfo(self.dtype).min} to {np.iinfo(self.dtype).max})" if self._whole else ""
        return f"a number is out of range for {self.dtype}{limits}."

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def _wrong_shape(self, got: tuple[int, ...]) -> str:
        want = self.shape or ()
        found = "a single value" if not got else str(got[0]) if len(got) == 1 else f"shape {_shape_text(got)}"
        if not want:
            found = f"a list of {got[0]}" if len(got) == 1 else found
            return f"expected a single value, got {found}. Send {self.wanted()}."
        if len(want) == 1 and len(got) <= 1 and want[0] is not None:
            return f"expected {want[0]} values, got {found}."
        if len(got) == 1:
            found = f"a flat list of {got[0]}"
        return f"expected shape {_shape_text(want)}, got {found}. Send {self.wanted()}."

    def _wrong_leaf(self, value: Any, path: str) -> str | None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                sentence = self._wrong_leaf(item, f"{path}[{index}]")
                if sentence is not None:
                    return sentence
            return None
        said = f"{shown(value)} at {path}" if path else shown(value)
        if self.holds_strings:
            try:
                _as_bytes(value)
            except ValueError as error:
                return f"{said} {error}. Send {self.wanted()}."
            return None
        if self.type == "boolean":
            return None if isinstance(value, bool) else f"{said} is neither true nor false."
        if isinstance(value, str):
            return f"{said} is text, but a number is needed. Send numbers without quotes."
        if isinstance(value, bool):
            return f"{said} is not a number. Send 1 for true or 0 for false."
        if value is None or isinstance(value, dict):
            return f"{said} is not a number. Send {self.wanted()}."
        if self._whole and value != int(value):
            return f"{said} is not a whole number."
        return None


def is_binary(value: Any) -> bool:
    """Whether a JSON value stands for binary data: an object with the only key b64."""
    return type(value) is dict and len(value) == 1 and "b64" in value


def unpacked(value: Any) -> Any:
    """`value` with every `{"b64": …}` in it as bytes; what is no base64 stays as it is."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if is_binary(value):
        try:
            return _as_bytes(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: unpacked(item) for key, item in value.items()}
    return value


def _as_bytes(value: Any) -> Any:
    """A text or `{"b64": …}` as bytes, at any depth of lists. Raises ValueError with half a sentence."""
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("has half a character (a lone surrogate)") from None
    if isinstance(value, list):
        return [_as_bytes(item) for item in value]
    if is_binary(value):
        encoded = value["b64"]
        if not isinstance(encoded, str):
            raise ValueError("has a b64 that is no text")
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("is not valid base64") from None
    raise ValueError("is not a text")


def _string_shape(value: Any) -> tuple[int, ...]:
    array = np.array(_as_bytes(value), dtype=object)
    if any(type(leaf) is list for leaf in array.flat):
        raise ValueError("ragged")
    return tuple(array.shape)


def _holds_boolean(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_boolean, value))
    return isinstance(value, bool)


def _shape_text(shape: Sequence[int | None]) -> str:
    return " × ".join("any" if dimension is None else str(dimension) for dimension in shape)
