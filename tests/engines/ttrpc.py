# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small ttRPC client, and as much of protobuf as its calls need: messages are dictionaries of field numbers."""
import socket
import struct

CODES = {0: "OK", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 6: "ALREADY_EXISTS", 9: "FAILED_PRECONDITION",
         12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE"}


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def encode(message):
    """Values are numbers, texts, bytes, messages, or lists of them."""
    out = b""
    for field, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += varint(field << 3) + varint(value)
                continue
            data = encode(value) if isinstance(value, dict) else value.encode() if isinstance(value, str) else value
            out += varint(field << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """Field number -> the values that were met, numbers or bytes."""
    message, at = {}, 0

    def number():
        nonlocal at
        result = shift = 0
        while True:
            byte = data[at]
            at += 1
            result |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return result
    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            length = number()
            value = data[at:at + length]
            at += length
        message.setdefault(key >> 3, []).append(value)
    return message


class Client:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(180)
        self.socket.connect(address.replace("unix://", ""))
        self.stream = -1

    def call(self, service, method, message):
        """The name of the status, and the answer's fields or the status's text. message may be bytes."""
        self.stream += 2
        payload = message if isinstance(message, bytes) else encode(message)
        request = encode({1: service, 2: method, 3: payload})
        self.socket.sendall(struct.pack(">IIBB", len(request), self.stream, 1, 0) + request)
        while True:
            length, stream, kind, _ = struct.unpack(">IIBB", self.receive(10))
            answer = decode(self.receive(length))
            if stream == self.stream and kind == 2:
                break
        status = decode(answer.get(1, [b""])[0])
        code = status.get(1, [0])[0]
        if code:
            return CODES.get(code, str(code)), status.get(2, [b""])[0].decode()
        return "OK", decode(answer.get(2, [b""])[0])

    def receive(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            assert more, "the connection was closed"
            data += more
        return data

    def close(self):
        self.socket.close()
