"""HTTP/2 frames by hand (RFC 9113), to send what no proper client would."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """One field, never indexed, no Huffman coding."""

    def text(value):
        value = value.encode("latin-1")
        if len(value) < 127:
            return bytes([len(value)]) + value
        rest, out = len(value) - 127, b"\x7f"
        while rest >= 128:
            out += bytes([rest % 128 + 128])
            rest //= 128
        return out + bytes([rest]) + value

    return b"\x00" + text(name) + text(value)


def fields(*pairs, method="GET", path="/", scheme="http", authority="test"):
    own = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    return b"".join(literal(*pair) for pair in own + list(pairs))


KNOWN_STATUS = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
# Huffman codes of the digits (RFC 7541 appendix B).
DIGITS = {"00000": "0", "00001": "1", "00010": "2", **{f"{0b011001 + i:06b}": str(3 + i) for i in range(7)}}


def status_of(section):
    """The :status with which a field section begins."""
    if section[0] & 0x80:
        return KNOWN_STATUS[section[0] & 0x7F]
    length, huffman = section[1] & 0x7F, section[1] & 0x80
    value = section[2 : 2 + length]
    if not huffman:
        return value.decode()
    bits, text = "".join(f"{byte:08b}" for byte in value), ""
    while digit := DIGITS.get(bits[:5]) or DIGITS.get(bits[:6]):
        bits, text = bits[5 if bits[:5] in DIGITS else 6 :], text + digit
    return text


class H2:
    """A connection with the preface sent."""

    def __init__(self, port, settings=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, stream, *pairs, **options):
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(*pairs, **options)))

    def read(self):
        """(kind, flags, stream, payload) of the next frame, or None at the end."""
        head = self.stream.read(9)
        if len(head) < 9:
            return None
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, self.stream.read(length)

    def read_until(self, wanted):
        """Frames up to the first for which wanted(kind, flags, stream, payload) holds; None in the list is the end."""
        seen = []
        while True:
            try:
                got = self.read()
            except OSError:
                got = None
            if got is None:
                return seen + [None]
            seen.append(got)
            if got[0] == SETTINGS and not got[1] & ACK:
                self.send_quietly(frame(SETTINGS, ACK))
            if wanted(*got):
                return seen

    def status(self, stream):
        """The status of the answer that comes next on the stream; the frames up to it are dropped."""
        seen = self.read_until(lambda kind, flags, at, payload: kind == HEADERS and at == stream)
        return status_of(seen[-1][3])

    def send_quietly(self, data):
        try:
            self.send(data)
        except OSError:
            pass

    def ended(self):
        """Frames until the peer gives up on the connection, by GOAWAY or by closing it."""
        seen = self.read_until(lambda kind, flags, stream, payload: kind == GOAWAY)
        return seen[-1] is None or seen[-1][0] == GOAWAY
