"""A real node: containerd, a kubelet, kube-proxy and CoreDNS, in the network of this run alone."""

import json
import os
import pathlib

from control_plane import SERVICES
from processes import PATIENCE, free_ports, run, until

NAME = "machine"
PAUSE = "localhost/pause:test"
IMAGE = "localhost/bedrock-grpc"
TAG = "test"
# Addresses for measuring networks (RFC 2544).
ADDRESS = "198.18.0.1"
PODS = "198.18.1.0/24"
DNS_SERVICE = "10.253.0.10"
# The kubelet's default is 60 s. With it, tests would only take longer.
SYNC_SECONDS = 10
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# The settings of the whole machine that the kubelet changes. They are restored afterwards.
SETTINGS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
            "kernel/keys/root_maxbytes"]


class Node:
    """The node, ready for pods."""

    def __init__(self, cluster, cgroup):
        self.cluster, self.bin, self.processes = cluster, cluster.bin, cluster.processes
        self.work = cluster.work / "node"
        self.work.mkdir()
        self.cgroup = cgroup
        self.settings = {path: path.read_text() for name in SETTINGS if (path := pathlib.Path("/proc/sys") / name).exists()}
        self._make_cgroup()
        # The run has a separate network, so no other process uses it.
        run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
        # Without a route, packets would not reach kube-proxy's rules.
        run("ip", "route", "add", SERVICES.split(",")[0], "dev", "lo", "src", ADDRESS)
        self._start_containerd()

    def _make_cgroup(self):
        """The control group of all pods, in each hierarchy."""
        for hierarchy in [CGROUPS, *CGROUPS.iterdir()]:
            if not (hierarchy / "cgroup.procs").exists():
                continue
            folder = hierarchy / self.cgroup
            folder.mkdir()
            # Version 1 accepts connections only after these files are set.
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (hierarchy / name).exists():
                    (folder / name).write_text((hierarchy / name).read_text())

    def restore(self):
        for path, value in self.settings.items():
            path.write_text(value)

    def join(self):
        """Starts the remaining processes, when the images are loaded."""
        self._start_kubelet()
        self._start_proxy()
        self._start_dns()
        until("the node registers itself", lambda: self.cluster.kubectl("get", "node", NAME, "--ignore-not-found"),
              lambda: self.processes.tail("kubelet"))
        self.cluster.kubectl("wait", f"node/{NAME}", "--for=condition=Ready", f"--timeout={PATIENCE}s")

    # containerd

    def _start_containerd(self):
        network = self.work / "cni"
        network.mkdir()
        (network / "10-pods.conflist").write_text(json.dumps({
            "cniVersion": "1.0.0", "name": "pods",
            "plugins": [{"type": "ptp", "ipam": {"type": "host-local", "dataDir": str(self.work / "addresses"), "ranges": [[{"subnet": PODS}]],
                                                 "routes": [{"dst": "0.0.0.0/0"}]}}],
        }))
        self.socket = self.work / "containerd.sock"
        config = self.work / "containerd.toml"
        config.write_text(f'''
version = 3
root = "{self.work}/containerd"
state = "{self.work}/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.erofs",
    "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{self.socket}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
netns_mounts_under_state_dir = true
disable_apparmor = true
# Some environments, such as containers, do not permit a lower OOM score, so it is not set there.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{self.bin}"]
conf_dir = "{network}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{self.work}/runc"
''')
        # containerd finds its shim in the same folder only if PATH contains the folder.
        environment = dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}")
        self.processes.start("containerd", self.bin / "containerd", "--config", config, env=environment)
        until("containerd serves", self._containerd_serves, lambda: self.processes.tail("containerd"))

    def _containerd_serves(self):
        self.processes.check_alive()
        if not self.socket.exists():
            return False
        return "io.containerd.grpc.v1" in self._ctr("plugins", "ls")

    def _ctr(self, *arguments):
        return run(self.bin / "ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments)

    def load(self, archive):
        """Loads an image from an archive, because no registry has it."""
        self._ctr("images", "import", archive)

    # The kubelet

    def _start_kubelet(self):
        key, certificate = self.cluster.authority.sign("kubelet-server", f"/CN={NAME}", [ADDRESS])
        (port, health) = free_ports(2)
        config = self.work / "kubelet.json"
        config.write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "address": ADDRESS, "port": port, "readOnlyPort": 0, "healthzPort": health,
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": str(self.cluster.authority.certificate)}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate), "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.cgroup}", "enforceNodeAllocatable": [],
            # Machines for tests have old cgroups and swap.
            "failCgroupV1": False, "failSwapOn": False,
            "clusterDNS": [DNS_SERVICE], "clusterDomain": "cluster.local", "resolvConf": "",
            "podLogsDir": str(self.work / "pod-logs"), "volumePluginDir": str(self.work / "plugins"), "staticPodPath": "",
            # The images were loaded without a registry and could not be pulled again, so the disk
            # usage of this machine must not evict them.
            "imageGCHighThresholdPercent": 100, "imageMinimumGCAge": "24h",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%",
                             "imagefs.inodesFree": "0%"},
            "makeIPTablesUtilChains": False, "syncFrequency": f"{SYNC_SECONDS}s",
        }))
        kubeconfig = self.cluster.kubeconfig_for("kubelet", f"/O=system:nodes/CN=system:node:{NAME}")
        self.processes.start("kubelet", self.bin / "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}", f"--root-dir={self.work}/kubelet",
                             f"--cert-dir={self.work}/kubelet-certificates", f"--hostname-override={NAME}", f"--node-ip={ADDRESS}",
                             "--node-labels=topology.kubernetes.io/zone=zone-a")

    # Services and names

    def _start_proxy(self):
        config = self.work / "proxy.json"
        (metrics, health) = free_ports(2)
        config.write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self.cluster.kubeconfig_for("proxy", "/CN=system:kube-proxy"))},
            "mode": "nftables", "hostnameOverride": NAME, "clusterCIDR": PODS,
            "metricsBindAddress": f"127.0.0.1:{metrics}", "healthzBindAddress": f"127.0.0.1:{health}", "nodePortAddresses": [f"{ADDRESS}/32"],
            # The machine's own limits stay unchanged.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }))
        self.processes.start("kube-proxy", self.bin / "kube-proxy", f"--config={config}")

    def _start_dns(self):
        """Runs CoreDNS as a process, with kubeadm's settings. Its Service leads to the node."""
        config = self.work / "Corefile"
        kubeconfig = self.cluster.kubeconfig_for("dns", "/O=system:masters/CN=coredns")
        config.write_text(f"""
.:53 {{
    bind {ADDRESS}
    errors
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
        ttl 30
    }}
    cache 30
}}
""")
        self.processes.start("coredns", self.bin / "coredns", "-conf", config)
        ports = [{"name": name.lower(), "protocol": name, "port": 53} for name in ("UDP", "TCP")]
        self.cluster.apply([
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"},
             "spec": {"clusterIP": DNS_SERVICE, "ports": ports}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
             "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [ADDRESS]}]},
        ])
