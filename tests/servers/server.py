"""A chat server on Python's http.server: words for tokens, and its own account of them at /metrics, named as
llama-server does. Every piece of a chunk is a send() of its own. Given a certificate and its key, it encrypts. It
compresses for whom accepts that, and the model "status-429" fails with that status."""
import gzip
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
account = {"prompt": 0, "output": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else the kernel holds small pieces back for some 40 ms, which nobody can see at the server.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 200 and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/metrics":
            self.answer(404, "text/plain", b"no such route\n")
            return
        with lock:
            text = (
                f"llamacpp:prompt_tokens_total {account['prompt']}\nllamacpp:prompt_tokens_cached_total 0\n"
                f"llamacpp:tokens_predicted_total {account['output']}\n"
            )
        self.answer(200, "text/plain", text.encode())

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.partition("?")[0].endswith("/chat/completions"):
            self.answer(404, "text/plain", b"no such route\n")
            return
        try:
            request = json.loads(text)
        except ValueError:
            self.answer(400, "application/json", b'{"error":{"code":400,"message":"the request is not JSON"}}')
            return
        if request["model"].startswith("status-"):
            status = int(request["model"][-3:])
            self.answer(status, "application/json", json.dumps({"error": {"code": status, "message": "no"}}).encode())
            return
        # A prompt has as many tokens as words, and the answer repeats its last one.
        prompt = sum(len(message["content"].split()) for message in request["messages"])
        words = [" " + request["messages"][-1]["content"].split()[-1]] * request["max_tokens"]
        usage = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
        with lock:
            account["prompt"] += prompt
            account["output"] += len(words)
        if request.get("stream"):
            self.stream(request, words, usage)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "length"}
        answer = {"object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage}
        self.answer(200, "application/json", json.dumps(answer).encode())

    def stream(self, request, words, usage):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.event(request, {"role": "assistant"})
        for word in words:
            self.event(request, {"content": word})
        self.event(request, {}, "length")
        if request.get("stream_options", {}).get("include_usage"):
            self.chunk(json.dumps({"model": request["model"], "choices": [], "usage": usage}))
        self.chunk("[DONE]")
        self.wfile.write(b"0\r\n")
        self.wfile.write(b"\r\n")

    def event(self, request, delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.chunk(json.dumps({"object": "chat.completion.chunk", "model": request["model"], "choices": [choice]}))

    def chunk(self, data):
        data = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n" % len(data))
        self.wfile.write(data)
        self.wfile.write(b"\r\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
