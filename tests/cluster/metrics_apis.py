"""Replaces prometheus-adapter and metrics-server for an autoscaler. The test sets the figures."""

import datetime
import http.server
import json
import re
import ssl
import threading
import urllib.parse

METRIC = "bedrock_grpc_open_calls"
# A tenth of the chart's CPU request.
USAGE = {"cpu": "100m", "memory": "25Mi"}
GROUPS = {
    "custom.metrics.k8s.io/v1beta2": {"name": f"pods/{METRIC}", "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]},
    "metrics.k8s.io/v1beta1": {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
}


class MetricsApis:
    """The two APIs, behind the API server. `open_calls` are those of all pods of a namespace."""

    def __init__(self, cluster):
        self.cluster, self.open_calls = cluster, {}
        key, certificate = cluster.authority.sign("metrics", "/CN=metrics")
        apis = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = apis._answer(urllib.parse.urlsplit(self.path))
                body = json.dumps(answer or {}).encode()
                self.send_response(200 if answer else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._register(server.server_address[1])

    def _register(self, port):
        """A Service that leads to this machine instead of a pod."""
        service = {"name": "metrics", "namespace": "kube-system", "port": port}
        objects = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics", "namespace": "kube-system"},
                    "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}}]
        for each in GROUPS:
            group, version = each.split("/")
            spec = {"group": group, "version": version, "service": service, "insecureSkipTLSVerify": True, "groupPriorityMinimum": 100,
                    "versionPriority": 100}
            metadata = {"name": f"{version}.{group}"}
            objects.append({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec})
        self.cluster.apply(objects)
        names = [f"apiservice/{obj['metadata']['name']}" for obj in objects[1:]]
        self.cluster.kubectl("wait", "--for=condition=Available", *names, "--timeout=120s")

    def _answer(self, url):
        path = urllib.parse.unquote(url.path)
        for group, resource in GROUPS.items():
            if path == f"/apis/{group}":
                return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": [resource]}
        selector = urllib.parse.parse_qs(url.query).get("labelSelector", [""])[0]
        if found := re.fullmatch(rf"/apis/custom.metrics.k8s.io/v1beta2/namespaces/([^/]+)/pods/\*/{METRIC}", path):
            pods = self._pods(found[1], selector)
            items = [self._calls(found[1], pod, len(pods)) for pod in pods]
            return {"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {}, "items": items}
        if found := re.fullmatch(r"/apis/metrics.k8s.io/v1beta1/namespaces/([^/]+)/pods", path):
            items = [_usage(pod) for pod in self._pods(found[1], selector)]
            return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}
        return None

    def _pods(self, namespace, selector):
        return self.cluster.get("--namespace", namespace, "pods", "--selector", selector)

    def _calls(self, namespace, pod, pods):
        return {"describedObject": {"kind": "Pod", "namespace": namespace, "name": pod["metadata"]["name"], "apiVersion": "v1"},
                "metric": {"name": METRIC}, "timestamp": _now(), "value": str(self.open_calls.get(namespace, 0) // pods)}


def _usage(pod):
    containers = [{"name": each["name"], "usage": USAGE} for each in pod["spec"]["containers"]]
    metadata = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    return {"metadata": metadata, "timestamp": _now(), "window": "1s", "containers": containers}


def _now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
