"""Says what in the configurations for the OpenTelemetry Collector and Vector does not hold together, as far as that shows without
either: each component that is named is there, and each that is there is named.

Usage: collectors.py COLLECTOR VECTOR PROGRAMS     (writes Vector's programs there, as JSON)
"""
import json
import sys
import yaml

problems = []


def same(named, there, what):
    for name in sorted(named - there):
        problems.append(f"{what}: there is no {name}")
    for name in sorted(there - named):
        problems.append(f"{what}: {name} is not used")


with open(sys.argv[1], encoding="utf-8") as file:
    collector = yaml.safe_load(file)
pipelines = collector["service"]["pipelines"]
if set(pipelines) != {"logs", "metrics", "traces"}:
    problems.append("the collector does not take each signal that an agent sends")
for kind in ("receivers", "processors", "exporters"):
    same({name for pipeline in pipelines.values() for name in pipeline.get(kind, [])}, set(collector[kind]), f"collector's {kind}")

with open(sys.argv[2], encoding="utf-8") as file:
    vector = yaml.safe_load(file)
inputs = {name for kind in ("transforms", "sinks") for one in vector[kind].values() for name in one["inputs"]}
same(inputs, set(vector["sources"]) | set(vector["transforms"]), "Vector's inputs")
transforms = vector["transforms"]
programs = {name: one.get("source") or one["condition"] for name, one in transforms.items()}
with open(sys.argv[3], "w", encoding="utf-8") as file:
    json.dump(programs, file)

print("\n".join(problems))
sys.exit(bool(problems))
