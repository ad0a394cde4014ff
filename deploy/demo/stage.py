"""What the demo starts and cleans up: processes, containers, and the little web requests between them."""
import contextlib
import ctypes
import glob
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Where containerd keeps what it knows of a pod's containers, so that the agent finds their names there.
BUNDLES = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
# How long anything may take, on a machine that has other things to do as well.
DEADLINE_S = 120
PORTS = range(20000, 32768)


class CannotRun(Exception):
    """This machine lacks something that the demo needs."""


class Failed(Exception):
    """Something did not do what it was started for."""


def free_port():
    """One that connections do not get by themselves, as they would get one of the kernel's choice, before it is listened at."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def request(port, path, body=None, timeout=DEADLINE_S):
    """The status and the text of the answer; OSError where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        try:
            connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error


def request_json(port, path):
    status, text = request(port, path)
    if status != 200:
        raise OSError(f"{path}: {status}")
    return json.loads(text)


def wait_for(condition, what, seconds=DEADLINE_S):
    """Asks again and again; what nobody listens to yet counts as not there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            found = condition()
            if found:
                return found
        time.sleep(0.1)
    raise Failed(f"{what} within {seconds} seconds")


def run(*arguments):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(arguments)}: {done.stdout.strip()}")
    return done.stdout


def die_with_the_demo():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Pages(http.server.BaseHTTPRequestHandler):
    """Stands in for pager, chat and tickets: keeps what Alertmanager sends to each."""

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in sent["alerts"]:
            if alert["status"] == "firing":
                self.server.pages.append((self.path.lstrip("/"), sent["receiver"], alert))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Stage:
    def __init__(self):
        self.exit = contextlib.ExitStack()
        # What runs in a container must be able to get in.
        self.folder = tempfile.mkdtemp(prefix="inferscope-demo-")
        os.chmod(self.folder, 0o755)
        os.mkdir(self.path("mnt"))
        self.processes = {}
        self.exit.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def stop(self, process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start(self, name, *arguments, told=False):
        """Starts a program, whose output goes to NAME.log. It ends with the demo, however that ends. One that is told what to
        do has pipes for that and for its answers."""
        with open(self.path(name + ".log"), "w", encoding="utf-8") as log:
            # A group of its own, so that Ctrl-C at the terminal ends the demo, which then ends the others in order.
            process = subprocess.Popen(arguments, stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                                       stdout=subprocess.PIPE if told else log, stderr=log, text=True, bufsize=1,
                                       process_group=0, preexec_fn=die_with_the_demo)
        self.processes[name] = process
        self.exit.callback(self.stop, process)
        return process

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def receive_pages(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.pages = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.exit.callback(server.shutdown)
        return server

    def network(self, addresses):
        """A network of its own with these addresses, all on its loopback interface: nothing leaves the machine."""
        name = f"inferscope-demo-{os.getpid()}"
        run("ip", "netns", "add", name)
        self.exit.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        run("ip", "-n", name, "link", "set", "lo", "up")
        for address in addresses:
            run("ip", "-n", name, "address", "add", address, "dev", "lo")
        return f"/run/netns/{name}"

    def neighbour(self, network, near, far):
        """Another machine with the address `far`, and a wire to the one with this network, which is `near` on it."""
        name = f"inferscope-demo-{os.getpid()}-far"
        run("ip", "netns", "add", name)
        self.exit.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        here = os.path.basename(network)
        run("ip", "-n", here, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", name)
        for where, address in ((here, near), (name, far)):
            run("ip", "-n", where, "address", "add", f"{address}/24", "dev", "wire")
            run("ip", "-n", where, "link", "set", "wire", "up")
        return name

    def container(self, pod, image, root, arguments, network=None, told=False):
        """Starts a container as a node of Kubernetes has it; above `root` lies a layer of its own. Returns its id."""
        identity = os.urandom(32).hex()
        bundle, layers = os.path.join(BUNDLES, identity), self.path("layers-" + pod)
        made = [folder for folder in (BUNDLES, *parents(BUNDLES)) if not os.path.exists(folder)]
        os.makedirs(os.path.join(bundle, "rootfs"))
        self.exit.callback(remove, made)
        self.exit.callback(shutil.rmtree, bundle, ignore_errors=True)
        # An upper layer cannot lie on an overlay, which is what the demo's folder is on in a container.
        os.mkdir(layers)
        run("mount", "-t", "tmpfs", "tmpfs", layers)
        self.exit.callback(subprocess.run, ["umount", "-l", layers], check=False)
        os.mkdir(os.path.join(layers, "upper"))
        os.mkdir(os.path.join(layers, "work"))
        rootfs = os.path.join(bundle, "rootfs")
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={root},upperdir={layers}/upper,workdir={layers}/work", rootfs)
        self.exit.callback(subprocess.run, ["umount", "-l", rootfs], check=False)
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.configuration(pod, image, arguments, network, identity), file)
        # Of its control group runc leaves the pod's.
        self.exit.callback(remove, [folder for folder in groups(identity) if not os.path.exists(folder)])
        process = self.start(pod, *self.runc(), "run", "--bundle", bundle, identity, told=told)
        self.exit.callback(subprocess.run, [*self.runc(), "delete", "--force", identity],
                           stderr=subprocess.DEVNULL, check=False)
        wait_for(lambda: process.poll() is not None or self.is_running(identity), f"no container {pod}")
        if process.poll() is not None:
            raise Failed(f"no container {pod}: {self.log(pod).strip()}")
        return identity

    def is_running(self, identity):
        state = subprocess.run([*self.runc(), "state", identity], capture_output=True, text=True, check=False)
        return state.returncode == 0 and json.loads(state.stdout)["status"] == "running"

    def runc(self):
        return "runc", "--root", self.path("runc")

    def configuration(self, pod, image, arguments, network, identity):
        kinds = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
        if network:
            kinds.append({"type": "network", "path": network})
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
                  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                  {"destination": "/mnt", "type": "bind", "source": self.path("mnt"), "options": ["rbind"]}]
        return {
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "args": arguments, "cwd": "/", "noNewPrivileges": True,
                        "env": ["PATH=/usr/bin:/bin", "no_proxy=*"]},
            "root": {"path": "rootfs"}, "hostname": pod, "mounts": mounts,
            "annotations": {"io.kubernetes.cri.container-name": pod, "io.kubernetes.cri.sandbox-name": pod,
                            "io.kubernetes.cri.sandbox-namespace": "demo", "io.kubernetes.cri.image-name": image},
            "linux": {"cgroupsPath": f"{pod_group(identity)}/{identity}",
                      "namespaces": kinds},
        }


def pod_group(identity):
    return f"/kubepods/burstable/pod{identity[:8]}-0000-0000-0000-{identity[8:20]}"


def groups(identity):
    """The pod's control group and those that it is in, in each hierarchy that there may be."""
    for top in ("/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/")):
        for group in (pod_group(identity), "/kubepods/burstable", "/kubepods"):
            yield top.rstrip("/") + group


def parents(path):
    while path != "/run":
        path = os.path.dirname(path)
        yield path


def remove(folders):
    """Of the folders that the demo made, deepest first; one that somebody else uses by now stays."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
