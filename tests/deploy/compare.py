"""Says where Helm's manifests differ from kustomize's, but for what each has in its own way.

Usage: compare.py KUSTOMIZE HELM [KIND…]     (only of these kinds)
"""
import sys
import yaml

OF_HELM = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config")


def without(value):
    """Without Helm's own labels and annotations, and what is empty then."""
    if isinstance(value, list):
        return [without(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without(one) for key, one in value.items() if key not in OF_HELM}
    return {key: one for key, one in kept.items() if key not in ("labels", "annotations") or one}


def read(path):
    """By kind and name; a Namespace is not Helm's to make, and only kustomize's ConfigMap has a hash in its name."""
    documents = [d for d in yaml.safe_load_all(open(path)) if d and d["kind"] != "Namespace"]
    for document in documents:
        # By their meaning, not by their comments.
        if document["kind"] == "ConfigMap":
            document["metadata"]["name"] = "inferscope"
            document["data"] = {name: yaml.safe_load(text) for name, text in document["data"].items()}
        if document["kind"] == "DaemonSet":
            for volume in document["spec"]["template"]["spec"]["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["name"] = "inferscope"
    kinds = sys.argv[3:]
    return {(d["kind"], d["metadata"]["name"]): without(d) for d in documents if not kinds or d["kind"] in kinds}


def differences(left, right, where):
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys(), key=str):
            yield from differences(left.get(key), right.get(key), f"{where}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right)):
            yield from differences(one, other, f"{where}[{index}]")
    elif left != right:
        yield f"{where}: kustomize has {left}, Helm {right}"


kustomize, helm = read(sys.argv[1]), read(sys.argv[2])
found = [line for key in sorted(kustomize.keys() | helm.keys())
         for line in differences(kustomize.get(key), helm.get(key), " ".join(key))]
print("\n".join(found or ([] if kustomize else ["there is nothing to compare"])))
sys.exit(bool(found) or not kustomize)
