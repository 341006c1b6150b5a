"""Reads the console as a person does: opens every page, submits, cancels, watches a worker and a leader die and come
back.

Arguments: the console and the gateway (HOST:PORT), the worker to kill, the folder for screenshots. Lines on stdout ask
for what only the caller can do; it answers on stdin when that is done.
"""

import json
import re
import sys
import urllib.request
from pathlib import Path

from console_figures import overview_moves_under_load, texts_can_be_read
from console_watch import Watch
from playwright.sync_api import expect, sync_playwright

CONSOLE, GATEWAY = (f"http://{authority}" for authority in sys.argv[1:3])
VICTIM = sys.argv[3]
SCREENSHOTS = Path(sys.argv[4])
# Longer than anything that has to happen; what takes that long has failed.
PATIENCE_MS = 60_000
PAGES = {
    "Overview": "/",
    "Tasks": "/tasks",
    "Models": "/models",
    "Workers": "/workers",
    "Incidents": "/incidents",
    "Traces": "/traces",
}
WIDTHS = {"wide": (1440, 900), "narrow": (360, 780)}


def ask(line):
    print(line, flush=True)
    assert sys.stdin.readline() == "done\n"


def say(words):
    print(f"said {words}", flush=True)


def call(path, body=None, headers=()):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(GATEWAY + path, data=data, headers=dict(headers))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def nodes():
    return call("/api/v1/nodes")["nodes"]


def leader():
    """The scheduler that leads, as a gateway knows it."""
    return next(node for node in nodes() if node["service"] == "scheduler" and node["leader"])


def submit(kind, task_input):
    return call("/api/v1/tasks", {"kind": kind, "input": task_input})["id"]


def visit_every_page(page):
    """By the navigation, with the keyboard's first stop, landmarks and labels looked at on each."""
    page.goto(CONSOLE)
    for name, path in PAGES.items():
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(CONSOLE + path)
        current = page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")
        expect(current).to_have_text(name)
        expect(page.get_by_role("main")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        for field in page.locator("input:not([type=hidden])").all():
            assert field.evaluate("it => it.labels.length") == 1, f"a field of {name} has no label"
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to content")


def policy_is_in_force(context):
    """An inline script must not run, even if somebody got one into a page. It complains, so it has a page of its own."""
    page = context.new_page()
    page.goto(CONSOLE)
    page.evaluate("""() => new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.intruder = true";
        document.body.append(script);
    })""")
    assert page.evaluate("window.intruder === undefined")
    page.close()


def tasks_appear_and_are_cancelled(page):
    page.goto(CONSOLE + "/tasks")
    page.evaluate("window.mark = true")
    done = submit("echo", {"text": "<b>hello</b>", "numbers": [1, 2, 3]})
    failed = submit("echo", {"fail_times": 100})
    running = submit("echo", {"delay_ms": 600_000})
    for task, word in ((done, "succeeded"), (failed, "failed"), (running, "running")):
        row = page.locator(f"#tasks tr[id='{task}']")
        expect(row).to_contain_text(word)
    assert page.evaluate("window.mark"), "the page was loaded anew"

    page.get_by_role("navigation", name="Tasks by state").get_by_role("link", name="running").click()
    expect(page.locator(f"#tasks tr[id='{done}']")).to_have_count(0)
    page.get_by_role("link", name=running).click()
    page.wait_for_url(f"{CONSOLE}/tasks/{running}")
    expect(page.locator(".json").first).to_contain_text("600000")
    page.get_by_role("button", name="Cancel task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Cancel task")).to_have_count(0)
    page.wait_for_url(f"{CONSOLE}/tasks/{running}")
    assert call(f"/api/v1/tasks/{running}")["state"] == "STATE_CANCELLED"

    page.goto(CONSOLE + "/tasks?kind=nothing-like-this")
    expect(page.get_by_role("main")).to_contain_text("No matching task")
    return done, failed


