"""What the demo asks Prometheus and Alertmanager, and how it says it."""
import glob
import json
import os
import sys
import urllib.parse

from stage import REPOSITORY, request, request_json

RANGE = "10s"  # of rates; the agent is scraped each second
GOLDEN = [
    ("requests", "sum(rate(inferscope_inference_requests_total[10s]))", "{:.1f} /s"),
    ("that failed", '100 * sum(rate(inferscope_inference_requests_total{error_type=~"[45]..|server_closed|stream_error"}[10s]))'
                    " / sum(rate(inferscope_inference_requests_total[10s]))", "{:.0f} %"),
    ("that their clients left", "100 * sum(rate(inferscope_inference_abandoned_requests_total[10s]))"
                                " / sum(rate(inferscope_inference_requests_total[10s]))", "{:.0f} %"),
    ("time to first token, median", "1000 * histogram_quantile(0.5, sum by (le)"
                                    " (rate(gen_ai_server_time_to_first_token_seconds_bucket[10s])))", "{:.0f} ms"),
    ("time to first token, 95 %", "1000 * histogram_quantile(0.95, sum by (le)"
                                  " (rate(gen_ai_server_time_to_first_token_seconds_bucket[10s])))", "{:.0f} ms"),
    ("time per output token, median", "1000 * histogram_quantile(0.5, sum by (le)"
                                      " (rate(gen_ai_server_time_per_output_token_seconds_bucket[10s])))", "{:.1f} ms"),
    ("duration, 95 %", "1000 * histogram_quantile(0.95, sum by (le)"
                       ' (rate(gen_ai_server_request_duration_seconds_bucket{error_type=""}[10s])))', "{:.0f} ms"),
    ("tokens in", 'sum(rate(gen_ai_server_token_usage_sum{gen_ai_token_type="input"}[10s]))', "{:.0f} /s"),
    ("tokens out", 'sum(rate(gen_ai_server_token_usage_sum{gen_ai_token_type="output"}[10s]))', "{:.0f} /s"),
]
AGENT = [
    ("events that it judged or measured", "sum(inferscope_events_total)", "{:.0f}"),
    ("records that were lost", "sum(inferscope_records_lost_total)", "{:.0f}"),
    ("from an event to its alert, 95 %", "1000 * histogram_quantile(0.95, sum by (le)"
                                         " (rate(inferscope_alert_delay_seconds_bucket[5m])))", "{:.1f} ms"),
    ("processor", 'sum(rate(process_cpu_seconds_total{job="inferscope"}[10s])) * 100', "{:.1f} % of one"),
    ("memory", 'sum(process_resident_memory_bytes{job="inferscope"}) / 1048576', "{:.0f} MiB"),
]
RUNTIMES = [
    ("ONNX Runtime, runs", "sum(rate(inferscope_onnx_run_duration_seconds_count[10s]))", "{:.1f} /s"),
    ("ONNX Runtime, a run, 95 %", "1000 * histogram_quantile(0.95, sum by (le)"
                                  " (rate(inferscope_onnx_run_duration_seconds_bucket[10s])))", "{:.0f} ms"),
    ("libtorch, calls of models", "sum(rate(inferscope_torch_forward_duration_seconds_count[10s]))", "{:.1f} /s"),
    ("libtorch, a call, 95 %", "1000 * histogram_quantile(0.95, sum by (le)"
                               " (rate(inferscope_torch_forward_duration_seconds_bucket[10s])))", "{:.0f} ms"),
]
GPU = [
    ("kernel launches", "sum(rate(gpu_cuda_kernel_launch_calls_total[10s]))", "{:.0f} /s"),
    ("copies", "sum(rate(gpu_cuda_memory_copies_bytes_total[10s])) / 1048576", "{:.1f} MiB/s"),
    ("memory in use, at most", "sum(max_over_time(inferscope_cuda_memory_in_use_bytes[10s])) / 1048576", "{:.0f} MiB"),
    ("waiting for the GPU", "100 * sum(rate(inferscope_cuda_synchronize_duration_seconds_sum[10s]))", "{:.1f} % of the time"),
    ("collective calls", "sum(rate(inferscope_nccl_calls_total[10s]))", "{:.1f} /s"),
    ("sent by collective calls", "sum(rate(inferscope_nccl_bytes_total[10s])) / 1048576", "{:.1f} MiB/s"),
]
NUMBERS = {
    "Inference, from outside the server": GOLDEN,
    "Models that programs run by themselves, from inside the library": RUNTIMES,
    "CUDA and NCCL, by stand-ins for NVIDIA's libraries: no GPU is used": GPU,
    "The agent": AGENT,
}
COLOURS = {"P1": "1;31", "P2": "31", "P3": "33", "P4": "36", "title": "1", "good": "32", "dim": "2"}


def coloured(kind, text):
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain or kind not in COLOURS else f"\033[{COLOURS[kind]}m{text}\033[0m"


def title(text):
    print("\n" + coloured("title", text), flush=True)


def query(port, expression):
    """The series of an instant query; an expression that Prometheus does not take is a mistake of ours."""
    status, text = request(port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    if status != 200:
        raise ValueError(f"{expression}: {text}")
    return json.loads(text)["data"]["result"]


def number(port, expression):
    series = query(port, expression)
    value = float(series[0]["value"][1]) if series else float("nan")
    return None if value != value else value


def print_numbers(port, rows):
    for name, expression, form in rows:
        value = number(port, expression)
        print(f"  {name:<36}{'-' if value is None else form.format(value)}")


def alerts(port):
    """Those in Alertmanager: labels, and whether they are held back."""
    return request_json(port, "/api/v2/alerts")


# --- Dashboards ---

def panels():
    """(dashboard, panel, expression) of every query of every dashboard, with the variables filled in as for all."""
    for path in sorted(glob.glob(os.path.join(REPOSITORY, "deploy/grafana/*.json"))):
        with open(path, encoding="utf-8") as file:
            dashboard = json.load(file)
        names = [variable["name"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
        for panel in dashboard["panels"] + [inner for row in dashboard["panels"] for inner in row.get("panels", [])]:
            for target in panel.get("targets", []):
                yield os.path.basename(path), panel["title"], filled(target["expr"], names)


def filled(expression, variables):
    # Longer names first, as $__range begins others.
    for name, value in (("$__rate_interval", RANGE), ("$__interval", "5s"), ("$__range", "5m")):
        expression = expression.replace(name, value)
    for name in sorted(variables, key=len, reverse=True):
        expression = expression.replace(f"${{{name}}}", ".*").replace(f"${name}", ".*")
    return expression


def panels_without_data(port):
    return [panel for panel in panels() if not has_data(query(port, panel[2]))]


def has_data(series):
    return any(one["value"][1] != "NaN" for one in series)
