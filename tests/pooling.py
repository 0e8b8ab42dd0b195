"""A pool of two replicas whose time passes only when told, and whose speed is known."""

from router.prompts.blocks import Chain
from router.transports.vllm import Pool
from router.transports.vllm.metrics import Metrics
from router.transports.vllm.replica import Reading

A, B = "http://a:8000/v1", "http://b:8000/v1"
PER_TOKEN = 0.001


class Time:
    """Seconds that pass only when told."""

    now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


class Bench:
    """A pool of two whose speed is known: a millisecond per token, no delay."""

    def __init__(self, urls=(A, B), learned=True):
        self.time, self.forgotten = Time(), []
        self.pool = Pool("vllm", urls, clock=self.time, forget=self.forgotten.append)
        self.warm = dict.fromkeys(urls, 0)
        for url in urls if learned else ():
            for tokens in (100, 500, 900):
                self.serve(url, tokens)
            self.time.pass_(300)

    def serve(self, url, tokens, cached=0, answer=0.0):
        ticket = self.pool.begin(url, tokens, cached, stream=True)
        self.time.pass_((tokens - cached) * PER_TOKEN)
        self.pool.first_token(ticket)
        self.time.pass_(answer)
        self.pool.end(ticket, cache_read_tokens=cached)

    def choose(self, tokens=1000, **settings):
        chain = Chain(b"", tokens)
        return self.pool.choose(chain, "", tokens, self.warm.__getitem__, **settings)

    def begin(self, url, tokens=1000, cached=0, stream=True):
        return self.pool.begin(url, tokens, cached, stream=stream)

    def poll(self, url, **told):
        ready, ours = told.pop("ready", True), told.pop("ours", 0)
        metrics = Metrics(**told) if told else None
        self.pool.polled(url, Reading(ready=ready, metrics=metrics, ours=ours))

    def state(self, url):
        return next(s for s in self.pool.states() if s.url == url)
