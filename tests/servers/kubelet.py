# Stands in for a kubelet, strictly: GET /pods by TLS with the right token, and nothing else. What it answers with
# it reads anew for each request from its directory: token, answer, mode (ok, slow, broken). Usage: kubelet.py DIR
import http.server, os, ssl, sys, time

where = sys.argv[1]

def read(name):
    with open(os.path.join(where, name), "rb") as file:
        return file.read()

class Kubelet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Authorization", "").encode() != b"Bearer " + read("token"):
            return self.answer(401, b"Unauthorized")
        if self.path != "/pods":
            return self.answer(404, b"404 page not found")
        mode = read("mode")
        body = read("answer")
        if mode == b"slow":
            time.sleep(3600)
        if mode == b"broken":
            body = body[:-2]
        self.answer(200, body)

    def log_message(self, *arguments):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    # Whoever does not like our certificate goes away, as is right.
    def handle_error(self, *arguments):
        pass

server = Server(("127.0.0.1", 0), Kubelet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(where, "kubelet.crt"), os.path.join(where, "kubelet.key"))
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
