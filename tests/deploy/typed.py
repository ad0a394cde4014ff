"""Writes rendered manifests as TypeScript that compiles only where each key and value is one that the API has.

Usage: typed.py FILE…     (the packages kubernetes-models and @kubernetes-models/prometheus-operator have the types)
"""
import json
import sys
import yaml

for name in sys.argv[1:]:
    for document in yaml.safe_load_all(open(name)):
        version, kind = document["apiVersion"], document["kind"]
        package = "@kubernetes-models/prometheus-operator" if "coreos" in version else "kubernetes-models"
        print(f'{{ const checked: import("{package}/{version}").I{kind} =')
        print(json.dumps(document, indent=1), "; checked; }")
