"""Traffic that runs while a control plane changes things: it keeps what went wrong, and ends when it is told."""

import threading
import time
from dataclasses import dataclass

import client
from gateway import DEADLINE, Gateway
from h2client import DATA, END_STREAM, GOAWAY, H2, HEADERS, RST_STREAM, WINDOW_UPDATE, frame
from xds_control_plane import ControlPlane

STATUS_200 = 0x88  # HPACK: entry 8 of the static table


@dataclass
class Fed:
    """A gateway, what feeds it, and the port that it serves."""

    plane: ControlPlane
    gateway: Gateway
    port: int
    ups: dict

    def ask(self, path="/", host="test", **options):
        return client.ask(self.port, path=path, host=host, **options)

    def served_by(self, **options):
        answer = self.ask(**options)
        return answer.json()["name"] if answer.status == 200 else answer.status

    def connections(self, n=16):
        """So many that each worker has some."""
        return [client.Connection(self.port) for _ in range(n)]


class Load:
    """A thread that asks until stop(); .good counts answers as wanted, .bad has what was not."""

    def __init__(self, port, pause=0.0):
        self.port = port
        self.pause = pause
        self.good, self.bad = 0, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(client.TIMEOUT + 5)
        return self

    def stopped(self):
        return self._stop.wait(self.pause) if self.pause else self._stop.is_set()

    def _run(self):
        try:
            self.run()
        except Exception as error:
            self.bad.append(repr(error))


class KeepAlive(Load):
    """One HTTP/1.1 connection; check(answer) says what is wrong with a 200, or None."""

    def __init__(self, port, host="test", check=None, pause=0.0):
        self.host, self.check = host, check
        super().__init__(port, pause)

    def run(self):
        with client.Connection(self.port) as connection:
            while not self.stopped():
                answer = connection.ask(host=self.host)
                wrong = answer.status if answer.status != 200 else self.check and self.check(answer)
                if wrong:
                    self.bad.append(wrong)
                else:
                    self.good += 1


class Streams(Load):
    """One HTTP/2 connection, one stream after another."""

    def run(self):
        with H2(self.port) as connection:
            stream = 1
            while not self.stopped():
                connection.get(stream)
                seen = connection.read_until(lambda kind, flags, s, payload: ends(kind, flags))
                self._judge(stream, seen, connection)
                stream += 2

    def _judge(self, stream, seen, connection):
        heads = [payload[:1] for kind, *_, payload in filter(None, seen) if kind == HEADERS]
        if heads == [bytes([STATUS_200])] and seen[-1] and seen[-1][0] in (DATA, HEADERS):
            self.good += 1
        else:
            self.bad.append(f"stream {stream}: {seen}")
        if came := sum(len(payload) for kind, *_, payload in filter(None, seen) if kind == DATA):
            connection.send(frame(WINDOW_UPDATE, 0, 0, came.to_bytes(4, "big")))


def ends(kind, flags):
    return kind in (RST_STREAM, GOAWAY) or (kind in (DATA, HEADERS) and flags & END_STREAM)


class Events(Load):
    """One request whose answer is an event stream without an end; .good counts chunks."""

    def __init__(self, port, path="/events"):
        self.path = path
        super().__init__(port)

    def run(self):
        with client.Connection(self.port) as connection:
            connection.request(path=self.path)
            head = connection.head()
            if head.status != 200:
                self.bad.append(head.status)
            while not self.stopped():
                size = int(client.read_line(connection.stream), 16)
                client.read_exactly(connection.stream, size + 2)
                if not size:
                    self.bad.append("the event stream has ended")
                    return
                self.good += 1


def send_events(request, stream):
    """A handler of Upstream: an event every 20 ms until nobody takes it."""
    stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        stream.send("8\r\ndata: x\n\r\n")
        time.sleep(0.02)


class Poller(Load):
    """Asks for one host again and again, each time on a new connection; .seen are the outcomes without repeats."""

    def __init__(self, port, host="test", pause=0.005):
        self.host = host
        self.seen = []
        super().__init__(port, pause)

    def run(self):
        while not self.stopped():
            outcome = self._outcome()
            self.good += outcome == 200
            if self.seen[-1:] != [outcome]:
                self.seen.append(outcome)

    def _outcome(self):
        try:
            return client.ask(self.port, host=self.host).status
        except ConnectionRefusedError:
            return "refused"
        except (OSError, client.Closed) as error:
            return repr(error)


def warm(loads):
    """Waits until each has had a good answer; says of which load, and how, if one has none."""

    def cold():
        return [f"{type(load).__name__}: {load.bad[:3]}" for load in loads if not load.good]

    deadline = time.monotonic() + DEADLINE
    while waiting := cold():
        assert time.monotonic() < deadline, f"no good answer yet: {waiting}"
        time.sleep(0.01)


def judge(loads):
    """Ends them; all must have had good answers and nothing else."""
    for load in loads:
        load._stop.set()
    for load in loads:
        load.stop()
    assert not [load.bad[:3] for load in loads if load.bad]
    assert all(load.good for load in loads)
