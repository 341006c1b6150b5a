"""Reads the figures of the console's pages: what the overview says under load, and whether its texts can be read."""

import json
import re
import threading
import time
import urllib.request
from contextlib import contextmanager

PATIENCE_S = 60
# Of the tasks, more than there are slots, so that some wait.
TASKS = 300
TASK = {"kind": "echo", "input": {"delay_ms": 1_000}}
ANALYSIS = {"data": [{"a": number, "b": number * number, "c": number % 7} for number in range(2_000)]}

# The name, the present figure and the words beside it of each chart, and how many points its curves have.
CHARTS = """() => Object.fromEntries([...document.querySelectorAll(".charts figure")].map((figure) => [
    figure.querySelector("figcaption").textContent,
    [figure.querySelector("strong").textContent, figure.querySelector(".big span").textContent,
     [...figure.querySelectorAll("polyline")].map((line) => line.getAttribute("points"))],
]))"""

# The cells of each instance by the heads of their columns, the curves among them as well.
INSTANCES = """() => {
    const table = document.querySelector("section[aria-labelledby=instances]");
    const heads = [...table.querySelectorAll("thead th")].map((it) => it.textContent);
    const cell = (it) => it.textContent + "|" + (it.querySelector("polyline")?.getAttribute("points") ?? "");
    return Object.fromEntries([...table.querySelectorAll("tr[id]")].map((row) => [
        row.id, Object.fromEntries([...row.children].map((it, at) => [heads[at], cell(it)])),
    ]));
}"""

# Texts whose colour is too near to what is behind them. Drawings are left out: their texts lie on shapes.
FAINT = """(least) => {
    const colour = (text) => {
        if (!text.startsWith("rgb")) throw new Error(`a colour of another kind: ${text}`);
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return { rgb: [r, g, b], a };
    };
    const over = (top, below) => top.rgb.map((value, at) => value * top.a + below[at] * (1 - top.a));
    const behind = (node) => {
        if (!node) return [255, 255, 255];
        return over(colour(getComputedStyle(node).backgroundColor), behind(node.parentElement));
    };
    const light = (rgb) => {
        const linear = (it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
        const part = rgb.map((value) => linear(value / 255));
        return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
    };
    const speaks = (node) => [...node.childNodes].some((it) => it.nodeType === Node.TEXT_NODE && it.data.trim());
    const seen = (node) => !node.closest("svg") && node.getClientRects().length;
    const texts = [...document.body.querySelectorAll("*")].filter((node) => seen(node) && speaks(node));
    const found = texts.map((node) => {
        const back = behind(node);
        const [a, b] = [light(over(colour(getComputedStyle(node).color), back)), light(back)].sort((a, b) => b - a);
        return [(a + 0.05) / (b + 0.05), `${node.tagName}.${node.className}: ${node.textContent.trim().slice(0, 40)}`];
    });
    const faint = found.filter(([ratio]) => ratio < least);
    return { count: found.length, least: Math.min(...found.map(([ratio]) => ratio)), faint };
}"""


def number(text):
    """The first number of a text."""
    return float(re.search(r"[\d,]+\.?\d*", text).group().replace(",", ""))


def until(page, what, look):
    """What `look` gives once it gives something. The page must not be loaded anew for it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        page.wait_for_timeout(200)
    raise AssertionError(f"{what} did not come: {page.evaluate(CHARTS)} {page.evaluate(INSTANCES)}")


@contextmanager
def load(gateway):
    """Analyses without a pause, and tasks that wait for a slot, for as long as the block lasts."""
    stop = threading.Event()
    faults = []

    def post(path, body):
        request = urllib.request.Request(gateway + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def analyse():
        try:
            while not stop.is_set():
                post("/api/v1/analyze", ANALYSIS)
        except OSError as fault:
            faults.append(fault)

    def submit():
        try:
            while not stop.is_set():
                post("/api/v1/tasks:batchSubmit", {"requests": [TASK] * TASKS})
                stop.wait(5)
        except OSError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for work in (analyse, analyse, submit)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults, faults


def overview_moves_under_load(page, gateway, instances):
    """Rate, latency, queue and slots of the mesh, CPU and memory of each instance: shown, and changing as one looks."""
    page.evaluate("window.mark = true")
    charts = lambda: page.evaluate(CHARTS)
    cells = lambda: page.evaluate(INSTANCES)
    idle = until(page, "every instance", lambda: (rows := cells()).keys() >= instances and rows)
    for id in instances:
        assert number(idle[id]["CPU"]) >= 0 and " %" in idle[id]["CPU"], idle[id]
        assert number(idle[id]["Memory"]) > 0 and "iB" in idle[id]["Memory"], idle[id]
    with load(gateway):
        until(page, "a rate", lambda: number(charts()["Requests"][0]) > 2)
        until(page, "a queue", lambda: number(charts()["Waiting"][0]) > 0)
        until(page, "used slots", lambda: number(charts()["Slots in use"][0]) > 0)
        # Two curves, and figures beside them.
        latency = lambda: len((it := charts()["Latency"])[2]) == 2 and "–" not in it[0] + it[1] and it
        median, tail, curves = until(page, "a latency", latency)
        assert number(median) > 0 and re.fullmatch(r"median, p99 [\d.,]+ (µs|ms|s)", tail), (median, tail)
        # A curve of a second ago is not the curve of now.
        until(page, "a newer latency", lambda: (it := charts()["Latency"][2]) and it != curves)
        for id in instances:
            for figure in ("CPU", "Memory"):
                until(page, f"another {figure} of {id}", lambda: cells()[id][figure] != idle[id][figure])
        worker, entry = (next(id for id in sorted(instances) if id.startswith(it)) for it in ("worker", "gateway"))
        until(page, "a worker's latency", lambda: "p99" in cells()[worker]["Latency"])
        busy = until(page, "work of a gateway", lambda: (it := cells()[entry]) and number(it["CPU"]) > 1 and it)
        assert number(busy["Per second"]) > 0, busy
    until(page, "rest", lambda: number(charts()["Requests"][0]) < 1 and number(charts()["Waiting"][0]) == 0)
    assert page.evaluate("window.mark"), "the page was loaded anew"


def texts_can_be_read(page, least=4.5):
    """Every text against what is behind it, as WCAG asks for body text. Gives the least contrast."""
    found = page.evaluate(FAINT, least)
    assert found["count"] > 10, found
    assert not found["faint"], f"too faint in {page.url}: {found['faint']}"
    return found["least"]
