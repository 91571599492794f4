"""How an attack is written down. A module of attacks is a Python file in the folder that `run` is given:

    from lib.attack import attack, cost

    @attack("silent-connections", "600 connections that say nothing", seconds=6)
    def silent(target):
        target.hold([target.tcp() for _ in range(600)])

    cost("many-labels", "60,000 labels", lambda: reviews.review(...))
"""

import os
import resource
import signal
import statistics
import time
from dataclasses import dataclass, field

from . import http1, http2

ATTACKS = []
AT_ONCE = 2  # connections of a cost's second part
ENOUGH = 1.0  # seconds of CPU after which a cost is known


@dataclass
class Attack:
    name: str
    what: str
    play: object  # is given a Target, in a process of its own
    seconds: float = 6.0  # how long it lasts; it is killed two seconds later
    cluster: str = "small"
    flags: tuple = ()
    descriptors: int = None  # limit of open files of the server
    stdout: bool = True  # False: a pipe that nobody reads
    ends: bool = False  # the attack stops the server: there is no client beside it, and no recovery
    log: str = "human"
    answer: int = None  # its own bound of the largest answer, in bytes
    whole: bool = False  # a list that is gone through: cut short, it has not been withstood
    module: str = field(default="")


def attack(name, what, **options):
    def register(play):
        ATTACKS.append(Attack(name, what, play, **options))
        return play

    return register


def cost(name, what, body, path=http1.PATH, rounds=3, at_once=AT_ONCE, then=0.8, **options):
    """One review that is dear: it is sent alone, `rounds` times, and the CPU of each is measured; then by
    `at_once` connections at a time for `then` seconds, to see what everybody else notices."""

    def play(target):
        sent = body()
        sent = sent if isinstance(sent, list) else [sent]
        stream = target.tls(timeout=target.left())
        for number in range(max(rounds, len(sent))):
            if target.left() < 0.2 or target.spent() > ENOUGH:
                break
            if not target.measured(stream, sent[number % len(sent)], path):
                stream = target.tls(timeout=target.left())
        target.note(f"{len(sent[0]) / 1024:.0f} KiB")
        if at_once and target.left() > 0.5:
            target.together(at_once, min(then, target.left()), lambda stream: target.call(stream, sent[0], path))

    ATTACKS.append(Attack(name, what, play, **{"seconds": 4.0, **options}))


