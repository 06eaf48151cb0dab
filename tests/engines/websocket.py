# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small client of the streams that containerd's CRI plugin serves: channels of a WebSocket, as Kubernetes numbers them."""
import base64
import os
import socket
import struct
import urllib.parse

PROTOCOL = "v4.channel.k8s.io"
BINARY, CLOSE, PING = 2, 8, 9


class WebSocket:
    def __init__(self, url, connect=socket.create_connection):
        """connect: takes (host, port), gives a connected socket."""
        where = urllib.parse.urlsplit(url)
        self.socket = connect((where.hostname, where.port))
        self.socket.settimeout(180)
        self.pending = b""
        self.channels = {}
        target = where.path + (f"?{where.query}" if where.query else "")
        self.socket.sendall((f"GET {target} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nOrigin: {url}\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.pending:
            more = self.socket.recv(4096)
            assert more, self.pending
            self.pending += more
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        assert head.split()[1] == b"101", head

    def take(self, length):
        while len(self.pending) < length:
            more = self.socket.recv(65536)
            if not more:
                return None
            self.pending += more
        data, self.pending = self.pending[:length], self.pending[length:]
        return data

    def frame(self):
        """The kind of the next frame and what is in it; the end of the connection counts as CLOSE."""
        head = self.take(2)
        if head is None:
            return CLOSE, b""
        length = head[1] & 0x7f
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        return head[0] & 0xf, self.take(length) or b""

    def send_frame(self, kind, data):
        length = struct.pack(">B", 0x80 | len(data)) if len(data) < 126 else struct.pack(">BH", 0x80 | 126, len(data))
        self.socket.sendall(bytes([0x80 | kind]) + length + bytes(4) + data)  # a mask of zeros

    def send(self, channel, data):
        """At most 65534 bytes."""
        self.send_frame(BINARY, bytes([channel]) + (data.encode() if isinstance(data, str) else data))

    def read_frame(self):
        """False at the end."""
        kind, data = self.frame()
        if kind == CLOSE:
            return False
        if kind == PING:
            self.send_frame(PING + 1, data)
        elif data:
            self.channels[data[0]] = self.channels.get(data[0], b"") + data[1:]
        return True

    def read_until(self, channel, wanted):
        while wanted not in self.channels.get(channel, b""):
            assert self.read_frame(), self.channels
        return self.channels[channel]

    def read_all(self):
        """Channel number -> all of it, to the end."""
        while self.read_frame():
            pass
        self.close()
        return self.channels

    def close(self):
        self.socket.close()
