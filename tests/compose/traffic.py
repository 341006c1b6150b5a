"""Clients that keep asking through nginx, and count.

A request has failed when its answer is missing or is not 200. Nothing is asked twice to make it look better, with one
exception: gRPC calls that were UNAVAILABLE are repeated for five seconds, as their standard policy says, and counted.
"""

import collections
import http.client
import json
import subprocess
import threading
import time

# Began and ended at these times.
Failure = collections.namedtuple("Failure", "at end what text")
# Tasks of one batch, and the pause after each: more than ten thousand in the two minutes that the trouble takes at least.
BATCH, BATCH_PAUSE_S = 100, 0.7


class Traffic:
    """Everything that runs in the background."""

    def __init__(self, stack, grpcurl):
        self.stack, self.grpcurl = stack, grpcurl
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.count, self.repeated = collections.Counter(), collections.Counter()
        self.failures, self.slowest_s = [], 0.0
        # Number of the task -> its id, as acknowledged.
        self.acknowledged = {}
        self.next_task = 0
        self.threads = []

    def start(self):
        """Starts the clients, or starts them again after `stop`."""
        self.stopping.clear()
        loops = [self.analyze, self.analyze, self.infer, self.submit, self.submit, self.batch, self.grpc]
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self.threads:
            thread.start()

    def stop(self):
        """Stops them; what is under way ends first."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=60)

    def unexplained(self, away):
        """The failures that nothing explains. `away` has the times when nginx itself was dead, with all that was under way in
        it."""
        return [one for one in self.failures if not any(begin <= one.end and one.at <= end for begin, end in away)]

    def analyze(self):
        """Online analyses, one after the other, on one connection."""
        body = json.dumps({"data": [{"x": row, "y": 2 * row + row % 3} for row in range(12)], "target": "y"}).encode()
        client = Client(self.stack.authority)
        while not self.stopping.wait(0.02):
            answer = self.ask(client, "analyze", "POST", "/api/v1/analyze", body)
            if answer is not None and answer["rowCount"] != 12:
                self.fail("analyze", time.monotonic(), f"a wrong answer: {answer}")

    def infer(self):
        """Inferences of the model that the smoke test has deployed."""
        client = Client(self.stack.authority)
        while not self.stopping.wait(0.02):
            answer = self.ask(client, "infer", "POST", "/v2/models/line/infer", tensor(7))
            if answer is not None and abs(prediction(answer) - 22) > 1e-6:
                self.fail("infer", time.monotonic(), f"a wrong answer: {answer}")

    def echo(self):
        """The next task."""
        with self.lock:
            number = self.next_task = self.next_task + 1
        return {"kind": "echo", "input": {"number": number, "delay_ms": 20}}

    def submit(self):
        """Tasks, every second one without a request id: nginx gives each its own, the same on every try."""
        client = Client(self.stack.authority)
        while not self.stopping.wait(0.03):
            request = self.echo()
            if request["input"]["number"] % 2:
                request["requestId"] = f"compose-test-{request['input']['number']}"
            task = self.ask(client, "submit", "POST", "/api/v1/tasks", json.dumps(request).encode())
            if task is not None:
                self.acknowledged[request["input"]["number"]] = task["id"]
                self.ask(client, "get", "GET", f"/api/v1/tasks/{task['id']}", None)

    def batch(self):
        """Tasks by the hundred. Each has a request id, as nginx's own is one for the whole batch."""
        client = Client(self.stack.authority)
        while not self.stopping.wait(BATCH_PAUSE_S):
            requests = [self.echo() for _ in range(BATCH)]
            for request in requests:
                request["requestId"] = f"compose-test-{request['input']['number']}"
            at = time.monotonic()
            answer = self.ask(client, "batch", "POST", "/api/v1/tasks:batchSubmit", json.dumps({"requests": requests}).encode())
            for request, result in zip(requests, answer["results"] if answer else []):
                if "task" in result:
                    self.acknowledged[request["input"]["number"]] = result["task"]["id"]
                else:
                    self.fail("task of a batch", at, json.dumps(result))

    def grpc(self):
        """Analyses over gRPC."""
        rows = '{"data":[{"x":1},{"x":2}]}'
        words = [self.grpcurl, "-plaintext", "-max-time", "10", "-d", rows, self.stack.authority]
        words.append("lepton.analysis.v1.AnalysisService/Analyze")
        while not self.stopping.wait(0.3):
            at = time.monotonic()
            self.count["grpc"] += 1
            while True:
                done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
                if done.returncode == 0 and "rowCount" in done.stdout:
                    break
                if "Unavailable" not in done.stderr and "dial" not in done.stderr or time.monotonic() - at > 5:
                    self.fail("grpc", at, done.stderr.strip())
                    break
                self.repeated["grpc"] += 1
                time.sleep(0.1)
            self.slowest_s = max(self.slowest_s, time.monotonic() - at)

    def ask(self, client, what, method, path, body):
        """One request, counted; its JSON, or None when it failed."""
        at = time.monotonic()
        self.count[what] += 1
        try:
            status, answer = client.ask(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            self.fail(what, at, repr(error))
            # Whoever cannot connect waits a moment; otherwise an outage would be counted a thousand times a second.
            self.stopping.wait(0.1)
            return None
        self.slowest_s = max(self.slowest_s, time.monotonic() - at)
        if status != 200:
            self.fail(what, at, f"{status} {answer[:400].decode(errors='replace')}")
            return None
        return json.loads(answer)

    def fail(self, what, at, text):
        """Notes a failure."""
        end = time.monotonic()
        with self.lock:
            self.failures.append(Failure(at, end, what, f"after {end - at:.2f} s: {text}"))


def tensor(x):
    """A request of the Open Inference Protocol for the model `line`, which has one feature."""
    return json.dumps({"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 1], "data": [x]}]}).encode()


def prediction(answer):
    """The one number in its answer."""
    return answer["outputs"][0]["data"][0]


class Client:
    """One HTTP/1.1 connection that is kept."""

    def __init__(self, authority):
        self.authority = authority
        self.connection = None

    def ask(self, method, path, body):
        """Status and body of one request."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.authority, timeout=30)
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
