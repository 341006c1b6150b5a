"""The stack of deploy/compose.yaml under a project name, ports and a subnet of its own."""

import json
import os
import pathlib
import time

from engine import Container, Failed, compose_command, docker, free_port, free_subnet, get_json, http, run, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What `up` starts, and how many of each.
MESH = {"gateway": 2, "scheduler": 2, "worker": 2, "monitor": 2}
ETCD = ("etcd-1", "etcd-2", "etcd-3")
SERVICES = ("gateway-1", "gateway-2", "scheduler-1", "scheduler-2", "worker", "monitor-1", "monitor-2", *ETCD, "nginx")


class Stack:
    """One running project."""

    def __init__(self, image, etcd_image):
        self.project = f"lepton-compose-test-{os.getpid()}"
        self.network = f"{self.project}_mesh"
        port, console = free_port(), free_port()
        self.url, self.console = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{console}"
        self.authority = f"127.0.0.1:{port}"
        self.env = {
            **os.environ,
            "LEPTON_IMAGE": image,
            "LEPTON_ETCD_IMAGE": etcd_image,
            "LEPTON_PORT": str(port),
            "LEPTON_CONSOLE_PORT": str(console),
            "LEPTON_NET": free_subnet(os.getpid()),
        }
        self.command = [*compose_command(), "--file", str(ROOT / "deploy/compose.yaml"), "--project-name", self.project]

    def compose(self, *words, deadline_s=120):
        """Runs a Compose command of this project."""
        return run(*self.command, *words, deadline_s=deadline_s, env=self.env)

    def up(self):
        """Starts everything and gives the seconds until a request succeeds through nginx."""
        begun = time.monotonic()
        self.compose("up", "--detach", "--no-build")
        until("a request through nginx succeeds", self.is_ready, deadline_s=60, every_s=0.05)
        return time.monotonic() - begun

    def is_ready(self):
        """Whether the gateway behind nginx says that a request would succeed."""
        return http("GET", f"{self.url}/readyz", timeout_s=2)[0] == 200

    def remove(self):
        """Ends it and removes its data."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service):
        """The containers of a service, those that do not run too."""
        labels = (f"project={self.project}", f"service={service}")
        filters = [word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]
        found = docker("ps", "--all", "--no-trunc", "--quiet", *filters).split()
        return [Container(ident) for ident in found]

    def only(self, service):
        """The one container of a service."""
        found = self.containers(service)
        if len(found) != 1:
            raise Failed(f"{service} has {len(found)} containers, not one")
        return found[0]

    def nodes(self):
        """Every instance that the mesh knows."""
        return get_json(f"{self.url}/api/v1/nodes", timeout_s=5)["nodes"]

    def missing(self, workers=2):
        """What is not as it should be: an instance that is not ready or is there too much, a leader. Empty if nothing."""
        nodes = self.nodes()
        wrong = [f"{node['id']} {node['state']}" for node in nodes if node["state"] != "NODE_STATE_READY"]
        for service, wanted in {**MESH, "worker": workers}.items():
            found = sum(node["service"] == service for node in nodes)
            if found != wanted:
                wrong.append(f"{found} of {wanted} {service}s")
        if not any(node["service"] == "scheduler" and node["leader"] for node in nodes):
            wrong.append("no scheduler leads")
        return ", ".join(wrong)

    def settle(self, workers=2, deadline_s=60):
        """Waits until the mesh is complete and every member of etcd answers; gives what was missing last."""
        last = ""

        def complete():
            nonlocal last
            missing = self.missing(workers)
            last = missing or last
            return not missing

        try:
            until("the mesh is complete", complete, deadline_s)
        except Failed as failed:
            raise Failed(f"{failed}: {last}") from failed
        until("etcd is complete", self.etcd_healthy, deadline_s)
        return last

    def etcd_healthy(self):
        """Whether each member of etcd takes writes."""
        self.only(ETCD[0]).execute("/usr/local/bin/etcdctl", "endpoint", "health", "--cluster", deadline_s=10)
        return True

    def etcd_leader(self):
        """The service that is etcd's leader."""
        words = ("endpoint", "status", "--cluster", "--write-out", "json")
        members = json.loads(self.only(ETCD[0]).execute("/usr/local/bin/etcdctl", *words))
        for member in members:
            status = member["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return member["Endpoint"].split("//")[1].split(":")[0]
        raise Failed("etcd has no leader")

    def scheduler_leader(self):
        """The container of the scheduler that leads, and its epoch."""
        for node in self.nodes():
            if node["service"] == "scheduler" and node["leader"]:
                for service in ("scheduler-1", "scheduler-2"):
                    container = self.only(service)
                    if container.short in node["address"]:
                        return service, container, int(node["epoch"])
        raise Failed("no scheduler leads")

    def lepton(self, *words, deadline_s=120):
        """Runs the command-line client in a container, through nginx."""
        inside = self.only("monitor-1")
        return inside.execute("lepton", "--address", "http://nginx", "--output", "json", *words, deadline_s=deadline_s)

    def memory(self):
        """Memory of each container, as `docker stats` has it."""
        names = [container.ident for service in SERVICES for container in self.containers(service)]
        rows = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names).splitlines()
        return {row.split()[0].removeprefix(self.project).strip("_-"): row.split()[1] for row in sorted(rows)}

