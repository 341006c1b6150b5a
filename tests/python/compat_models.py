"""ONNX models with inputs: `others()` and `own()` give (name, file, inputs by name), `unsupported()` (name, file, words of
the refusal).

Those of others come from packages that ship trained ones (`compat_shipped`), with the packages that the tests use anyway
(the ONNX project's conformance data and ONNX Runtime's examples), and from scikit-learn by way of skl2onnx. Our own are put
together with the ONNX package's helpers.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import skl2onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import make_pipeline

import compat_shipped

CONFORMANCE = pathlib.Path(onnx.__file__).parent / "backend/test/data"
EXAMPLES = pathlib.Path(onnxruntime.__file__).parent / "datasets"

# Networks, and layers as PyTorch writes them.
NETWORKS = ["light_squeezenet", "light_shufflenet"]
LAYERS = [
    "pytorch-converted/test_Conv1d_dilated",
    "pytorch-converted/test_Conv2d_groups",
    "pytorch-converted/test_Conv3d_stride_padding",
    "pytorch-converted/test_ConvTranspose2d",
    "pytorch-converted/test_Embedding",
    "pytorch-converted/test_MaxPool2d_stride_padding_dilation",
    "pytorch-converted/test_PixelShuffle",
    "pytorch-converted/test_log_softmax_dim3",
    "simple/test_sign_model",
]
FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


def others():
    """Made by others."""
    yield from compat_shipped.trained()
    yield from compat_shipped.computed()
    random = np.random.default_rng(7)
    for name in NETWORKS:
        yield drawn(name, (CONFORMANCE / f"light/{name}.onnx").read_bytes(), random)
    for name in LAYERS:
        yield name.partition("/test_")[2].lower(), *shipped(CONFORMANCE / name)
    for name in ["mul_1", "sigmoid"]:
        yield drawn(f"ort_{name}", (EXAMPLES / f"{name}.onnx").read_bytes(), random)
    yield from fitted()


def own():
    """Made here."""
    yield from by_hand(np.random.default_rng(8))


def unsupported():
    """Models that the built-in backend does not run, each with the operator that it lacks or gives up at."""
    yield from compat_shipped.unsupported()
    yield "zipmap", (EXAMPLES / "logreg_iris.onnx").read_bytes(), ["ai.onnx.ml.ZipMap"]
    x, y = load_diabetes(return_X_y=True)
    boosted = GradientBoostingRegressor(n_estimators=5, random_state=0).fit(x, y)
    yield "boosted", converted(boosted, x), ["ai.onnx.ml.TreeEnsembleRegressor"]
    scaled = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    yield "scaled", converted(scaled, x), ["ai.onnx.ml.Scaler"]
    texts = CONFORMANCE / "simple/test_strnorm_model_monday_casesensintive_lower/model.onnx"
    yield "texts", texts.read_bytes(), ["StringNormalizer"]


def drawn(name, file, random):
    """A model of floats, with inputs drawn for it."""
    session = onnxruntime.InferenceSession(file)
    return name, file, {
        put.name: random.random([n if isinstance(n, int) else 3 for n in put.shape]).astype(FLOATS[put.type])
        for put in session.get_inputs()
    }


def shipped(folder):
    """A model with the inputs that lie beside it."""
    file = (folder / "model.onnx").read_bytes()
    graph = onnx.load_model_from_string(file).graph
    constants = {constant.name for constant in graph.initializer}
    names = [put.name for put in graph.input if put.name not in constants]
    tensors = [folder / f"test_data_set_0/input_{place}.pb" for place in range(len(names))]
    values = [numpy_helper.to_array(onnx.load_tensor(str(tensor))) for tensor in tensors]
    return file, dict(zip(names, values))


def converted(model, x, **options):
    options = {id(model): options} if options else None
    return skl2onnx.to_onnx(model, x[:1].astype(np.float32), options=options, target_opset=17).SerializeToString()


def fitted():
    """What scikit-learn fits."""
    x, y = load_diabetes(return_X_y=True)
    rows = {"X": x[:9].astype(np.float32)}
    yield "sk_linear", converted(LinearRegression().fit(x, y), x), rows
    network = MLPRegressor(hidden_layer_sizes=(16, 8), random_state=0, max_iter=30)
    yield "sk_mlp", converted(network.fit(x, y / 100), x), rows
    x, y = load_iris(return_X_y=True)
    rows = {"X": x[::10].astype(np.float32)}
    forest = RandomForestClassifier(n_estimators=7, max_depth=4, random_state=0).fit(x, y)
    yield "sk_forest", converted(forest, x, zipmap=False), rows
    logistic = LogisticRegression(max_iter=500).fit(x, y)
    yield "sk_logistic", converted(logistic, x, zipmap=False), rows
    network = MLPClassifier(hidden_layer_sizes=(8,), random_state=0, max_iter=60).fit(x, y)
    yield "sk_mlp_classes", converted(network, x, zipmap=False), rows


def made(nodes, inputs, outputs, constants):
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    put = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [put(*it) for it in inputs], [put(*it) for it in outputs], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def by_hand(random):
    """What the package's helpers put together."""
    node, floats, doubles = helper.make_node, TensorProto.FLOAT, TensorProto.DOUBLE
    weight = lambda *shape: random.standard_normal(shape).astype(np.float32) / 3
    layers = [
        node("MatMul", ["x", "w1"], ["m1"]),
        node("Add", ["m1", "b1"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "w2"], ["m2"]),
        node("Add", ["m2", "b2"], ["y"]),
    ]
    wide = {name: weight(*shape).astype(np.float64) for name, shape in
            {"w1": (5, 12), "b1": (12,), "w2": (12, 3), "b2": (3,)}.items()}
    yield "mlp_double", made(layers, [("x", doubles, ["n", 5])], [("y", doubles, ["n", 3])], wide), {
        "x": random.standard_normal((6, 5))}
    layers = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["p"], ["a"]),
        node("Flatten", ["a"], ["f"]),
        node("Gemm", ["f", "v"], ["s"]),
        node("Softmax", ["s"], ["y"], axis=1),
    ]
    constants = {"w": weight(4, 1, 3, 3), "v": weight(4, 10)}
    inputs = [("x", floats, ["n", 1, "height", "width"])]
    yield "conv_net", made(layers, inputs, [("y", floats, ["n", 10])], constants), {"x": weight(2, 1, 12, 20)}
    layers = [node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=6), node("Squeeze", ["h", "axis"], ["y"])]
    constants = {"w": weight(1, 24, 3), "r": weight(1, 24, 6), "axis": np.array([0])}
    yield "lstm", made(layers, [("x", floats, ["t", 2, 3])], [("y", floats, [2, 6])], constants), {"x": weight(7, 2, 3)}
    # The shape of its output hangs on the shape of its input, by way of numbers.
    layers = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["rows"]),
        node("Concat", ["rows", "rest"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"], ["y"]),
    ]
    constants = {"first": np.array([0]), "rest": np.array([-1])}
    yield "reshape", made(layers, [("x", floats, ["n", 2, 3])], [("y", floats, None)], constants), {"x": weight(4, 2, 3)}
    layers = [
        node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        node("MatMulInteger", ["q", "w", "zero"], ["i"]),
        node("Cast", ["i"], ["f"], to=floats),
        node("Mul", ["f", "scale"], ["y"]),
    ]
    constants = {"w": random.integers(-9, 9, (4, 3)).astype(np.int8)}
    yield "quantised", made(layers, [("x", floats, ["n", 4])], [("y", floats, ["n", 3])], constants), {"x": weight(5, 4)}
    layers = [node("Greater", ["x", "half"], ["big"]), node("Where", ["big", "i", "j"], ["y"])]
    inputs = [("x", floats, ["n"]), ("i", TensorProto.INT64, ["n"]), ("j", TensorProto.INT64, ["n"])]
    outputs = [("y", TensorProto.INT64, ["n"]), ("big", TensorProto.BOOL, ["n"])]
    feeds = {"x": weight(8), "i": np.arange(8) + (1 << 60), "j": -np.arange(8)}
    yield "choice", made(layers, inputs, outputs, {"half": np.float32(0)}), feeds
