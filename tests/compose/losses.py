"""What is taken away from the running stack, one thing after the other, while clients keep asking."""

import time

from engine import Failed, docker, http, until
from stack import ETCD, SERVICES


def kill_each(stack, report, away):
    """Kills every container in turn and starts it again. `away` gets the times when nginx could not answer."""
    for service, container in turns(stack):
        begun = time.monotonic()
        container.kill()
        container.start()
        if service == "nginx":
            until("nginx answers", lambda: http("GET", f"{stack.url}/livez", timeout_s=1)[0] == 200, 30)
            away.append((begun, time.monotonic()))
        last = stack.settle()
        figure = f"{time.monotonic() - begun:.1f} s until complete"
        report(f"killed and started {service} {container.short}", figure + (f" (last missing: {last})" if last else ""))


def turns(stack):
    """Every container, the two of a kind never one right after the other: two deaths of a kind within seconds are taken
    for an outage of the registry, and both dead entries are shown for half a minute."""
    kinds = {}
    for service in SERVICES:
        for container in stack.containers(service):
            kinds.setdefault(service.rstrip("-123"), []).append((service, container))
    for place in range(max(map(len, kinds.values()))):
        yield from (found[place] for found in kinds.values() if place < len(found))


def crash(stack, report):
    """A process that dies by itself is started again by its restart policy."""
    container = stack.containers("worker")[0]
    before = container.inspect()["State"]["StartedAt"]
    begun = time.monotonic()
    # Process 1 is the engine's own init, which nothing inside may kill.
    find = 'for p in /proc/[0-9]*; do if [ "$(<"$p/comm")" = lepton-worker ]; then kill -9 "${p#/proc/}"; fi; done'
    container.execute("bash", "-c", find)
    until("the restart policy starts the worker", lambda: container.inspect()["State"]["StartedAt"] != before, 30)
    stack.settle()
    report("crashed a worker", f"back by its restart policy, {time.monotonic() - begun:.1f} s until complete")


def cut_scheduler(stack, report, seconds=20):
    """Takes the leading scheduler off the network for a while: another leads, and the old one comes back as a standby."""
    service, container, epoch = stack.scheduler_leader()
    begun = time.monotonic()
    docker("network", "disconnect", stack.network, container.ident)
    until("another scheduler leads", lambda: stack.scheduler_leader()[2] > epoch, seconds)
    other, _, later = stack.scheduler_leader()
    took = time.monotonic() - begun
    if other == service:
        raise Failed(f"{service} leads although it has no network")
    time.sleep(max(0.0, seconds - took))
    docker("network", "connect", "--alias", service, stack.network, container.ident)
    back = time.monotonic()
    stack.settle()
    figures = f"epoch {epoch} -> {later} after {took:.1f} s, complete {time.monotonic() - back:.1f} s after the return"
    report(f"{service} without network for {seconds} s", figures)


def cut_etcd(stack, report, seconds=10):
    """Takes etcd's leader off the network for a while."""
    service = stack.etcd_leader()
    container = stack.only(service)
    begun = time.monotonic()
    docker("network", "disconnect", stack.network, container.ident)
    rest = next(other for other in ETCD if other != service)
    words = ("/usr/local/bin/etcdctl", "endpoint", "health")
    until("the other members take writes", lambda: stack.only(rest).execute(*words, deadline_s=10), 30)
    took = time.monotonic() - begun
    # So that work goes on against the two members while the third is away, and not only for an instant.
    time.sleep(max(0.0, seconds - took))
    docker("network", "connect", "--alias", service, stack.network, container.ident)
    stack.settle()
    report(f"{service} (etcd's leader) without network for {seconds} s", f"the others took writes after {took:.1f} s")


def scale(stack, report):
    """More workers, then fewer, without losing what they have."""
    begun = time.monotonic()
    stack.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=4")
    stack.settle(workers=4)
    up = time.monotonic()
    stack.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=2")
    stack.settle()
    report("scaled workers 2 -> 4 -> 2", f"{up - begun:.1f} s up, {time.monotonic() - up:.1f} s down")
