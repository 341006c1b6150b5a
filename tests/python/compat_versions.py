"""Two versions of one model. Argument: a folder; writes `1.onnx`, which adds 1 to a number, and `2.onnx`, which adds 2."""

import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def main():
    for version in (1, 2):
        step = numpy_helper.from_array(np.array([version], np.float32), "step")
        tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
        graph = helper.make_graph([helper.make_node("Add", ["x", "step"], ["y"])], "g", [tensor("x")], [tensor("y")], [step])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (pathlib.Path(sys.argv[1]) / f"{version}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
