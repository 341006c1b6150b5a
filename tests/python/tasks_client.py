"""A client as anybody would write it, on stubs that the stock gRPC tools generate: submits a task and watches it end.

Argument: HOST:PORT. Prints what it saw; ends with 1 when it saw something wrong.
"""

import sys

import grpc
from google.protobuf import json_format, struct_pb2

from stubs import load, reason


def main():
    task, service = load("lepton.task.v1.task_pb2", "lepton.task.v1.task_pb2_grpc")
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = service.TaskServiceStub(channel)
        given = json_format.ParseDict({"delay_ms": 200, "text": "grüße", "list": [1, None, {"x": 1.5}]}, struct_pb2.Value())
        request = task.SubmitTaskRequest(kind="echo", input=given, request_id="from-python", labels={"client": "python"})
        submitted = stub.SubmitTask(request, timeout=30).task
        again = stub.SubmitTask(request, timeout=30).task
        assert submitted.id == again.id, "one request id, one task"
        assert submitted.labels["client"] == "python", submitted

        states, versions = [], []
        for change in stub.WatchTask(task.WatchTaskRequest(id=submitted.id), timeout=60):
            states.append(task.State.Name(change.task.state))
            versions.append((change.task.version.epoch, change.task.version.seq))
            last = change.task
        print(" -> ".join(states))
        assert states[-1] == "STATE_SUCCEEDED", states
        assert versions == sorted(set(versions)), "versions only grow: %s" % versions
        assert json_format.MessageToDict(last.output) == json_format.MessageToDict(given), last
        assert last.WhichOneof("result") == "output" and not last.HasField("error"), last

        waited = stub.WaitTask(task.WaitTaskRequest(id=submitted.id), timeout=30).task
        assert waited == last, "reading it again changes nothing"
        listed = stub.ListTasks(task.ListTasksRequest(page_size=1000), timeout=30).tasks
        assert submitted.id in [found.id for found in listed]
        try:
            stub.GetTask(task.GetTaskRequest(id="nope"), timeout=30)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND and reason(error) == "TASK_NOT_FOUND", error
        else:
            sys.exit("a task that is not there was found")


if __name__ == "__main__":
    main()
