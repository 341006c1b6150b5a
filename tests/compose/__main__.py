"""The stack of deploy/compose.yaml, up, in use, in trouble, down and up again.

Usage: python3 tests/compose IMAGE ETCD_IMAGE GRPCURL   (deploy/compose-test builds what it needs and calls it)

Every acknowledged task has ended once, by the mesh's own list and by `lepton journal verify`, and no request through
nginx has failed, or this fails. What it made is removed at the end, also after a failure or a signal.
"""

import collections
import json
import signal
import sys
import time

import losses
from engine import Failed, docker, get_json, until
from single import single
from smoke import headers, smoke
from stack import SERVICES, Stack
from traffic import Traffic
from versions import versions

BEGUN = time.monotonic()
# So many tasks through nginx in quiet, and at least as many in trouble.
TASKS = 10_000


def report(what, figure=""):
    """One line of the story."""
    print(f"{time.monotonic() - BEGUN:6.1f} s  {what:<52} {figure}", flush=True)


def main(image, etcd_image, grpcurl):
    """Everything; the exit code."""
    # A signal ends it like a failure, so that `finally` removes what was made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    megabytes = int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
    report("image", f"{megabytes:.0f} MB")
    single(image, report)
    headers(report)
    stack = Stack(image, etcd_image)
    try:
        story(stack, grpcurl)
    except BaseException:
        show_logs(stack)
        raise
    finally:
        stack.remove()
    report("done", "everything that was made is removed")


def story(stack, grpcurl):
    """The stack, from up to up again."""
    report("up to ready", f"{stack.up():.1f} s (goal: 15 s)")
    stack.settle()
    smoke(stack, grpcurl, report)
    versions(stack, report)
    report("memory at rest", json.dumps(stack.memory()))
    bench(stack)
    traffic, away = Traffic(stack, grpcurl), []
    traffic.start()
    try:
        trouble(stack, traffic, away)
    finally:
        traffic.stop()
    report("memory after all this", json.dumps(stack.memory()))
    begun = time.monotonic()
    stack.compose("down", "--timeout", "40")
    down = time.monotonic() - begun
    report("down and up with the data kept", f"{down:.1f} s down, ready {stack.up():.1f} s after the start")
    stack.settle()
    audit(stack, traffic)
    verdict(traffic, away)


def bench(stack):
    """Tasks over gRPC through nginx."""
    found = json.loads(stack.lepton("bench", "tasks", "--count", str(TASKS), "--concurrency", "256", deadline_s=300))
    report("10,000 tasks", json.dumps(found))
    if found["lost"] or found["duplicated"]:
        raise Failed("tasks were lost or duplicated")


def trouble(stack, traffic, away):
    """One loss after the other; after each, what it cost."""
    seen = 0

    def told(what, figure):
        nonlocal seen
        new = traffic.unexplained(away)[seen:]
        seen += len(new)
        report(what, figure + (f"; FAILED REQUESTS: {len(new)}" if new else ""))
        for failure in new[:3]:
            report("", told_of(failure))

    losses.kill_each(stack, told, away)
    losses.crash(stack, told)
    losses.cut_scheduler(stack, told)
    losses.cut_etcd(stack, told)
    losses.scale(stack, told)


def audit(stack, traffic):
    """Every acknowledged task has ended once, and none was made twice."""
    for state in ("BLOCKED", "PENDING", "RUNNING"):
        left = f"{stack.url}/api/v1/tasks?pageSize=1&state=STATE_{state}"
        until(f"no task is {state}", lambda where=left: not get_json(where)["tasks"])
    found, token = collections.defaultdict(list), ""
    while True:
        page = get_json(f"{stack.url}/api/v1/tasks?kind=echo&pageSize=1000&pageToken={token}", timeout_s=30)
        for task in page["tasks"]:
            number = (task.get("input") or {}).get("number")
            if number is not None:
                found[number].append((task["id"], task["state"]))
        token = page["nextPageToken"]
        if not token:
            break
    wrong = {
        number: found[number]
        for number, ident in traffic.acknowledged.items()
        if found[number] != [(ident, "STATE_SUCCEEDED")]
    }
    if wrong:
        raise Failed(f"{len(wrong)} acknowledged tasks did not end once: {dict(list(wrong.items())[:5])}")
    verified = json.loads(stack.lepton("journal", "verify"))
    if not verified["ok"]:
        raise Failed(f"the journal does not hold: {verified}")
    if len(traffic.acknowledged) < TASKS:
        raise Failed(f"only {len(traffic.acknowledged)} tasks were acknowledged in trouble; this proves less than {TASKS} do")
    report("audit", f"{len(traffic.acknowledged)} tasks acknowledged in trouble, each ended once; journal verify: {verified}")


def verdict(traffic, away):
    """No request may have failed without an explanation: whatever was lost, another was there to answer. All failures are
    told before the first of them ends the test."""
    failed = traffic.unexplained(away)
    explained = [one for one in traffic.failures if one not in failed]
    total = sum(traffic.count.values())
    report("requests through nginx", f"{total} ({dict(traffic.count)}), slowest {traffic.slowest_s:.1f} s")
    figures = f"{len(explained)} more while nginx was dead; gRPC repeated {traffic.repeated['grpc']}"
    report("failed", f"{len(failed)}; {figures}")
    for one in failed[:50] + explained[:5]:
        report("", told_of(one))
    if failed:
        raise Failed(f"{len(failed)} of {total} requests failed, the first {told_of(failed[0])}")


def told_of(failure):
    """A failure in words, with the time at which its request began."""
    return f"at {failure.at - BEGUN:.1f} s {failure.what}: {failure.text}"


def show_logs(stack):
    """The last words of everything, for whoever has to find out why."""
    for service in SERVICES:
        for container in stack.containers(service):
            print(f"--- {service} {container.short}\n{container.logs(15)}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except Failed as failed:
        report("FAILED", str(failed))
        sys.exit(1)
