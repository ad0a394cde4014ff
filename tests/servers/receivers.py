#!/usr/bin/python3
"""Receivers of alerts that are strict about what they get, for tests: a webhook, Splunk's HTTP event collector,
Elasticsearch's _bulk, Loki, Alertmanager and OTLP over HTTP with JSON, each by its own path of one port.

Prints its port, and ends when standard input does. GET /_state tells what has come. POST /_mode takes JSON
{"PATH": ["MODE", …]}: what to do with the next requests to that path, one after the other; the last one stays.
Modes: ok, STATUS (such as 500), STATUS:SECONDS (with Retry-After), hang, cut (in the middle of an answer), reset,
endless (an answer without end), redirect, half (of the items fail; Elasticsearch 429, OTLP rejects them), refuse:TEXT
(status 400 where TEXT is in the body), plain (Loki without structured metadata).
"""
import collections
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PRIORITIES = ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"]
NANOS = re.compile(r"[1-9][0-9]{15,19}")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

lock = threading.Lock()
modes = collections.defaultdict(list)
state = {
    "requests": collections.Counter(),  # by path
    "taken": collections.defaultdict(list),  # by path: the ids of what was taken, in order
    "problems": [],  # what was not as it should be
    "bodies": collections.defaultdict(list),  # by path: the last bodies that were taken
    "headers": collections.defaultdict(dict),  # by path: those of the last request
    "connections": 0,
}


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def members(thing, required, allowed=()):
    need(isinstance(thing, dict), f"no object: {thing!r}")
    for name in required:
        need(name in thing, f"{name} is missing in {thing!r}")
    for name in thing:
        need(name in required or name in allowed, f"{name} is not known in {thing!r}")


def json_of(text):
    def no_twins(pairs):
        need(len({name for name, _ in pairs}) == len(pairs), "a member is there twice")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=no_twins)


def falco(alert):
    members(alert, ["hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time", "uuid", "sequence"])
    need(alert["priority"] in PRIORITIES, "priority")
    need(isinstance(alert["output_fields"], dict), "output_fields")
    need(all(isinstance(tag, str) for tag in alert["tags"]), "tags")
    need(UUID7.fullmatch(alert["uuid"]), "uuid")
    need(isinstance(alert["sequence"], int), "sequence")
    return alert["uuid"]


def webhook(request, body):
    need(request.headers["Content-Type"] == "application/json", "Content-Type")
    uuid = falco(json_of(body))
    need(request.headers["Idempotency-Key"] == uuid, "Idempotency-Key")
    return [uuid], 200, "ok"


def splunk(request, body):
    decoder = json.JSONDecoder()
    text, ids = body.decode(), []
    if request.headers["Authorization"] != "Splunk s3cret-token":
        return [], 403, json.dumps({"text": "Invalid token", "code": 4})
    while text:
        event, end = decoder.raw_decode(text)
        text = text[end:]
        members(event, ["time", "host", "source", "sourcetype", "event"], ["index"])
        need(isinstance(event["time"], float) and event["time"] > 1e9, "time")
        ids.append(falco(event["event"]))
        if event["event"]["rule"] == "unwanted":
            return [], 400, json.dumps(
                {"text": "Invalid data format", "code": 6, "invalid-event-number": len(ids) - 1})
    return ids, 200, json.dumps({"text": "Success", "code": 0})


documents = set()


def elasticsearch(request, body, half=False):
    need(request.headers["Content-Type"] == "application/x-ndjson", "Content-Type")
    text = body.decode()
    need(text.endswith("\n"), "no newline at the end")
    lines = text[:-1].split("\n")
    need(len(lines) % 2 == 0, "an odd number of lines")
    items, ids = [], []
    for number, (action, source) in enumerate(zip(lines[::2], lines[1::2])):
        action, source = json_of(action), json_of(source)
        members(action, ["create"])
        members(action["create"], ["_index", "_id"])
        need("@timestamp" in source and "message" in source, "not ECS")
        need(source["ecs"]["version"], "ecs.version")
        uuid = action["create"]["_id"]
        need(UUID7.fullmatch(uuid), "_id")
        if half and number % 2:
            items.append({"create": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}})
        elif source["rule"]["name"] == "unwanted":
            items.append({"create": {"status": 400, "error": {"type": "document_parsing_exception"}}})
        elif uuid in documents:
            items.append({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}})
        else:
            documents.add(uuid)
            ids.append(uuid)
            items.append({"create": {"status": 201}})
    errors = any("error" in item["create"] for item in items)
    return ids, 200, json.dumps({"errors": errors, "items": items})


