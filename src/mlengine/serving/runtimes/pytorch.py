"""Serves PyTorch models: programs of `torch.export` from `model.pt2`, TorchScript from `model.pt`."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlengine.serving.runtimes.artefact import ServingSettings, TensorSetting
from mlengine.serving.runtimes.model import BadOutput, Description, LoadFailed, Model, Refused
from mlengine.serving.runtimes.tensor_signature import TensorSignature, output_of
from mlengine.serving.runtimes.tensors import Tensor

_NAME = "serving_default"
_EXPORT = "torch.export.save(torch.export.export(model, example_inputs, dynamic_shapes=…), 'model.pt2')"
_TYPES: dict[Any, Any] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.float16: np.float16,
    # NumPy has no such type; the values fit.
    torch.bfloat16: np.float32,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}


def load(path: Path, settings: ServingSettings) -> Model:
    """Read a `.pt2` or a `.pt`. Raises LoadFailed.

    Args:
        path: The file.
        settings: What `serving.json` beside it says.
    """
    chosen = settings.signature_name
    if chosen not in (None, _NAME):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: {_NAME}.")
    torch.set_num_threads(1)
    # Moving a model to torch.export is for its makers to decide, not for whoever serves it.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
    call = _program(path, settings) if path.suffix == ".pt2" else _script(path, settings)
    signature = TensorSignature(_NAME, call.inputs, call.outputs, call)
    return Model(
        framework="pytorch",
        signatures={_NAME: signature},
        default=_NAME,
        aliases=(),
        ignores_unknown_keys=True,
        describe=lambda: signature.describe("pytorch", default=_NAME, names=[_NAME]),
        samples=signature.samples(),
        sure=signature.settled,
        source=call.module,
    )


class ModuleCall:
    """How a module is asked with arrays.

    Args:
        module: What is called.
        inputs: In the order of its arguments.
        types: PyTorch's type of each.
        by_name: The arguments that are given by name.
        outputs: Descriptions, empty where they are only known from the answers.
        names: Of the outputs; None leaves them to the answers.
    """

    def __init__(
        self,
        module: Any,
        inputs: Sequence[Tensor],
        types: Sequence[Any],
        *,
        by_name: Sequence[str],
        outputs: Sequence[Description],
        names: Sequence[str] | None,
    ) -> None:
        self.module = module
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._types = dict(zip((tensor.name for tensor in inputs), types, strict=True))
        self._by_name = frozenset(by_name)
        self._names = names
        # Where a shape is not known beforehand, it is the model that finds it wrong.
        self._varies = any(tensor.shape is None or None in tensor.shape for tensor in inputs)

    def __call__(self, arrays: dict[str, Any]) -> Mapping[str, Any]:
        """Ask once."""
        tensors = {name: torch.as_tensor(arrays[name], dtype=dtype) for name, dtype in self._types.items()}
        by_name = {name: tensor for name, tensor in tensors.items() if name in self._by_name}
        try:
            with torch.inference_mode():
                answer = self.module(*(t for name, t in tensors.items() if name not in by_name), **by_name)
        except RuntimeError as error:
            if not self._varies:
                raise
            # TorchScript quotes itself at length; its last line is what it has to say.
            last = str(error).strip().splitlines()[-1]
            raise Refused(f"Prediction failed: Error during model execution: {last}") from error
        found = named(answer)
        if self._names is not None:
            if len(self._names) != len(found):
                raise BadOutput(
                    f"serving.json names {len(self._names)} outputs, but the model answered {len(found)}."
                )
            found = dict(zip(self._names, found.values(), strict=True))
        return {name: _array(name, tensor) for name, tensor in found.items()}


def _program(path: Path, settings: ServingSettings) -> ModuleCall:
    if settings.inputs:
        raise LoadFailed(
            "serving.json: 'inputs' is for TorchScript; a program of torch.export tells its own. Remove it."
        )
    try:
        program = torch.export.load(str(path))
    except Exception as error:
        cure = f" It holds no exported program. Write it with {_EXPORT}." if _is_checkpoint(path) else ""
        raise LoadFailed(
            f"Could not load the model: {path}. {type(error).__name__}: {error}{cure}"
        ) from error
    wanted = program.graph_signature.user_inputs
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    arguments = program.call_spec.in_spec
    given, named = (
        (arguments.child(0), arguments.child(1)) if hasattr(arguments, "child") else _parts(arguments)
    )
    simple = given.num_leaves == given.num_children and named.num_leaves == named.num_children
    if not simple or any(not isinstance(nodes.get(name), torch.Tensor) for name in wanted):
        raise LoadFailed(
            f"The program in {path.name} takes other arguments than tensors by themselves. Export a module "
            f"whose forward takes one tensor per input."
        )
    keys = [str(key) for key in named.context]
    # Arguments by name come last, and the graph may call them otherwise.
    aliases = [*map(str, wanted[: len(wanted) - len(keys)]), *keys]
    values = [nodes[name] for name in wanted]
    inputs = [_tensor(alias, value, path) for alias, value in zip(aliases, values, strict=True)]
    answers = [
        node.meta["val"]
        for output in program.graph.nodes
        if output.op == "output"
        for node in output.args[0][-len(program.graph_signature.user_outputs) :]
    ]
    names = settings.outputs or _output_names(program.call_spec.out_spec, len(answers))
    if len(names) != len(answers):
        raise LoadFailed(
            f"serving.json names {len(names)} outputs, but the program in {path.name} has {len(answers)}."
        )
    outputs = [output_of(_tensor(name, value, path)) for name, value in zip(names, answers, strict=True)]
    return ModuleCall(
        program.module(),
        inputs,
        [value.dtype for value in values],
        by_name=keys,
        outputs=outputs,
        names=settings.outputs or None,
    )


def _script(path: Path, settings: ServingSettings) -> ModuleCall:
    try:
        module = torch.jit.load(str(path), map_location="cpu")
    except Exception as error:
        cure = f" It holds parameters, not a model. Write one with {_EXPORT}." if _is_checkpoint(path) else ""
        raise LoadFailed(
            f"Could not load the model: {path}. {type(error).__name__}: {error}{cure}"
        ) from error
    module.eval()
    arguments = [
        argument
        for argument in module.forward.schema.arguments[1:]
        if not argument.has_default_value() or argument.name in settings.inputs
    ]
    for argument in arguments:
        if str(argument.type) not in ("Tensor", "Optional[Tensor]"):
            raise LoadFailed(
                f"forward of the model in {path.name} takes {argument.name} as {argument.type}; instances "
                f"can only say tensors. Give the module a forward that takes one tensor per input."
            )
    names = [argument.name for argument in arguments]
    unknown = [name for name in settings.inputs if name not in names]
    if unknown:
        raise LoadFailed(
            f"serving.json: the model in {path.name} has no input '{unknown[0]}'. It has: {', '.join(names)}."
        )
    # TorchScript keeps names, but neither types nor shapes.
    said = [settings.inputs.get(name, TensorSetting()) for name in names]
    inputs = [
        Tensor(name, setting.type, None if setting.shape is None else (None, *setting.shape))
        for name, setting in zip(names, said, strict=True)
    ]
    types = {np.dtype(numpy): dtype for dtype, numpy in reversed(_TYPES.items())}
    for setting in said:
        if np.dtype(setting.type) not in types:
            known = ", ".join(sorted({np.dtype(numpy).name for numpy in _TYPES.values()}))
            raise LoadFailed(
                f"serving.json: PyTorch serves no inputs of type {setting.type}. Known: {known}."
            )
    return ModuleCall(
        module,
        inputs,
        [types[np.dtype(setting.type)] for setting in said],
        by_name=(),
        outputs=[{"name": name, "type": "number", "shape": None} for name in settings.outputs],
        names=settings.outputs or None,
    )


def _parts(spec: Any) -> tuple[Any, Any]:
    """Positional and named arguments, as PyTorch before 2.9 had them."""
    given, named = spec.children_specs
    return given, named


def _tensor(name: str, value: Any, path: Path) -> Tensor:
    if value.dtype not in _TYPES:
        raise LoadFailed(f"{name} of {path.name} is of type {value.dtype}, which JSON cannot say.")
    return Tensor(name, _TYPES[value.dtype], [size if type(size) is int else None for size in value.shape])


def _output_names(spec: Any, count: int) -> list[str]:
    if getattr(spec, "type", None) is dict and spec.num_children == count:
        return [str(key) for key in spec.context]
    return [f"output_{index}" for index in range(count)]


def named(answer: Any) -> dict[str, Any]:
    """The tensors of an answer by output."""
    if isinstance(answer, dict):
        return {str(name): tensor for name, tensor in answer.items()}
    answers = list(answer) if isinstance(answer, (list, tuple)) else [answer]
    return {f"output_{index}": tensor for index, tensor in enumerate(answers)}


def _array(name: str, tensor: Any) -> Any:
    if not isinstance(tensor, torch.Tensor):
        raise BadOutput(f"Output {name} of the model is a {type(tensor).__name__}, not a tensor.")
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()


def _is_checkpoint(path: Path) -> bool:
    """Whether the file is what `torch.save` writes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())