def a_filter_keeps_what_is_typed(page):
    """The page is joined to its news node by node: what the reader does meanwhile stays."""
    page.goto(CONSOLE + "/tasks")
    field = page.get_by_label("Kind")
    field.fill("ech")
    task = submit("echo", {})
    expect(page.locator(f"#tasks tr[id='{task}']")).to_contain_text("succeeded")
    expect(field).to_be_focused()
    expect(field).to_have_value("ech")
    field.fill("echo")
    field.press("Enter")
    page.wait_for_url("**/tasks?kind=echo*")
    expect(page.locator(f"#tasks tr[id='{task}']")).to_have_count(1)


def tasks_are_searched(page):
    """By label, reason and worker, with the numbers of the rest on the tabs."""
    body = {"kind": "echo", "input": {"fail_rate": 1}, "retry": {"maxAttempts": 1}, "labels": {"team": "red & blue"}}
    failed = call("/api/v1/tasks", body)["id"]
    call(f"/api/v1/tasks/{failed}:wait?timeout=30s")
    page.goto(CONSOLE + "/tasks")
    page.get_by_label("Label").fill("team=red & blue")
    page.get_by_label("Reason").fill("HANDLER_FAILED")
    page.get_by_role("button", name="Filter").click()
    rows = page.locator("#tasks tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_have_attribute("id", failed)
    tabs = page.get_by_label("Tasks by state")
    expect(tabs.get_by_role("link", name="All 1")).to_be_visible()
    tabs.get_by_role("link", name="failed 1").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Label")).to_have_value("team=red & blue")
    tabs.get_by_role("link", name="running 0").click()
    expect(page.get_by_text("No matching task.")).to_be_visible()


def a_waterfall_opens(page, task):
    """From a task to its trace, and into a span."""
    page.goto(f"{CONSOLE}/tasks/{task}")
    expect(page.locator("#content")).to_contain_text("<b>hello</b>")
    trace = call(f"/api/v1/tasks/{task}")["traceId"]
    expect(page.locator("section[aria-labelledby=attempts] tbody tr")).to_have_count(1)
    page.get_by_role("link", name=trace).click()
    page.wait_for_url(f"{CONSOLE}/traces/{trace}")
    span = page.locator(".waterfall li", has_text="worker").first
    expect(span).to_be_visible(timeout=PATIENCE_MS)
    span.locator("summary").click()
    expect(span).to_contain_text("lepton.attempt")
    page.goto(CONSOLE + "/traces")
    expect(page.locator(f"tr[id='{trace}']")).to_have_count(1)


def attempts(page, task, outcomes):
    """The rows of a task's attempts, which say these things of workers and outcomes."""
    page.goto(f"{CONSOLE}/tasks/{task}")
    rows = page.locator("section[aria-labelledby=attempts] tbody tr")
    expect(rows).to_have_count(len(outcomes))
    for number, (worker, outcome) in enumerate(outcomes):
        expect(rows.nth(number).locator("code")).to_have_text(worker)
        expect(rows.nth(number)).to_contain_text(outcome)


def a_second_attempt_is_shown(page):
    task = submit("echo", {"fail_times": 1})
    attempts(page, task, [(re.compile("worker-"), "failed"), (re.compile("worker-"), "ended")])
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")


def the_overview_is_alive(page):
    page.goto(CONSOLE)
    overview_moves_under_load(page, GATEWAY, {node["id"] for node in nodes()})


def leads(page, node):
    """The table and the picture name this leader and its epoch."""
    row = page.locator(f"tr[id='{node['id']}']")
    expect(row.locator(".badge.leader")).to_have_text("★ leader")
    expect(row.locator(".epoch")).to_have_text(f"epoch {node['epoch']}")
    picture = page.locator("svg.topology.wide")
    expect(picture.locator(".node.leads", has_text=node["id"])).to_contain_text(f"leader, epoch {node['epoch']}")
    led = re.compile(f"Schedulers \\d led by {node['id']} in epoch {node['epoch']}")
    expect(picture).to_have_attribute("aria-label", led)


def a_leader_dies_and_another_leads(page):
    page.goto(CONSOLE)
    before = leader()
    leads(page, before)
    page.evaluate("window.mark = true")
    ask(f"kill {before['id']}")
    expect(page.locator("article.incident", has_text=before["id"])).to_contain_text("OPEN")
    expect(page.locator(f"tr[id='{before['id']}']")).to_have_count(0)
    other = page.locator("tr[id^=scheduler] .badge.leader")
    expect(other).to_have_count(1)
    after = leader()
    assert int(after["epoch"]) > int(before["epoch"]) and after["id"] != before["id"], (before, after)
    leads(page, after)
    ask(f"revive {before['id']}")
    expect(page.locator("article.incident")).to_have_count(0)
    expect(page.locator(f"tr[id='{before['id']}']")).to_contain_text("standby")
    assert page.evaluate("window.mark"), "the page was loaded anew"


def a_model_is_trained_and_shown(page):
    """From the running training, which says how far it is, to the model in every worker's memory."""
    rows = [{"x": x, "y": 3 * x + 1 + x % 3 / 10} for x in range(40)]
    long = submit("train", {"data": rows, "target": "y", "method": "gradient_descent", "learningRate": 1e-9,
                            "epochs": 1_000_000_000, "tolerance": 0})
    page.goto(f"{CONSOLE}/tasks/{long}")
    expect(page.locator(".card progress")).to_have_count(1)
    expect(page.locator(".card.progress")).to_contain_text("loss")
    page.get_by_role("button", name="Cancel task").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")

    page.goto(CONSOLE + "/models")
    task = submit("train", {"data": rows, "target": "y", "model": "line", "deploy": True})
    model = page.locator("section#line")
    expect(model).to_contain_text("version 1 deployed")
    expect(model.locator("tbody tr").first).to_contain_text("ready")
    expect(model.locator("tbody tr").first).to_contain_text(VICTIM)
    expect(model).to_contain_text("features")
    model.locator("summary").click()
    model.get_by_role("link", name=task).click()
    page.wait_for_url(f"{CONSOLE}/tasks/{task}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("succeeded")
    page.goto(CONSOLE + "/workers")
    expect(page.locator(f"[id='{VICTIM}']")).to_contain_text("line version 1")


def a_worker_dies_and_comes_back(page):
    page.goto(CONSOLE)
    row = page.locator(f"tr[id='{VICTIM}']")
    expect(row).to_contain_text("ready")
    task = runs_on_the_victim(page)
    ask(f"kill {VICTIM}")
    incident = page.locator("article.incident", has_text=VICTIM)
    expect(incident).to_contain_text("OPEN")
    expect(row).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("One incident is open")
    assert page.title().startswith("(1)"), page.title()
    shoot(page, "incident-open")
    ask(f"revive {VICTIM}")
    expect(incident).to_have_count(0)
    expect(row).to_contain_text("ready")
    page.goto(CONSOLE + "/incidents")
    past = page.locator("section[aria-labelledby=past] tbody tr", has_text=VICTIM)
    expect(past).to_contain_text("CLOSED")
    # The first attempt has left no span of its own.
    attempts(page, task, [(VICTIM, "its worker was lost"), (re.compile("worker-"), "ended")])


def runs_on_the_victim(page):
    """A task that runs on the worker that is about to die, and long enough for that."""
    for _ in range(50):
        task = submit("echo", {"delay_ms": 15_000})
        for _ in range(50):
            if worker := call(f"/api/v1/tasks/{task}?view=TASK_VIEW_BASIC")["worker"]:
                break
            page.wait_for_timeout(100)
        if worker == VICTIM:
            return task
        call(f"/api/v1/tasks/{task}:cancel", {})
    raise AssertionError(f"no task runs on {VICTIM}")


def errors_are_pages(browser):
    """The browser itself notes every answer that is not a success, so these are looked at apart."""
    context = browser.new_context()
    watch = Watch(context, CONSOLE)
    page = context.new_page()
    trace = "5b8aa5a2d2c872e8321cf37308d69df2"
    wrong = ["/nowhere", "/tasks/0192d3e4-0000-7000-8000-000000000001", f"/traces/{trace}"]
    for path, reason in zip(wrong, ["ROUTE_NOT_FOUND", "TASK_NOT_FOUND", "TRACE_NOT_FOUND"]):
        page.goto(CONSOLE + path)
        expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
        expect(page.get_by_role("main")).to_contain_text(reason)
    # A trace comes after its request: the page that was opened too early becomes the one that was asked for.
    page.evaluate("window.mark = true")
    call("/api/v1/analyze", {"data": [{"a": 1}, {"a": 2}]}, {"traceparent": f"00-{trace}-051581bf3cb55c13-01"})
    expect(page.locator(".waterfall li").first).to_be_visible()
    assert page.evaluate("window.mark"), "the page was loaded anew"
    assert len(watch.faults) == len(wrong), watch.faults
    for path, fault in zip(wrong, watch.faults):
        assert "status of 404" in fault and CONSOLE + path in fault, fault
    context.close()


def pages_work_without_scripts(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in PAGES.values():
        page.goto(CONSOLE + path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    page.goto(CONSOLE + "/tasks")
    assert page.locator("meta[http-equiv=refresh]").count() == 0, "it would wipe what is typed into the filter"
    expect(page.get_by_role("link", name="Reload")).to_be_visible()
    context.close()


def shoot(page, name):
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def pictures(browser, more):
    """Every page in both schemes and at two widths; none may need to be scrolled sideways, each can be read."""
    for scheme in ("light", "dark"):
        contrasts = []
        for width, (x, y) in WIDTHS.items():
            context = browser.new_context(color_scheme=scheme, viewport={"width": x, "height": y})
            watch = Watch(context, CONSOLE)
            page = context.new_page()
            for name, path in (PAGES | more).items():
                page.goto(CONSOLE + path)
                expect(page.get_by_role("heading", level=1)).to_have_count(1)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= x, f"{path} is {wide} px wide in a window of {x}"
                assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
                contrasts.append(texts_can_be_read(page))
                shoot(page, f"{name.lower()}-{scheme}-{width}")
            watch.settle()
            context.close()
        say(f"least contrast of a text, {scheme}: {min(contrasts):.1f}")


def first_paint(browser):
    """As a reader has it who opens the console: a fresh page each time, nothing cached."""
    found = []
    for _ in range(9):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(CONSOLE)
        found.append(page.evaluate("""() => new Promise((resolve) => new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") resolve(entry.startTime);
        }).observe({ type: "paint", buffered: true }))"""))
        context.close()
    found.sort()
    say(f"first contentful paint of the overview: median {found[4]:.0f} ms, least {found[0]:.0f}, most {found[-1]:.0f}")


def main():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox. All that it opens is our own console.
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        policy_is_in_force(context)
        watch = Watch(context, CONSOLE)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visit_every_page(page)
        done, failed = tasks_appear_and_are_cancelled(page)
        a_filter_keeps_what_is_typed(page)
        tasks_are_searched(page)
        errors_are_pages(browser)
        a_waterfall_opens(page, done)
        a_second_attempt_is_shown(page)
        a_model_is_trained_and_shown(page)
        the_overview_is_alive(page)
        a_worker_dies_and_comes_back(page)
        a_leader_dies_and_another_leads(page)
        watch.settle()
        pages_work_without_scripts(browser)
        trace = call(f"/api/v1/tasks/{failed}")["traceId"]
        pictures(browser, {"Task": f"/tasks/{done}", "Failure": f"/tasks/{failed}", "Waterfall": f"/traces/{trace}"})
        first_paint(browser)
        browser.close()


main()
