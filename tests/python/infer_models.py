"""Writes small ONNX models for the tests of inference. Argument: the folder; one file a model, `NAME.onnx`."""

import json
import pathlib
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def tensor(name, datatype, *shape):
    return helper.make_tensor_value_info(name, TYPES[datatype], list(shape))


def model(nodes, inputs, outputs, constants=(), **properties):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, properties)
    checker.check_model(made)
    return made


def simple():
    """The model of Triton's own examples: sum and difference of two rows of 16."""
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    inputs = [tensor(name, "INT32", "batch", 16) for name in ("INPUT0", "INPUT1")]
    outputs = [tensor(name, "INT32", "batch", 16) for name in ("OUTPUT0", "OUTPUT1")]
    return model(nodes, inputs, outputs)


def iris():
    """The shape of KServe's first example: four measures in, the number of a class out."""
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) % 5 - 2, "weights")
    nodes = [
        helper.make_node("MatMul", ["input-0", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["output-0"], axis=1, keepdims=0),
    ]
    return model(nodes, [tensor("input-0", "FP32", "rows", 4)], [tensor("output-0", "INT64", "rows")], [weights])


def types():
    """Every type: each output is its input."""
    nodes, inputs, outputs = [], [], []
    for datatype in TYPES:
        nodes.append(helper.make_node("Identity", [f"in_{datatype}"], [f"out_{datatype}"]))
        inputs.append(tensor(f"in_{datatype}", datatype, f"n_{datatype}"))
        outputs.append(tensor(f"out_{datatype}", datatype, f"n_{datatype}"))
    return model(nodes, inputs, outputs)


def logarithm():
    """Gives NaN and infinities for what is not positive."""
    node = helper.make_node("Log", ["x"], ["y"])
    return model([node], [tensor("x", "FP32", "n")], [tensor("y", "FP32", "n")])


def spare():
    """One that a test may take out of service, as no other asks for it."""
    return logarithm()


def line():
    """prediction = 2 a + 3 b + 0.5, for rows of two columns."""
    constants = [
        numpy_helper.from_array(np.array([2.0, 3.0]), "weights"),
        numpy_helper.from_array(np.array(0.5), "intercept"),
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["product"]),
        helper.make_node("Add", ["product", "intercept"], ["prediction"]),
    ]
    inputs, outputs = [tensor("features", "FP64", "rows", 2)], [tensor("prediction", "FP64", "rows")]
    return model(nodes, inputs, outputs, constants, **{"lepton.features": json.dumps(["a", "b"])})


def main():
    folder = pathlib.Path(sys.argv[1])
    for make in (simple, iris, types, logarithm, spare, line):
        save_model(make(), folder / f"{make.__name__}.onnx")


if __name__ == "__main__":
    main()
