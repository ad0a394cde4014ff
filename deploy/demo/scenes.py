"""What happens in the demo: people who chat with the model, programs that run others, and somebody who has got into a pod."""
import contextlib
import itertools
import json
import random
import socket
import threading

from stage import Failed, request, wait_for

CHAT = "/v1/chat/completions"

# What is done in the pod (see misdeeds.py), and the rule that is to hold for it.
SCRIPT = [
    ("tool-call", "a model server is talked into running a shell", "Shell started by an inference server"),
    ("reverse", "a connection becomes a program's input and output", "Network connection given to a program"),
    ("memory", "a program is run that lies in no file", "Program run from memory"),
    ("passwords", "cat /etc/shadow", "Credential file read"),
    ("secret", "cat /etc/secrets/token", "Mounted secret read by hand"),
    ("shell", "a notebook runs a shell", "Shell in a container"),
    ("metadata", "somebody asks for the credentials of the node", "Cloud metadata service contacted from a container"),
    ("brought", "a program is run that was not in the image", "Program that is not of the image"),
    ("exfiltration", "a model server connects to an address elsewhere", "Unexpected destination of an inference server"),
    ("api", "a prompt is sent to a hosted model", "Unlisted caller of a hosted model API"),
    ("weights", "a model's weights are sent to another machine", "Model weights sent out"),
]
# What shows only inside of a library, which the agent may get to know by this use of it.
BY_LIBRARY = {"api"}


# --- Programs that run models by themselves (tests/servers, tests/stand-in): what each is told in each turn ---

def embed(turn):
    """By ONNX Runtime, in each way that it has, and with inputs that the model has not."""
    if turn == 0:
        return ["load", "file /mnt/model.onnx"]
    return ["run 2", "bind 1", "async 1", *["refused 1"] * (turn % 20 == 7)]


def rank(turn):
    """By libtorch, which compiles the model during the first calls."""
    if turn == 0:
        return ["load"]
    return ["run 2", "nested 1", *["throw 1"] * (turn % 20 == 7)]


def train(turn):
    """One step of four: what it has allocated in the first is given back after the last."""
    if turn == 0:
        return ["1 waits x 3000"]
    return [*["8 allocate x 67108864"] * (turn % 4 == 1),
            "2 copy_async x 1048576 1", "12 launch", "2 graph", "1 nccl all_reduce 4194304 7", "1 nccl all_gather 1048576 7",
            "2 wait stream", "1 wait device", "1 copy x 4096 2", "1 run",
            *["8 free"] * (turn % 4 == 0)]


RUNTIMES = {"embedder-0": embed, "ranker-0": rank, "trainer-0": train}


class Worker:
    """Tells a container's program what to do, line by line as it answers, until it is stopped."""

    def __init__(self, stage, pod, turn):
        self.stage, self.pod, self.process, self.turn = stage, pod, stage.processes[pod], turn
        self.begun, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        # It may be in the midst of something, which the end of its container ends.
        stage.exit.callback(self.ended.set)

    def work(self):
        with contextlib.suppress(OSError):
            for number in itertools.count():
                for line in self.turn(number):
                    self.tell(line)
                if number:
                    self.begun.set()
                if self.ended.wait(0.5):
                    break

    def wait_begun(self):
        wait_for(lambda: self.begun.is_set() or not self.thread.is_alive(), f"{self.pod} does not get to work")
        if not self.thread.is_alive():
            raise Failed(f"{self.pod} has ended: {self.stage.log(self.pod).strip()}")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        while answer == "ready\n":
            answer = self.process.stdout.readline()
        if not answer:
            raise OSError("it has ended")


# --- People ---

def question(words, tokens, stream):
    return json.dumps({"model": "tiny", "max_tokens": tokens, "stream": stream, "stream_options": {"include_usage": True},
                       "messages": [{"role": "user", "content": "word " * words}]})


def leave_early(port):
    """A client that asks for a long answer and does not stay for it."""
    body = question(4, 400, True)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        received = b""
        while received.count(b"data: ") < 3:
            received += connection.recv(4096) or b"data: " * 3


class Load:
    """Chats at an easy pace until it is stopped: streamed and not, some wrong, some broken off."""

    def __init__(self, port):
        self.port = port
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.chat, daemon=True)
        self.thread.start()

    def chat(self):
        turn = 0
        while not self.ended.is_set():
            # The server goes away before the load does, at the end.
            with contextlib.suppress(OSError):
                self.ask(turn)
            turn += 1
            self.ended.wait(0.2)

    def ask(self, turn):
        if turn % 10 == 4:
            request(self.port, CHAT, "{broken")
        elif turn % 10 == 7:
            request(self.port, "/v1/models")
        elif turn % 10 == 9:
            leave_early(self.port)
        else:
            request(self.port, CHAT, question(random.randint(1, 40), random.randint(4, 32), turn % 2 == 0))

    def stop(self):
        self.ended.set()
        self.thread.join(10)
