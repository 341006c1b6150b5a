"""Files that mean harm or are broken. Argument: a folder; writes `NAME.onnx` there and prints, a line each, NAME and words
that the refusal must have, as JSON."""

import json
import pathlib
import sys

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
DEPTH = 20


def put(name, *shape):
    return helper.make_tensor_value_info(name, FLOAT, list(shape))


def model(nodes, constants=(), imports=("",), inputs=None):
    graph = helper.make_graph(nodes, "g", inputs or [put("x", 1)], [put("y", 1)], list(constants))
    opsets = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in imports]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def constant_of(*shape):
    """A tensor of ones of this shape, which takes a few bytes in the file."""
    shape = numpy_helper.from_array(np.array(shape), "shape")
    return shape, helper.make_node("ConstantOfShape", ["shape"], ["big"], value=helper.make_tensor("v", FLOAT, [1], [1]))


def files():
    node = helper.make_node
    harmless = model([node("Neg", ["x"], ["y"])]).SerializeToString()
    yield "garbage", bytes(range(256)) * 40, ["not those of a model"]
    yield "empty", b"", ["empty"]
    yield "cut", harmless[:-5], ["not those of a model"]
    outside = TensorProto(name="w", data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../../etc/passwd")
    yield "outside", model([node("Add", ["x", "w"], ["y"])], [outside]), ["\"w\"", "../../../etc/passwd"]
    claim = TensorProto(name="w", data_type=FLOAT, dims=[512, 1024, 1024])
    yield "claim", model([node("Add", ["x", "w"], ["y"])], [claim]), ["\"w\"", "claims"]
    overflow = TensorProto(name="w", data_type=FLOAT, dims=[1 << 62, 1 << 62])
    yield "overflow", model([node("Add", ["x", "w"], ["y"])], [overflow]), ["\"w\"", "not possible"]
    for name, dimensions in [("four_gibibytes", [1 << 30]), ("terabytes", [1 << 20, 1 << 24])]:
        shape, big = constant_of(*dimensions)
        sum_ = node("ReduceSum", ["big"], ["s"], keepdims=0)
        yield name, model([big, sum_, node("Add", ["x", "s"], ["y"])], [shape]), ["more memory than the"]
    circle = [node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("Neg", ["b"], ["y"])]
    yield "circle", model(circle), ["\"b\""]
    yield "undefined", model([node("Add", ["x", "nowhere"], ["y"])]), ["\"nowhere\""]
    custom = node("Rob", ["x"], ["y"], domain="com.example")
    yield "custom", model([custom], imports=("", "com.example")), ["\"Rob\"", "\"com.example\""]
    yield "unknown", model([node("Frobnicate", ["x"], ["y"])]), ["Frobnicate"]
    yield "deep", model([nested(DEPTH)], imports=("",)), ["deep"]
    shape, big = constant_of(2500, 2500)
    chain = [node("MatMul", ["big" if n == 0 else f"m{n}", "big"], [f"m{n + 1}"]) for n in range(400)]
    last = node("ReduceMax", [chain[-1].output[0]], ["s"], keepdims=0)
    yield "endless", model([big, *chain, last, node("Add", ["x", "s"], ["y"])], [shape]), ["took longer"]
    sequence = helper.make_tensor_sequence_value_info("x", FLOAT, [1])
    yield "sequence", model([node("Identity", ["x"], ["y"])], inputs=[sequence]), ["\"x\""]


def nested(depth):
    """An `If` with such an `If` in its branch."""
    condition = numpy_helper.from_array(np.array(True), "c")
    inner = helper.make_node("Identity", ["x"], ["leaf"]) if depth == 0 else nested(depth - 1)
    branch = helper.make_graph([inner], f"branch{depth}", [], [put(inner.output[0], 1)], [condition])
    made = helper.make_node("If", ["c"], [f"y{depth}" if depth < DEPTH else "y"])
    leaf = helper.make_graph([helper.make_node("Identity", ["x"], ["other"])], "leaf", [], [put("other", 1)])
    for name, graph in [("then_branch", branch), ("else_branch", leaf)]:
        made.attribute.append(AttributeProto(name=name, type=AttributeProto.GRAPH, g=graph))
    return made


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, file, words in files():
        content = file if isinstance(file, bytes) else file.SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)
        print(json.dumps([name, words]))


if __name__ == "__main__":
    main()
