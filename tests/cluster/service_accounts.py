"""Service accounts as callers: the API server issues their tokens, and gives the gateway its keys."""

import os
import subprocess

from processes import PATIENCE, Failed, check, free_ports, until

AUDIENCE = "bedrock-grpc"
CONFIG = """
listen: 127.0.0.1:{port}
admin: {{ listen: "127.0.0.1:{admin}" }}
allowed_model_ids: ["*"]
discovery: {{ enabled: false }}
access:
  kubernetes:
    audience: {audience}
    api_server: {url}
    ca_file: {ca}
    token_file: {token}
    refresh: {refresh}
callers:
  chat: {{ service_accounts: [apps/chat] }}
"""
# The minimum time between the last fetch of keys and one that a call causes.
COOLDOWN_S = 10


class Gateway:
    """A gateway that fetches keys from the API server with its own token."""

    def __init__(self, cluster, binary, folder):
        self.cluster, self.binary, self.folder = cluster, binary, folder
        self.port, admin = free_ports(2)
        self.own_token = folder / "gateway.token"
        self.renew_own_token()
        config = folder / "service-accounts.yaml"
        config.write_text(CONFIG.format(port=self.port, admin=admin, audience=AUDIENCE, url=cluster.url, ca=cluster.authority.certificate,
                                        token=self.own_token, refresh="1h"))
        environment = {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        cluster.processes.start("gateway-of-service-accounts", binary, "serve", "--config", config, env=environment)
        until("the gateway serves", lambda: self.answer() != "", self.log)

    def log(self):
        return self.cluster.processes.tail("gateway-of-service-accounts")

    def renew_own_token(self):
        self.own_token.write_text(self.cluster.kubectl("create", "token", "gateway", "--namespace=apps", "--duration=10m"))

    def token(self, account, *arguments):
        """A new token, as a pod's projected volume gets it."""
        return self.cluster.kubectl("create", "token", account, "--namespace=apps", "--duration=10m", *arguments).strip()

    def answer(self, token=None):
        """Returns the reason of a call with this token. "" if the gateway cannot be reached."""
        command = [self.binary, "targets", "--address", f"http://127.0.0.1:{self.port}", "--deadline", "20s"]
        if token:
            path = self.folder / "caller.token"
            path.write_text(token)
            command += ["--token-file", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode == 0:
            return "OK"
        return "" if "cannot be reached" in done.stderr or "refused" in done.stderr else done.stderr

    def check(self, title, token, expected="OK"):
        answer = self.answer(token)
        check(title, expected in answer, lambda: f"{answer}\n{self.log()}")


def run_all(cluster, binary, folder):
    """Runs all checks on a control plane only, because tokens need no pod."""
    cluster.kubectl("create", "namespace", "apps")
    for account in ("gateway", "chat", "other"):
        cluster.kubectl("create", "serviceaccount", account, "--namespace=apps")
    gateway = Gateway(cluster, binary, folder)
    gateway.check("the token of a service account is accepted", gateway.token("chat", f"--audience={AUDIENCE}"))
    gateway.check("one for several audiences, too", gateway.token("chat", f"--audience={AUDIENCE}", "--audience=other"))
    gateway.check("one for another audience is refused", gateway.token("chat", "--audience=other"), "audience")
    gateway.check("one for the API server is refused", gateway.token("chat"), "audience")
    gateway.check("one of a service account that is not configured is refused", gateway.token("other", f"--audience={AUDIENCE}"), "not configured")
    gateway.check("a call without a token is refused", None, "UNAUTHENTICATED")

    before = gateway.token("chat", f"--audience={AUDIENCE}")
    cluster.rotate_account_keys()
    gateway.renew_own_token()
    after = gateway.token("chat", f"--audience={AUDIENCE}")
    if key_id(before) == key_id(after):
        raise Failed("the API server still signs with its old key")
    until("a token with a new key of the cluster is accepted", lambda: gateway.answer(after) == "OK", gateway.log, COOLDOWN_S + PATIENCE)
    check("a token with a new key of the cluster is accepted", True)
    gateway.check("one with the old key still is, as the API server wants it", before)
    cluster.processes.end("gateway-of-service-accounts")
    cluster.kubectl("delete", "namespace", "apps", "--wait=false")


def key_id(token):
    """The first part of a token, which names the key."""
    return token.partition(".")[0]
