"""Writes rendered manifests as TypeScript that compiles only where each key and value is one that the API has.

Usage: typed.py FILE…     (the packages kubernetes-models and @kubernetes-models/prometheus-operator have the types)
"""
import json
import os
import sys
import yaml

documents = [(os.path.basename(name), document)
             for name in sys.argv[1:] for document in yaml.safe_load_all(open(name)) if document]
models = {}
for _, document in documents:
    version, kind = document["apiVersion"], document["kind"]
    if (version, kind) not in models:
        package = "@kubernetes-models/prometheus-operator" if "coreos" in version else "kubernetes-models"
        name = models[version, kind] = f"Model{len(models)}"
        print(f'import {{ {kind} as {name}, type I{kind} as I{name} }} from "{package}/{version}";')
print("export const manifests: { file: string, model: any, manifest: any }[] = [];")
for file, document in documents:
    model = models[document["apiVersion"], document["kind"]]
    print(f"{{ const manifest: I{model} = {json.dumps(document, indent=1)};")
    print(f"  manifests.push({{ file: {json.dumps(file)}, model: {model}, manifest }}); }}")
