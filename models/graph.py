"""A small builder of ONNX graphs: name what comes out, hand in what goes in.

- Built by hand rather than exported from torch: milliseconds instead of seven seconds, the same
  bytes for the same inputs, no source paths or stack traces inside.
- Equal constants are stored once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 20, 4, 10  # what onnxruntime has read since 1.18
TREES = 5  # the first ML_OPSET with trees in double: `TreeEnsemble`
ML = "ai.onnx.ml"


class Graph:
    """Nodes and constants of one graph; every method returns the name of a value."""

    def __init__(self) -> None:
        """Start an empty graph."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: tuple[int | str, ...]) -> str:
        """Declare an input of a TensorProto kind, once; a text in `shape` is a free dimension."""
        if name not in {each.name for each in self._inputs}:
            self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: tuple[int | str, ...]) -> None:
        """Declare `value` as an output called `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"out_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, array: Any, dtype: Any = None) -> str:
        """Store an array (contiguous, in `dtype`) and return its name."""
        array = np.array(array, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"c{len(self._constants)}")
        return self._constants[key].name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append one node with one output."""
        name = f"v{len(self._nodes)}"
        node = helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return name

    def split(self, value: str, count: int, axis: int) -> list[str]:
        """Cut a value into `count` equal pieces along `axis`."""
        names = [f"v{len(self._nodes)}_{i}" for i in range(count)]
        node = helper.make_node(
            "Split", [value], names, name=names[0], axis=axis, num_outputs=count
        )
        self._nodes.append(node)
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """Give a value another shape; -1 is what remains."""
        return self.add("Reshape", value, self.constant(shape, np.int64))

    def model(self, **properties: str) -> onnx.ModelProto:
        """Assemble and check the model; `properties` become its metadata."""
        graph = helper.make_graph(
            self._nodes, "penstock", self._inputs, self._outputs, list(self._constants.values())
        )
        ml = TREES if any(node.op_type == "TreeEnsemble" for node in self._nodes) else ML_OPSET
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ml)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        model.producer_name = "penstock"
        helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        return model


FLOAT, DOUBLE, INT64, STRING = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.STRING,
)
