"""Says whether rendered manifests hold the project's own rules and dashboards, whole, and prints their agent.yaml.

Usage: packed.py MANIFESTS     (from the project's folder)
"""
import glob
import json
import sys
import yaml

documents = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d]
rules = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "PrometheusRule"}
dashboards = [json.loads(text) for d in documents if d["kind"] == "ConfigMap"
              for name, text in d["data"].items() if name.endswith(".json")]
for path in glob.glob("deploy/prometheus/rules/*.yaml"):
    name = "inferscope-" + path.split("/")[-1].removesuffix(".yaml")
    if rules.pop(name, None) != yaml.safe_load(open(path)):
        sys.exit(f"{path} is not in the PrometheusRule {name}")
for path in glob.glob("deploy/grafana/*.json"):
    if json.load(open(path)) not in dashboards:
        sys.exit(f"{path} is in no ConfigMap")
if rules:
    sys.exit(f"whence is the PrometheusRule {', '.join(rules)}?")
(config,) = [d["data"]["agent.yaml"] for d in documents if d["kind"] == "ConfigMap" and "agent.yaml" in d["data"]]
print(config)
