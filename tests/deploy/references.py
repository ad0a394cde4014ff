"""What the schemas cannot tell of manifests: that each name in them is one that there is.

Usage: references.py FILE…     (rendered manifests, which together are what is applied)
"""
import sys
import yaml

problems = []


def expect(true, what):
    if not true:
        problems.append(what)


def chooses(selector, labels):
    return selector and all(labels.get(key) == value for key, value in selector["matchLabels"].items())


documents = [d for name in sys.argv[1:] for d in yaml.safe_load_all(open(name)) if d]
of_kind = {}
for document in documents:
    of_kind.setdefault(document["kind"], []).append(document)
names = {kind: {d["metadata"]["name"] for d in found} for kind, found in of_kind.items()}
(daemon_set,) = of_kind["DaemonSet"]
template = daemon_set["spec"]["template"]
pod, labels = template["spec"], template["metadata"]["labels"]
(container,) = pod["containers"]
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
volumes = {volume["name"]: volume for volume in pod["volumes"]}
mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"]}

for document in documents:
    namespace = document["metadata"].get("namespace")
    expect(document["kind"] in ("Namespace", "ClusterRole", "ClusterRoleBinding") or namespace in names["Namespace"],
           f"{document['kind']} is in {namespace}, which is not made")
expect(pod["serviceAccountName"] in names["ServiceAccount"], "there is no such service account")
expect(chooses(daemon_set["spec"]["selector"], labels), "the DaemonSet does not choose its own pods")
expect({m["name"] for m in mounted.values()} == set(volumes), "volumes and mounts are not the same")
for volume in volumes.values():
    name = volume.get("configMap", {}).get("name")
    expect(name is None or name in names["ConfigMap"], f"there is no ConfigMap {name}")
for mount in mounted.values():
    writable = not mount.get("readOnly")
    expect(not writable or mount["name"] == "state", f"{mount['mountPath']} is writable")
for probe in ("readinessProbe", "livenessProbe"):
    expect(container[probe]["httpGet"]["port"] in ports, f"the {probe} has no port")
for policy in of_kind.get("NetworkPolicy", []):
    expect(chooses(policy["spec"]["podSelector"], labels), "the NetworkPolicy chooses no pod")
    for rule in policy["spec"]["ingress"]:
        expect(all(p["port"] in ports for p in rule["ports"]), "the NetworkPolicy opens no port")
for binding in of_kind.get("ClusterRoleBinding", []):
    expect(binding["roleRef"]["name"] in names["ClusterRole"], "the ClusterRoleBinding gives no role")
    expect(all(s["name"] in names["ServiceAccount"] and s["namespace"] in names["Namespace"]
               for s in binding["subjects"]), "the ClusterRoleBinding is nobody's")
for monitor in of_kind.get("PodMonitor", []):
    expect(chooses(monitor["spec"]["selector"], labels), "the PodMonitor chooses no pod")
    expect(labels.get(monitor["spec"].get("jobLabel")) == "inferscope", "the rules do not know the PodMonitor's job")
    expect(all(e["port"] in ports for e in monitor["spec"]["podMetricsEndpoints"]), "the PodMonitor reads no port")

# What agent.yaml names has to be what is mounted.
(config_map,) = of_kind["ConfigMap"]
config = yaml.safe_load(config_map["data"]["agent.yaml"])
expect(config["listen"] == f":{ports['metrics']}", "agent.yaml listens elsewhere")
expect(config["host_root"] in mounted, "agent.yaml has the host's root elsewhere")
expect(any(config["spool"]["directory"].startswith(path) for path in mounted), "the spool is in no volume")
for path in config["rules"]["files"]:
    folder, _, name = path.rpartition("/")
    expect(folder not in mounted or name in config_map["data"], f"{path} is not in the ConfigMap")
expect("--config" in container["args"] and "/etc/inferscope/agent.yaml" in container["args"], "no --config")

for problem in problems:
    print(problem)
sys.exit(bool(problems))