def loki(request, body, plain=False):
    need(request.headers["Content-Type"] == "application/json", "Content-Type")
    push, ids, seen = json_of(body), [], set()
    members(push, ["streams"])
    for stream in push["streams"]:
        members(stream, ["stream", "values"])
        labels = stream["stream"]
        need(labels and all(LABEL.fullmatch(name) and isinstance(labels[name], str) for name in labels), "labels")
        need(not any(UUID7.search(value) for value in labels.values()), "a uuid is a label")
        key = json.dumps(labels, sort_keys=True)
        need(key not in seen, "a stream is there twice")
        seen.add(key)
        for value in stream["values"]:
            need(NANOS.fullmatch(value[0]) and isinstance(value[1], str), "an entry")
            if len(value) > 2 and plain:
                return [], 400, "stream includes structured metadata, but this feature is disallowed"
            need(len(value) == (2 if plain else 3), "structured metadata")
            uuid = falco(json_of(value[1]))
            need(plain or value[2] == {"uuid": uuid}, "the uuid in structured metadata")
            ids.append(uuid)
    return ids, 204, ""


def any_value(value):
    need(isinstance(value, dict) and len(value) == 1, f"no AnyValue: {value!r}")
    kind, content = next(iter(value.items()))
    if kind == "arrayValue":
        members(content, ["values"])
        for part in content["values"]:
            any_value(part)
        return content
    types = {"stringValue": str, "intValue": str, "boolValue": bool, "doubleValue": (int, float)}
    need(kind in types and isinstance(content, types[kind]), f"no AnyValue: {value!r}")
    if kind == "intValue":
        int(content)
    return content


def attributes(listed):
    found = {}
    for attribute in listed:
        members(attribute, ["key", "value"])
        need(attribute["key"] not in found, f"{attribute['key']} is there twice")
        found[attribute["key"]] = any_value(attribute["value"])
    return found


def resources(body, whole, scopes, inner):
    request = json_of(body)
    members(request, [whole])
    for resource in request[whole]:
        members(resource, ["resource", scopes])
        members(resource["resource"], ["attributes"])
        need("service.name" in attributes(resource["resource"]["attributes"]), "service.name")
        need("host.name" in attributes(resource["resource"]["attributes"]), "host.name")
        for scope in resource[scopes]:
            members(scope, ["scope", inner])
            need(scope["scope"]["name"], "scope")
            yield from scope[inner]


def hexadecimal(text, length):
    need(re.fullmatch("[0-9a-f]{%d}" % length, text) and set(text) != {"0"}, f"no id: {text}")


