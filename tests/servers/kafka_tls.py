#!/usr/bin/env python3
"""TLS, client certificates and SASL (PLAIN, SCRAM) in front of brokers that have none of them.

Usage: kafka_tls.py BROKER-PORT CERTIFICATE KEY CA [USER PASSWORD]

Its port is the first line that it writes; then a line for each client: "certificate SUBJECT", "user NAME". Whoever
gives another password is told what he gave, as a broker might.
"""
import asyncio
import base64
import hashlib
import hmac
import ssl
import struct
import sys

BROKER = int(sys.argv[1])
USER, PASSWORD = sys.argv[5:7] if len(sys.argv) > 6 else (None, None)
SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
own_port = 0


def say(*words):
    print(*words, flush=True)


async def read_frame(reader):
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def write_frame(writer, frame):
    writer.write(struct.pack(">i", len(frame)) + frame)


def add_sasl(frame):
    """Two more kinds of requests in an answer about ApiVersions, before version 3: error, array, the rest."""
    error, count = struct.unpack(">hi", frame[4:10])
    more = struct.pack(">hhhhhh", SASL_HANDSHAKE, 0, 1, SASL_AUTHENTICATE, 0, 0)
    return frame if error else frame[:6] + struct.pack(">i", count + 2) + more + frame[10:]


def string(text):
    return struct.pack(">h", len(text)) + text


def skip_header(frame):
    (client,) = struct.unpack(">h", frame[8:10])
    return frame[10 + client:]


def accept(data):
    return struct.pack(">hhi", 0, -1, len(data)) + data


def refuse(why):
    return struct.pack(">h", 58) + string(why) + struct.pack(">i", 0)


class Plain:
    known = False

    def answer(self, given):
        _, user, password = given.split(b"\0")
        self.known = user == USER.encode() and password == PASSWORD.encode()
        return accept(b"") if self.known else refuse(b"this is no password: " + password)


class Scram:
    """The server of RFC 5802."""
    known = False

    def __init__(self, name):
        self.hash = name
        self.first = None

    def answer(self, given):
        if self.first is None:
            self.first = given.split(b",", 2)[2]
            nonce = self.first.split(b"r=")[1]
            self.challenge = b"r=" + nonce + b"server,s=" + base64.b64encode(b"salt") + b",i=4096"
            return accept(self.challenge)
        bare, proof = given.rsplit(b",p=", 1)
        message = b",".join([self.first, self.challenge, bare])
        salted = hashlib.pbkdf2_hmac(self.hash, PASSWORD.encode(), b"salt", 4096)
        key = self.mac(salted, b"Client Key")
        stored = hashlib.new(self.hash, key).digest()
        expected = bytes(a ^ b for a, b in zip(key, self.mac(stored, message)))
        self.known = self.first.startswith(b"n=" + USER.encode() + b",") and base64.b64decode(proof) == expected
        signature = self.mac(self.mac(salted, b"Server Key"), message)
        return accept(b"v=" + base64.b64encode(signature)) if self.known else refuse(b"no")

    def mac(self, key, message):
        return hmac.new(key, message, self.hash).digest()


MECHANISMS = {b"PLAIN": Plain, b"SCRAM-SHA-256": lambda: Scram("sha256"), b"SCRAM-SHA-512": lambda: Scram("sha512")}


async def answers(reader, writer, versions):
    """From the broker, whose address becomes ours."""
    theirs = b"127.0.0.1" + struct.pack(">i", BROKER)
    ours = b"127.0.0.1" + struct.pack(">i", own_port)
    while True:
        frame = await read_frame(reader)
        if frame[:4] in versions and USER:
            versions.discard(frame[:4])
            frame = add_sasl(frame)
        write_frame(writer, frame.replace(theirs, ours))
        await writer.drain()


async def requests(reader, writer, upstream, versions):
    guest = None
    while True:
        frame = await read_frame(reader)
        key, version = struct.unpack(">hh", frame[:4])
        if key == SASL_HANDSHAKE:
            name = skip_header(frame)[2:]
            guest = MECHANISMS[name]()
            write_frame(writer, frame[4:8] + struct.pack(">hi", 0, 1) + string(name))
        elif key == SASL_AUTHENTICATE:
            write_frame(writer, frame[4:8] + guest.answer(skip_header(frame)[4:]))
            if guest.known:
                say("user", USER, "by", name.decode())
        elif key != API_VERSIONS and USER and not (guest and guest.known):
            return
        else:
            if key == API_VERSIONS and version < 3:
                versions.add(frame[4:8])
            write_frame(upstream, frame)


async def serve(reader, writer):
    certificate = writer.get_extra_info("peercert")
    say("certificate", certificate["subject"][0][0][1] if certificate else "none")
    from_broker, to_broker = await asyncio.open_connection("127.0.0.1", BROKER)
    versions = set()
    tasks = [asyncio.ensure_future(answers(from_broker, writer, versions)),
             asyncio.ensure_future(requests(reader, writer, to_broker, versions))]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.exception()
    writer.close()
    to_broker.close()


async def main():
    global own_port
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    context.load_verify_locations(sys.argv[4])
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    own_port = server.sockets[0].getsockname()[1]
    say(own_port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
