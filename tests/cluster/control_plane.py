"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on loopback and in one folder."""

import json
import subprocess

from processes import PATIENCE, Failed, free_ports, run, until

# Nothing listens at this address, because the tests do not cover calls of pods.
ADVERTISED = "192.0.2.1"
SERVICES = "10.253.0.0/16,fd00:bed0:c::/112"


class Authority:
    """A certificate authority, and the certificates that it signs."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.certificate = folder / "ca.crt"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=cluster",
            "-keyout", folder / "ca.key", "-out", self.certificate)

    def sign(self, name, subject, addresses=()):
        """Creates a key and a certificate. Returns their files."""
        key, certificate, request = (self.folder / f"{name}.{ending}" for ending in ("key", "crt", "csr"))
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        names = ",".join(f"{'IP' if each[0].isdigit() else 'DNS'}:{each}" for each in ("localhost", "127.0.0.1", *addresses))
        extensions.write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={names}\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", certificate)
        return key, certificate


class ControlPlane:
    """Starts a control plane. Returns kubectl for it."""

    def __init__(self, work, bin, processes):
        self.work, self.bin, self.processes = work, bin, processes
        self.authority = Authority(work / "pki")
        etcd, peer, api, manager, scheduler = free_ports(5)
        self.url = f"https://127.0.0.1:{api}"
        self.kubeconfig = self.kubeconfig_for("admin", "/O=system:masters/CN=admin")
        self._start_etcd(etcd, peer)
        self.ports = api, etcd, manager
        self.account_keys = []
        self._add_account_key()
        self._start_api_server(api, etcd)
        self.version = json.loads(self.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"].removeprefix("v")
        self._start_manager(manager)
        processes.start("kube-scheduler", bin / "kube-scheduler", f"--kubeconfig={self.kubeconfig_for('scheduler', '/CN=system:kube-scheduler')}",
                        "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={scheduler}")

    def kubeconfig_for(self, name, subject):
        """A kubeconfig file that authenticates a user of this name."""
        key, certificate = self.authority.sign(name, subject)
        path = self.work / f"{name}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {"server": self.url, "certificate-authority": str(self.authority.certificate)}}],
            "users": [{"name": name, "user": {"client-key": str(key), "client-certificate": str(certificate)}}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": name}}],
        }))
        return path

    def _start_etcd(self, port, peer):
        self.processes.start("etcd", "etcd", "--data-dir", self.work / "etcd", "--listen-client-urls", f"http://127.0.0.1:{port}",
                             "--advertise-client-urls", f"http://127.0.0.1:{port}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}")

    def _start_api_server(self, port, etcd):
        key, certificate = self.authority.sign("api", "/CN=kube-apiserver")
        kubelet_key, kubelet_certificate = self.authority.sign("to-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
        self.processes.start(
            "kube-apiserver", self.bin / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1",
            f"--secure-port={port}", f"--advertise-address={ADVERTISED}", "--endpoint-reconciler-type=none", f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}", f"--client-ca-file={self.authority.certificate}", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true", "--service-account-issuer=https://kubernetes.default.svc",
            # The last key signs; tokens of the others are still accepted.
            *(f"--service-account-key-file={key}" for key in self.account_keys), f"--service-account-signing-key-file={self.account_keys[-1]}",
            f"--service-cluster-ip-range={SERVICES}", f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={kubelet_certificate}", f"--kubelet-client-key={kubelet_key}",
            "--kubelet-preferred-address-types=InternalIP")
        until("the API server is ready", self._ready, lambda: self.processes.tail("kube-apiserver"))

    def _add_account_key(self):
        key = self.work / f"accounts-{len(self.account_keys)}.key"
        run("openssl", "genrsa", "-out", key, "2048")
        self.account_keys.append(key)

    def rotate_account_keys(self):
        """Signs the tokens of service accounts with a new key."""
        self._add_account_key()
        # The process ends by itself if the API server stops while it starts.
        self.processes.end("kube-controller-manager")
        self.processes.end("kube-apiserver")
        api, etcd, manager = self.ports
        self._start_api_server(api, etcd)
        self._start_manager(manager)

    def _ready(self):
        self.processes.check_alive()
        answer = subprocess.run(self.command("get", "--raw", "/readyz"), capture_output=True, text=True, timeout=PATIENCE, check=False)
        return answer.stdout == "ok"

    def _start_manager(self, port):
        self.processes.start(
            "kube-controller-manager", self.bin / "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig_for('manager', '/CN=system:kube-controller-manager')}", "--use-service-account-credentials",
            f"--root-ca-file={self.authority.certificate}", f"--service-account-private-key-file={self.account_keys[0]}",
            "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={port}",
            # By default, the autoscaler runs every 15 s, and the test would only wait longer.
            "--horizontal-pod-autoscaler-sync-period=3s",
            # On a loaded machine, a node reports late that it is ready, and nothing makes the
            # pods of a fake node ready again.
            "--node-monitor-grace-period=10m")

    def command(self, *arguments):
        return [str(word) for word in (self.bin / "kubectl", "--kubeconfig", self.kubeconfig, *arguments)]

    def ask(self, *arguments, objects=None, text=None, fails=False):
        """Runs kubectl, optionally with objects on its input. Returns its output and its warnings. `fails`: it must fail."""
        if objects is not None:
            text = "\n---\n".join(map(json.dumps, objects))
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True, input=text, timeout=PATIENCE * 2, check=False)
        if (result.returncode != 0) != fails:
            raise Failed(f"kubectl {' '.join(map(str, arguments))}{' did not fail' if fails else ''}\n{result.stdout}{result.stderr}")
        return result.stdout, result.stderr

    def kubectl(self, *arguments, **options):
        """Returns the output of kubectl."""
        return self.ask(*arguments, **options)[0]

    def get(self, *arguments):
        """An object, or the objects of a list."""
        answer = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return answer["items"] if answer["kind"] == "List" else answer

    def apply(self, objects, *arguments):
        """Applies on the server, with strict validation. Returns the output and the warnings."""
        return self.ask("apply", "--server-side", "--validate=strict", "--filename", "-", *arguments, objects=objects)
