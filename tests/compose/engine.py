"""Docker, Compose, and waiting for conditions.

Promises: no command and no wait without a deadline; whatever was made is removed again. Leaves what is tested to others.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Failed(Exception):
    """Something does not hold; the text says what."""


def run(*words, deadline_s=60, check=True, env=None):
    """Runs a command and gives its output."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=deadline_s, env=env, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(words)}: not done after {deadline_s} s") from error
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def docker(*words, **options):
    """Runs a Docker command."""
    return run("docker", *words, **options)


def compose_command():
    """What LEPTON_COMPOSE names, else Compose v2 where it is there, else v1."""
    if named := os.environ.get("LEPTON_COMPOSE"):
        return named.split()
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise Failed("neither `docker compose` nor `docker-compose` is installed: deploy/setup compose")


def until(what, holds, deadline_s=60, every_s=0.1):
    """Waits until `holds()` gives something true, and gives it. An exception counts as not yet."""
    begun, last = time.monotonic(), None
    while time.monotonic() - begun < deadline_s:
        try:
            if found := holds():
                return found
        except (Failed, OSError, ValueError, KeyError) as error:
            last = error
        time.sleep(every_s)
    raise Failed(f"not within {deadline_s} s: {what}" + (f" ({last})" if last else ""))


def http(method, url, body=None, timeout_s=10, headers=None):
    """One request; gives status and body, whatever the status is."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def get_json(url, timeout_s=10):
    """The JSON at a URL; fails unless the answer is 200."""
    status, body = http("GET", url, timeout_s=timeout_s)
    if status != 200:
        raise Failed(f"GET {url}: {status} {body[:300]!r}")
    return json.loads(body)


def free_port():
    """A port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_subnet(seed):
    """The beginning of a /24 that no network of the engine has."""
    taken = docker("network", "inspect", *docker("network", "ls", "--quiet").split())
    for step in range(250):
        beginning = f"10.214.{(seed + step) % 250}"
        if f'"{beginning}.' not in taken:
            return beginning
    raise Failed("no free subnet below 10.214.0.0/16")


class Container:
    """A container by its id."""

    def __init__(self, ident):
        self.ident = ident.strip()

    @property
    def short(self):
        """Its host name, too."""
        return self.ident[:12]

    def inspect(self):
        """All that the engine knows of it."""
        return json.loads(docker("inspect", self.ident))[0]

    def execute(self, *words, **options):
        """Runs a command inside."""
        return docker("exec", self.ident, *words, **options)

    def kill(self):
        """`kill -9` of everything inside."""
        docker("kill", "--signal", "KILL", self.ident)

    def start(self):
        """Starts it again."""
        docker("start", self.ident)

    def logs(self, lines=40):
        """The end of what it said."""
        done = subprocess.run(
            ["docker", "logs", "--tail", str(lines), self.ident],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout
