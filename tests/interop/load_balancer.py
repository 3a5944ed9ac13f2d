"""A load balancer that, like AWS's ALB, closes connections on which only pings are sent for a while."""

import contextlib
import socket
import threading
import time

FRAME_HEADER = 9
DATA, HEADERS = 0, 1


class LoadBalancer:
    """Forwards connections to the gateway. `address` is its own address."""

    def __init__(self, gateway, idle_seconds):
        self.gateway, self.idle_seconds = gateway, idle_seconds
        self.listener = socket.create_server(("127.0.0.1", 0))
        host, port = self.listener.getsockname()
        self.address = f"{host}:{port}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                host, port = self.gateway.rsplit(":", 1)
                gateway = socket.create_connection((host, int(port)))
                for pump in (self.requests, self.answers):
                    threading.Thread(target=pump, args=(client, gateway), daemon=True).start()

    def requests(self, client, gateway):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                gateway.sendall(data)
        gateway.close()

    def answers(self, client, gateway):
        """Forwards frame by frame, until the end or a long silence."""
        read, last = gateway.makefile("rb"), time.monotonic()
        # Pings arrive in between. Each read has a time limit, and the total limit applies only to
        # frames other than pings.
        gateway.settimeout(self.idle_seconds)
        with contextlib.suppress(OSError):
            while header := read.read(FRAME_HEADER):
                client.sendall(header + read.read(int.from_bytes(header[:3], "big")))
                if header[3] in (DATA, HEADERS):
                    last = time.monotonic()
                elif time.monotonic() - last > self.idle_seconds:
                    break
        for end in (client, gateway):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
