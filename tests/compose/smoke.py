"""A look at everything that nginx carries: REST, gRPC, streams, large bodies, refusals, the console, the headers."""

import json
import os
import re
import subprocess
import time

from engine import Container, Failed, docker, get_json, http, run, until
from stack import ROOT

# An nginx that stands in for both gateways and answers with what it was sent.
ECHO = """
pid /tmp/nginx.pid; error_log stderr; events {}
http {
    access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
    uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server {
        listen 8000; http2 on; default_type application/grpc;
        location / {
            add_header grpc-status 0;
            add_header seen "$http_host|$http_x_real_ip|$http_x_forwarded_for|$http_x_forwarded_proto|$http_lepton_retry_key|$server_protocol|$http_idempotency_key|";
            return 200;
        }
    }
}
"""


def expect(holds, what):
    """Fails unless it holds."""
    if not holds:
        raise Failed(what)


def smoke(stack, grpcurl, report):
    """All of it, through nginx."""
    curl(stack)
    grpc(stack, grpcurl)
    refusals(stack)
    grpc_refusals(stack, grpcurl)
    balance(stack)
    console(stack)
    model(stack)
    report("smoke", "curl, grpcurl, server-sent events, HTTP/2, refusals, balance, console, a model and its trace")


def curl(stack):
    """REST as a user types it."""
    rows = '{"data":[{"x":1,"y":2.1},{"x":2,"y":3.9},{"x":3,"y":6.2}],"target":"y"}'
    for version in ("--http1.1", "--http2-prior-knowledge"):
        words = ("curl", version, "--silent", "--show-error", "--fail", "--max-time", "20")
        answer = json.loads(run(*words, "--data", rows, f"{stack.url}/api/v1/analyze"))
        expect(abs(answer["fit"]["coefficients"]["x"] - 2.05) < 1e-9, f"curl {version}: a wrong fit: {answer}")
        task = json.loads(run(*words, "--data", '{"kind":"echo","input":{"delay_ms":1500}}', f"{stack.url}/api/v1/tasks"))
        first_event(f"{stack.url}/api/v1/tasks/{task['id']}:watch")
        ended = json.loads(run(*words, f"{stack.url}/api/v1/tasks/{task['id']}:wait?timeout=15s"))
        expect(ended["state"] == "STATE_SUCCEEDED", f"curl {version}: {ended}")
    status, _ = http("GET", f"{stack.url}/v2/health/ready")
    expect(status == 200, f"/v2/health/ready: {status}")


def first_event(url):
    """The first state of a running task comes before its end: nothing on the way holds it back."""
    words = ("curl", "--silent", "--no-buffer", "--max-time", "20", url)
    begun = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watch:
        states = []
        for line in watch.stdout:
            if line.startswith("data:"):
                states.append((json.loads(line[5:])["state"], time.monotonic() - begun))
    early, last = states[0], states[-1]
    expect(early[0] in ("STATE_PENDING", "STATE_RUNNING"), f"the first event came late: {states}")
    expect(last[0] == "STATE_SUCCEEDED", f"the stream ended early: {states}")


def grpc(stack, grpcurl):
    """gRPC on the same port: reflection, a unary call and a stream."""
    words = (grpcurl, "-plaintext", "-max-time", "20")
    services = run(*words, stack.authority, "list")
    for service in ("lepton.task.v1.TaskService", "inference.GRPCInferenceService", "grpc.health.v1.Health"):
        expect(service in services, f"reflection does not list {service}: {services}")
    submit = '{"kind":"echo","input":{"hello":"grpc"}}'
    task = json.loads(run(*words, "-d", submit, stack.authority, "lepton.task.v1.TaskService/SubmitTask"))["task"]
    follow = json.dumps({"id": task["id"]})
    states = run(*words, "-d", follow, stack.authority, "lepton.task.v1.TaskService/WatchTask")
    expect("STATE_SUCCEEDED" in states, f"the stream over gRPC: {states}")


def refusals(stack):
    """Errors keep their form, also those that nginx gives."""
    status, body = http("GET", f"{stack.url}/api/v1/nowhere")
    expect(status == 404 and b"ROUTE_NOT_FOUND" in body, f"an unknown route: {status} {body!r}")
    words = ("curl", "--silent", "--max-time", "20", "--request", "POST", "--header", "Content-Length: 70000000")
    answer = json.loads(run(*words, f"{stack.url}/api/v1/analyze"))["error"]
    expect(answer["details"][0]["reason"] == "REQUEST_TOO_LARGE", f"a body that is too large: {answer}")
    rows = [{"x": row, "pad": "p" * 200} for row in range(20_000)]
    status, body = http("POST", f"{stack.url}/api/v1/analyze", json.dumps({"data": rows}).encode(), timeout_s=60)
    expect(status == 200 and json.loads(body)["rowCount"] == 20_000, f"a body of some megabytes: {status}")


