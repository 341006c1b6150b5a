"""One container is a whole mesh: `docker run -p 8000:8000 IMAGE`."""

import json
import os
import subprocess
import time

from engine import Container, Failed, docker, free_port, http, until

ROWS = json.dumps({"data": [{"x": 1, "y": 2.1}, {"x": 2, "y": 3.9}, {"x": 3, "y": 6.2}], "target": "y"}).encode()


def single(image, report):
    """Runs it as the first page says, hardened as far as Docker can, kills it, and finds the data again."""
    name = f"lepton-compose-test-{os.getpid()}-single"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    docker("network", "create", name)
    docker("volume", "create", name)
    try:
        begun = time.monotonic()
        words = ("--publish", f"127.0.0.1:{port}:8000", "--volume", f"{name}:/var/lib/lepton", "--network", name)
        hard = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--health-interval", "1s")
        container = Container(docker("run", "--detach", "--name", name, *words, *hard, image))
        until("one container analyses", lambda: analyzes(url))
        took = time.monotonic() - begun
        status, task = http("POST", f"{url}/api/v1/tasks", b'{"kind":"echo","input":{"kept":true}}')
        if status != 200:
            raise Failed(f"one container takes no task: {status} {task!r}")
        ident = json.loads(task)["id"]
        container.kill()
        container.start()
        until("the task is there after kill -9", lambda: ended(url, ident))
        until("its health check agrees", lambda: container.inspect()["State"]["Health"]["Status"] == "healthy")
        stopping = time.monotonic()
        docker("stop", "--time", "30", name)
        code = container.inspect()["State"]["ExitCode"]
        if code != 0:
            raise Failed(f"one container ended with exit code {code}: {container.logs()}")
        report("one container", f"analyses after {took:.1f} s, keeps its task over kill -9, stops in {time.monotonic() - stopping:.1f} s")
    finally:
        for removal in (("rm", "--force", "--volumes", name), ("volume", "rm", name), ("network", "rm", name)):
            subprocess.run(["docker", *removal], capture_output=True, timeout=60, check=False)


def analyzes(url):
    """Whether an analysis with a fit is answered."""
    status, body = http("POST", f"{url}/api/v1/analyze", ROWS)
    return status == 200 and json.loads(body)["fit"]["rowCount"] == 3


def ended(url, ident):
    """Whether a task has succeeded."""
    status, body = http("GET", f"{url}/api/v1/tasks/{ident}")
    return status == 200 and json.loads(body)["state"] == "STATE_SUCCEEDED"
