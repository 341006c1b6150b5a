"""The served version of a model changes and rolls back while clients ask for it: not one request may fail."""

import json
import threading
import time

from engine import Failed
from smoke import post
from traffic import Client, prediction, tensor

# As an open loop: a client that was held up catches up, so the rate does not sink with the answers' speed.
RATE_PER_S, CLIENTS = 200, 16
# What each version answers for x = 10.
ANSWERS = {"1": 31.0, "2": 52.0}
CHANGES = 4


class Askers:
    """Clients that ask at a steady rate, and what became of it."""

    def __init__(self, authority):
        self.authority = authority
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.answered, self.failures, self.slowest_s = {version: 0 for version in ANSWERS}, [], 0.0
        self.begun = time.monotonic()
        self.threads = [threading.Thread(target=self.ask, args=(place,), daemon=True) for place in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def ask(self, place):
        """One client, on one connection that is kept."""
        client, every = Client(self.authority), CLIENTS / RATE_PER_S
        due = self.begun + place * every / CLIENTS
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            due += every
            at = time.monotonic()
            try:
                status, body = client.ask("POST", "/v2/models/line/infer", tensor(10))
                self.note(status, body, time.monotonic() - at)
            except Exception as error:  # pylint: disable=broad-except
                # Whatever it was, no answer came.
                with self.lock:
                    self.failures.append(repr(error))

    def note(self, status, body, took_s):
        """Counts an answer, if it is one of the two that are right."""
        answer = json.loads(body) if status == 200 else {}
        version = answer.get("model_version")
        with self.lock:
            self.slowest_s = max(self.slowest_s, took_s)
            if version in ANSWERS and abs(prediction(answer) - ANSWERS[version]) < 1e-6:
                self.answered[version] += 1
            else:
                self.failures.append(f"{status} {body[:300]!r}")

    def stop(self):
        """Ends them; gives the seconds that they asked for."""
        self.stopping.set()
        seconds = time.monotonic() - self.begun
        for thread in self.threads:
            thread.join(timeout=60)
        return seconds


def versions(stack, report):
    """Version 2 is trained; then it is deployed and rolled back, again and again, under load."""
    rows = [{"x": row, "label": 5 * row + 2} for row in range(40)]
    train = {"data": rows, "target": "label", "features": ["x"], "model": "line"}
    task = post(stack, "/api/v1/tasks", {"kind": "train", "input": train})
    Client(stack.authority).ask("GET", f"/api/v1/tasks/{task['id']}:wait?timeout=60s", None)
    askers = Askers(stack.authority)
    try:
        for _ in range(CHANGES):
            change(stack, "deploy", {"version": 2}, "2")
            change(stack, "rollback", {}, "1")
    finally:
        seconds = askers.stop()
    verdict(askers, seconds, report)


def change(stack, verb, body, expected):
    """One change, and two seconds in which it is asked for."""
    found = post(stack, f"/api/v1/models/line:{verb}", body)
    if str(found["deployedVersion"]) != expected:
        raise Failed(f"after {verb}, version {expected} should be served: {found}")
    time.sleep(2)


def verdict(askers, seconds, report):
    """All that was due was sent, all of it was answered, and by both versions."""
    sent = sum(askers.answered.values()) + len(askers.failures)
    figures = f"{sent} requests in {seconds:.1f} s ({sent / seconds:.0f}/s), slowest {askers.slowest_s:.2f} s, by version {askers.answered}"
    report(f"{2 * CHANGES} changes of a model's version", f"{figures}, failed {len(askers.failures)}")
    if askers.failures:
        raise Failed(f"{len(askers.failures)} requests failed while versions changed: {askers.failures[:5]}")
    if sent < 0.95 * RATE_PER_S * seconds:
        raise Failed(f"{sent} requests in {seconds:.1f} s are fewer than {RATE_PER_S} a second: this proves nothing")
    if min(askers.answered.values()) < RATE_PER_S:
        raise Failed(f"one version was hardly asked: {askers.answered}")