class Target:
    """What an attack has to do with: the server's ports, and a record of what happened."""

    def __init__(self, say, running, attack_, calm_rate):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._say, self._server, self._rate = say, running, calm_rate
        self.port, self.admin, self.pid = running.port, running.admin, running.pid
        self.until = time.monotonic() + attack_.seconds
        self._requests, self._costs, self._largest = 0, [], 0
        self._unended = False
        self._children = []
        self._outcomes = {}

    # Connections

    def tcp(self, timeout=3.0, port=None, receive_buffer=None):
        return http1.tcp(port or self.port, timeout, receive_buffer)

    def tls(self, timeout=5.0, receive_buffer=None):
        return http1.tls(self.port, timeout, receive_buffer=receive_buffer)

    def http2(self, **options):
        return http2.Connection(self.port, **options)

    # Time

    def left(self):
        return max(0.05, self.until - time.monotonic())

    def on(self):
        return time.monotonic() < self.until

    def hold(self, things, each=None, pause=0.5):
        """Keeps everything open until the end, and does something with each now and then."""
        while self.on():
            for thing in things:
                if each and self.on():
                    try:
                        each(thing)
                    except (OSError, http1.Closed):
                        pass
            time.sleep(min(pause, self.left()))

    def open_many(self, count, opener, failures=3):
        """As many as there are places, no faster than they are taken; some failures in a row end it."""
        opened, failed = [], 0
        while len(opened) < count and failed < failures and self.on():
            try:
                opened.append(opener())
                failed = 0
            except (OSError, http1.Closed):
                failed += 1
            if len(opened) % 10 == 9:
                time.sleep(0.005)
        self.note(f"{len(opened)} of {count} connections")
        return opened

    # Requests

    def call(self, stream, body, path=http1.PATH):
        """Sends a request and takes the answer; what became of it, for the record."""
        try:
            status, _, answer = http1.call(stream, body, path)
            outcome = str(status)
            self._largest = max(self._largest, len(answer))
            self._answer = answer
        except Exception as error:
            outcome, self._answer = type(error).__name__, b""
        self.count(outcome)
        return outcome

    def answer(self):
        return self._answer

    def turn(self):
        """How many requests there have been."""
        return self._requests

    def measured(self, stream, body, path=http1.PATH):
        """The same alone, and what the server spent on it. Whether the connection lives on."""
        used, started = self._server.cpu(), time.monotonic()
        outcome = self.call(stream, body, path)
        spent = self._server.cpu() - used - (time.monotonic() - started) * self._rate
        self._costs.append(max(0.0, spent))
        self._unended |= not outcome.isdigit()
        return outcome.isdigit()

    def spent(self):
        return sum(self._costs)

    def together(self, clients, seconds, one):
        """Several processes at a time, each with a connection, doing the same again and again."""
        children = []
        until = time.monotonic() + seconds
        for _ in range(clients):
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    self._outcomes, self._requests, self._largest = {}, 0, 0
                    stream = None
                    while time.monotonic() < until:
                        try:
                            stream = stream or self.tls(timeout=max(0.1, until - time.monotonic() + 1))
                        except OSError:
                            time.sleep(0.05)
                            continue
                        outcome = one(stream)
                        if not (outcome or "").isdigit():
                            stream.close()
                            stream = None
                    words = [self._requests, self._largest]
                    words += [f"{key}={value}" for key, value in self._outcomes.items()]
                    os.write(write_end, " ".join(map(str, words)).encode())
                finally:
                    os._exit(0)
            os.close(write_end)
            children.append((pid, read_end))
        for pid, read_end in children:
            limit = until + 2
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > limit:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    self.count("still-waiting")
                    break
                time.sleep(0.01)
            words = os.read(read_end, 4096).decode().split()
            os.close(read_end)
            if words:
                self._requests += int(words[0])
                self._largest = max(self._largest, int(words[1]))
                for word in words[2:]:
                    outcome, number = word.split("=")
                    self._outcomes[outcome] = self._outcomes.get(outcome, 0) + int(number)

    def alongside(self, another):
        """Another attack at the same time, in a process of its own, until this one ends."""
        pid = os.fork()
        if pid == 0:
            try:
                another(self)
            except (OSError, http1.Closed):
                pass
            finally:
                os._exit(0)
        self._children.append(pid)

    # The record

    def count(self, outcome, number=1):
        self._requests += number
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + number

    def requests(self, number):
        """Hostile requests that are not counted one by one."""
        self._requests += number

    def note(self, text):
        self._say("note", str(text))

    def fault(self, text):
        """Something that must not happen, beside the bounds that all attacks have."""
        self._say("fault", str(text))

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def finish(self):
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if self._outcomes:
            self.note(", ".join(f"{key} x {value}" for key, value in sorted(self._outcomes.items())))
        self._say("requests", self._requests)
        self._say("largest", self._largest)
        if self._costs:
            self._say("cost", f"{statistics.median(self._costs):.6f}", "unended" if self._unended else "ended")


def play(say, attack_, running, calm_rate):
    """The body of the attacker's process."""
    target = Target(say, running, attack_, calm_rate)
    try:
        attack_.play(target)
    except Exception as error:
        target.note(f"ended with {type(error).__name__} {error}")
        if not isinstance(error, (OSError, http1.Closed)):
            target.fault(f"the attack itself is broken: {type(error).__name__}: {error}")
    target.finish()
