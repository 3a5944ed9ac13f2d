"""A renewed certificate on a real kubelet: it reaches a running pod without a restart, and breaks no stream."""

import base64
import json
import ssl
import subprocess
import time

import node
import rendering
from processes import PATIENCE, check, until

RELEASE = "with-tls"
NAME = f"{RELEASE}-bedrock-grpc"
SECRET = "gateway-certificate"
PORT = 50051
LONGEST = 2 * node.SYNC_SECONDS
# At two tokens a second, an answer takes longer than a renewal.
TOKENS = 5 * LONGEST
REQUEST = {"messages": [{"role": "user", "content": [{"text": "Count as far as you may."}]}], "inferenceConfig": {"maxTokens": TOKENS}}


def run_all(release):
    """Installs a second release, with TLS, next to the first one."""
    renewal = Renewal(release)
    renewal.install()
    renewal.check_renewal()
    renewal.uninstall()


class Renewal:
    """One pod with TLS."""

    def __init__(self, release):
        self.release, self.cluster = release, release.cluster
        self.address = None

    def install(self):
        values = {**self.release.values, "replicaCount": 1, "minReadySeconds": 1, "tls": {"enabled": True, "existingSecret": SECRET}}
        path = self.cluster.work / "tls-values.json"
        path.write_text(json.dumps(values))
        # The pod waits for its Secret, and the certificate for the address of the Service.
        self.release.helm("helm-v4", "install", RELEASE, rendering.CHART, "--values", path)
        self.address = self.release.get(f"service/{NAME}")["spec"]["clusterIP"]
        first = self._sign("first")
        self.release.kubectl("rollout", "status", f"deployment/{NAME}", f"--timeout={PATIENCE}s")
        until("the pod serves its certificate", lambda: self._served() == first, self.release.explain)

    def _sign(self, name):
        """Writes a new certificate into the Secret, as cert-manager does. Returns the certificate."""
        key, certificate = self.cluster.authority.sign(f"gateway-{name}", f"/CN={name}", [self.address])
        data = {"tls.key": key, "tls.crt": certificate, "ca.crt": self.cluster.authority.certificate}
        encoded = {file: base64.b64encode(path.read_bytes()).decode() for file, path in data.items()}
        namespace = self.release.get(f"service/{NAME}")["metadata"]["namespace"]
        self.cluster.apply([{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": encoded,
                             "metadata": {"name": SECRET, "namespace": namespace}}])
        return ssl.PEM_cert_to_DER_cert(certificate.read_text())

    def _served(self):
        try:
            return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((self.address, PORT), timeout=10))
        except OSError:
            return None

    def _pods(self):
        pods = self.release.get("pods", f"--selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=gateway")
        return {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}

    def _stream(self):
        """A call whose answer takes longer than the renewal."""
        request = self.cluster.work / "request.json"
        request.write_text(json.dumps(REQUEST))
        command = [self.release.binary, "invoke", "--events", "--converse", request, "--target", "claude", "--address", f"https://{self.address}:{PORT}",
                   "--ca", self.cluster.authority.certificate]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check_renewal(self):
        before = self._pods()
        stream = self._stream()
        try:
            begun = stream.stdout.readline()
            check("a stream over TLS is open", "messageStart" in begun, lambda: begun + stream.stderr.read())
            second = self._sign("second")
            start = time.monotonic()
            until("new connections get the new certificate", lambda: self._served() == second, self.release.explain, LONGEST)
            took = time.monotonic() - start
            check(f"new connections get the renewed certificate {took:.1f} s later, at most 2 x syncFrequency ({LONGEST} s)", stream.poll() is None)
            check("the pod was not replaced, and its container not restarted", len(before) == 1 and self._pods() == before)
            rest, errors = stream.communicate(timeout=PATIENCE)
            check("the stream from before the renewal ends successfully", stream.returncode == 0 and "metadata" in rest.splitlines()[-1], lambda: rest[-500:] + errors)
        finally:
            if stream.poll() is None:
                stream.kill()
                stream.wait()
        with self._stream() as after:
            answer = after.stdout.readline()
            after.kill()
        check("a call over the renewed certificate begins", "messageStart" in answer, lambda: answer)

    def uninstall(self):
        self.release.helm("helm-v4", "uninstall", RELEASE, "--wait", f"--timeout={PATIENCE}s")
