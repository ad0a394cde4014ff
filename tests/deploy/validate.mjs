// Holds the manifests that typed.py has written against the schemas.
import { manifests } from "./manifests.js";

for (const { file, model, manifest } of manifests) {
  const { kind, metadata } = manifest;
  try {
    new model(manifest).validate();
  } catch (error) {
    console.log(`${file}: ${kind} ${metadata.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
