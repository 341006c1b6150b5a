"""Triton's client, unmodified, over HTTP and gRPC, against models of `infer_models.py`. Argument: HOST:PORT."""

import sys
import threading

import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

# More elements than one HTTP/2 window or one read holds.
LARGE_ROWS = 65_536
VALUES = {
    "BOOL": np.array([True, False, True]),
    "UINT8": np.array([0, 1, 255], np.uint8),
    "UINT16": np.array([0, 1, 65_535], np.uint16),
    "UINT32": np.array([0, 1, 2**32 - 1], np.uint32),
    "UINT64": np.array([0, 2**53 + 1, 2**64 - 1], np.uint64),
    "INT8": np.array([-128, 0, 127], np.int8),
    "INT16": np.array([-(2**15), 0, 2**15 - 1], np.int16),
    "INT32": np.array([-(2**31), 0, 2**31 - 1], np.int32),
    "INT64": np.array([-(2**63), 2**53 + 1, 2**63 - 1], np.int64),
    "FP16": np.array([0.5, -1.0, 65_504.0], np.float16),
    "FP32": np.array([0.1, -0.0, 3.4e38], np.float32),
    "FP64": np.array([0.1, 1e-300, 1.7e308]),
    "BYTES": np.array(["", "größer", "a,\"b\"\n"], np.object_),
}


class Http:
    """What the tests need of the HTTP client."""

    name = "http"
    module = http_client

    def __init__(self, address):
        self.client = http_client.InferenceServerClient(address, concurrency=4)

    def input(self, name, array, binary=True, datatype=None):
        made = http_client.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        return made.set_data_from_numpy(array, binary_data=binary)

    def packed(self, packing):
        return {"request_compression_algorithm": packing, "response_compression_algorithm": packing}

    def output(self, name, binary=True):
        return http_client.InferRequestedOutput(name, binary_data=binary)

    def later(self, *arguments, **more):
        return self.client.async_infer(*arguments, **more).get_result()

    def metadata(self, *arguments):
        return self.client.get_model_metadata(*arguments)

    def server(self):
        return self.client.get_server_metadata()

    def answer(self, result):
        return result.get_response()


class Grpc:
    """What the tests need of the gRPC client."""

    name = "grpc"
    module = grpc_client

    def __init__(self, address):
        self.client = grpc_client.InferenceServerClient(address)

    def input(self, name, array, binary=True, datatype=None):
        made = grpc_client.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        return made.set_data_from_numpy(array)

    def packed(self, packing):
        return {"compression_algorithm": packing}

    def output(self, name, binary=True):
        return grpc_client.InferRequestedOutput(name)

    def later(self, *arguments, **more):
        done, outcome = threading.Event(), []

        def callback(result, error):
            outcome.extend([result, error])
            done.set()

        self.client.async_infer(*arguments, callback, **more)
        assert done.wait(60), "no answer"
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def metadata(self, *arguments):
        return self.client.get_model_metadata(*arguments, as_json=True)

    def server(self):
        return self.client.get_server_metadata(as_json=True)

    def answer(self, result):
        return result.get_response(as_json=True)


def same(got, expected):
    if expected.dtype == np.object_:
        expected = np.array([text.encode() for text in expected.flat], np.object_).reshape(expected.shape)
        got = np.array([text.encode() if isinstance(text, str) else text for text in got.flat], np.object_)
        got = got.reshape(expected.shape)
    else:
        assert got.dtype == expected.dtype, (got.dtype, expected.dtype)
    assert got.shape == expected.shape and got.tolist() == expected.tolist(), (got, expected)


def refused(call, *words):
    try:
        call()
    except InferenceServerException as error:
        missing = [word for word in words if word not in error.message()]
        assert not missing, f"{missing} not in {error}"
        return error
    raise AssertionError(f"it was taken; expected {words}")


def states(it):
    client = it.client
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("simple") and client.is_model_ready("simple", "1")
    assert not client.is_model_ready("nope") and not client.is_model_ready("simple", "9")
    server = it.server()
    assert server["name"] == "lepton" and "binary_tensor_data" in server["extensions"], server
    for described in (it.metadata("simple"), it.metadata("simple", "1")):
        assert described["name"] == "simple" and described["versions"] == ["1"], described
        assert [int(size) for size in described["inputs"][0]["shape"]] == [-1, 16], described
        assert [one["name"] for one in described["inputs"]] == ["INPUT0", "INPUT1"], described
        assert [one["name"] for one in described["outputs"]] == ["OUTPUT0", "OUTPUT1"], described
        assert described["outputs"][1]["datatype"] == "INT32", described
    refused(lambda: it.metadata("nope"), "nope")


def rows(count):
    return [np.arange(count * 16, dtype=np.int32).reshape(count, 16), np.full((count, 16), 3, np.int32)]


