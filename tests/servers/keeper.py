#!/usr/bin/python3
"""A webhook that remembers on disk what it took: keeper.py PORT FILE. Before it answers an alert, a line "sequence uuid"
is in the file, so that one that is killed at any moment and started again has lost nothing that it said it had. Prints
its port (0: any) and ends when standard input does."""
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 200 if alert["uuid"] == self.headers["Idempotency-Key"] else 400
        if status == 200:
            os.write(file, b"%d %s\n" % (alert["sequence"], alert["uuid"].encode()))
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # who sends may be killed at any moment


def end_with_stdin(server):
    sys.stdin.read()
    os._exit(0)


with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    os.write(1, b"%d\n" % server.server_address[1])
    threading.Thread(target=end_with_stdin, args=(server,), daemon=True).start()
    server.serve_forever()