def grpc_refusals(stack, grpcurl):
    """A call that is too large gets its status: from a gateway as it sees the message's length, from nginx when the header
    tells it."""
    words = (grpcurl, "-plaintext", "-max-time", "60", "-d", "@")
    method = (stack.authority, "lepton.task.v1.TaskService/SubmitTask")
    told = ("-rpc-header", "content-length: 70000000")
    for more, bytes_count in ((), 64.5 * 2**20), ((), 80 * 2**20), (told, 10):
        request = json.dumps({"kind": "echo", "input": {"pad": "p" * int(bytes_count)}})
        done = subprocess.run((*words, *more, *method), input=request, capture_output=True, text=True, timeout=90, check=False)
        expect("ResourceExhausted" in done.stderr and "REQUEST_TOO_LARGE" in done.stderr,
               f"a gRPC call of {bytes_count} bytes {more}: {done.returncode} {done.stdout[:300]} {done.stderr[:1000]}")


def served(gateway):
    """Analyses that a gateway has answered."""
    ask = 'exec 3<>/dev/tcp/127.0.0.1/8002; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'
    found = re.search(r'lepton_requests_total\{[^}]*analyze[^}]*code="200"\} (\d+)', gateway.execute("bash", "-c", ask))
    return int(found.group(1)) if found else 0


def balance(stack):
    """Both gateways serve, in turn."""
    gateways = [stack.only("gateway-1"), stack.only("gateway-2")]
    before = [served(gateway) for gateway in gateways]
    for _ in range(40):
        status, _ = http("POST", f"{stack.url}/api/v1/analyze", b'{"data":[{"x":1},{"x":2}]}')
        expect(status == 200, f"an analysis: {status}")
    counts = [served(gateway) - was for gateway, was in zip(gateways, before)]
    expect(sum(counts) == 40 and min(counts) >= 15, f"40 analyses went to the gateways as {counts}")


def console(stack):
    """The console, through nginx."""
    status, body = http("GET", f"{stack.console}/")
    expect(status == 200 and b"<html" in body.lower(), f"the console: {status}")
    expect(len(get_json(f"{stack.url}/api/v1/nodes")["nodes"]) == 8, "eight instances are known")


