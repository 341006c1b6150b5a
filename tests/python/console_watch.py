"""Watches the pages of a browser for what a person does not see: complaints, foreign requests, missing policies."""


class Watch:
    """Notes what a page must not do: complain, call other servers, come without its policy."""

    def __init__(self, context, console):
        self.console, self.faults = console, []
        # A stream that ends because its page is left is no error of the page.
        context.on("console", lambda said: self.hear(said))
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        context.on("request", lambda request: self.call(request.url))
        context.on("response", lambda response: self.answer(response))

    def hear(self, said):
        if said.type in ("error", "warning"):
            self.faults.append(f"{said.type}: {said.text} ({said.location})")

    def call(self, url):
        if not url.startswith(self.console + "/"):
            self.faults.append(f"a request to {url}")

    def answer(self, response):
        policy = response.headers.get("content-security-policy", "")
        if not policy.startswith("default-src 'none'; script-src 'self'"):
            self.faults.append(f"{response.url} comes with the policy {policy!r}")

    def settle(self):
        assert not self.faults, "\n".join(self.faults)
