"""Makes of the DaemonSet what a container runtime would: a bundle for runc, in which the image runs as a pod's container.

Usage: bundle.py MANIFESTS IMAGE-ROOT FOLDER CGROUP     (FOLDER is given config.json and the volumes)
"""
import json
import os
import sys
import yaml

manifests, image, folder, cgroup = sys.argv[1:]
folder = os.path.abspath(folder)
documents = [d for d in yaml.safe_load_all(open(manifests)) if d]
(pod,) = [d["spec"]["template"]["spec"] for d in documents if d["kind"] == "DaemonSet"]
config_maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
(container,) = pod["containers"]
security = container["securityContext"]


def volume_source(volume):
    """Where the volume is on this machine; what outlives the pod stays in the folder."""
    own = os.path.join(folder, volume["name"])
    if "hostPath" in volume and volume["name"] != "state":
        return volume["hostPath"]["path"]
    os.makedirs(own)
    for name, text in config_maps.get(volume.get("configMap", {}).get("name"), {}).items():
        with open(os.path.join(own, name), "w") as file:
            file.write(text)
    return own


def kernel_at_least(*wanted):
    return tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2]) >= wanted


def bind(source, mount):
    recursive = mount.get("recursiveReadOnly") == "IfPossible" and kernel_at_least(5, 12)
    return {"destination": mount["mountPath"], "type": "bind", "source": source,
            "options": ["rbind", "rprivate"] + (["rro" if recursive else "ro"] if mount.get("readOnly") else [])}


# As containerd has it before volumes.
mounts = [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
          {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
          {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
          # The container's own control group only.
          {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
           "options": ["nosuid", "noexec", "nodev", "ro"]}]
sources = {volume["name"]: volume_source(volume) for volume in pod["volumes"]}
mounts += [bind(sources[mount["name"]], mount) for mount in container["volumeMounts"]]

if security.get("privileged"):
    last = int(open("/proc/sys/kernel/cap_last_cap").read())
    bounding = int(next(line for line in open("/proc/self/status") if line.startswith("CapBnd")).split()[1], 16)
    by_number = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
        NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
        SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
        SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
        CHECKPOINT_RESTORE""".split()
    capabilities = [name for number, name in enumerate(by_number) if number <= last and bounding >> number & 1]
else:
    assert security["capabilities"]["drop"] == ["ALL"]
    capabilities = security["capabilities"]["add"]
capabilities = ["CAP_" + name for name in capabilities]

config = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": security["runAsUser"], "gid": 0},
        "args": ["/usr/sbin/inferscope-agent"] + container["args"],
        "cwd": "/",
        "noNewPrivileges": security.get("allowPrivilegeEscalation") is False,
        "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
    },
    "root": {"path": os.path.abspath(image), "readonly": security["readOnlyRootFilesystem"]},
    "hostname": "node",
    "mounts": mounts,
    "linux": {
        "cgroupsPath": cgroup,
        # The pod's network is its own; process ids are the node's.
        "namespaces": [{"type": kind} for kind in ("mount", "network", "ipc", "uts", "cgroup")]
        + ([] if pod["hostPID"] else [{"type": "pid"}]),
    },
}
with open(os.path.join(folder, "config.json"), "w") as file:
    json.dump(config, file)