def model(stack):
    """A model that one worker trained is served by the others: they share the volume. The trace shows who took part."""
    rows = [{"x": row, "noise": (row * 7) % 5, "label": 3 * row + 1} for row in range(40)]
    train = {"data": rows, "target": "label", "features": ["x"], "model": "line", "deploy": True}
    # A caller that samples its own trace is always traced; of others there are at most twenty a second.
    caller = {"traceparent": f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"}
    task = post(stack, "/api/v1/tasks", {"kind": "train", "input": train}, caller)
    ended = get_json(f"{stack.url}/api/v1/tasks/{task['id']}:wait?timeout=60s", timeout_s=70)
    expect(ended["state"] == "STATE_SUCCEEDED", f"the training: {ended}")
    for _ in range(4):
        answer = post(stack, "/api/v1/analyze", {"data": [{"x": 2}, {"x": 100}], "model": "line"})
        predicted = answer["predictions"]
        expect(abs(predicted[0] - 7) < 1e-6 and abs(predicted[1] - 301) < 1e-6, f"predictions: {predicted}")
    trace = f"{stack.url}/api/v1/traces/{task['traceId']}"
    until("the trace of the training is there", lambda: len(trace_services(trace)) >= 3, 30)


def trace_services(url):
    """The services that a trace names."""
    return set(re.findall(rb'"(gateway|scheduler|worker)"', http("GET", url)[1]))


def post(stack, path, value, headers=None):
    """Sends JSON and gives the JSON of the answer."""
    status, body = http("POST", f"{stack.url}{path}", json.dumps(value).encode(), timeout_s=30, headers=headers)
    expect(status == 200, f"{path}: {status} {body[:500]!r}")
    return json.loads(body)


def headers(report):
    """What nginx passes on: seen by another nginx in the place of the gateways."""
    name = f"lepton-compose-test-{os.getpid()}-headers"
    image = os.environ.get("LEPTON_NGINX_IMAGE", "nginx:1.26")
    hard = ("--read-only", "--tmpfs", "/tmp:mode=1777", "--user", "10001:10001", "--cap-drop", "ALL")
    docker("network", "create", name)
    try:
        start = ("sh", "-c", 'echo "$ECHO" > /tmp/echo.conf; exec nginx -e stderr -c /tmp/echo.conf -g "daemon off;"')
        words = ("run", "--detach", "--network", name, *hard, "--entrypoint", "")
        echo = Container(docker(*words, "--env", f"ECHO={ECHO}", "--name", f"{name}-echo", image, *start))
        address = echo.inspect()["NetworkSettings"]["Networks"][name]["IPAddress"]
        hosts = [word for host in ("gateway-1", "gateway-2") for word in ("--add-host", f"{host}:{address}")]
        hosts += [word for host in ("monitor-1", "monitor-2") for word in ("--add-host", f"{host}:{address}")]
        conf = f"{ROOT}/deploy/nginx/nginx.conf:/etc/nginx/nginx.conf:ro"
        ports = ("--publish", "127.0.0.1:0:80", "--volume", conf, "--sysctl", "net.ipv4.ip_unprivileged_port_start=0")
        docker(*words, *hosts, *ports, "--name", f"{name}-nginx", image, "nginx", "-e", "stderr", "-g", "daemon off;")
        authority = docker("port", f"{name}-nginx", "80").strip()
        until("nginx answers", lambda: http("GET", f"http://{authority}/")[0] == 200, 20)
        check_headers(authority)
        echo.kill()
        check_outage(authority)
    finally:
        removals = (("rm", "--force", f"{name}-echo", f"{name}-nginx"), ("network", "rm", name))
        for removal in removals:
            subprocess.run(["docker", *removal], capture_output=True, timeout=60, check=False)
    report("headers", "Host, X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, Idempotency-Key and Lepton-Retry-Key reach a gateway")


def check_headers(authority):
    """One request as a proxy in front of us would send it, and one over gRPC."""
    words = ("curl", "--silent", "--include", "--max-time", "20", "--header", "X-Forwarded-For: 198.51.100.7")
    seen = re.search(r"(?i)^seen: (.*?)\r?$", run(*words, f"http://{authority}/"), re.M).group(1).split("|")
    host, real, forwarded, proto, key, host_protocol, _, _ = seen
    expect(host == authority and proto == "http", f"Host and X-Forwarded-Proto: {seen}")
    expect(re.fullmatch(r"\d+(\.\d+){3}", real) and forwarded == f"198.51.100.7, {real}", f"addresses: {seen}")
    expect(re.fullmatch(r"[0-9a-f]{32}", key), f"a key for tries of the same request: {seen}")
    mine = run(*words, "--header", "Idempotency-Key: mine", f"http://{authority}/")
    expect(re.search(r"(?i)^seen: .*\|mine\|", mine, re.M), f"the client's own key: {mine}")
    # As a gRPC client sends it; that the way is the one of gRPC shows in the protocol that arrived.
    grpc = ("--http2-prior-knowledge", "--header", "Content-Type: application/grpc", "--header", "TE: trailers")
    shown = run(*words, *grpc, "--data-binary", "", f"http://{authority}/a.Service/Method")
    seen = re.search(r"(?im)^seen: (.*?)\r?$", shown).group(1).split("|")
    expect(seen[0] == authority and seen[1] == real and seen[3] == "http", f"over gRPC: {shown}")
    expect(seen[2] == f"198.51.100.7, {real}", f"addresses over gRPC: {shown}")
    expect(seen[5] == "HTTP/2.0" and host_protocol == "HTTP/1.1", f"protocols: {shown}")


def check_outage(authority):
    """Without any gateway nginx answers in the words of each protocol."""
    words = ("curl", "--silent", "--include", "--max-time", "20", "--data-binary", "")
    shown = run(*words, f"http://{authority}/api/v1/analyze")
    expect("GATEWAY_UNAVAILABLE" in shown and re.search("(?im)^retry-after: 1\r?$", shown), f"REST in an outage: {shown}")
    grpc = ("--http2-prior-knowledge", "--header", "Content-Type: application/grpc", "--header", "TE: trailers")
    shown = run(*words, *grpc, f"http://{authority}/a.Service/Method")
    expect(re.search(r"(?im)^grpc-status: 14\r?$", shown), f"gRPC in an outage: {shown}")
