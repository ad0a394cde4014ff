"""Stands in for a machine on the internet: takes what is sent to it over TLS, and forgets it.

Usage: elsewhere.py ADDRESS PORT CERTIFICATE KEY
"""
import contextlib
import socket
import ssl
import sys
import threading


def take(connection, context):
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
        while stream.recv(1 << 20):
            pass


address, port, certificate, key = sys.argv[1:]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)
with socket.create_server((address, int(port))) as server:
    print("listening", flush=True)
    while True:
        threading.Thread(target=take, args=(server.accept()[0], tls), daemon=True).start()
