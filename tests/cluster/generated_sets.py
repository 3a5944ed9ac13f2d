"""Random values of the chart, as tests/chart/generated draws them, and odd ones: the API server accepts the objects that render."""

import concurrent.futures
import http.client
import json
import os
import ssl

import chart_sets
import generated
import kubernetes_rules
import rendering
import yaml
from processes import Failed, check

NAMESPACE = "generated"
SETS = int(os.environ.get("SETS", "500"))
SEED = int(os.environ.get("SEED", "11"))
PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses", "CiliumNetworkPolicy": "ciliumnetworkpolicies",
           "BackendTLSPolicy": "backendtlspolicies", "BackendTrafficPolicy": "backendtrafficpolicies"}


def run_all(cluster):
    chart_sets.make_namespace(cluster, NAMESPACE, level="privileged")
    server = Server(cluster)
    odd = [{"release": rendering.RELEASE, "values": row["values"]} for row in odd_values() if "refused" not in row]
    drawn = [{**each, "namespace": NAMESPACE, "kubernetes": cluster.version} for each in [*odd, *generated.drawn(SETS, SEED)]]
    problems, rendered = {}, 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = zip(drawn, generated.rendered(drawn), strict=True)
        accepted = [(each, result) for each, result in results if "manifest" in result]
        for each, found in zip(accepted, pool.map(lambda pair: server.refusals(pair[1]["manifest"]), accepted), strict=True):
            rendered += 1
            for problem in found:
                problems.setdefault(problem, json.dumps(each[0]))
    if problems:
        shown = "\n\n".join(f"{problem}\n{values}" for problem, values in problems.items())
        raise Failed(f"the API server refuses objects of {rendered} rendered sets:\n{shown}")
    check(f"of {SETS} random sets and {len(odd)} odd ones, the chart renders {rendered}, and the API server accepts every object of them",
          rendered > SETS / 10 + len(odd))


def odd_values():
    """The rows of tests/chart/odd_values.yaml."""
    return yaml.safe_load((rendering.ROOT / "tests/chart/odd_values.yaml").read_text(encoding="utf-8"))


class Server:
    """Dry runs against the API server, over one connection for each thread."""

    def __init__(self, cluster):
        self.cluster = cluster
        key, certificate = cluster.authority.sign("generated", "/O=system:masters/CN=generated")
        self.context = ssl.create_default_context(cafile=cluster.authority.certificate)
        self.context.load_cert_chain(certificate, key)
        self.seen = {}

    def refusals(self, manifest):
        """Returns its errors about the objects of a manifest. Equal objects are sent once."""
        found = []
        for obj in kubernetes_rules.parse(manifest):
            if obj["metadata"].get("namespace") != NAMESPACE:
                continue
            text = json.dumps(obj, sort_keys=True, default=str)
            if text not in self.seen:
                self.seen[text] = self._refusal(obj, text)
            found += self.seen[text]
        return found

    def _refusal(self, obj, text):
        group, _, version = obj["apiVersion"].rpartition("/")
        plural = PLURALS.get(obj["kind"], f"{obj['kind'].lower()}s")
        path = f"{f'/apis/{group}' if group else '/api'}/{version}/namespaces/{NAMESPACE}/{plural}"
        connection = http.client.HTTPSConnection(self.cluster.url.removeprefix("https://"), context=self.context, timeout=60)
        try:
            connection.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        return [] if answer.status == 201 else [f"{obj['kind']}: {answer.status} {_message(body).replace(obj['metadata']['name'], 'NAME')}"]


def _message(body):
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError):
        return body