def partial(name, count, half):
    return json.dumps({"partialSuccess": {name: str(count // 2)}} if half else {"partialSuccess": {}})


def logs(request, body, half=False):
    ids = []
    for record in resources(body, "resourceLogs", "scopeLogs", "logRecords"):
        members(record, ["timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes"],
                ["traceId", "spanId", "flags"])
        need(NANOS.fullmatch(record["timeUnixNano"]), "timeUnixNano")
        need(record["severityText"] in PRIORITIES and 1 <= record["severityNumber"] <= 24, "severity")
        any_value(record["body"])
        if "traceId" in record:
            hexadecimal(record["traceId"], 32)
            hexadecimal(record["spanId"], 16)
        ids.append(attributes(record["attributes"])["log.record.uid"])
    return ids[: len(ids) - len(ids) // 2] if half else ids, 200, partial("rejectedLogRecords", len(ids), half)


def traces(request, body, half=False):
    ids = []
    for span in resources(body, "resourceSpans", "scopeSpans", "spans"):
        members(span, ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"],
                ["parentSpanId", "flags"])
        hexadecimal(span["traceId"], 32)
        hexadecimal(span["spanId"], 16)
        if "parentSpanId" in span:
            hexadecimal(span["parentSpanId"], 16)
        need(span["kind"] in (2, 3), "kind")
        need(0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), "times")
        attributes(span["attributes"])
        ids.append(span["spanId"])
    return ids, 200, partial("rejectedSpans", len(ids), half)


def point(thing, required):
    members(thing, ["attributes", "startTimeUnixNano", "timeUnixNano"] + required)
    need(int(thing["startTimeUnixNano"]) <= int(thing["timeUnixNano"]), "times")
    attributes(thing["attributes"])


def metrics(request, body, half=False):
    ids = []
    for metric in resources(body, "resourceMetrics", "scopeMetrics", "metrics"):
        need(metric["name"] not in ids, "a metric is there twice")
        ids.append(metric["name"])
        kinds = [kind for kind in ("sum", "gauge", "histogram") if kind in metric]
        members(metric, ["name", "description"] + kinds, ["unit"])
        need(len(kinds) == 1, "not one kind of data")
        data = metric[kinds[0]]
        members(data, ["dataPoints"], ["aggregationTemporality", "isMonotonic"])
        need(kinds[0] == "gauge" or data["aggregationTemporality"] == 2, "not cumulative")
        need(kinds[0] != "sum" or data["isMonotonic"] is True, "not monotonic")
        need(data["dataPoints"], "no points")
        for each in data["dataPoints"]:
            if kinds[0] == "histogram":
                point(each, ["count", "sum", "bucketCounts", "explicitBounds"])
                need(len(each["bucketCounts"]) == len(each["explicitBounds"]) + 1, "buckets")
                need(sum(map(int, each["bucketCounts"])) == int(each["count"]), "count")
                need(each["explicitBounds"] == sorted(each["explicitBounds"]), "bounds")
            else:
                point(each, ["asDouble"])
    return ids, 200, partial("rejectedDataPoints", len(ids), half)


def alertmanager(request, body):
    ids = []
    for alert in json_of(body):
        members(alert, ["labels", "annotations", "startsAt", "endsAt"])
        labels = alert["labels"]
        need(labels["severity"] in ("P1", "P2", "P3", "P4") and labels["alertname"], "labels")
        need(all(LABEL.fullmatch(name) for name in labels), "labels")
        need(not any(UUID7.search(value) for value in labels.values()), "a uuid is a label")
        ids.append(alert["annotations"]["uuid"])
    return ids, 200, ""


HANDLERS = {
    "/": webhook,
    "/hook": webhook,
    "/services/collector/event": splunk,
    "/_bulk": elasticsearch,
    "/loki/api/v1/push": loki,
    "/api/v2/alerts": alertmanager,
    "/v1/logs": logs,
    "/v1/traces": traces,
    "/v1/metrics": metrics,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def setup(self):
        super().setup()
        with lock:
            state["connections"] += 1

    def answer(self, status, body, headers=()):
        body = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def do_GET(self):
        with lock:
            self.answer(200, json.dumps(state) if self.path == "/_state" else "")

    def next_mode(self, path):
        with lock:
            queue = modes[path]
            return "ok" if not queue else queue.pop(0) if len(queue) > 1 else queue[0]

    def fail(self, mode, body):
        """Whether the mode was to fail, which has been done then."""
        word, _, detail = mode.partition(":")
        if detail == "past":  # a clock that is behind
            detail = "Sat, 21 Nov 2015 08:00:00 GMT"
        if word.isdigit():
            self.answer(int(word), "no", [("Retry-After", detail)] if detail else ())
        elif word == "hang":
            while True:
                time.sleep(1000)
        elif word == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"errors\":")
            self.close_connection = True
        elif word == "reset":
            self.close_connection = True
        elif word == "endless":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while True:
                    self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            except OSError:
                self.close_connection = True
        elif word == "redirect":
            self.answer(307, "", [("Location", "/hook")])
        elif word == "refuse" and detail.encode() in body:
            self.answer(400, "no")
        else:
            return False
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = self.path.partition("?")[0]
        if path == "/_mode":
            with lock:
                for name, wanted in json.loads(body).items():
                    modes[name] = wanted
            return self.answer(200, "")
        mode = self.next_mode(path)
        with lock:
            state["requests"][path] += 1
            state["headers"][path] = dict(self.headers)
        if self.fail(mode, body):
            return
        if path not in HANDLERS:
            return self.answer(404, "")
        options = {mode: True} if mode in ("half", "plain") else {}
        try:
            with lock:
                ids, status, answer = HANDLERS[path](self, body, **options)
        except Exception as problem:  # whatever is wrong is the test's to see
            with lock:
                state["problems"].append(f"{path}: {problem!r}")
            return self.answer(400, "malformed")
        with lock:
            state["taken"][path] += ids
            if ids:
                state["bodies"][path] = (state["bodies"][path] + [body.decode()])[-4:]
        self.answer(status, answer)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass  # clients that go away are part of the tests


def main():
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
