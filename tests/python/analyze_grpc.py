"""Analyses every table over gRPC, as rows and as columns, and compares with the oracle. Argument: HOST:PORT."""

import sys

import grpc
from google.protobuf import json_format

from analyze_compare import compare
from analyze_oracle import Column, text_of
from analyze_tables import tables
from stubs import load, reason

BYTES_MAX = 64 << 20


def main():
    messages, services = load("lepton.analysis.v1.analysis_pb2", "lepton.analysis.v1.analysis_pb2_grpc")
    channel = grpc.insecure_channel(
        sys.argv[1],
        [("grpc.max_send_message_length", BYTES_MAX), ("grpc.max_receive_message_length", BYTES_MAX)],
    )
    stub = services.AnalysisServiceStub(channel)
    count, failed = 0, False
    for name, request in tables():
        for form, message, stands_for in (as_rows(messages, request), as_table(messages, request)):
            status, answer = call(stub, message)
            count += 1
            for difference in compare(stands_for, status, answer):
                failed = True
                print(f"{name} ({form}): {difference}")
    print(f"{count} calls compared")
    sys.exit(failed)


def call(stub, message):
    """HTTP's status for the outcome, and the answer as REST would give it."""
    try:
        answer = stub.Analyze(message, timeout=120)
    except grpc.RpcError as error:
        status = 400 if error.code() == grpc.StatusCode.INVALID_ARGUMENT else 500
        return status, {"error": {"message": error.details(), "details": [{"reason": reason(error)}]}}
    return 200, json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)


def as_rows(messages, request):
    message = options(messages, request)
    for row in request["data"]:
        message.data.add().update(row)
    # A Struct keeps no order: the mesh takes its keys sorted.
    ordered = [{name: row[name] for name in sorted(row, key=str.encode)} for row in request["data"]]
    return "rows", message, request | {"data": ordered}


def as_table(messages, request):
    message = options(messages, request)
    message.table.row_count = len(request["data"])
    for name in dict.fromkeys(name for row in request["data"] for name in row):
        cells = [row.get(name) for row in request["data"]]
        column = Column(name, cells)
        packed = message.table.columns.add(name=name)
        present = [cell is not None for cell in cells]
        if column.kind == "NUMBER":
            packed.numbers.extend(0.0 if cell is None else cell for cell in cells)
        elif column.kind == "BOOLEAN":
            packed.booleans.extend(bool(cell) for cell in cells)
        elif column.kind == "TEXT":
            packed.strings.extend("" if cell is None else text_of(cell) for cell in cells)
        if not all(present) and column.kind != "EMPTY":
            packed.valid.extend(present)
    return "table", message, request


def options(messages, request):
    message = messages.AnalyzeRequest()
    if "target" in request:
        message.target = request["target"]
    return message


if __name__ == "__main__":
    main()
