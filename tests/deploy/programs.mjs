// Compiles Vector's programs, and has an alert go through them: as a line that carries it, and then as itself.
// Usage: node programs.mjs PROGRAMS ALERT
import { check, execute, formatDiagnostic } from "@bpinternal/verel";
import fs from "node:fs";

const programs = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const alert = fs.readFileSync(process.argv[3], "utf8").trim();

for (const [name, program] of Object.entries(programs)) {
  const { errors, warnings } = check(program);
  for (const one of [...errors, ...warnings]) {
    console.log(`${name}: ${formatDiagnostic(one)}`);
    process.exitCode = 1;
  }
}
if (!process.exitCode) {
  const parsed = execute(programs.lines, { message: alert, host: "node1" }).event;
  const { event } = execute(programs.alerts, parsed);
  const { result } = execute(programs.grave, event);
  const wanted = JSON.parse(alert);
  if (event.uuid !== wanted.uuid || event.message !== wanted.output || event.severity !== "P2" || result !== true) {
    console.log(`the alert becomes ${JSON.stringify(event)}, grave: ${result}`);
    process.exitCode = 1;
  }
}
