"""A client of a chat API over TLS, on Python's http.client. Argument: the port on this machine that stands in for
every host. Each line that it reads is a request: {"host", "path", "headers", "body"}, and the answer to it a line
{"status", "prompt", "output", "ns"}; with "leave", one is written at each event, too.
Connections are kept."""
import gzip
import http.client
import json
import socket
import ssl
import sys
import time

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
connections = {}


class Connection(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


def say(line):
    print(json.dumps(line), flush=True)


def usage_of(response, leave):
    if response.headers.get_content_type() != "text/event-stream":
        body = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return json.loads(body).get("usage", {}) if body.startswith(b"{") else {}
    usage = {}
    for line in response:
        if line.startswith(b"data: {"):
            usage = json.loads(line[6:]).get("usage") or usage
            if leave:
                say({})
    return usage


def ask(job):
    host = job["host"]
    connection = connections.setdefault(host, Connection(host, context=context))
    start = time.monotonic_ns()
    connection.request("POST", job["path"], json.dumps(job["body"]), job.get("headers", {}))
    response = connection.getresponse()
    usage = usage_of(response, job.get("leave"))
    say({
        "status": response.status,
        "prompt": usage.get("prompt_tokens", 0),
        "output": usage.get("completion_tokens", 0),
        "ns": time.monotonic_ns() - start,
    })


say({})
for line in sys.stdin:
    ask(json.loads(line))
