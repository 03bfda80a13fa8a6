"""The operations of TensorFlow graphs that have a short and equal form in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.words import Unsupported

Operation = Callable[..., Any]


def operation(kind: str, attributes: Mapping[str, Any]) -> Operation:
    """What an operation of this kind does to its inputs. Raises Unsupported.

    Args:
        kind: As in the graph: "MatMul".
        attributes: Its attributes, as protocol buffers.
    """
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain
    made = _MADE.get(kind)
    if made is None:
        raise Unsupported(f"The graph has an operation without a faster form: {kind}.")
    act: Operation = made(attributes)
    return act


def _softmax(values: Any) -> Any:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _sigmoid(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.reciprocal(1 + np.exp(-values))


def _elu(values: Any) -> Any:
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0)))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu(values: Any) -> Any:
    scaled = _SELU_ALPHA * np.expm1(np.minimum(values, 0))
    return (_SELU_SCALE * np.where(values > 0, values, scaled)).astype(values.dtype)


def _softplus(values: Any) -> Any:
    return np.logaddexp(values, np.zeros((), dtype=values.dtype))


def _matmul(attributes: Mapping[str, Any]) -> Operation:
    left, right = attributes["transpose_a"].b, attributes["transpose_b"].b

    def multiply(one: Any, other: Any) -> Any:
        return np.matmul(one.T if left else one, other.T if right else other)

    return np.matmul if not left and not right else multiply


def _batch_matmul(attributes: Mapping[str, Any]) -> Operation:
    left, right = attributes["adj_x"].b, attributes["adj_y"].b

    def multiply(one: Any, other: Any) -> Any:
        return np.matmul(
            np.swapaxes(one, -1, -2) if left else one, np.swapaxes(other, -1, -2) if right else other
        )

    return multiply


def _bias(attributes: Mapping[str, Any]) -> Operation:
    if "data_format" in attributes and attributes["data_format"].s == b"NCHW":
        raise Unsupported("The graph adds a bias to the second dimension.")
    add: Operation = np.add
    return add


def _cast(attributes: Mapping[str, Any]) -> Operation:
    import tensorflow as tf

    dtype = tf.as_dtype(attributes["DstT"].type)
    if dtype == tf.string:
        raise Unsupported("The graph makes texts.")
    kind = dtype.as_numpy_dtype
    return lambda values: np.asarray(values).astype(kind, copy=False)


def _reduction(function: Any) -> Callable[[Mapping[str, Any]], Operation]:
    def made(attributes: Mapping[str, Any]) -> Operation:
        keep = attributes["keep_dims"].b

        def reduce(values: Any, axes: Any) -> Any:
            over = tuple(int(axis) for axis in np.ravel(axes))
            return np.asarray(function(values, axis=over, keepdims=keep)).astype(values.dtype, copy=False)

        return reduce

    return made


def _leaky(attributes: Mapping[str, Any]) -> Operation:
    slope = attributes["alpha"].f
    return lambda values: np.where(values > 0, values, values * np.float32(slope))


def _squeeze(attributes: Mapping[str, Any]) -> Operation:
    axes = tuple(attributes["squeeze_dims"].list.i)
    return lambda values: np.squeeze(values, axis=axes or None)


def _pack(attributes: Mapping[str, Any]) -> Operation:
    axis = attributes["axis"].i
    return lambda *parts: np.stack(parts, axis=axis)


def _slice(attributes: Mapping[str, Any]) -> Operation:
    masks = {
        name: attributes[f"{name}_mask"].i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    if masks["ellipsis"] or masks["new_axis"]:
        raise Unsupported("The graph has a slice of a kind without a faster form.")

    def cut(values: Any, begin: Any, end: Any, strides: Any) -> Any:
        index: list[Any] = []
        for at, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
            if masks["shrink_axis"] >> at & 1:
                index.append(int(first))
                continue
            start = None if masks["begin"] >> at & 1 else int(first)
            stop = None if masks["end"] >> at & 1 else int(last)
            index.append(slice(start, stop, int(step)))
        return np.asarray(values)[tuple(index)]

    return cut


def _argmax(attributes: Mapping[str, Any]) -> Operation:
    import tensorflow as tf

    kind = tf.as_dtype(attributes["output_type"].type).as_numpy_dtype
    return lambda values, axis: np.argmax(values, axis=int(axis)).astype(kind)


def _shape(attributes: Mapping[str, Any]) -> Operation:
    import tensorflow as tf

    kind = tf.as_dtype(attributes["out_type"].type).as_numpy_dtype
    return lambda values: np.array(np.shape(values), dtype=kind)


def _erf(_: Mapping[str, Any]) -> Operation:
    return _special("erf")


def _erfc(_: Mapping[str, Any]) -> Operation:
    return _special("erfc")


def _special(name: str) -> Operation:
    try:
        from scipy import special
    except ImportError:
        raise Unsupported(f"The graph needs {name}, for which this environment lacks SciPy.") from None
    function: Operation = getattr(special, name)
    return function


def _as_tuple(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in np.ravel(values))


def _relu(values: Any) -> Any:
    return np.maximum(values, 0)


_PLAIN: dict[str, Operation] = {
    "Identity": lambda values: values,
    "StopGradient": lambda values: values,
    "PreventGradient": lambda values: values,
    "Add": np.add,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "DivNoNan": lambda one, other: np.divide(one, other, out=np.zeros_like(one), where=other != 0),
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "SquaredDifference": lambda one, other: np.square(one - other),
    "Pow": np.power,
    "Neg": np.negative,
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": np.log,
    "Log1p": np.log1p,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda values: np.reciprocal(np.sqrt(values)),
    "Square": np.square,
    "Relu": _relu,
    "Relu6": lambda values: np.clip(values, 0, 6),
    "Elu": _elu,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Softplus": _softplus,
    "Softsign": lambda values: values / (1 + np.abs(values)),
    "Softmax": _softmax,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalNot": np.logical_not,
    "LogicalAnd": np.logical_and,
    "SelectV2": np.where,
    "Reshape": lambda values, shape: np.reshape(values, _as_tuple(shape)),
    "ExpandDims": lambda values, axis: np.expand_dims(values, int(axis)),
    "Transpose": lambda values, order: np.transpose(values, _as_tuple(order)),
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], axis=int(parts[-1])),
    "Tile": lambda values, times: np.tile(values, _as_tuple(times)),
    "GatherV2": lambda values, places, axis: np.take(values, places, axis=int(axis)),
}
_MADE: dict[str, Callable[[Mapping[str, Any]], Operation]] = {
    "MatMul": _matmul,
    "BatchMatMulV2": _batch_matmul,
    "BiasAdd": _bias,
    "Cast": _cast,
    "Mean": _reduction(np.mean),
    "Sum": _reduction(np.sum),
    "Max": _reduction(np.max),
    "Min": _reduction(np.min),
    "Prod": _reduction(np.prod),
    "LeakyRelu": _leaky,
    "Squeeze": _squeeze,
    "Pack": _pack,
    "StridedSlice": _slice,
    "ArgMax": _argmax,
    "Erf": _erf,
    "Erfc": _erfc,
    "Shape": _shape,
}
