"""Pushes and deploys every model of `compat_models` and compares its answers with ONNX Runtime's. Argument: HOST:PORT."""

import json
import sys
import urllib.error
import urllib.request
import warnings

import grpc
import numpy as np
import onnxruntime

import compat_shipped
from compat_models import others, own, unsupported
from stubs import load

BYTES_MAX = 64 << 20
# |a - b| <= this * max(1, |b|)
TOLERANCE = 1e-5
# Except here: a deep network whose sums in single precision hang on their order. ONNX Runtime differs from itself by 7e-6
# when it optimises less; the backend was seen to differ by 2e-5.
TOLERANCES = {"text_detection": 1e-4}
# So many models of others have to agree, and so many of them with weights that were learned, as their packages ship them.
OTHERS_MIN, TRAINED_MIN = 24, 5
TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8",
    "int16": "INT16", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}
LISTS = {
    "bool": "bool_contents", "int32": "int_contents", "int64": "int64_contents", "uint32": "uint_contents",
    "float32": "fp32_contents", "float64": "fp64_contents",
}
NUMPY = {oip: name for name, oip in TYPES.items()}


class Mesh:
    def __init__(self, authority):
        self.url = f"http://{authority}"
        self.messages, services = load("inference.grpc_service_pb2", "inference.grpc_service_pb2_grpc")
        limits = [("grpc.max_send_message_length", BYTES_MAX), ("grpc.max_receive_message_length", BYTES_MAX)]
        self.stub = services.GRPCInferenceServiceStub(grpc.insecure_channel(authority, limits))

    def post(self, path, body):
        """The status and the JSON of an answer."""
        request = urllib.request.Request(self.url + path, data=body, method="POST")
        request.add_header("content-type", "application/octet-stream")
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def is_there(self, name):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/models/{name}", timeout=30):
                return True
        except urllib.error.HTTPError as error:
            return error.code != 404

    def infer(self, name, feeds, raw):
        request = self.messages.ModelInferRequest(model_name=name, id=f"{name}-{raw}")
        for put, value in feeds.items():
            tensor = request.inputs.add(name=put, datatype=TYPES[str(value.dtype)], shape=value.shape)
            if raw:
                request.raw_input_contents.append(value.tobytes())
            else:
                getattr(tensor.contents, LISTS[str(value.dtype)]).extend(value.ravel().tolist())
        answer = self.stub.ModelInfer(request, timeout=180)
        assert answer.id == request.id and answer.model_name == name and answer.model_version == "1", answer
        assert bool(answer.raw_output_contents) == raw, name
        return {output.name: self.value(answer, place) for place, output in enumerate(answer.outputs)}

    def value(self, answer, place):
        output = answer.outputs[place]
        kind = NUMPY[output.datatype]
        if answer.raw_output_contents:
            flat = np.frombuffer(answer.raw_output_contents[place], dtype=kind)
        else:
            flat = np.array(getattr(output.contents, LISTS[kind]), dtype=kind)
        return flat.reshape(output.shape)


def main():
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(3)
    mesh, failed = Mesh(sys.argv[1]), []
    agree = set()
    for name, file, feeds in [*others(), *own()]:
        found = list(served(mesh, name, file, feeds))
        failed += found
        agree |= set() if found else {name}
    for name, file, words in unsupported():
        failed += refused(mesh, name, file, words)
    print("\n".join(failed))
    theirs, trained = [agree & {name for name, *_ in them()} for them in (others, compat_shipped.trained)]
    print(f"{len(agree)} models agree, {len(theirs)} of them made by others, {len(trained)} trained and shipped by others")
    sys.exit(bool(failed) or len(theirs) < OTHERS_MIN or len(trained) < TRAINED_MIN)


def served(mesh, name, file, feeds):
    """What is wrong with a model from its push to its answers."""
    path = f"/api/v1/models/{name}"
    for action, body in [(":push", file), (":deploy", b"{}")]:
        status, answer = mesh.post(path + action, body)
        if status != 200:
            yield f"{name}{action}: {status} {answer}"
            return
    yield from differences(mesh, name, file, feeds)
    mesh.post(path + ":undeploy", b"{}")


def refused(mesh, name, file, words):
    """What is wrong with the refusal of a model."""
    status, answer = mesh.post(f"/api/v1/models/{name}:push", file)
    error = answer.get("error", {})
    told = [detail.get("reason") for detail in error.get("details", [])]
    if status != 400 or "MODEL_INVALID" not in told or not all(word in error["message"] for word in words):
        yield f"{name}: {status} {answer}"
    elif mesh.is_there(name):
        yield f"{name}: half registered"


def differences(mesh, name, file, feeds):
    session = onnxruntime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    tolerance = TOLERANCES.get(name, TOLERANCE)
    expected = dict(zip(names, session.run(None, feeds)))
    small = sum(value.size for value in feeds.values()) < 1 << 16
    for raw in [True, False] if small else [True]:
        given = mesh.infer(name, feeds, raw)
        if list(given) != names:
            yield f"{name}: gives {list(given)}, not {names}"
            continue
        for output, value in given.items():
            wanted = expected[output]
            if value.dtype != wanted.dtype or value.shape != wanted.shape:
                yield f"{name} {output}: {value.dtype}{value.shape}, not {wanted.dtype}{wanted.shape}"
                continue
            error = np.abs(value.astype(float) - wanted) / np.maximum(1, np.abs(wanted.astype(float)))
            exact = value.dtype.kind != "f"
            if (value != wanted).any() if exact else not (error <= tolerance).all():
                yield f"{name} {output}: off by {error.max()}"


if __name__ == "__main__":
    main()
