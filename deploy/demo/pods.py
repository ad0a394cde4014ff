"""The demo's containers, each as a pod of its own: what serves models, what trains one, and what the misdeeds are done in."""
import os
import re
import shutil
import sys

from scenes import RUNTIMES, Worker
from stage import REPOSITORY, CannotRun, run, wait_for

# A wire to where the misdeeds send things: addresses for documentation (RFC 5737).
NEAR, FAR = "198.51.100.1", "198.51.100.7"
ROOTS = {"root": ("llama-server", "fetch"), "onnxruntime": ("ONNX Runtime", "fetch-libraries"),
         "torch": ("libtorch", "fetch-libraries")}
TOOLS = ("write-model", "tls-server", "onnx-client")
STAND_INS = ("gpu-program", "libcuda.so.1", "libcudart.so.13", "libnccl.so.2")


def need_parts(program, tools, servers):
    built = [os.path.join(tools, name) for name in (*TOOLS, *(f"../stand-in/{name}" for name in STAND_INS))]
    for path in [program, *built]:
        if not os.path.isfile(path):
            raise CannotRun(f"there is no {os.path.normpath(path)}: make demo builds it")
    for folder, (name, fetch) in ROOTS.items():
        if not os.path.isdir(os.path.join(servers, folder)):
            raise CannotRun(f"there is no {name}: tests/servers/{fetch} {servers} gets it")


def bring(stage, folder, *names):
    """Into what all containers have as /mnt."""
    for name in names:
        shutil.copy(os.path.join(folder, name), stage.path("mnt"))


# --- What serves models, and what trains one ---

def start_llama(stage, tools, servers):
    command = run(os.path.join(tools, "write-model"), stage.path("mnt/tiny.gguf")).split("\n")[:-1]
    stage.container("llm-0", "registry.example/llm:1", os.path.join(servers, "root"), command)

    def port():
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", stage.log("llm-0"))
        return found and int(found[1])

    return wait_for(port, "llama-server does not serve")


def start_runtimes(stage, tools, servers):
    """Programs that run models with a library, and one that makes a GPU's calls of libraries that stand in for NVIDIA's."""
    bring(stage, tools, "onnx-client")
    bring(stage, os.path.join(REPOSITORY, "tests/servers"), "scripted.py")
    bring(stage, os.path.join(tools, "../stand-in"), *STAND_INS)
    library = find_library(os.path.join(servers, "onnxruntime"))
    commands = {
        "embedder-0": (os.path.join(servers, "onnxruntime"), ["/mnt/onnx-client", library]),
        "ranker-0": (os.path.join(servers, "torch"), ["/usr/bin/python3.13", "/mnt/scripted.py"]),
        "trainer-0": ("/", ["/mnt/gpu-program", "/mnt"]),
    }
    workers = []
    for pod, turn in RUNTIMES.items():
        root, command = commands[pod]
        stage.container(pod, f"registry.example/{pod.removesuffix('-0')}:1", root, command, told=True)
        workers.append(Worker(stage, pod, turn))
    return workers


def find_library(root):
    for folder, _, names in os.walk(os.path.join(root, "usr/lib")):
        for name in sorted(names):
            if re.fullmatch(r"libonnxruntime\.so\.\d+[.\d]*", name):
                return "/" + os.path.relpath(os.path.join(folder, name), root)
    raise CannotRun(f"there is no libonnxruntime.so in {root}")


# --- What the misdeeds are done in ---

def start_notebook(stage, tools, pod):
    """Its own program is what the misdeeds take for a hosted model API. Returns the container's id."""
    bring(stage, tools, "tls-server")
    bring(stage, os.path.dirname(os.path.abspath(__file__)), "misdeeds.py", "elsewhere.py")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
        "-subj", "/CN=api.openai.com", "-addext", "subjectAltName=DNS:api.openai.com,DNS:drop.example",
        "-keyout", stage.path("mnt/key.pem"), "-out", stage.path("mnt/certificate.pem"))
    network = stage.network(["203.0.113.7/32", "169.254.169.254/32"])
    far = stage.neighbour(network, NEAR, FAR)
    stage.start("elsewhere", "nsenter", f"--net=/run/netns/{far}", sys.executable, stage.path("mnt/elsewhere.py"), FAR, "443",
                stage.path("mnt/certificate.pem"), stage.path("mnt/key.pem"))
    wait_for(lambda: "listening" in stage.log("elsewhere"), "nobody takes what is to be stolen")
    container = stage.container(pod, "registry.example/notebook:1", "/",
                                ["/mnt/tls-server", "/mnt/certificate.pem", "/mnt/key.pem"], network)
    # What is to be stolen is empty.
    for path in ("/etc/shadow", "/etc/secrets/token"):
        run(*stage.runc(), "exec", container, "/usr/bin/install", "-D", "-m", "0600", "/dev/null", path)
    port = wait_for(lambda: re.search(r"127\.0\.0\.1:(\d+)", stage.log(pod)), "the hosted model does not serve")[1]
    stage.write("mnt/tls-server.port", port)
    return container