def sums(it):
    first, second = rows(2)
    for binary in (True, False):
        inputs = [it.input("INPUT0", first, binary), it.input("INPUT1", second, binary)]
        whole = it.client.infer("simple", inputs, request_id="a-7")
        same(whole.as_numpy("OUTPUT0"), first + second)
        same(whole.as_numpy("OUTPUT1"), first - second)
        answer = it.answer(whole)
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a-7", "simple", "1"), answer
        one = it.client.infer("simple", inputs, "1", outputs=[it.output("OUTPUT1", binary)])
        same(one.as_numpy("OUTPUT1"), first - second)
        assert one.as_numpy("OUTPUT0") is None
        # In another order than the model has them.
        turned = it.client.infer("simple", inputs[::-1], outputs=[it.output("OUTPUT1"), it.output("OUTPUT0", binary)])
        same(turned.as_numpy("OUTPUT0"), first + second)
        same(turned.as_numpy("OUTPUT1"), first - second)
        same(it.later("simple", inputs).as_numpy("OUTPUT0"), first + second)
        for packing in ("gzip", "deflate"):
            same(it.client.infer("simple", inputs, **it.packed(packing)).as_numpy("OUTPUT1"), first - second)


def types(it):
    arrays = {f"in_{datatype}": array for datatype, array in VALUES.items()}
    for shape in ((3,), (0,)):
        given = {name: array[: shape[0]] for name, array in arrays.items()}
        inputs = [it.input(name, array) for name, array in given.items()]
        result = it.client.infer("types", inputs)
        for name, array in given.items():
            same(result.as_numpy(name.replace("in_", "out_")), array)
    # JSON has no half precision.
    inputs = [it.input(name, array, name == "in_FP16") for name, array in arrays.items()]
    outputs = [it.output(f"out_{datatype}", datatype == "FP16") for datatype in VALUES]
    result = it.client.infer("types", inputs, outputs=outputs)
    for datatype, array in VALUES.items():
        same(result.as_numpy(f"out_{datatype}"), array)
    # ONNX has texts, not bytes.
    inputs[-1] = it.input("in_BYTES", np.array([b"\xff\xfe\x00", b"", b"x"], np.object_))
    refused(lambda: it.client.infer("types", inputs, outputs=[it.output("out_BYTES")]), "UTF-8")


def large(it):
    first, second = rows(LARGE_ROWS)
    for packing in (None, "gzip"):
        inputs = [it.input("INPUT0", first), it.input("INPUT1", second)]
        result = it.client.infer("simple", inputs, **(it.packed(packing) if packing else {}))
        assert np.array_equal(result.as_numpy("OUTPUT0"), first + second)
        assert np.array_equal(result.as_numpy("OUTPUT1"), first - second)


def unusual_numbers(it):
    given = np.array([-1.0, 0.0, 1.0], np.float32)
    for binary in (True, False):
        result = it.client.infer("logarithm", [it.input("x", given)], outputs=[it.output("y", binary)])
        logarithms = result.as_numpy("y")
        assert np.isnan(logarithms[0]) and np.isneginf(logarithms[1]) and logarithms[2] == 0, logarithms


def wrong(it):
    first, second = rows(1)
    good = [it.input("INPUT0", first), it.input("INPUT1", second)]
    infer = it.client.infer
    refused(lambda: infer("nope", good), "nope")
    refused(lambda: infer("simple", good, "9"), "simple", "9")
    refused(lambda: infer("simple", good, "x"), "x")
    refused(lambda: infer("simple", good[:1]), "INPUT1")
    refused(lambda: infer("simple", good + [it.input("EXTRA", first)]), "EXTRA")
    refused(lambda: infer("simple", [it.input("INPUT", first), good[1]]), "INPUT")
    typed = it.input("INPUT0", first.astype(np.float32))
    refused(lambda: infer("simple", [typed, good[1]]), "INPUT0", "INT32", "FP32")
    shaped = it.input("INPUT0", first[:, :15].copy())
    refused(lambda: infer("simple", [shaped, good[1]]), "INPUT0", "15", "16")
    refused(lambda: infer("simple", good, outputs=[it.output("OUTPUT7")]), "OUTPUT7")
    classes = it.module.InferRequestedOutput("OUTPUT0", class_count=2)
    refused(lambda: infer("simple", good, outputs=[classes]), "classification")
    refused(lambda: it.later("simple", good[:1]), "INPUT1")
    # What Triton has besides, and Lepton has not.
    refused(lambda: it.client.get_model_config("simple"))
    refused(lambda: it.client.get_model_repository_index())


def main():
    for kind in (Http, Grpc):
        it = kind(sys.argv[1])
        for check in (states, sums, types, large, unusual_numbers, wrong):
            check(it)
            print(f"{it.name}: {check.__name__}")
    half = http_client.InferRequestedOutput("out_FP16", binary_data=False)
    it = Http(sys.argv[1])
    inputs = [it.input(f"in_{datatype}", array) for datatype, array in VALUES.items()]
    refused(lambda: it.client.infer("types", inputs, outputs=[half]), "out_FP16", "binary")
    it = Grpc(sys.argv[1])
    told = refused(lambda: it.client.get_model_config("simple"), "ModelConfig", "ModelInfer")
    assert told.status() == "StatusCode.UNIMPLEMENTED", told


if __name__ == "__main__":
    main()
