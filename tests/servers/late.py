"""Answers every request alike, encrypted, and loads the library for that only when the first client has come.
Arguments: a certificate and its key."""
import importlib
import socket
import sys

body = b'{"model":"tiny","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}'
listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on https://127.0.0.1:{listener.getsockname()[1]}", flush=True)
while True:
    connection, _ = listener.accept()
    ssl = importlib.import_module("ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    try:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            request = b""
            while not request.endswith(b"}"):
                part = encrypted.recv(65536)
                if not part:
                    break
                request += part
            encrypted.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
    except OSError:
        pass
